//! The numbered cases are those of the project's list of file semantics.

use super::*;
use crate::sandbox::ProblemReason;
use crate::source::snapshot::Mark;
use crate::source::{DirectoryMode, StaleKind};

mod interleavings;
mod quota;
mod world;

use world::{A, B, World};

/// Twelve sandboxes, two more than the guard lets go.
fn twelve() -> World {
    let mut world = World::new();
    for number in 0..12 {
        world.save(&format!("/a/s{number}.yaml"), &format!("s{number}=1"));
    }
    world.pass();
    world
}

fn one(text: &str) -> World {
    let mut world = World::new();
    world.save("/a/web.yaml", text);
    world.pass();
    world
}

fn problems(pass: &Pass, file: &str) -> Vec<ProblemReason> {
    let report = pass.reports.files.iter().find(|report| report.file == Path::new(file)).unwrap();
    report.problems.iter().map(|problem| problem.reason).collect()
}

// Acting at once, or settling

#[test]
fn a_closed_file_is_accepted_on_the_first_reading() {
    let mut world = World::new();
    world.save("/a/web.yaml", "web=1");
    let pass = world.pass();
    assert_eq!(pass.applied.len(), 1);
    assert_eq!(world.image("web"), Some("1"));
}

// 1, 84
#[test]
fn a_file_that_is_written_without_a_close_waits_until_two_readings_agree() {
    let mut world = one("web=1");
    world.write("/a/web.yaml", "web=2");
    assert_eq!(world.pass().wake, Wake(Some(world.steady + world.rules.settle)));
    world.write("/a/web.yaml", "web=23");
    world.pass_after(300);
    assert_eq!(world.image("web"), Some("1"));
    world.pass_after(299);
    assert_eq!(world.image("web"), Some("1"));
    world.pass_after(1);
    assert_eq!(world.image("web"), Some("23"));
}

#[test]
fn a_touch_between_two_equal_readings_starts_the_wait_anew() {
    let mut world = one("web=1");
    world.write("/a/web.yaml", "web=2");
    world.pass();
    world.mark("/a/web.yaml", Mark::Touched);
    world.pass_after(300);
    assert_eq!(world.image("web"), Some("1"));
    world.pass_after(300);
    assert_eq!(world.image("web"), Some("2"));
}

// 83
#[test]
fn a_write_after_the_close_withdraws_the_evidence_until_the_last_close() {
    let mut world = one("web=1");
    world.write("/a/web.yaml", "web=2");
    world.pass();
    world.mark("/a/web.yaml", Mark::Closed);
    world.pass_after(1);
    assert_eq!(world.image("web"), Some("2"));
}

#[test]
fn evidence_is_spent_once_the_content_is_accepted() {
    let mut world = one("web=1");
    world.store("/a/web.yaml", "web=2");
    world.pass();
    assert_eq!(world.image("web"), Some("1"));
}

// 42
#[test]
fn lost_events_discard_the_close_that_vouched_for_a_waiting_file() {
    let mut world = one("web=12");
    world.save("/a/web.yaml", "web=1");
    world.pass();
    world.store("/a/web.yaml", "web=34");
    world.evidence.lost = true;
    world.pass();
    assert_eq!(world.image("web"), Some("12"));
    world.pass_after(300);
    assert_eq!(world.image("web"), Some("34"));
}

// 2
#[test]
fn a_file_cut_short_waits_two_seconds_even_after_a_close() {
    let mut world = one("web=12");
    world.save("/a/web.yaml", "web=1");
    world.pass();
    world.pass_after(1999);
    assert_eq!(world.image("web"), Some("12"));
    world.pass_after(1);
    assert_eq!(world.image("web"), Some("1"));
}

// 2
#[test]
fn a_file_cut_short_is_recognised_after_it_was_empty() {
    let mut world = one("web=12");
    world.save("/a/web.yaml", "");
    world.pass();
    world.pass_after(2000);
    world.save("/a/web.yaml", "web=1");
    world.pass();
    assert_eq!(world.image("web"), Some("12"));
}

#[test]
fn a_file_that_never_settles_is_reported_after_ten_seconds_and_keeps_the_last_good() {
    let mut world = one("web=0");
    for tick in 1..=51 {
        world.write("/a/web.yaml", &format!("web={tick}"));
        let pass = world.pass_after(200);
        let reported = problems(&pass, "/a/web.yaml") == [ProblemReason::Settling];
        assert_eq!(reported, tick == 51, "after {tick} writes");
    }
    assert_eq!(world.image("web"), Some("0"));
}

#[test]
fn at_the_first_look_an_old_file_counts_and_a_recent_one_settles() {
    let mut world = World::unstarted();
    world.store("/a/old.yaml", "old=1");
    world.steady += Duration::from_secs(2);
    world.store("/a/recent.yaml", "recent=1");
    world.pass();
    assert!(world.is_live("old"));
    assert!(!world.is_live("recent"));
    world.pass_after(300);
    assert!(world.is_live("recent"));
}

#[test]
fn at_the_first_look_a_file_from_the_future_settles() {
    let mut world = World::unstarted();
    world.steady = Duration::from_hours(1);
    world.store("/a/web.yaml", "web=1");
    world.steady = Duration::ZERO;
    world.pass();
    assert!(!world.is_live("web"));
    world.pass_after(300);
    assert!(world.is_live("web"));
}

// Arrival and change

// 8, 9, 11, 14, A16
#[test]
fn the_same_bytes_are_nothing_and_other_bytes_with_the_same_time_are_an_edit() {
    let mut world = one("web=1");
    let uid = world.get("web").unwrap().uid().to_owned();
    world.save("/a/web.yaml", "web=1");
    assert!(world.pass().applied.is_empty());
    let modified = world.directory(A).files["web.yaml"].modified;
    world.save("/a/web.yaml", "web=2");
    world.directory(A).files.get_mut("web.yaml").unwrap().modified = modified;
    world.pass();
    let web = world.get("web").unwrap();
    assert_eq!(web.sandbox.metadata.generation, Some(2));
    assert_eq!(web.uid(), uid);
}

// 4, A5
#[test]
fn a_file_that_is_gone_for_a_moment_stops_nothing() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.pass();
    world.save("/a/web.yaml", "web=1");
    assert!(world.pass_after(100).applied.is_empty());
    world.pass_after(5000);
    assert!(world.is_live("web"));
}

// 5, A8
#[test]
fn a_renamed_file_keeps_its_sandbox() {
    let mut world = one("web=1");
    let before = world.get("web").unwrap().sandbox.clone();
    world.rename("/a/web.yaml", "/a/other.yaml");
    world.pass();
    world.pass_after(5000);
    let web = world.get("web").unwrap();
    assert_eq!(web.sandbox, before);
    assert_eq!(web.provenance.file, Path::new("/a/other.yaml"));
}

// 5
#[test]
fn a_file_that_is_renamed_and_then_broken_keeps_its_sandbox() {
    let mut world = one("web=1");
    world.rename("/a/web.yaml", "/a/other.yaml");
    world.save("/a/other.yaml", "! broken");
    world.pass();
    world.pass_after(5000);
    assert!(world.is_live("web"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecInvalid));
}

// 6
#[test]
fn a_file_moved_between_two_directories_keeps_its_sandbox() {
    let mut world = one("web=1");
    let uid = world.get("web").unwrap().uid().to_owned();
    world.rename("/a/web.yaml", "/b/web.yaml");
    world.pass();
    world.pass_after(5000);
    assert!(world.is_live("web"));
    assert_eq!(world.get("web").unwrap().uid(), uid);
}

// 3, 31, A1
#[test]
fn a_broken_file_keeps_the_last_good_and_says_where_it_is_broken() {
    let mut world = one("web=1");
    world.save("/a/web.yaml", "?web");
    let pass = world.pass();
    let stale = world.get("web").unwrap().stale.clone().unwrap();
    assert_eq!(stale.kind, StaleKind::SpecInvalid);
    assert_eq!(stale.message, "/a/web.yaml:3:5: spec.imag: ?");
    assert_eq!(world.image("web"), Some("1"));
    assert_eq!(problems(&pass, "/a/web.yaml"), [ProblemReason::Invalid]);

    world.save("/a/web.yaml", "");
    world.pass_after(2000);
    world.pass_after(2000);
    assert!(world.is_live("web"));
    assert_eq!(world.get("web").unwrap().stale.clone().unwrap().since, stale.since);

    world.save("/a/web.yaml", "web=2");
    world.pass();
    assert_eq!(world.stale("web"), None);
    assert_eq!(world.image("web"), Some("2"));
}

// 15, A17
#[test]
fn an_unreadable_file_keeps_the_last_good() {
    let mut world = one("web=1");
    world.directory(A).files.get_mut("web.yaml").unwrap().unreadable = true;
    world.pass();
    world.pass_after(5000);
    assert!(world.is_live("web"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecUnreadable));
}

#[test]
fn a_broken_file_that_was_never_good_declares_nothing_and_is_reported() {
    let mut world = World::new();
    world.save("/a/web.yaml", "!");
    let pass = world.pass();
    assert!(pass.applied.is_empty());
    assert_eq!(problems(&pass, "/a/web.yaml"), [ProblemReason::Syntax]);
}

// Content

// 21
#[test]
fn a_bad_document_does_not_hide_the_good_ones() {
    let mut world = one("web=1 ?db cache=1");
    assert!(world.is_live("web") && world.is_live("cache"));
    let cache = world.get("cache").unwrap();
    assert_eq!(cache.provenance.to_string(), "/a/web.yaml#3");
    world.pass_after(5000);
    assert!(world.get("db").is_none());
}

#[test]
fn a_document_that_is_missing_from_a_file_that_parses_is_withdrawn_after_confirmation() {
    let mut world = one("web=1 db=1");
    world.save("/a/web.yaml", "db=1");
    world.pass();
    assert!(world.is_live("web"));
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
    assert!(world.is_live("db"));
}

#[test]
fn a_name_that_may_hide_in_an_invalid_document_is_not_missing() {
    let mut world = one("web=1 db=1");
    world.save("/a/web.yaml", "? db=1");
    world.pass();
    world.pass_after(5000);
    assert!(world.is_live("web"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecInvalid));
}

// 22, A9
#[test]
fn a_name_declared_twice_stays_with_the_file_that_was_accepted_first() {
    let mut world = one("web=1");
    world.save("/a/a-copy.yaml", "web=2");
    let pass = world.pass();
    assert_eq!(world.image("web"), Some("1"));
    assert_eq!(world.stale("web"), Some(StaleKind::Conflict));
    assert_eq!(problems(&pass, "/a/web.yaml"), []);
    let report = &pass.reports.files[0];
    assert_eq!(report.problems[0].reason, ProblemReason::Conflict);
    for file in ["/a/web.yaml", "/a/a-copy.yaml"] {
        assert!(report.problems[0].message.contains(file), "{}", report.problems[0].message);
    }
    world.restart();
    world.pass();
    assert_eq!(world.image("web"), Some("1"));
}

// 22
#[test]
fn removing_the_loser_changes_nothing() {
    let mut world = one("web=1");
    world.save("/a/copy.yaml", "web=2");
    world.pass();
    world.remove("/a/copy.yaml");
    world.pass();
    world.pass_after(5000);
    let web = world.get("web").unwrap();
    assert_eq!((web.sandbox.metadata.generation, &web.stale), (Some(1), &None));
}

// 22
#[test]
fn removing_the_winner_promotes_the_loser_in_the_same_pass() {
    let mut world = one("web=1");
    world.save("/a/copy.yaml", "web=1");
    world.save("/b/copy.yaml", "web=2");
    world.pass();
    world.remove("/a/web.yaml");
    world.pass();
    let web = world.get("web").unwrap();
    assert_eq!(web.provenance.file, Path::new("/a/copy.yaml"));
    assert_eq!(web.sandbox.metadata.generation, Some(1));
    world.remove("/a/copy.yaml");
    world.pass();
    let web = world.get("web").unwrap();
    assert_eq!(web.provenance.file, Path::new("/b/copy.yaml"));
    assert_eq!(web.sandbox.metadata.generation, Some(2));
}

// 22
#[test]
fn on_a_cold_start_the_first_directory_wins_and_then_the_first_path() {
    let mut world = World::unstarted();
    world.store("/b/a.yaml", "web=3");
    world.store("/a/z.yaml", "web=2");
    world.store("/a/y.yaml", "web=1");
    world.steady += Duration::from_secs(10);
    world.pass();
    assert_eq!(world.image("web"), Some("1"));
}

#[test]
fn a_name_declared_twice_in_one_file_stays_with_the_accepted_document() {
    let mut world = one("web=1");
    world.save("/a/web.yaml", "web=2 web=1");
    let pass = world.pass();
    assert_eq!(world.image("web"), Some("1"));
    assert_eq!(problems(&pass, "/a/web.yaml"), [ProblemReason::Conflict]);
}

// 85
#[test]
fn a_broken_winner_does_not_fall_through_to_another_file() {
    let mut world = one("web=1");
    world.save("/b/web.yaml", "web=2");
    world.pass();
    world.save("/a/web.yaml", "!");
    world.pass();
    world.pass_after(5000);
    assert_eq!(world.image("web"), Some("1"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecInvalid));
}

// 30, A10
#[test]
fn an_edited_name_is_a_new_sandbox_and_withdraws_the_old_one() {
    let mut world = one("web=1");
    world.save("/a/web.yaml", "site=1");
    world.pass();
    assert!(world.is_live("web") && world.is_live("site"));
    world.pass_after(2000);
    assert!(world.is_withdrawn("web") && world.is_live("site"));
}

// A11
#[test]
fn an_edit_that_is_undone_before_it_was_seen_is_nothing() {
    let mut world = one("web=1");
    world.save("/a/web.yaml", "web=2");
    world.save("/a/web.yaml", "web=1");
    assert!(world.pass().applied.is_empty());
}

// Absence

#[test]
fn a_missing_file_is_withdrawn_at_the_second_listing_two_seconds_later() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    assert_eq!(world.pass().wake, Wake(Some(world.steady + world.rules.absence)));
    world.pass_after(1999);
    assert!(world.is_live("web"));
    let pass = world.pass_after(1);
    assert!(pass.applied[0].is_tombstone());
    assert!(world.pass_after(1).applied.is_empty());
}

// 5
#[test]
fn a_file_that_is_being_written_again_begins_the_confirmation_anew() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.pass();
    world.write("/a/web.yaml", "web=1");
    world.pass_after(1000);
    world.write("/a/web.yaml", "db=1");
    world.pass_after(1000);
    world.pass_after(300);
    assert!(world.is_live("web"), "two seconds are over, but it was there in between");
    let pass = world.pass_after(2000);
    assert!(
        pass.applied.iter().any(|declared| declared.name() == "web" && declared.is_tombstone())
    );
}

// 15, 40
#[test]
fn an_unreadable_or_late_directory_interrupts_the_confirmation() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.pass();
    world.directory(A).unreadable = true;
    world.pass_after(5000);
    assert!(world.is_live("web"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecUnreadable));
    world.directory(A).unreadable = false;
    world.pass_after(1);
    world.pass_after(1999);
    assert!(world.is_live("web"));
    world.pass_after(1);
    assert!(world.is_withdrawn("web"));
}

// 40
#[test]
fn a_directory_that_does_not_answer_keeps_everything_and_is_reported_after_a_while() {
    let mut world = one("web=1");
    world.directory(A).late = true;
    let pass = world.pass();
    assert_eq!(pass.reports.directories[0].mode, DirectoryMode::Late);
    assert_eq!(world.stale("web"), None);
    let pass = world.pass_after(10_000);
    assert_eq!(pass.reports.directories[0].mode, DirectoryMode::Unreadable);
    assert_eq!(world.stale("web"), Some(StaleKind::SpecUnreadable));
    assert!(world.is_live("web"));
}

// 6
#[test]
fn a_name_is_not_missing_while_another_directory_cannot_be_read() {
    let mut world = one("web=1");
    world.directory(B).unreadable = true;
    world.remove("/a/web.yaml");
    world.pass();
    world.pass_after(5000);
    assert!(world.is_live("web"));
    world.directory(B).unreadable = false;
    world.pass_after(1);
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
}

#[test]
fn a_name_is_not_missing_while_a_new_file_settles_but_a_restless_file_delays_only_so_long() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    for tick in 0..11 {
        assert!(world.is_live("web"), "after {tick} s");
        world.write("/a/log.yaml", &format!("log={tick}"));
        world.pass_after(1000);
    }
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
}

// 38
#[test]
fn a_loss_larger_than_the_guard_is_held_back() {
    let mut world = twelve();
    for number in 0..11 {
        world.remove(&format!("/a/s{number}.yaml"));
    }
    world.pass();
    let pass = world.pass_after(5000);
    assert_eq!(pass.reports.held.len(), 11);
    assert_eq!(world.stale("s0"), Some(StaleKind::PruneHeld));
    assert!(world.state.declared().all(|declared| !declared.is_tombstone()));
}

#[test]
fn a_loss_of_just_the_guard_is_let_go() {
    let mut world = twelve();
    for number in 0..10 {
        world.remove(&format!("/a/s{number}.yaml"));
    }
    world.pass();
    world.pass_after(2000);
    assert_eq!(world.state.declared().filter(|declared| declared.is_tombstone()).count(), 10);
}

#[test]
fn a_guard_of_zero_holds_nothing_back() {
    let mut world = twelve();
    world.state.rules.delete_guard = 0;
    world.directory(A).files.clear();
    world.pass();
    world.pass_after(2000);
    assert!(world.state.declared().all(Declared::is_tombstone));
}

// 38
#[test]
fn a_loss_that_trickles_in_is_held_as_one() {
    let mut world = twelve();
    for number in 0..12 {
        world.remove(&format!("/a/s{number}.yaml"));
        world.pass_after(180);
    }
    world.pass_after(5000);
    assert_eq!(world.held.len(), 12);
}

#[test]
fn files_that_return_are_no_longer_held_and_the_others_stay_held_across_a_restart() {
    let mut world = twelve();
    let files = world.directory(A).files.clone();
    world.directory(A).files.clear();
    world.pass();
    for name in ["s0.yaml", "s1.yaml", "s2.yaml", "s3.yaml"] {
        world.directory(A).files.insert(name.to_owned(), files[name].clone());
        world.mark(&format!("/a/{name}"), Mark::Closed);
    }
    world.pass_after(5000);
    assert_eq!(world.held.len(), 8);
    assert_eq!(world.stale("s0"), None);
    world.restart();
    world.pass();
    world.pass_after(5000);
    assert_eq!(world.held.len(), 8);
}

#[test]
fn only_what_the_operator_names_is_let_go() {
    let mut world = twelve();
    world.directory(A).files.clear();
    world.pass();
    world.released.insert(world.get("s3").unwrap().uid().to_owned());
    world.released.insert("unknown".to_owned());
    let pass = world.pass_after(1);
    assert_eq!(pass.applied.len(), 1);
    assert!(world.is_withdrawn("s3"));
    assert_eq!(world.held.len(), 11);
}

// Directories

// 36
#[test]
fn a_directory_that_is_missing_at_the_start_is_said_to_be_and_is_no_complete_look() {
    let mut world = World::unstarted();
    world.directory(B).missing = true;
    world.store("/a/web.yaml", "web=1");
    world.steady += Duration::from_secs(10);
    let pass = world.pass();
    assert!(world.is_live("web"));
    assert_eq!(pass.reports.directories[1].mode, DirectoryMode::Missing);
    assert!(!pass.reports.complete);
    world.directory(B).missing = false;
    assert!(world.pass().reports.complete);
}

#[test]
fn a_directory_that_never_existed_does_not_keep_others_from_being_withdrawn() {
    let mut world = World::unstarted();
    world.directory(B).missing = true;
    world.pass();
    world.save("/a/web.yaml", "web=1");
    world.pass();
    world.remove("/a/web.yaml");
    world.pass();
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
}

// 37, B1
#[test]
fn a_directory_that_vanishes_is_held_at_any_count_until_it_returns() {
    let mut world = one("web=1");
    world.directory(A).missing = true;
    world.pass();
    world.pass_after(5000);
    assert_eq!(world.stale("web"), Some(StaleKind::PruneHeld));
    assert!(world.held[0].message.contains("missing"), "{}", world.held[0].message);
    world.directory(A).missing = false;
    world.pass_after(5000);
    assert_eq!(world.stale("web"), None);
    assert!(world.held.is_empty());
}

// 37, B2, B3, B4, B5
#[test]
fn a_directory_that_was_replaced_is_held_until_the_files_return() {
    let mut world = one("web=1");
    world.directory(A).inode = 99;
    let file = world.remove("/a/web.yaml").unwrap();
    world.pass();
    world.pass_after(60_000);
    assert!(world.is_live("web"));
    assert!(world.held[0].message.contains("replaced"), "{}", world.held[0].message);
    world.directory(A).files.insert("web.yaml".to_owned(), file);
    world.mark("/a/web.yaml", Mark::Closed);
    world.pass_after(1);
    assert!(world.held.is_empty());
    // From now on the new directory is the one that counts.
    world.remove("/a/web.yaml");
    world.pass_after(1);
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
}

#[test]
fn what_a_vanished_directory_held_can_be_let_go() {
    let mut world = one("web=1");
    world.directory(A).missing = true;
    world.pass();
    world.released.insert(world.get("web").unwrap().uid().to_owned());
    world.pass_after(1);
    assert!(world.is_withdrawn("web"));
}

#[test]
fn what_was_let_go_still_waits_until_it_is_certain_that_nothing_declares_it() {
    let mut world = one("web=1");
    world.directory(A).missing = true;
    world.pass();
    world.released.insert(world.get("web").unwrap().uid().to_owned());
    world.directory(A).missing = false;
    world.directory(A).unreadable = true;
    world.pass_after(1);
    assert!(world.is_live("web"));
    world.directory(A).unreadable = false;
    world.directory(A).missing = true;
    world.pass_after(1);
    assert!(world.is_withdrawn("web"));
}

#[test]
fn what_a_vanished_directory_held_does_not_trip_the_guard_for_others() {
    let mut world = twelve();
    world.save("/b/web.yaml", "web=1");
    world.pass();
    world.directory(A).missing = true;
    world.remove("/b/web.yaml");
    world.pass_after(1);
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
    assert_eq!(world.held.len(), 12);
}

#[test]
fn changes_that_no_event_announces_lead_to_polling_and_an_event_ends_it() {
    let mut world = one("web=0");
    for number in 1..=3 {
        world.store("/a/web.yaml", &format!("web={number}"));
        world.pass_after(30_000);
        world.pass_after(300);
    }
    let pass = world.pass_after(1);
    assert_eq!(pass.reports.directories[0].mode, DirectoryMode::Polling);
    assert_eq!(pass.wake, Wake(Some(world.steady + world.rules.poll)));
    world.save("/a/web.yaml", "web=9");
    let pass = world.pass_after(1);
    assert_eq!(pass.reports.directories[0].mode, DirectoryMode::Watching);
}

// Identity, and restarts

#[test]
fn a_restart_changes_nothing() {
    let mut world = one("web=1 db=1");
    let before: Vec<Declared> = world.state.declared().cloned().collect();
    world.restart();
    assert!(world.pass().applied.is_empty());
    assert!(world.state.declared().eq(&before));
}

// 31
#[test]
fn a_restart_with_a_broken_file_keeps_the_last_good() {
    let mut world = one("web=1");
    world.save("/a/web.yaml", "!");
    world.restart();
    world.pass();
    world.pass_after(5000);
    assert_eq!(world.image("web"), Some("1"));
    assert_eq!(world.stale("web"), Some(StaleKind::SpecInvalid));
}

// A7
#[test]
fn a_file_removed_while_the_daemon_was_down_is_withdrawn_after_confirmation() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.restart();
    world.pass();
    assert!(world.is_live("web"));
    world.pass_after(2000);
    assert!(world.is_withdrawn("web"));
}

// 37
#[test]
fn a_directory_replaced_while_the_daemon_was_down_is_held_through_every_restart() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.directory(A).inode = 99;
    for _ in 0..2 {
        world.restart();
        world.pass();
        world.pass_after(5000);
        assert_eq!(world.stale("web"), Some(StaleKind::PruneHeld));
    }
}

#[test]
fn a_sandbox_whose_directory_is_no_longer_configured_is_held() {
    let mut world = one("web=1");
    let record = world.kept.get_mut("web").unwrap();
    record.declared.provenance.file = PathBuf::from("/elsewhere/web.yaml");
    world.remove("/a/web.yaml");
    world.restart();
    world.pass();
    world.pass_after(5000);
    assert_eq!(world.stale("web"), Some(StaleKind::PruneHeld));
}

#[test]
fn a_tombstone_survives_a_restart_and_ends_when_it_is_cleaned_up() {
    let mut world = one("web=1");
    world.remove("/a/web.yaml");
    world.pass();
    world.pass_after(2000);
    world.restart();
    world.pass();
    assert!(world.is_withdrawn("web"));
    assert!(world.forget("web").is_some());
    assert!(world.pass().applied.is_empty());
    assert!(world.get("web").is_none());
}

#[test]
fn a_name_declared_again_during_the_cleanup_becomes_a_new_incarnation_after_it() {
    let mut world = one("web=1");
    let uid = world.get("web").unwrap().uid().to_owned();
    world.remove("/a/web.yaml");
    world.pass();
    world.pass_after(2000);
    world.save("/a/web.yaml", "web=1");
    let pass = world.pass();
    assert!(pass.applied.is_empty());
    assert_eq!(problems(&pass, "/a/web.yaml"), [ProblemReason::Conflict]);
    world.forget("web").unwrap();
    world.pass();
    let web = world.get("web").unwrap();
    assert!(!web.is_tombstone());
    assert_ne!(web.uid(), uid);
    assert_eq!(web.sandbox.metadata.generation, Some(1));
}

#[test]
fn word_of_another_incarnation_or_of_a_live_sandbox_forgets_nothing() {
    let mut world = one("web=1");
    let uid = world.get("web").unwrap().uid().to_owned();
    assert!(world.state.forget("web", &uid).is_none());
    world.remove("/a/web.yaml");
    world.pass();
    world.pass_after(2000);
    assert!(world.state.forget("web", "another").is_none());
    assert!(world.is_withdrawn("web"));
}

#[test]
fn a_preview_takes_files_as_they_stand_and_missing_ones_as_gone() {
    let mut world = one("web=1 db=1");
    world.write("/a/new.yaml", "new=1");
    world.write("/a/web.yaml", "web=1");
    world.state = world.state.clone().impatient();
    world.pass();
    assert!(world.is_live("new") && world.is_live("web"));
    assert!(world.is_withdrawn("db"));
}
