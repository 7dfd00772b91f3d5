use super::*;
use crate::render::doctor::Level;

fn directory(mode: u32) -> Directory {
    Directory { is_dir: true, mode, owner: 0, listable: true, us: 0 }
}

fn missing<T>() -> io::Result<T> {
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn parts(engine: &str, runc: &str) -> Vec<(String, String)> {
    [("Engine", engine), ("API", "1.41"), ("runc", runc)]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .to_vec()
}

#[test]
fn a_directory_of_specs_that_others_may_write_to_fails() {
    let path = Path::new("/specs");
    assert_eq!(specs(path, &Ok(directory(0o755)), None).level, Level::Ok);
    let check = specs(path, &Ok(directory(0o777)), Some("others may write".to_owned()));
    assert_eq!((check.level, check.message.as_str()), (Level::Fail, "others may write"));
}

#[test]
fn a_directory_of_specs_that_another_user_owns_is_warned_of() {
    let theirs = Directory { owner: 1000, ..directory(0o755) };
    assert_eq!(specs(Path::new("/specs"), &Ok(theirs), None).level, Level::Warn);
    let ours = Directory { us: 1000, ..theirs };
    assert_eq!(specs(Path::new("/specs"), &Ok(ours), None).level, Level::Ok);
}

#[test]
fn a_missing_directory_of_specs_fails_and_a_missing_state_does_not() {
    assert_eq!(
        specs(Path::new("/specs"), &missing(), None).mend.as_deref(),
        Some("mkdir -p /specs")
    );
    assert_eq!(state(Path::new("/state"), &missing()).level, Level::Ok);
}

#[test]
fn a_state_that_others_may_write_fails_and_one_they_may_read_warns() {
    let level = |mode| state(Path::new("/state"), &Ok(directory(mode))).level;
    assert_eq!(level(0o700), Level::Ok);
    assert_eq!(level(0o750), Level::Ok);
    assert_eq!(level(0o755), Level::Warn);
    assert_eq!(level(0o777), Level::Fail);
}

#[test]
fn docker_before_28_and_old_runc_are_warned_of() {
    let engine = |engine, runc| super::engine(EngineKind::Docker, &parts(engine, runc), "alone");
    let old: Vec<_> = engine("20.10.24+dfsg1", "1.1.5+ds1");
    let found: Vec<_> = old.iter().map(|check| (check.name.as_ref(), check.level)).collect();
    assert_eq!(found, [("engine", Level::Ok), ("loopback", Level::Warn), ("runc", Level::Warn)]);
    assert_eq!(old[0].message, "docker 20.10.24+dfsg1, API 1.41: alone");
    let new = engine("28.0.0", "1.3.3");
    assert!(new.iter().all(|check| check.level == Level::Ok), "{new:?}");
}

#[test]
fn every_engine_that_was_asked_is_told_of_and_why_one_was_chosen() {
    let asked = |candidate: &str, outcome| Asked { candidate: candidate.to_owned(), outcome };
    let podman = |version| asked("podman at /p", Ok((EngineKind::Podman, parts(version, "1.3.3"))));
    let away = asked("docker", Err("no docker".to_owned()));
    let messages = |asked: &[Asked]| -> Vec<String> {
        engines(asked, "the first that answers").into_iter().map(|check| check.message).collect()
    };
    let found = messages(&[away.clone(), podman("4.3.1"), podman("5")]);
    assert_eq!(found[0], "not used: no docker");
    assert_eq!(found[1], "podman 4.3.1, API 1.41: the first that answers");
    assert_eq!(found.last().unwrap(), "podman at /p answers too, and is not used");
    let none = engines(&[away.clone(), away], "alone");
    assert_eq!((none.len(), none[0].level), (1, Level::Fail));
    assert_eq!(none[0].message, "no docker; no docker");
}

#[test]
fn a_program_that_is_newer_than_its_service_is_warned_of() {
    let found = |client: &str, server: &str| {
        let part = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let parts = [part("Engine", server), part("Client", client)];
        let checks = engine(EngineKind::Apple, &parts, "as configured");
        checks.into_iter().map(|check| (check.level, check.message)).collect::<Vec<_>>()
    };
    let fits = "apple 1.2.2: as configured".to_owned();
    assert_eq!(found("1.2.2", "1.2.2"), [(Level::Ok, fits)]);
    assert_eq!(found("1.4.1", "1.2.2")[1].0, Level::Warn);
}

#[test]
fn runc_is_old_before_the_fix_of_its_own_line() {
    for (version, level) in [
        ("1.1.12", Level::Warn),
        ("1.2.7", Level::Warn),
        ("1.2.8", Level::Ok),
        ("1.3.0", Level::Warn),
        ("1.3.3", Level::Ok),
        ("v1.4.0-rc.3", Level::Ok),
    ] {
        assert_eq!(runc(version).unwrap().level, level, "{version}");
    }
    assert_eq!(runc("unknown"), None);
}

#[test]
fn a_range_without_a_free_port_fails_and_a_scarce_one_warns() {
    let range = Ports { base: 8000, count: 20, ..Ports::default() };
    let level = |taken| ports(&range, &TakenPorts { taken, unusable: None }).level;
    assert_eq!(
        (level(0), level(18), level(19), level(20)),
        (Level::Ok, Level::Ok, Level::Warn, Level::Fail)
    );
    let check = ports(&range, &TakenPorts { taken: 3, unusable: None });
    assert_eq!(check.message, "17 of 20 are free in 127.0.0.1:8000-8019");
}

#[test]
fn an_address_that_is_not_of_this_host_fails() {
    let unusable = TakenPorts { taken: 0, unusable: Some("port 8080: not available".to_owned()) };
    assert_eq!(ports(&Ports::default(), &unusable).level, Level::Fail);
}

#[test]
fn a_clock_that_went_backwards_is_noticed() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let now = at("2026-01-01T00:00:00Z");
    assert_eq!(clock(now, None).level, Level::Ok);
    assert_eq!(clock(now, Some(at("2025-12-31T23:59:59Z"))).level, Level::Ok);
    assert_eq!(clock(now, Some(at("2026-01-01T02:00:00Z"))).level, Level::Warn);
    assert_eq!(clock(at("1970-01-01T00:00:10Z"), None).level, Level::Fail);
}

#[test]
fn few_or_no_inotify_instances_are_warned_of() {
    let limits = |instances, available| Inotify {
        instances: Some(instances),
        watches: Some(8192),
        available,
    };
    assert_eq!(inotify(&limits(128, true), 1).level, Level::Ok);
    assert_eq!(inotify(&limits(16, true), 1).level, Level::Warn);
    assert_eq!(inotify(&limits(8192, false), 1).level, Level::Warn);
}

#[test]
fn a_service_that_would_not_come_back_is_warned_of() {
    let service_is =
        |installed, enabled, active| service(Service { installed, enabled, active }).level;
    assert_eq!(service_is(true, true, true), Level::Ok);
    assert_eq!(service_is(true, false, true), Level::Warn);
    assert_eq!(service_is(true, true, false), Level::Warn);
    assert_eq!(service_is(false, false, false), Level::Ok);
}

#[test]
fn a_state_without_a_daemon_is_warned_of() {
    assert_eq!(daemon(&Ok(Some(42))).message, "runs, with process id 42");
    assert_eq!(daemon(&Ok(None)).level, Level::Warn);
}

#[test]
fn directories_where_a_set_user_id_bit_counts_are_warned_of_once() {
    assert_eq!(suid_mounts(&[]), None);
    let message = |paths: &[&str]| {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        suid_mounts(&paths).map(|check| (check.level, check.message)).unwrap()
    };
    let text = |where_: &str| {
        format!("programs that a sandbox leaves in {where_} can run as root on the host")
    };
    assert_eq!(message(&["/srv/a"]), (Level::Warn, text("/srv/a")));
    assert_eq!(message(&["/srv/a", "/srv/b", "/srv/c"]), (Level::Warn, text("/srv/a and 2 more")));
}
