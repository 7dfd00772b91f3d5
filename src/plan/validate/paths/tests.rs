use super::*;

const BASE: &str = "/srv/specs";

fn host(path: &str) -> Result<PathBuf, String> {
    host_path(path, Path::new(BASE))
}

#[test]
fn relative_host_paths_start_at_the_specs_directory() {
    assert_eq!(host("data"), Ok("/srv/specs/data".into()));
    assert_eq!(host("./a//b/"), Ok("/srv/specs/a/b".into()));
    assert_eq!(host("/data/./x/"), Ok("/data/x".into()));
    assert_eq!(host("/data/x:/y:rw"), Ok("/data/x:/y:rw".into()), "a colon is only a character");
}

#[test]
fn host_paths_that_would_hand_over_the_host_are_refused() {
    for path in [
        "/",
        "//",
        "/etc",
        "/etc/",
        "/./etc",
        "/root",
        "/proc/1/root",
        "/sys",
        "/dev/sda",
        "/run",
        "/var/run/docker.sock",
        "//run/docker.sock",
        "/srv/docker.sock",
        "docker.sock",
        "/run/podman/podman.sock",
    ] {
        assert!(host(path).unwrap_err().contains("never mounted"), "{path}");
    }
    for path in [".", "/srv/specs", "/srv"] {
        assert!(host(path).unwrap_err().contains("holds the specs"), "{path}");
    }
}

#[test]
fn host_paths_that_mean_another_place_are_refused() {
    for path in ["..", "../data", "/data/../etc", "/run/../run/docker.sock", "/allowed/../../etc"] {
        assert!(host(path).unwrap_err().contains("`..`"), "{path}");
    }
    for path in ["", "~", "~/data", "/a\nb", "/a\0", "/a\u{202e}b", &"/a".repeat(3000)] {
        assert!(host(path).is_err(), "{path}");
    }
}

#[test]
fn mount_paths_are_absolute_normalised_and_not_the_runtimes() {
    assert_eq!(mount_path("//mnt/./user-data/"), Ok("/mnt/user-data".to_owned()));
    assert_eq!(mount_path("/proc2"), Ok("/proc2".to_owned()));
    for path in [
        "",
        "/",
        "/.",
        "relative",
        "/proc",
        "/proc/self",
        "/sys/fs",
        "/dev",
        "/dev/shm",
        "/dev/x",
        "/etc/passwd",
        "/a:ro",
        "/a,b",
        "/a/../b",
        "/a\0",
        "/a\n",
    ] {
        assert!(mount_path(path).is_err(), "{path:?}");
    }
}

#[test]
fn the_modes_of_what_the_runtime_makes_are_not_repaired() {
    assert_eq!(permission_path("/mnt/a/"), Ok("/mnt/a".to_owned()));
    assert_eq!(permission_path("/etc"), Ok("/etc".to_owned()), "the container's own");
    for path in ["/", "//", "/proc", "/dev/shm", "/sys/fs/cgroup", "relative"] {
        assert!(permission_path(path).is_err(), "{path:?}");
    }
}

#[test]
fn a_path_has_a_longest_length() {
    let longest = format!("/{}", "a".repeat(MAX_PATH - 1));
    assert_eq!(mount_path(&longest), Ok(longest.clone()));
    let told = format!("has {} bytes; a path has at most {MAX_PATH}", MAX_PATH + 1);
    assert_eq!(mount_path(&format!("{longest}a")), Err(told));
}

#[test]
fn modes_are_four_octal_digits_without_special_bits() {
    assert_eq!(mode("0755"), Ok(0o755));
    assert_eq!(mode("0000"), Ok(0));
    let table = [
        ("755", "write \"0755\""),
        ("4755", "the set-user-id, set-group-id and sticky bits are not set; the first digit is 0"),
        ("1777", "the set-user-id, set-group-id and sticky bits are not set; the first digit is 0"),
        ("0o755", "\"0o755\" is not a mode; write it as in \"0755\""),
        ("0789", "\"0789\" is not a mode; write it as in \"0755\""),
        ("-1", "\"-1\" is not a mode; write it as in \"0755\""),
        ("1e3", "\"1e3\" is not a mode; write it as in \"0755\""),
        ("", "\"\" is not a mode; write it as in \"0755\""),
        ("00755", "\"00755\" is not a mode; write it as in \"0755\""),
        ("u+x", "\"u+x\" is not a mode; write it as in \"0755\""),
    ];
    for (text, expected) in table {
        assert_eq!(mode(text), Err(expected.to_owned()), "{text}");
    }
}
