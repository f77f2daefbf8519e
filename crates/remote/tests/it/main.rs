//! The client against small servers that behave as registries in the wild do, well or badly.
#![allow(clippy::unwrap_used)]

mod auth;
mod blobs;
mod connect;
mod fake;
mod lists;
mod manifests;
mod reach;
mod real;
mod referrers;
mod tls;
mod tokens;
mod uploads;
