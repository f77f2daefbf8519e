//! Random work on a real server that is interrupted, and what must be true afterwards.
//!
//! Clients push, move and delete tags, promote, and collect garbage. Each client has tags of its own, so that the
//! possible states of a tag are known: the last acknowledged one, or those requested since. `kill` ends the server by
//! kill -9; `power` also loses what was not synced. Both then compare the server with the same expectations. The
//! tests of the server do a few rounds, `cargo xtask soak` many.
//!
//! The functions panic if anything is missing.

mod check;
mod client;
mod expected;
mod kill;
pub mod power;
mod scene;

pub use kill::{KillOptions, kill_rounds};
