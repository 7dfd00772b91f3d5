//! Ids of a user's own engine, as `podman info` told them on a host where user 1001 has the subordinate ids
//! from 100000 on.

use proptest::prelude::*;

use super::*;

fn ranges(own: u32) -> Vec<IdRange> {
    vec![
        IdRange { inside: 0, outside: own, count: 1 },
        IdRange { inside: 1, outside: 100_000, count: 65_536 },
    ]
}

fn mapped() -> IdMapping {
    IdMapping::Ranges { uids: ranges(1001), gids: ranges(1002) }
}

fn root() -> Ids {
    Ids { mapping: mapped(), daemon: (0, 0) }
}

fn user() -> Ids {
    Ids { mapping: mapped(), daemon: (1001, 1002) }
}

fn owner(uid: u32, gid: u32) -> Owner {
    Owner { uid: Some(uid), gid: Some(gid) }
}

fn rule(uid: Option<u32>, gid: Option<u32>) -> Permission {
    let path = "/data/x".to_owned();
    Permission { path, mode: 0o755, uid, gid, recursive: false, create: false }
}

fn mount(uid: Option<u32>, gid: Option<u32>) -> BindMount {
    BindMount {
        host_path: "/srv/data".into(),
        mount_path: "/data".to_owned(),
        read_only: false,
        create: Some(CreateDirectory { mode: 0o755, uid, gid }),
    }
}

fn made(ids: &Ids, uid: Option<u32>, gid: Option<u32>) -> Owner {
    let mounts = ids.mounts_on_host(vec![mount(uid, gid)]);
    Owner::from(&mounts[0].create.unwrap())
}

#[test]
fn root_gives_files_to_the_hosts_ids_of_a_containers_users() {
    assert_eq!(root().on_host(owner(0, 0)), Ok(owner(1001, 1002)));
    assert_eq!(root().on_host(owner(1, 1000)), Ok(owner(100_000, 100_999)));
    assert_eq!(root().on_host(Owner::default()), Ok(Owner::default()));
    assert_eq!(
        root().hand(&rule(Some(1000), None)),
        Hand::Host(Owner { uid: Some(100_999), gid: None })
    );
    assert_eq!(made(&root(), Some(1000), Some(5)), owner(100_999, 100_004));
}

#[test]
fn where_ids_are_the_same_nothing_is_translated_or_refused() {
    for daemon in [(0, 0), (1001, 1002)] {
        let ids = Ids { mapping: IdMapping::Same, daemon };
        assert_eq!(ids.on_host(owner(1000, 5)), Ok(owner(1000, 5)));
        assert_eq!(
            ids.hand(&rule(Some(1000), None)),
            Hand::Host(Owner { uid: Some(1000), gid: None })
        );
        assert_eq!(made(&ids, None, None), Owner::default());
        let rules = [rule(Some(u32::MAX - 1), None)];
        assert_eq!(ids.refused(&[mount(Some(70_000), Some(1))], &rules), []);
    }
}

#[test]
fn a_user_gives_what_is_its_own_and_leaves_the_rest_to_root_in_the_container() {
    assert_eq!(user().on_host(owner(0, 0)), Ok(owner(1001, 1002)));
    let refused = NotGiven { kind: IdKind::User, id: 1000, why: Why::NotRoot(100_999) };
    assert_eq!(user().on_host(owner(1000, 0)), Err(refused));
    assert_eq!(user().hand(&rule(None, Some(3))), Hand::Container);
    assert_eq!(user().hand(&rule(Some(0), Some(0))), Hand::Host(owner(1001, 1002)));
    assert_eq!(user().hand(&rule(None, None)), Hand::Host(Owner::default()), "modes alone");
    let told = user().refused(&[mount(Some(1000), None)], &[rule(Some(1000), None)]);
    assert_eq!(told, [("mounts[/data].create.uid".to_owned(), refused)]);
    assert_eq!(made(&user(), Some(0), None), Owner { uid: Some(1001), gid: None });
}

#[test]
fn an_id_that_the_container_cannot_have_is_refused_wherever_it_stands() {
    let told = root().refused(&[mount(None, Some(70_000))], &[rule(Some(70_000), None)]);
    let fields: Vec<_> =
        told.iter().map(|(field, refused)| (field.as_str(), refused.why)).collect();
    let expected =
        [("mounts[/data].create.gid", Why::Unmapped), ("permissions[/data/x].uid", Why::Unmapped)];
    assert_eq!(fields, expected);
}

#[test]
fn a_mapping_that_is_not_told_leaves_rules_to_the_container_and_refuses_owners_of_directories() {
    for daemon in [(0, 0), (1001, 1002)] {
        let ids = Ids { mapping: IdMapping::NotTold, daemon };
        assert_eq!(ids.hand(&rule(Some(0), None)), Hand::Container);
        assert_eq!(ids.hand(&rule(None, None)), Hand::Host(Owner::default()));
        let told = ids.refused(&[mount(Some(0), None), mount(None, None)], &[rule(Some(1), None)]);
        let refused = NotGiven { kind: IdKind::User, id: 0, why: Why::NotTold };
        assert_eq!(told, [("mounts[/data].create.uid".to_owned(), refused)]);
    }
}

#[test]
fn a_directory_that_root_makes_for_nobody_in_particular_is_the_containers_roots() {
    assert_eq!(made(&root(), None, None), owner(1001, 1002));
    assert_eq!(made(&root(), Some(5), None), owner(100_004, 1002));
    assert_eq!(made(&user(), None, None), Owner::default(), "it is the user's, who is that root");
}

#[test]
fn owners_are_shown_as_in_the_container() {
    assert_eq!(root().shown(IdKind::User, 100_999), "1000");
    assert_eq!(root().shown(IdKind::Group, 1002), "0");
    assert_eq!(root().shown(IdKind::User, 0), "0 of the host");
    assert_eq!(Ids::default().shown(IdKind::User, 7), "7");
}

proptest! {
    #[test]
    fn what_is_mapped_is_mapped_back(id in 0_u32..70_000) {
        match outside(&ranges(1001), id) {
            Some(host) => prop_assert_eq!(inside(&ranges(1001), host), Some(id)),
            None => prop_assert!(id > 65_536),
        }
    }

    #[test]
    fn no_range_overflows(inside in any::<u32>(), outside in any::<u32>(), count in any::<u32>(), id in any::<u32>()) {
        let range = IdRange { inside, outside, count };
        let found = super::outside(&[range], id);
        prop_assert!(found.is_none_or(|host| host >= outside && id >= inside));
    }
}
