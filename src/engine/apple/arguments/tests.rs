//! The whole command line, and what is refused before there is one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::plan::{Limits, Security};

fn request() -> CreateRequest {
    CreateRequest {
        name: "sandbox-web".to_owned(),
        image: "app:1".to_owned(),
        command: None,
        args: None,
        working_dir: None,
        env: Vec::new(),
        labels: BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        shared_memory: None,
        limits: Limits::default(),
        security: Security {
            seccomp: Seccomp::RuntimeDefault,
            capabilities: vec!["CHOWN".to_owned()],
            privileged: false,
            no_new_privileges: true,
            read_only_root: false,
            run_as_user: None,
            run_as_group: None,
        },
        seccomp_profile: None,
        runtime: None,
        network: NetworkChoice::Bridge,
        stop_timeout: 10,
    }
}

fn words(request: &CreateRequest) -> Result<Vec<String>, EngineError> {
    let mark = Mark::new(&request.image, &request.limits);
    let words = create(request, &mark, Some(Path::new("/tmp/env")))?;
    Ok(words.into_iter().filter(|word| !word.contains(MARK)).collect())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn the_smallest_request_leaves_the_rest_to_the_tool() {
    let expected = [
        "create",
        "--name=sandbox-web",
        "--init",
        "--env-file=/tmp/env",
        "--cap-drop=ALL",
        "--cap-add=CHOWN",
        "app:1",
    ];
    assert_eq!(words(&request()).unwrap(), expected);
}

#[test]
fn every_field_has_its_word() {
    let mut all = request();
    all.command = Some(texts(&["serve", "--fast"]));
    all.args = Some(texts(&["-p", "8080"]));
    all.working_dir = Some("/srv".to_owned());
    all.labels = BTreeMap::from([("sandkeeper.dev/fields".to_owned(), "image=01,b".to_owned())]);
    let port = |host_ip: &str, protocol| PublishedPort {
        container_port: 8080,
        protocol,
        host_ip: host_ip.parse().unwrap(),
        host_port: 8093,
    };
    all.ports = vec![port("127.0.0.1", Protocol::Tcp), port("::1", Protocol::Udp)];
    let mount = |host: &str, read_only| BindMount {
        host_path: PathBuf::from(host),
        mount_path: "/data".to_owned(),
        read_only,
        create: None,
    };
    all.mounts = vec![mount("/srv/a", true), mount("/srv/b=c", false)];
    all.shared_memory = Some(64 << 20);
    all.limits = Limits { nano_cpus: Some(2_000_000_000), memory: Some(512 << 20), pids: None };
    all.security.read_only_root = true;
    (all.security.run_as_user, all.security.run_as_group) = (Some(1000), Some(1001));
    all.network = NetworkChoice::Named("lab".to_owned());
    let expected = [
        "create",
        "--name=sandbox-web",
        "--init",
        "--label=sandkeeper.dev/fields=image%3D01,b",
        "--env-file=/tmp/env",
        "--workdir=/srv",
        "--user=1000:1001",
        "--publish=127.0.0.1:8093:8080/tcp",
        "--publish=[::1]:8093:8080/udp",
        "--mount=type=bind,source=/srv/a,target=/data,readonly",
        "--volume=/srv/b=c:/data",
        "--cpus=2",
        "--memory=536870912",
        "--shm-size=67108864",
        "--cap-drop=ALL",
        "--cap-add=CHOWN",
        "--read-only",
        "--network=lab",
        "--entrypoint=serve",
        "app:1",
        "--fast",
        "-p",
        "8080",
    ];
    assert_eq!(words(&all).unwrap(), expected);
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let refused: [fn(&mut CreateRequest); 5] = [
        |it| it.limits.pids = Some(5),
        |it| it.limits.nano_cpus = Some(1_500_000_000),
        |it| it.security.privileged = true,
        |it| it.security.seccomp = Seccomp::Unconfined,
        |it| {
            it.mounts = vec![BindMount {
                host_path: PathBuf::from("/a:b,c"),
                mount_path: "/data".to_owned(),
                read_only: false,
                create: None,
            }];
        },
    ];
    for change in refused {
        let mut request = request();
        change(&mut request);
        let outcome = words(&request);
        assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
    }
}

#[test]
fn variables_go_through_a_file_and_never_through_words() {
    let mut with = request();
    let variable = |name: &str, value: &str| (name.to_owned(), SecretString::from(value));
    with.env = vec![variable("TOKEN", "canary-4711"), variable("ODD", "a b=\"c\" # d ")];
    let file = env_file(&with).unwrap().unwrap();
    assert_eq!(file.expose_secret(), "TOKEN=canary-4711\nODD=a b=\"c\" # d \n");
    assert!(!words(&with).unwrap().concat().contains("canary"));
    assert!(env_file(&request()).unwrap().is_none());
}

#[test]
fn a_variable_that_the_file_cannot_hold_is_refused_without_its_value() {
    for (name, value) in [
        ("KEY", "canary\nB=2"),
        ("KEY", "canary\r"),
        ("KEY", "canary\u{2028}B=2"),
        ("#KEY", "canary"),
        ("A B", "canary"),
    ] {
        let mut with = request();
        with.env = vec![(name.to_owned(), SecretString::from(value))];
        let error = env_file(&with).unwrap_err();
        assert!(matches!(error, EngineError::Unsupported(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn only_directories_are_shared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mount = |host_path: &Path| BindMount {
        host_path: host_path.to_owned(),
        mount_path: "/data".to_owned(),
        read_only: false,
        create: None,
    };
    assert_eq!(check_mount(&mount(folder.path())).await, Ok(()));
    let outcome = check_mount(&mount(&file)).await;
    assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
    let outcome = check_mount(&mount(&folder.path().join("missing"))).await;
    assert!(matches!(outcome, Err(EngineError::Failed { .. })), "{outcome:?}");
}
