//! Black-box tests: the real binary, real clients, real registries.

#![allow(clippy::disallowed_types, reason = "tests ask the server under test, as its clients do")]

mod backup;
mod bad_input;
mod changes;
mod clients;
mod config;
mod crash;
mod credentials;
mod docker;
mod events;
mod example;
mod functions;
mod garbage;
mod hostile;
mod limits;
mod lists;
mod logs;
mod metrics;
mod migrate;
mod mirrors;
mod names;
mod orders;
mod pages;
mod pauses;
mod reach;
mod rest_walk;
mod scrub;
mod servers;
mod soak;
mod stopping;
mod storage;
mod support;
mod tls;
mod web;
mod whole;
mod wire;
