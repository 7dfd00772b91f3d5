use super::*;

const ID: &str = "8747c1db73c3f4176eb77630e2d20d91444b84565469d0057630e6fd58b64eed";

fn name_of(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unreachable(_) => "Unreachable",
        EngineError::OutcomeUnknown { .. } => "OutcomeUnknown",
        EngineError::Garbled { .. } => "Garbled",
        EngineError::NoSuchContainer(_) => "NoSuchContainer",
        EngineError::NameConflict(_) => "NameConflict",
        EngineError::ImageMissing(_) => "ImageMissing",
        EngineError::WrongPlatform(_) => "WrongPlatform",
        EngineError::NetworkMissing(_) => "NetworkMissing",
        EngineError::PortBusy { .. } => "PortBusy",
        EngineError::Busy(_) => "Busy",
        EngineError::Rejected(_) => "Rejected",
        EngineError::Forbidden(_) => "Forbidden",
        EngineError::Unsupported(_) => "Unsupported",
        EngineError::Failed { .. } => "Failed",
    }
}

/// Answers of Docker 20.10.24 and, where marked, of later engines.
#[test]
fn each_known_answer_has_its_meaning() {
    let create = Call::Create;
    let start = Call::Start;
    #[rustfmt::skip]
    let answers = [
        (create, 404, "No such image: nope:1", "ImageMissing"),
        (create, 400, "invalid reference format: repository name must be lowercase", "Rejected"),
        (create, 409, "Conflict. The container name \"/x\" is already in use by container \"87\". You have to remove (or rename) that container to be able to reuse that name.", "NameConflict"),
        (create, 400, "invalid mount config for type \"bind\": bind source path does not exist: /nope", "Failed"),
        (create, 400, "Duplicate mount point: /x", "Rejected"),
        (create, 400, "invalid CapAdd: unknown capability: \"CAP_NOPE\"", "Rejected"),
        (create, 400, "Minimum memory limit allowed is 6MB", "Rejected"),
        (create, 400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", "Rejected"),
        (create, 400, "Unknown runtime specified nope", "Rejected"),
        (create, 500, "Cannot mkdir: /etc/passwd is not a directory", "Rejected"),
        (create, 500, "write /var/lib/docker/x: no space left on device", "Failed"),
        (create, 404, "image with reference x was found but does not match the specified platform: wanted linux/arm64", "WrongPlatform"),
        // Podman 4.3.1.
        (create, 404, "no such image: docker.io/library/nope:1: image not known", "ImageMissing"),
        (create, 500, "container create: creating container storage: the container name \"x\" is already in use by 87. You have to remove that container to be able to reuse that name: that name is already in use", "NameConflict"),
        (create, 500, "container create: running container create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", "Rejected"),
        (create, 500, "container create: unable to find network with name or ID nowhere: network not found", "NetworkMissing"),
        (create, 500, "container create: opening seccomp profile failed: open /nope: no such file or directory", "Rejected"),
        (start, 500, "container 87 must be in Created or Stopped state to be started: container state improper", "Busy"),
        (start, 404, "no container with name or ID \"87\" found: no such container", "NoSuchContainer"),
        (Call::Inspect, 500, "container 87 does not exist in database: no such container", "NoSuchContainer"),
        (Call::Exec, 500, "can only create exec sessions on running containers: container state improper", "Busy"),
        (Call::Remove, 500, "cannot remove container 87 as it is running - running or paused containers cannot be removed without force: container state improper", "Busy"),
        (Call::Rename, 500, "renaming container 87: name x already in use, cannot rename container 87: container already exists", "NameConflict"),
        (start, 404, "network gone not found", "NetworkMissing"),
        (start, 404, "No such container: 8747", "NoSuchContainer"),
        (start, 500, "error gathering device information while adding custom device \"/dev/x\": no such file or directory", "Failed"),
        (start, 500, "Decoding seccomp profile failed: invalid character 'b'", "Rejected"),
        (start, 400, "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: unknown", "Rejected"),
        (start, 500, "OCI runtime create failed: runc create failed: unable to apply cgroup configuration: device or resource busy", "Failed"),
        (start, 400, "OCI runtime create failed: exec /bin/x: exec format error", "WrongPlatform"),
        (start, 500, "unable to find user nobodyx: no matching entries in passwd file", "Rejected"),
        (start, 500, "driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:38081 failed: port is already allocated", "PortBusy"),
        (start, 500, "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 127.0.0.1:38082: bind: address already in use", "PortBusy"),
        (start, 409, "cannot start a paused container, try unpause instead", "Busy"),
        (start, 409, "container is marked for removal and cannot be started", "Busy"),
        (start, 500, "failed to create endpoint x on network bridge: adding interface veth1 to bridge docker0 failed", "Failed"),
        (Call::Stop, 404, "No such container: 8747", "NoSuchContainer"),
        (Call::Remove, 409, "removal of container 8747 is already in progress", "Busy"),
        (Call::Remove, 409, "You cannot remove a running container 8747. Stop the container before attempting removal or force remove", "Busy"),
        (Call::Remove, 500, "container 8747: driver \"overlay2\" failed to remove root filesystem: device or resource busy", "Failed"),
        (Call::Rename, 409, "Error when allocating new name: Conflict. The container name \"/b\" is already in use by container \"87\".", "NameConflict"),
        (Call::Rename, 400, "Error when allocating new name: Invalid container name (/t a)", "Rejected"),
        (Call::Update, 409, "Cannot update container 8747: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time", "Rejected"),
        (Call::Update, 409, "Cannot update container 8747: Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set", "Rejected"),
        (Call::Update, 404, "page not found", "Unsupported"),
        (Call::Connect, 404, "network x not found", "NetworkMissing"),
        (Call::Connect, 404, "No such container: 8747", "NoSuchContainer"),
        (Call::Exec, 409, "Container 8747 is not running", "Busy"),
        (Call::Exec, 409, "Container 8747 is paused, unpause the container before exec", "Busy"),
        (Call::HasImage, 404, "no such image: nope:1: No such image: nope:1", "ImageMissing"),
        (Call::Pull, 0, "manifest for x:1 not found: manifest unknown: manifest unknown", "ImageMissing"),
        (Call::Pull, 404, "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", "ImageMissing"),
        (Call::Pull, 0, "no matching manifest for linux/arm64/v8 in the manifest list entries", "WrongPlatform"),
        (Call::Pull, 500, "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host", "Failed"),
        (Call::List, 502, "<html>Bad Gateway</html>", "Failed"),
    ];
    for (call, status, message, expected) in answers {
        let error = classify(call, status, message);
        assert_eq!(name_of(&error), expected, "{call:?} {status} {message}: {error:?}");
    }
}

#[test]
fn the_host_port_is_found_in_every_wording() {
    let port = |message: &str| match classify(Call::Start, 500, message) {
        EngineError::PortBusy { port, .. } => port,
        other => panic!("{other:?}"),
    };
    assert_eq!(port("Bind for 0.0.0.0:8080 failed: port is already allocated"), Some(8080));
    assert_eq!(port("Bind for :::8080 failed: port is already allocated"), Some(8080));
    assert_eq!(port("listen tcp4 127.0.0.1:38082: bind: address already in use"), Some(38082));
    assert_eq!(port("listen tcp6 [::1]:443: bind: address already in use"), Some(443));
    let later =
        "failed to bind host port for 127.0.0.1:81:172.17.0.3:80/tcp: address already in use";
    assert_eq!(port(later), Some(81));
    let latest = "failed to bind host port 127.0.0.1:82/tcp: address already in use";
    assert_eq!(port(latest), Some(82));
    assert_eq!(port("address already in use"), None);
}

#[test]
fn a_goal_that_is_reached_is_no_failure() {
    let said = |call, status_code, message: &str| {
        let message = message.to_owned();
        nothing_to_do(call, &Error::DockerResponseServerError { status_code, message })
    };
    let gone = format!("No such container: {ID}");
    assert!(said(Call::Remove, 404, &gone));
    assert!(said(Call::Unpause, 500, &format!("Container {ID} is not paused")));
    assert!(said(Call::Rename, 400, "Renaming a container with the same name as its current name"));
    assert!(said(Call::Connect, 403, "endpoint with name a already exists in network b"));
    assert!(!said(Call::Start, 404, &gone));
    assert!(!said(Call::Remove, 409, "removal of container x is already in progress"));
}

#[test]
fn the_missing_container_is_named_alone() {
    let error = classify(Call::Stop, 404, &format!("No such container: {ID}"));
    assert_eq!(error, EngineError::NoSuchContainer(ID.to_owned()));
}

#[test]
fn a_broken_connection_leaves_the_outcome_open() {
    let address = Address::choose(None, None).unwrap();
    let after = Duration::from_secs(3);
    let broken = Error::IOError { err: io::Error::from(io::ErrorKind::ConnectionReset) };
    assert_eq!(
        translate(Call::Create, &address, &broken, after),
        EngineError::OutcomeUnknown { call: "create", after }
    );
}

#[test]
fn an_answer_that_cannot_be_read_is_garbled_and_escaped() {
    let address = Address::choose(None, None).unwrap();
    let error = Error::JsonDataError { message: "bad \u{1b}[31m".to_owned(), column: 3 };
    let error = translate(Call::Inspect, &address, &error, Duration::ZERO);
    assert_eq!(name_of(&error), "Garbled");
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn a_missing_container_is_named_whatever_the_engine_says_around_it() {
    for message in [
        "No such container: 87".to_owned(),
        "no container with name or ID \"87\" found: no such container".to_owned(),
        "container 87 does not exist in database: no such container".to_owned(),
    ] {
        let status = if message.contains("database") { 500 } else { 404 };
        let error = classify(Call::Start, status, &message);
        assert_eq!(error, EngineError::NoSuchContainer("87".to_owned()), "{message}");
    }
}
