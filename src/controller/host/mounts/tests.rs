//! On real files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use std::os::unix::net::UnixListener;

use super::super::sources::OwnPaths;
use super::*;
use crate::plan::policy::host_paths::{AllowedPath, HostPaths};

fn mount(host_path: PathBuf, create: Option<CreateDirectory>) -> BindMount {
    BindMount { host_path, mount_path: "/mnt/data".to_owned(), read_only: false, create }
}

fn create(mode: u32) -> CreateDirectory {
    CreateDirectory { mode, uid: None, gid: None }
}

fn tempdir() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

/// As where no policy speaks of host paths.
fn rules() -> MountRules {
    MountRules::default()
}

fn blockers(mounts: &[BindMount]) -> Vec<Blocker> {
    look_at_mounts(mounts, &rules()).blockers
}

#[track_caller]
fn made(mounts: &[BindMount]) {
    let looked = prepare_mounts(mounts, &rules());
    assert_eq!(looked.blockers, vec![]);
    assert!(looked.sources.iter().all(|source| source.exists));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_missing_path_is_named_with_its_field_and_the_hint() {
    let (_keep, root) = tempdir();
    let blockers = blockers(&[mount(root.join("none"), None)]);
    assert_eq!(blockers.len(), 1);
    assert_eq!(blockers[0].kind, BlockerKind::MountUnavailable);
    let path = root.join("none");
    assert_eq!(
        blockers[0].message,
        format!(
            "mounts[/mnt/data].hostPath: {} does not exist; make it, or set `create` on the mount \
             to have a directory made",
            path.display()
        )
    );
    assert!(!path.exists(), "looking creates nothing");
}

#[test]
fn what_exists_or_may_be_made_is_no_blocker() {
    let (_keep, root) = tempdir();
    fs::write(root.join("file"), "").unwrap();
    let mounts = [
        mount(root.clone(), None),
        mount(root.join("file"), None),
        mount(root.join("new"), Some(create(0o755))),
    ];
    assert_eq!(blockers(&mounts), vec![]);
}

#[test]
fn links_and_a_path_below_a_file_are_blockers() {
    let (_keep, root) = tempdir();
    fs::write(root.join("file"), "").unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("file", root.join("link")).unwrap();
    let mounts = [
        mount(root.join("dangling"), Some(create(0o755))),
        mount(root.join("link"), None),
        mount(root.join("file/below"), None),
    ];
    let blockers = blockers(&mounts);
    assert_eq!(blockers.len(), 3);
    let real = format!("write the real path into hostPath: {}/file", root.display());
    assert!(blockers[1].message.ends_with(&real), "{}", blockers[1].message);
}

#[test]
fn only_what_was_made_gets_the_mode() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("old")).unwrap();
    fs::set_permissions(root.join("old"), fs::Permissions::from_mode(0o711)).unwrap();
    let path = root.join("old/a/b");
    made(&[mount(path.clone(), Some(create(0o6770)))]);
    assert_eq!(mode(&path), 0o770);
    assert_eq!(mode(&root.join("old/a")), 0o770);
    assert_eq!(mode(&root.join("old")), 0o711);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    made(&[mount(path.clone(), Some(create(0o770)))]);
    assert_eq!(mode(&path), 0o700, "an existing directory keeps its mode");
}

#[test]
fn the_owner_is_set_on_what_was_made() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_keep, root) = tempdir();
    let create = Some(CreateDirectory { mode: 0o750, uid: Some(1234), gid: Some(2345) });
    made(&[mount(root.join("new"), create)]);
    let metadata = fs::metadata(root.join("new")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (1234, 2345));
    assert_eq!(fs::metadata(&root).unwrap().uid(), 0);
}

#[test]
fn nothing_is_made_through_a_link() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("outside")).unwrap();
    symlink("outside", root.join("link")).unwrap();
    let looked = prepare_mounts(&[mount(root.join("link/new"), Some(create(0o777)))], &rules());
    let message = &looked.blockers[0].message;
    assert!(message.contains("link is a symbolic link"), "{message}");
    assert!(message.contains("write the real path"), "{message}");
    assert_eq!(fs::read_dir(root.join("outside")).unwrap().count(), 0);
}

#[test]
fn without_create_nothing_is_made() {
    let (_keep, root) = tempdir();
    let looked = prepare_mounts(&[mount(root.join("none"), None)], &rules());
    assert_eq!(looked.blockers.len(), 1);
    assert!(!root.join("none").exists());
}

/// Rules of a policy that allows this, and nothing else.
fn allowing(path: &Path, read_only: bool) -> MountRules {
    let allowed = vec![AllowedPath { path: path.to_owned(), read_only }];
    MountRules::new(Some(HostPaths { allowed }), OwnPaths::default())
}

#[track_caller]
fn refused(path: &Path, rules: &MountRules) -> String {
    let mount = BindMount { read_only: true, ..mount(path.to_owned(), None) };
    let looked = look_at_mounts(&[mount], rules);
    let [blocker] = &looked.blockers[..] else { panic!("{} is not refused", path.display()) };
    assert_eq!(blocker.kind, BlockerKind::MountRefused, "{}", blocker.message);
    blocker.message.clone()
}

#[test]
fn nothing_is_made_where_it_may_not_be_mounted() {
    let (_keep, root) = tempdir();
    fs::create_dir_all(root.join("allowed")).unwrap();
    let rules = allowing(&root.join("allowed"), false);
    let mounts = [
        mount(root.join("allowed/a/b"), Some(create(0o750))),
        mount(root.join("elsewhere/c"), Some(create(0o750))),
    ];
    let looked = prepare_mounts(&mounts, &rules);
    assert_eq!(looked.blockers.len(), 1);
    assert_eq!(looked.blockers[0].kind, BlockerKind::MountRefused);
    let rule = format!("allowed by policy.hostPaths; allowed: {}/allowed", root.display());
    assert!(looked.blockers[0].message.ends_with(&rule), "{}", looked.blockers[0].message);
    assert!(root.join("allowed/a/b").is_dir());
    assert!(!root.join("elsewhere").exists());
}

#[test]
fn a_link_out_of_an_allowed_root_is_refused() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("allowed")).unwrap();
    symlink("/etc", root.join("allowed/link")).unwrap();
    let rules = allowing(&root.join("allowed"), false);
    for path in ["allowed/link", "allowed/link/ssl"] {
        let looked = look_at_mounts(&[mount(root.join(path), None)], &rules);
        let message = &looked.blockers[0].message;
        assert!(message.contains("is a symbolic link, which is never followed"), "{message}");
    }
}

#[test]
fn a_policy_of_the_whole_host_opens_no_reserved_path() {
    let rules = allowing(Path::new("/"), false);
    for path in ["/", "/etc", "/proc/sys", "/sys/kernel", "/dev/shm", "/run", "/etc/passwd"] {
        refused(Path::new(path), &rules);
    }
}

#[test]
fn the_daemons_own_directories_and_its_engines_are_reserved() {
    let (_keep, root) = tempdir();
    for directory in ["specs/workspace", "state/memory", "engine", "data/overlay"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("specs/web.yaml"), "").unwrap();
    let _engine = UnixListener::bind(root.join("engine/any-name")).unwrap();
    let specs = [root.join("specs")];
    let (state, socket, data) =
        (root.join("state"), root.join("engine/any-name"), root.join("data"));
    let own =
        OwnPaths { specs: &specs, state: Some(&state), socket: Some(&socket), data: Some(&data) };
    let policy = HostPaths { allowed: vec![AllowedPath { path: root.clone(), read_only: false }] };
    let rules = MountRules::new(Some(policy), own);
    for path in [
        "",
        "specs",
        "specs/web.yaml",
        "state",
        "state/memory",
        "engine",
        "engine/any-name",
        "data/overlay",
    ] {
        let message = refused(&root.join(path), &rules);
        assert!(message.contains("is never mounted: it "), "{message}");
    }
    let workspace = mount(root.join("specs/workspace"), None);
    assert_eq!(look_at_mounts(&[workspace], &rules).blockers, vec![]);
}

/// Whatever it is called by: the same socket has the same device and inode.
#[test]
fn an_engines_socket_is_known_by_identity_and_an_unknown_one_by_its_name() {
    let (_keep, root) = tempdir();
    fs::create_dir_all(root.join("engine")).unwrap();
    fs::create_dir_all(root.join("alias")).unwrap();
    fs::create_dir_all(root.join("other")).unwrap();
    let socket = root.join("engine/private");
    let _engine = UnixListener::bind(&socket).unwrap();
    fs::hard_link(&socket, root.join("alias/innocent")).unwrap();
    let own = OwnPaths { socket: Some(&socket), ..OwnPaths::default() };
    let rules = MountRules::new(None, own);
    let message = refused(&root.join("alias/innocent"), &rules);
    assert!(message.contains("an engine's socket"), "{message}");

    let _other = UnixListener::bind(root.join("other/docker.sock")).unwrap();
    refused(&root.join("other/docker.sock"), &rules);
    let message = refused(&root.join("other"), &rules);
    assert!(message.contains("docker.sock is an engine's socket"), "{message}");
    fs::create_dir_all(root.join("files")).unwrap();
    fs::write(root.join("files/docker.sock"), "no socket").unwrap();
    assert_eq!(blockers(&[mount(root.join("files"), None)]), vec![]);
}
