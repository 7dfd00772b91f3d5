//! A host with a data disk, and a container on it.

use super::*;

fn row(id: u64, parent: u64, device: &str, root: &str, at: &str) -> MountRow {
    MountRow { id, parent, device: device.to_owned(), root: root.into(), at: at.into() }
}

/// `/` is disk 8:1, `/srv` disk 8:2, and `/srv/x/usr` shows a directory of 8:1.
fn outside() -> MountTable {
    MountTable(vec![
        row(1, 0, "8:1", "/", "/"),
        row(2, 1, "0:5", "/", "/proc"),
        row(3, 1, "8:2", "/", "/srv"),
        row(4, 3, "8:1", "/usr", "/srv/x/usr"),
    ])
}

/// A container's table: its own root, and these mounts.
fn inside(mounts: &[(&str, &str, &str)]) -> MountTable {
    let mut rows = vec![row(100, 99, "0:50", "/", "/"), row(101, 100, "0:51", "/", "/proc")];
    let mounts = mounts.iter().zip(102..);
    rows.extend(mounts.map(|((device, root, at), id)| row(id, 100, device, root, at)));
    MountTable(rows)
}

fn mount(host_path: &str, mount_path: &str) -> BindMount {
    BindMount {
        host_path: host_path.into(),
        mount_path: mount_path.to_owned(),
        read_only: false,
        create: None,
    }
}

#[test]
fn a_path_is_told_by_filesystem_whatever_is_mounted_on_the_way() {
    for (path, device, root) in [
        ("/etc", "8:1", "/etc"),
        ("/", "8:1", "/"),
        ("/srv/a", "8:2", "/a"),
        ("/srv", "8:2", "/"),
        ("/srv/x/usr/lib", "8:1", "/usr/lib"),
        ("/srvx", "8:1", "/srvx"),
    ] {
        assert_eq!(outside().shown_at(Path::new(path)), Some((device, root.into())), "{path}");
    }
}

#[test]
fn a_mount_hides_what_was_mounted_below_it_before() {
    let mut table = outside();
    table.0.push(row(5, 3, "8:9", "/", "/srv/x"));
    assert_eq!(table.shown_at(Path::new("/srv/x/usr")), Some(("8:9", "/usr".into())));
    // One on top of another, at one place.
    table.0.push(row(6, 5, "8:10", "/", "/srv/x"));
    assert_eq!(table.shown_at(Path::new("/srv/x/usr")), Some(("8:10", "/usr".into())));
}

#[test]
fn a_root_that_is_mounted_on_another_root_is_the_one() {
    let table = MountTable(vec![row(1, 1, "0:1", "/", "/"), row(2, 1, "8:1", "/", "/")]);
    assert_eq!(table.shown_at(Path::new("/a")), Some(("8:1", "/a".into())));
    assert_eq!(MountTable::default().shown_at(Path::new("/a")), None);
    let alone = MountTable(vec![row(1, 1, "0:1", "/", "/")]);
    assert_eq!(alone.shown_at(Path::new("/a")), Some(("0:1", "/a".into())), "its own parent");
}

#[test]
fn a_mount_that_stands_on_none_of_these_is_not_on_the_way() {
    let mut table = outside();
    table.0.push(row(9, 77, "0:9", "/", "/elsewhere"));
    assert_eq!(table.shown_at(Path::new("/etc")), Some(("8:1", "/etc".into())));
}

#[test]
fn what_was_asked_for_is_no_swap() {
    let mounts = [mount("/srv/a", "/data"), mount("/srv/x/usr/lib", "/usr/lib")];
    let inside = inside(&[("8:2", "/a", "/data"), ("8:1", "/usr/lib", "/usr/lib")]);
    assert_eq!(swapped(&mounts, &outside(), &inside), [""; 0]);
}

#[test]
fn a_link_put_in_its_place_shows_where_it_led() {
    let mounts = [mount("/srv/a", "/data")];
    for (device, root, told) in [
        ("8:1", "/etc", "mounts[/data]: /etc of device 8:1 is mounted and not /srv/a"),
        ("8:2", "/b", "mounts[/data]: /b is mounted and not /srv/a"),
        ("8:2", "/", "mounts[/data]: / is mounted and not /srv/a"),
    ] {
        let inside = inside(&[(device, root, "/data")]);
        assert_eq!(swapped(&mounts, &outside(), &inside), [told]);
    }
}

#[test]
fn a_link_of_the_image_moves_a_mount_and_is_no_swap() {
    let mounts = [mount("/srv/a", "/var/run/x")];
    let moved = inside(&[("8:2", "/a", "/run/x")]);
    assert_eq!(swapped(&mounts, &outside(), &moved), [""; 0]);
    for (device, root) in [("8:1", "/etc"), ("8:1", "/a"), ("8:2", "/b")] {
        let swapped_too = inside(&[(device, root, "/run/x")]);
        let told = swapped(&mounts, &outside(), &swapped_too);
        assert_eq!(told, ["mounts[/var/run/x]: nothing is mounted"], "{device} {root}");
    }
}

#[test]
fn of_two_mounts_at_one_place_the_one_on_top_counts() {
    let mut table = inside(&[("8:1", "/etc", "/data")]);
    table.0.push(row(200, 102, "8:2", "/a", "/data"));
    assert_eq!(swapped(&[mount("/srv/a", "/data")], &outside(), &table), [""; 0]);
}
