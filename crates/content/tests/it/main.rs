//! Content over a real database and a real folder.
#![allow(clippy::unwrap_used)]

mod blobs;
mod durability;
mod fixture;
mod garbage;
mod manifests;
mod uploads;
