//! The whole distribution API over a real database and a real folder, without a socket.
#![allow(clippy::unwrap_used)]

mod blobs;
mod connections;
mod fixture;
mod formats;
mod limits;
mod lists;
mod manifests;
mod mounts;
mod names;
mod races;
mod rights;
mod tokens;
mod uploads;
