//! Fast integration tests: the library from outside, without an engine; the documents and the source tree.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod architecture;
mod examples;
mod hostile;
mod manifests;
mod matrix;
mod readme;
mod repository;
mod seeded;
mod tidy;
mod yaml;
