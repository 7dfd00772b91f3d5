//! One suite, written once against [`Engine`](sandkeeper::engine::Engine), run on every engine. What the
//! planner relies on is in [`behaviours`]; what Docker's API has beside it is in [`docker_api`], what one
//! engine alone has in [`docker_only`] and [`podman_only`], what happens to Apple's tool in [`apple_only`].
//! What an engine lacks by its own declaration it must refuse. Without a Docker engine (the stand-in for
//! Apple's tool needs one too) and a Podman all but the fake fails: a suite that skips proves nothing.

#[path = "../support/apple.rs"]
mod apple;
mod apple_only;
mod behaviours;
mod bench;
#[path = "../support/docker.rs"]
mod docker;
mod docker_api;
mod docker_only;
mod faults;
mod podman_only;
#[path = "../support/proxy.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the sweeps, which use more of it")]
#[expect(clippy::disallowed_methods, clippy::panic, reason = "its tasks are its runtime's own")]
mod proxy;

macro_rules! contract {
    ($($behaviour:ident)*) => {
        mod on_the_fake {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::FakeBench::new()).await;
            })*
        }
        // What breaks connections elsewhere must change nothing by itself.
        mod through_the_proxy {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::DockerBench::behind_a_proxy().await).await;
            })*
        }
        mod on_docker {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::DockerBench::new().await).await;
            })*
        }
        mod on_podman {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::DockerBench::podman().await).await;
            })*
        }
        mod on_rootless_podman {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::DockerBench::rootless_podman().await).await;
            })*
        }
        mod on_apple {
            $(#[tokio::test] async fn $behaviour() {
                crate::behaviours::$behaviour(&crate::bench::AppleBench::new().await).await;
            })*
        }
    };
}

contract! {
    the_engine_has_an_identity
    a_new_container_is_created_and_not_started
    the_list_agrees_with_inspect_and_holds_what_does_not_run
    what_was_asked_for_is_what_inspect_shows
    a_container_is_let_do_what_was_asked_and_no_more
    a_taken_name_is_a_conflict
    a_bad_name_is_rejected
    starting_twice_is_no_error
    a_stop_ends_the_process_and_shows_its_code
    stopping_what_does_not_run_is_no_error
    a_container_can_be_started_again
    an_exit_code_shows_after_the_end
    a_program_that_does_not_exist_ends_at_once
    a_running_container_is_not_removed
    removing_what_is_gone_is_no_error
    a_removed_container_frees_its_name
    renaming_moves_the_name
    an_unknown_container_is_told_apart
    limits_change_without_a_restart
    limits_change_on_a_stopped_container
    limits_on_cpu_and_memory_cannot_be_lifted
    a_limit_is_in_force_or_refused
    a_limit_out_of_range_is_rejected
    a_paused_container_waits
    a_busy_port_is_told_at_the_start
    a_missing_image_is_told_apart
    a_missing_network_is_told_before_anything_runs
    connecting_twice_is_no_error
    an_unknown_runtime_is_rejected
    a_command_reports_its_code_and_output
    a_command_that_does_not_exist_reports_126_or_127
    a_command_needs_a_running_container
    events_tell_what_happened
    what_is_killed_from_outside_is_seen
    logs_hold_what_was_printed
    no_secret_reaches_an_error
}

macro_rules! docker_api {
    ($($behaviour:ident)*) => {
        mod over_dockers_api {
            mod on_docker {
                $(#[tokio::test] async fn $behaviour() {
                    crate::docker_api::$behaviour(&crate::bench::DockerBench::new().await).await;
                })*
            }
            mod through_the_proxy {
                $(#[tokio::test] async fn $behaviour() {
                    let bench = crate::bench::DockerBench::behind_a_proxy().await;
                    crate::docker_api::$behaviour(&bench).await;
                })*
            }
            mod on_podman {
                $(#[tokio::test] async fn $behaviour() {
                    crate::docker_api::$behaviour(&crate::bench::DockerBench::podman().await).await;
                })*
            }
            mod on_rootless_podman {
                $(#[tokio::test] async fn $behaviour() {
                    let bench = crate::bench::DockerBench::rootless_podman().await;
                    crate::docker_api::$behaviour(&bench).await;
                })*
            }
        }
    };
}

docker_api! {
    a_process_sees_the_hardening
    a_mount_shows_the_host_and_a_missing_one_is_refused
    an_argument_goes_to_the_images_entrypoint_and_a_command_replaces_it
    a_command_past_its_deadline_has_an_unknown_outcome
    long_output_is_read_to_the_end_and_its_beginning_kept
    an_attached_command_reads_what_is_typed
    an_attached_terminal_has_a_size
    a_log_is_followed_until_the_container_ends
    a_port_answers_after_a_kill_and_an_immediate_start
}
