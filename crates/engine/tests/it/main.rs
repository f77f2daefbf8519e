//! The engine over a real database and store, against registries that do as they are told.
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
