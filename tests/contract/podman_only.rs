//! What only Podman does, and what is done about it.

use sandkeeper::engine::{CreateRequest, Engine as _, EngineError};
use sandkeeper::plan::Seccomp;

use crate::bench::{Bench as _, DockerBench, Role};

/// Podman would run the default runtime instead, and say nothing.
#[tokio::test]
async fn a_runtime_is_refused_although_the_engine_has_it() {
    let bench = DockerBench::podman().await;
    assert!(bench.docker.capabilities().await.expect("it answers").runtimes.is_empty());
    let runtime = Some("runc".to_owned());
    let request = CreateRequest { runtime, ..bench.request("a", Role::Sleeps) };
    let outcome = bench.docker.create(&request).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_seccomp_profile_is_read_by_the_engine() {
    let bench = DockerBench::podman().await;
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let with_profile = |rest: &str, content: &str| {
        let path = folder.path().join(rest);
        std::fs::write(&path, content).expect("it is writable");
        let mut request = bench.request(rest, Role::Sleeps);
        request.security.seccomp = Seccomp::Localhost(path);
        request.seccomp_profile = Some(content.to_owned());
        request
    };
    bench.running(&with_profile("a", r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#)).await;
    let outcome = match bench.docker.create(&with_profile("b", "{bad")).await {
        Ok(id) => bench.docker.start(&id).await,
        Err(error) => Err(error),
    };
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

/// A new process of the service would be taken for another engine, if its own id were believed.
#[tokio::test]
async fn the_engines_identity_is_not_the_id_of_its_process() {
    let bench = DockerBench::podman().await;
    let id = bench.docker.capabilities().await.expect("it answers").engine_id;
    assert!(id.contains(":/"), "{id}");
}
