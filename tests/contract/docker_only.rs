//! What only Docker does beyond the contract.

use std::path::PathBuf;

use sandkeeper::engine::{Engine as _, EngineError};
use sandkeeper::plan::{Limits, Seccomp};

use crate::bench::{Bench as _, DockerBench, Role, eventually};

#[tokio::test]
async fn a_seccomp_profile_that_is_no_profile_is_rejected() {
    let bench = DockerBench::new().await;
    let mut request = bench.request("a", Role::Sleeps);
    request.security.seccomp = Seccomp::Localhost(PathBuf::from("/etc/profile.json"));
    request.seccomp_profile = Some("{bad".to_owned());
    let id = bench.docker.create(&request).await.expect("the profile is read at the start");
    let outcome = bench.docker.start(&id).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

#[tokio::test]
async fn the_memory_limit_ends_a_process_and_says_so() {
    let bench = DockerBench::new().await;
    let mut request = bench.request("a", Role::Sleeps);
    request.limits = Limits { memory: Some(8 << 20), pids: Some(64), ..Limits::default() };
    let hog = "x=0123456789abcdef; while true; do x=$x$x; done";
    request.command = Some(["sh", "-c", hog].map(str::to_owned).to_vec());
    let id = bench.running(&request).await;
    let ended = eventually("it runs out of memory", || async {
        let details = bench.docker.inspect(&id).await.expect("it answers")?;
        details.exit_code.is_some().then_some(details)
    });
    let ended = ended.await;
    assert_eq!((ended.exit_code, ended.oom_killed), (Some(137), true));
}
