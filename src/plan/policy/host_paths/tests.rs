//! A small host: paths are identities, so that an alias is the same identity under another path.

use super::*;

/// The identity of a path on device 1.
fn id(path: &str) -> FileId {
    let inode = path.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    FileId { device: 1, inode }
}

fn routes(path: &str) -> Vec<String> {
    let mut all: Vec<String> =
        Path::new(path).ancestors().map(|it| it.to_string_lossy().into_owned()).collect();
    all.reverse();
    all
}

fn place(path: &str) -> Place {
    Place { id: id(path), kind: FileKind::Directory, mode: 0o755 }
}

fn source(path: &str) -> MountSource {
    let route = routes(path).iter().map(|path| place(path)).collect();
    MountSource { path: path.into(), route, exists: true, engine_socket: None }
}

fn file(path: &str) -> MountSource {
    let mut source = source(path);
    source.route.last_mut().unwrap().kind = FileKind::Other;
    source
}

/// A source that is to be made; of its path, so much exists.
fn new(path: &str, existing: &str) -> MountSource {
    MountSource { path: path.into(), exists: false, ..source(existing) }
}

fn reserved(path: &str, reach: Reach) -> ReservedPath {
    let route = routes(path).iter().map(|path| id(path)).collect();
    ReservedPath { path: path.into(), what: "the host's", reach, route }
}

fn root(path: &str, read_only: bool) -> AllowedRoot {
    AllowedRoot { allowed: AllowedPath { path: path.into(), read_only }, route: source(path).route }
}

fn host(allowed: Option<Vec<AllowedRoot>>) -> HostView {
    let reserved = vec![
        reserved("/", Reach::Files),
        reserved("/proc", Reach::Everything),
        reserved("/etc", Reach::UnlessNamed),
        reserved("/run", Reach::UnlessNamed),
        reserved("/run/docker.sock", Reach::Everything),
        reserved("/var/lib/docker", Reach::Everything),
        reserved("/srv/specs", Reach::Files),
    ];
    HostView { reserved, allowed }
}

#[track_caller]
fn refused(source: &MountSource, read_only: bool, host: &HostView) -> String {
    judge(source, read_only, host).unwrap_err().to_string()
}

#[test]
fn what_is_reserved_and_what_contains_it_is_never_mounted() {
    let everything = host(Some(vec![root("/", false)]));
    for (path, why) in [
        ("/", "is never mounted: it is the host's"),
        ("/etc", "is never mounted: it is the host's"),
        ("/proc/1/root", "is never mounted: it lies in /proc, the host's"),
        ("/run", "is never mounted: it is the host's"),
        ("/run/docker.sock", "is never mounted: it is the host's"),
        ("/var", "is never mounted: it contains /var/lib/docker, the host's"),
        ("/var/lib/docker/volumes/x", "is never mounted: it lies in /var/lib/docker, the host's"),
        ("/srv", "is never mounted: it contains /srv/specs, the host's"),
    ] {
        assert_eq!(refused(&source(path), true, &everything), why, "{path}");
        assert_eq!(refused(&source(path), true, &host(None)), why, "{path}");
    }
}

#[test]
fn another_mount_of_a_reserved_directory_is_that_directory() {
    for (alias, of) in [("/srv/a", "/etc"), ("/srv/a", "/run"), ("/srv/a", "/var/lib")] {
        let mut source = source(alias);
        source.route.last_mut().unwrap().id = id(of);
        assert!(judge(&source, true, &host(None)).is_err(), "{of} at {alias}");
        let mut below = new("/srv/a/new", alias);
        below.route.last_mut().unwrap().id = id(of);
        let open = of == "/var/lib";
        assert_eq!(judge(&below, true, &host(None)).is_ok(), open, "below {of} at {alias}");
    }
}

#[test]
fn in_some_places_only_what_the_policy_names_is_mounted() {
    let certificates = source("/etc/ssl/certs");
    let why = "lies in /etc, the host's: it is mounted only if policy.hostPaths names it or a \
               directory between";
    assert_eq!(refused(&certificates, true, &host(None)), why);
    for (allowed, fine) in
        [("/etc/ssl", true), ("/etc/ssl/certs", true), ("/etc", false), ("/", false)]
    {
        let host = host(Some(vec![root(allowed, true)]));
        assert_eq!(judge(&certificates, true, &host).is_ok(), fine, "{allowed}");
    }
    let socket = host(Some(vec![root("/run/docker.sock", true)]));
    assert!(judge(&file("/run/docker.sock"), true, &socket).is_err(), "not even when it is named");
}

#[test]
fn files_beside_the_specs_are_reserved_and_directories_are_not() {
    assert!(judge(&source("/srv/specs/workspace"), false, &host(None)).is_ok());
    assert!(judge(&file("/srv/specs/workspace/notes"), false, &host(None)).is_ok());
    let why = "is never mounted: it is a file of /srv/specs, the host's";
    assert_eq!(refused(&file("/srv/specs/web.yaml"), false, &host(None)), why);
}

#[test]
fn a_directory_that_is_to_be_made_is_judged_by_where() {
    assert!(judge(&new("/srv/new/x", "/srv"), false, &host(None)).is_ok());
    assert!(judge(&new("/srv/specs/new", "/srv/specs"), false, &host(None)).is_ok());
    assert!(judge(&new("/var/lib/docker/new", "/var/lib/docker"), false, &host(None)).is_err());
    assert!(judge(&new("/etc/new", "/etc"), false, &host(None)).is_err());
    let policy = host(Some(vec![root("/srv/a", false)]));
    assert!(judge(&new("/srv/a/x/y", "/srv/a"), false, &policy).is_ok());
    assert!(judge(&new("/srv/b", "/srv"), false, &policy).is_err());
}

#[test]
fn an_engines_socket_is_never_mounted_wherever_it_is() {
    let with = MountSource {
        engine_socket: Some("docker.sock".to_owned()),
        ..source("/home/me/private-engine")
    };
    let everything = host(Some(vec![root("/home", false)]));
    assert!(refused(&with, true, &everything).contains("docker.sock is an engine's socket"));
}

#[test]
fn a_refusal_says_what_the_policy_allows() {
    let policy = host(Some(vec![root("/srv/a", false), root("/srv/models", true)]));
    assert_eq!(
        refused(&source("/home/me"), true, &policy),
        "is not allowed by policy.hostPaths; allowed: /srv/a, /srv/models (read-only)"
    );
    assert_eq!(
        refused(&source("/home/me"), true, &host(Some(Vec::new()))),
        "is not allowed by policy.hostPaths; allowed: nothing"
    );
    assert_eq!(
        refused(&source("/srv/models/x"), false, &policy),
        "is allowed by policy.hostPaths only with readOnly: true (allowed: /srv/models (read-only))"
    );
    assert!(judge(&source("/srv/models/x"), true, &policy).is_ok());
    assert!(judge(&source("/srv/a"), false, &policy).is_ok());
    assert!(judge(&source("/srv/ab"), false, &policy).is_err(), "a name that begins alike");
}

#[test]
fn the_deepest_rule_decides_and_a_mount_above_it_may_not_write_more() {
    let policy = host(Some(vec![root("/data", false), root("/data/keys", true)]));
    assert!(judge(&source("/data/x"), false, &policy).is_ok());
    assert!(judge(&source("/data/keys/x"), false, &policy).is_err());
    assert!(judge(&source("/data"), false, &policy).is_err());
    assert!(judge(&source("/data"), true, &policy).is_ok());
    let policy = host(Some(vec![root("/data", true), root("/data/out", false)]));
    assert!(judge(&source("/data/out/x"), false, &policy).is_ok());
}

#[test]
fn a_rule_whose_path_is_not_there_allows_nothing() {
    let mut missing = root("/srv/a", false);
    missing.route.clear();
    assert!(judge(&new("/srv/a", "/srv"), false, &host(Some(vec![missing]))).is_err());
}

#[test]
fn nothing_is_allowed_below_a_directory_that_others_can_swap() {
    let mode = |mode: u32| {
        let mut root = root("/shared/team/runs", false);
        root.route[2].mode = mode;
        judge(&source("/shared/team/runs/x"), false, &host(Some(vec![root])))
    };
    let refusal = mode(0o775).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "is below /shared/team/runs of policy.hostPaths, but /shared/team has mode 0775: others could \
         put another directory in its place; take their right to write away (chmod go-w)"
    );
    assert!(mode(0o757).is_err());
    assert!(mode(0o1777).is_ok(), "sticky: names belong to their owners");
    assert!(mode(0o700).is_ok());
}

#[test]
fn the_first_directory_that_others_can_swap_is_named() {
    let mut root = root("/shared/team/runs", false);
    root.route[1].mode = 0o777;
    let refusal = judge(&source("/shared/team/runs/x"), false, &host(Some(vec![root])));
    let refusal = refusal.unwrap_err().to_string();
    assert!(refusal.contains("but /shared has mode 0777"), "{refusal}");
}

#[test]
fn no_file_of_a_place_that_is_reserved_whole_is_read() {
    let reserved = host(None).reserved;
    let why = |path| not_to_be_read(&file(path), &reserved);
    let socket = "it is /run/docker.sock or in it, the host's";
    assert_eq!(why("/run/docker.sock").as_deref(), Some(socket));
    let data = "it is /var/lib/docker or in it, the host's";
    assert_eq!(why("/var/lib/docker/x/token").as_deref(), Some(data));
    for fine in ["/etc/token", "/srv/specs/token", "/srv/token", "/var/lib/token"] {
        assert_eq!(why(fine), None, "{fine}");
    }
}

#[test]
fn a_source_that_is_another_file_or_gone_is_named() {
    let judged = [source("/srv/a"), source("/srv/b")];
    let (a, b) = (Some(id("/srv/a")), Some(id("/srv/b")));
    let other = Some(id("/srv/x"));
    let path = Some(Path::new("/srv/b"));
    for now in [&[a, other][..], &[a, None], &[a]] {
        assert_eq!(changed(&judged, now), path, "{now:?}");
    }
    assert_eq!(changed(&judged, &[a, b]), None);
}
