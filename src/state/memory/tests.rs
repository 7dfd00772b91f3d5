use std::os::unix::fs::MetadataExt;

use super::*;

fn state() -> (tempfile::TempDir, StateDir) {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDir::open(&directory.path().join("state")).unwrap();
    (directory, state)
}

fn memory(uid: &str, port: u16) -> Memory {
    let ports = BTreeMap::from([("http".to_owned(), port)]);
    Memory { uid: uid.to_owned(), ports, ..Memory::default() }
}

#[test]
fn a_memory_survives_a_restart() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    assert!(store.put("web", &memory("u1", 8080)).unwrap());
    let store = MemoryStore::load(&state).unwrap();
    assert_eq!(store.get("web", "u1"), memory("u1", 8080));
    assert_eq!(store.all_ports(), BTreeMap::from([("web".to_owned(), memory("u1", 8080).ports)]));
    assert_eq!(store.names(), ["web"]);
}

#[test]
fn another_uid_is_another_life_and_remembers_nothing() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    store.put("web", &memory("u1", 8080)).unwrap();
    assert_eq!(store.get("web", "u2"), Memory { uid: "u2".to_owned(), ..Memory::default() });
    assert_eq!(store.get("unknown", "u1").uid, "u1");
}

#[test]
fn an_equal_memory_is_not_written_again_not_even_after_a_restart() {
    let (_keep, state) = state();
    MemoryStore::load(&state).unwrap().put("web", &memory("u1", 8080)).unwrap();
    let inode = || std::fs::metadata(state.path().join("memory/web.json")).unwrap().ino();
    let before = inode();
    let store = MemoryStore::load(&state).unwrap();
    assert!(!store.put("web", &memory("u1", 8080)).unwrap());
    assert_eq!(inode(), before);
    assert!(store.put("web", &memory("u1", 8081)).unwrap());
    assert_ne!(inode(), before);
}

#[test]
fn what_cannot_be_written_is_remembered_and_written_later() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    // A directory in the file's place fails even for root, as a full disk would.
    let path = state.path().join("memory/web.json");
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    assert!(store.put("web", &memory("u1", 8080)).is_err());
    assert_eq!(store.get("web", "u1"), memory("u1", 8080));
    std::fs::remove_dir_all(&path).unwrap();
    assert!(store.put("web", &memory("u1", 8080)).unwrap());
    assert_eq!(MemoryStore::load(&state).unwrap().get("web", "u1"), memory("u1", 8080));
}

#[test]
fn a_damaged_memory_is_put_aside_and_costs_no_other() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    store.put("good", &memory("u1", 8080)).unwrap();
    let damaged = state.path().join("memory/bad.json");
    for content in ["", "{\"uid\":\"u2\",\"por", "[1]", "\u{0}\u{1}"] {
        std::fs::write(&damaged, content).unwrap();
        let store = MemoryStore::load(&state).unwrap();
        assert_eq!(store.names(), ["good"]);
        assert!(!damaged.exists());
        let aside = state.path().join("memory/bad.json.corrupt");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), content);
    }
}

#[test]
fn a_reader_leaves_a_damaged_memory_where_it_is() {
    let (_keep, state) = state();
    let damaged = state.path().join("memory/bad.json");
    std::fs::write(&damaged, "{").unwrap();
    let store = MemoryStore::load(&StateDir::read_only(state.path()).unwrap()).unwrap();
    assert!(store.names().is_empty());
    assert!(damaged.exists());
}

#[test]
fn a_memory_of_an_older_version_fills_with_defaults() {
    let (_keep, state) = state();
    std::fs::write(state.path().join("memory/web.json"), "{\"uid\":\"u1\",\"later\":1}").unwrap();
    let store = MemoryStore::load(&state).unwrap();
    assert_eq!(store.get("web", "u1"), Memory { uid: "u1".to_owned(), ..Memory::default() });
}

#[test]
fn a_forgotten_sandbox_leaves_nothing() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    store.put("web", &memory("u1", 8080)).unwrap();
    assert!(store.forget("web").unwrap());
    assert!(!store.forget("web").unwrap());
    assert!(store.all_ports().is_empty());
    assert!(!state.path().join("memory/web.json").exists());
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let (_keep, state) = state();
    let store = MemoryStore::load(&state).unwrap();
    assert!(matches!(store.put("../x", &memory("u", 1)), Err(StateError::BadName { .. })));
    assert!(matches!(store.forget("a/b"), Err(StateError::BadName { .. })));
}
