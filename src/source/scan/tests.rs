use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::sandbox::{ProblemReason, Sandbox, SandboxSpec};
use crate::source::Admitted;

/// Declares one sandbox, named as the whole content says, and counts its calls.
fn counting(calls: &Arc<AtomicUsize>) -> Reader {
    let calls = calls.clone();
    Arc::new(move |bytes, _| {
        calls.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(bytes).into_owned();
        match text.as_str() {
            "panic" => panic!("as a parser might"),
            "nothing" => Ok(Vec::new()),
            name => {
                let sandbox = Sandbox::new(name, SandboxSpec::default());
                let result = Ok(Admitted { sandbox, notices: Vec::new(), place: None });
                Ok(vec![ReadDocument { index: 1, name: None, result }])
            }
        }
    })
}

fn scanner(directory: &Path) -> (Scanner, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    (Scanner::unwatched(directory.to_owned(), counting(&calls)), calls)
}

fn listing(scanner: &mut Scanner) -> Listing {
    match scanner.look(false) {
        Look::Listed(listing) => listing,
        look => panic!("expected a listing, got {look:?}"),
    }
}

fn problem(listing: &Listing, path: &Path) -> Problem {
    match &listing.files[path.as_os_str()] {
        Reading::Refused(problem) | Reading::Slow(problem) => problem.clone(),
        Reading::Content(content) => match &*content.documents {
            Err(problem) => problem.clone(),
            Ok(documents) => documents[0].result.as_ref().unwrap_err()[0].clone(),
        },
        Reading::Unsettled => panic!("unsettled"),
    }
}

// 7
#[test]
fn only_names_of_specs_are_read() {
    for name in ["web.yaml", "web.yml", "web.json", "a b.yaml"] {
        assert!(is_spec_name(OsStr::new(name)), "{name}");
    }
    let droppings = [
        ".web.yaml",
        "..data",
        "web.yaml~",
        "#web.yaml#",
        "#web.yaml",
        "4913",
        "web.yaml.swp",
        "web.yaml.backup",
        "web.yaml.dpkg-new",
        "sedLwwRfa",
        "web",
        "",
    ];
    for name in droppings {
        assert!(!is_spec_name(OsStr::new(name)), "{name}");
    }
    assert!(!is_spec_name(OsStr::from_bytes(b"\xff.yaml")));
}

#[test]
fn names_that_are_not_specs_are_listed_as_ignored() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("web.yaml~"), "").unwrap();
    let (mut scanner, _) = scanner(directory.path());
    assert_eq!(listing(&mut scanner).ignored, [directory.path().join("web.yaml~")]);
}

#[test]
fn the_same_bytes_are_parsed_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    fs::write(&path, "web").unwrap();
    let (mut scanner, calls) = scanner(directory.path());
    listing(&mut scanner);
    fs::write(&path, "web").unwrap();
    listing(&mut scanner);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    fs::write(&path, "bew").unwrap();
    listing(&mut scanner);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

// 16
#[test]
fn a_file_over_the_cap_is_refused_unread_with_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let (fits, huge) = (directory.path().join("fits.yaml"), directory.path().join("huge.yaml"));
    fs::write(&fits, vec![b'a'; 64 * 1024]).unwrap();
    File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    let (mut scanner, calls) = scanner(directory.path());
    let listing = listing(&mut scanner);
    assert!(matches!(listing.files[fits.as_os_str()], Reading::Content(_)));
    let problem = problem(&listing, &huge);
    assert_eq!(problem.reason, ProblemReason::TooLarge);
    assert!(problem.message.contains("1073741824"), "{}", problem.message);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

// 42, A19: a link to a file in the directory is followed; what lies outside is neither read nor quoted.
#[test]
fn a_link_is_followed_only_within_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "outside").unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("..data")).unwrap();
    fs::write(path("..data/web.yaml"), "web").unwrap();
    std::os::unix::fs::symlink("..data/web.yaml", path("web.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.path(), path("outside.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device.yaml")).unwrap();
    let (mut scanner, calls) = scanner(directory.path());
    let listing = listing(&mut scanner);
    assert!(matches!(listing.files[path("web.yaml").as_os_str()], Reading::Content(_)));
    for name in ["outside.yaml", "device.yaml"] {
        let problem = problem(&listing, &path(name));
        assert_eq!(problem.reason, ProblemReason::Unreadable);
        assert!(problem.message.contains("leads out of the directory"), "{}", problem.message);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

// 42
#[test]
fn a_file_that_others_may_write_or_that_has_two_names_is_refused_unread() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, mode) in [("open.yaml", 0o666), ("group.yaml", 0o664), ("linked.yaml", 0o644)] {
        fs::write(path(name), "web").unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::hard_link(path("linked.yaml"), path("other-name")).unwrap();
    let (mut scanner, _) = scanner(directory.path());
    let listing = listing(&mut scanner);
    assert!(problem(&listing, &path("open.yaml")).message.contains("mode 0666"));
    assert!(problem(&listing, &path("linked.yaml")).message.contains("2 names"));
    // A group of the owner's own number is the owner's own, but for root.
    let own = fs::metadata(path("group.yaml")).unwrap();
    let refused = matches!(listing.files[path("group.yaml").as_os_str()], Reading::Refused(_));
    assert_eq!(refused, own.uid() == 0 || own.uid() != own.gid());
}

// 42: needs root, who alone can give files away.
#[test]
fn a_file_of_another_user_is_refused_unread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    fs::write(&path, "web").unwrap();
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        assert!(!rustix::process::geteuid().is_root());
        return;
    }
    let (mut scanner, calls) = scanner(directory.path());
    let problem = problem(&listing(&mut scanner), &path);
    assert!(problem.message.contains("user 65534 owns it"), "{}", problem.message);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_file_whose_parsing_hangs_costs_no_other_file_and_counts_once_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (slow, good) = (directory.path().join("slow.yaml"), directory.path().join("web.yaml"));
    fs::write(&slow, "slow").unwrap();
    fs::write(&good, "web").unwrap();
    let (release, hangs) = std::sync::mpsc::channel::<()>();
    let hangs = std::sync::Mutex::new(hangs);
    let plain = counting(&Arc::default());
    let reader: Reader = Arc::new(move |bytes, base| {
        if bytes == b"slow" {
            // Ends when the sender is dropped.
            let _ = hangs.lock().unwrap().recv();
        }
        plain(bytes, base)
    });
    let mut scanner = Scanner::unwatched(directory.path().to_owned(), reader);
    // As impatient as a test may be; who is late by chance gets more looks.
    let deadline = std::time::Duration::from_millis(50);
    scanner.parser.set_deadline(deadline);
    loop {
        let listing = listing(&mut scanner);
        let Reading::Slow(problem) = &listing.files[slow.as_os_str()] else {
            panic!("it cannot have been parsed")
        };
        assert_eq!(problem.reason, ProblemReason::TooComplex);
        if matches!(listing.files[good.as_os_str()], Reading::Content(_)) {
            break;
        }
    }
    drop(release);
    while !matches!(listing(&mut scanner).files[slow.as_os_str()], Reading::Content(_)) {}
}

#[test]
fn a_file_that_declares_nothing_is_empty_not_a_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    fs::write(&path, "nothing").unwrap();
    let (mut scanner, _) = scanner(directory.path());
    assert_eq!(problem(&listing(&mut scanner), &path).reason, ProblemReason::Empty);
}

#[test]
fn a_parser_that_panics_costs_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let (bad, good) = (directory.path().join("bad.yaml"), directory.path().join("good.yaml"));
    fs::write(&bad, "panic").unwrap();
    fs::write(&good, "good").unwrap();
    let (mut scanner, _) = scanner(directory.path());
    // Writing down where it panicked can take longer than a file may.
    let listing = loop {
        let listing = listing(&mut scanner);
        if !listing.files.values().any(|reading| matches!(reading, Reading::Slow(_))) {
            break listing;
        }
    };
    assert_eq!(problem(&listing, &bad).reason, ProblemReason::Invalid);
    assert!(matches!(listing.files[good.as_os_str()], Reading::Content(_)));
}

#[test]
fn a_name_that_could_leave_the_state_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    fs::write(&path, "../../etc/cron").unwrap();
    let (mut scanner, _) = scanner(directory.path());
    let problem = problem(&listing(&mut scanner), &path);
    assert_eq!(problem.field.as_deref(), Some("metadata.name"));
}

// The number of an inode is given out again at once; the birth tells the two apart.
#[test]
fn a_directory_made_anew_is_another_one() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("specs");
    fs::create_dir(&path).unwrap();
    let (mut scanner, _) = scanner(&path);
    let before = listing(&mut scanner).identity;
    assert_eq!(listing(&mut scanner).identity, before);
    fs::remove_dir(&path).unwrap();
    assert!(matches!(scanner.look(false), Look::Missing { .. }));
    fs::create_dir(&path).unwrap();
    assert_ne!(listing(&mut scanner).identity, before);
}

// 20, 43, B14
#[test]
fn a_directory_that_others_may_write_to_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("web.yaml"), "web").unwrap();
    let (mut scanner, calls) = scanner(directory.path());
    for mode in [0o777, 0o1777, 0o757] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let look = scanner.look(false);
        let Look::Unreadable(reason) = &look else { panic!("{look:?}") };
        assert!(reason.contains("chmod go-w"), "{reason}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(listing(&mut scanner).files.len(), 1);
}

#[test]
fn a_parent_that_others_may_write_to_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("specs");
    fs::create_dir(&path).unwrap();
    let link = parent.path().join("link");
    std::os::unix::fs::symlink("specs/../specs", &link).unwrap();
    let (mut scanner, _) = scanner(&link);
    listing(&mut scanner);
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let look = scanner.look(false);
    let Look::Unreadable(reason) = &look else { panic!("{look:?}") };
    assert!(reason.contains(parent.path().to_str().unwrap()), "{reason}");
}

// 37
#[test]
fn a_directory_that_is_swapped_while_it_is_listed_was_not_listed() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("specs");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("web.yaml"), "web").unwrap();
    let (from, to) = (path.clone(), parent.path().join("away"));
    let swapping: Reader = Arc::new(move |_, _| {
        fs::rename(&from, &to).unwrap();
        fs::create_dir(&from).unwrap();
        Ok(Vec::new())
    });
    let mut scanner = Scanner::unwatched(path, swapping);
    assert!(matches!(scanner.look(false), Look::Unreadable(_)));
}

// B9
#[test]
fn a_watch_whose_thread_has_died_costs_one_look_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    let (reader, signals) = (counting(&Arc::default()), Arc::new(Signals::default()));
    let mut scanner = Scanner::watched(directory.path().to_owned(), reader, signals.clone());
    scanner.doom();
    fs::write(&path, "web").unwrap();
    let look = |scanner: &mut Scanner| match scanner.look(true) {
        Look::Listed(listing) => listing,
        look => panic!("expected a listing, got {look:?}"),
    };
    // It dies of an event that comes when it comes; until then all seems well.
    let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let mut listing = look(&mut scanner);
    while listing.unwatched.is_none() {
        assert!(std::time::Instant::now() < end, "it lives");
        fs::write(&path, "web").unwrap();
        listing = look(&mut scanner);
    }
    assert!(listing.unwatched.unwrap().contains("died"));
    assert!(listing.files.contains_key(path.as_os_str()), "the directory is read all the same");

    assert_eq!(look(&mut scanner).unwatched, None);
    fs::write(&path, "web").unwrap();
    while signals.urgency().is_none() {
        assert!(std::time::Instant::now() < end, "the new watch tells nothing");
        std::thread::yield_now();
    }
}
