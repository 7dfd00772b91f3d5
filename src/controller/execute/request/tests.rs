//! What an engine is asked to make.

use secrecy::ExposeSecret;

use super::*;
use crate::controller::execute::fixture::{Kitchen, desired};
use crate::controller::stub_engine::identity;
use crate::plan::{HoldKind, Outcome};

#[test]
fn every_field_of_the_spec_reaches_the_request() {
    let kitchen = Kitchen::new(desired());
    let mut request = create_request(&kitchen.recipe(), &identity(), Slot::Replacement).unwrap();
    request.labels.remove(crate::plan::ownership::TAG);
    insta::assert_debug_snapshot!(request);
}

#[test]
fn labels_name_the_sandbox_and_prove_that_it_is_ours() {
    let kitchen = Kitchen::new(desired());
    let request = create_request(&kitchen.recipe(), &identity(), Slot::Main).unwrap();
    let owner = identity().owner("sbx-web", &request.labels);
    let crate::plan::ownership::Owner::Ours { sandbox, uid, slot, fingerprint } = owner else {
        panic!("not ours: {owner:?}");
    };
    assert_eq!((sandbox.as_str(), uid.as_str(), slot), ("web", "u-1", Slot::Main));
    assert_eq!(fingerprint, kitchen.fingerprint);
}

#[test]
fn secrets_reach_the_environment_and_no_debug_text() {
    let kitchen = Kitchen::new(desired());
    let request = create_request(&kitchen.recipe(), &identity(), Slot::Main).unwrap();
    let env: Vec<_> =
        request.env.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(env, [("MODE", "plain-text"), ("TOKEN", "hunter2")]);
    let text = format!("{request:?} {:?}", kitchen.recipe());
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn no_container_is_asked_for_without_its_secret() {
    let mut kitchen = Kitchen::new(desired());
    kitchen.secrets.clear();
    let error = create_request(&kitchen.recipe(), &identity(), Slot::Main).unwrap_err();
    assert_eq!(error.reason(), "SecretUnavailable");
    let message = "env TOKEN: /run/secrets/token was not read".to_owned();
    assert_eq!(error.to_string(), message);
    let kind = HoldKind::SecretUnavailable;
    assert_eq!(error.outcome(), Outcome::Failed { kind, message, terminal: false });
}

#[test]
fn no_container_is_asked_for_without_a_host_port() {
    let mut kitchen = Kitchen::new(desired());
    kitchen.ports.clear();
    let error = create_request(&kitchen.recipe(), &identity(), Slot::Main).unwrap_err();
    assert_eq!(error.reason(), "PortConflict");
}

#[test]
fn a_fixed_host_port_wins_over_an_allocated_one() {
    let mut desired = desired();
    desired.container.ports[0].host_port = Some(9000);
    let kitchen = Kitchen::new(desired);
    let request = create_request(&kitchen.recipe(), &identity(), Slot::Main).unwrap();
    assert_eq!(request.ports[0].host_port, 9000);
}
