//! The use cases over a real database and store, with small scripted registries on this machine.

#![allow(clippy::unwrap_used)]

mod accounts;
mod events;
mod jobs;
mod mirrors;
mod pauses;
mod promotions;
mod registry;
mod remotes;
mod scene;
mod tags;
mod undo;
mod versions;
mod visibility;
mod walk;
