//! Content over a real database, a real folder and a real S3 server.
#![allow(clippy::unwrap_used)]

mod blobs;
mod durability;
mod fixture;
mod garbage;
mod label;
mod manifests;
mod quota;
mod s3;
mod scrub;
mod stores;
mod undo;
mod uploads;
