//! The whole daemon, wired as it always is, on the fake engine: real spec files in, mutating engine calls
//! and published status out. Each case asserts the world that results and what was asked of the engine on
//! the way, so that nothing is doubled and nothing needless. Time is real; nothing asserts how long.

mod conflicts;
mod crashes;
mod creation;
mod fixed_names;
mod health;
mod histories;
mod images;
mod isolation;
mod lifetime;
mod link;
mod lost_state;
mod once;
mod outages;
mod policy;
mod replacement;
mod scale;
mod users;
mod withdrawal;
mod world;
