//! On tables as kernels write them, and on this process's own.

use super::*;

#[test]
fn a_table_is_read_with_its_escapes() {
    let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n\
                 37 36 0:44 /a\\040b //deleted /c\\134d rw - tmpfs none rw\n";
    let text = String::from_utf8_lossy(text).replace("/a\\040b //deleted", "/a\\040b//deleted");
    let table = parse(text.as_bytes()).unwrap();
    let row = |id, parent, device: &str, root: &str, at: &str| MountRow {
        id,
        parent,
        device: device.to_owned(),
        root: root.into(),
        at: at.into(),
    };
    let expected =
        [row(36, 35, "98:0", "/mnt1", "/mnt2"), row(37, 36, "0:44", "/a b//deleted", "/c\\d")];
    assert_eq!(table.0, expected);
}

#[test]
fn what_is_no_table_is_an_error() {
    assert!(parse(b"36 35 98:0 /mnt1").is_err());
    assert!(parse(b"x 35 98:0 /mnt1 /mnt2 rw").is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_of_another_container_or_none_has_no_table_for_us() {
    let us = std::process::id();
    assert_eq!(mount_tables(us, &"0".repeat(64)).unwrap(), None);
    assert_eq!(mount_tables(u32::MAX, "").unwrap(), None);
    let (outside, inside) = mount_tables(us, "").unwrap().unwrap();
    assert!(!outside.0.is_empty());
    assert_eq!(outside, inside);
}

#[test]
fn a_containers_process_is_known_by_its_control_group_or_by_its_own_files() {
    let id = "3f".repeat(32);
    let group = format!("4:memory:/docker/{id}\n0::/\n");
    let mounts =
        format!("9 8 254:0 /u/containers/{id}/userdata/hostname /etc/hostname rw - ext4 d rw\n");
    let nothing = b"0::/user.slice\n";
    assert!(is_of(&id, group.as_bytes(), b"9 8 254:0 / / rw - ext4 d rw\n"));
    assert!(is_of(&id, nothing, mounts.as_bytes()));
    assert!(!is_of(&"4f".repeat(32), group.as_bytes(), mounts.as_bytes()));
    assert!(!is_of(&id, nothing, b""));
}
