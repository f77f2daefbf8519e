//! Random work against a real server that dies in the middle of it, and what must be true afterwards.
//!
//! Clients push, move and delete tags, promote, and collect garbage; each keeps to tags of its own, so that what
//! a tag may be is known: what was last acknowledged, or what was asked for since. `kill` ends the server by
//! kill -9; `power` loses what was not synced, too. Both then hold the server against the same expectations. The
//! server's tests do a few rounds of it, `cargo xtask soak` does it for long.
//!
//! Its functions panic with what is missing.

mod check;
mod client;
mod expected;
mod kill;
pub mod power;
mod scene;

pub use kill::{KillOptions, kill_rounds};
