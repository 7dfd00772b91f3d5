//! Every decision about a sandbox, as plain functions of plain values: no I/O, no clock, no log.
//!
//! [`admit()`] turns what a user wrote into a [`Desired`], if the [`policy`] allows it; [`plan`] compares it with what was
//! [`Observed`] and returns the steps that close the gap, each with its cause; [`conditions`] says
//! what a user should be told. Time is an argument.

pub mod conditions;
pub mod decide;
pub mod desired;
pub mod fingerprint;
pub mod ids;
pub mod memory;
pub mod observed;
pub mod outcome;
pub mod ownership;
pub mod policy;
pub mod restart;
mod roles;
pub mod step;
pub mod validate;

#[cfg(test)]
pub(crate) mod testing;

pub use decide::{Hold, HoldKind, Inputs, Plan, Wanted, Wish, plan};
pub use desired::*;
pub use fingerprint::{Fingerprint, SpecHash};
pub use ids::{IdMapping, Ids};
pub use memory::{Adopted, Failure, Finished, Memory, Rejected, Restarts};
pub use observed::*;
pub use outcome::Outcome;
pub use policy::Policy;
pub use step::{Cause, PlannedStep, Slot, Step};
pub use validate::{Settings, admit, validate};
