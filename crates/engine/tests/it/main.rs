//! The engine with a real database and storage, against scripted registries.
#![allow(clippy::unwrap_used)]

mod back_off;
mod changing;
mod embedded;
mod faults;
mod following;
mod foreign_layers;
mod jobs;
mod pauses;
mod promotions;
mod pulling;
mod pushing;
mod refusals;
mod resuming;
mod scrubbing;
mod stalls;
mod support;
