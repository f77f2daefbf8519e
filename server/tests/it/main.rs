//! Black-box tests: the real binary, real clients, real registries.

mod backup;
mod bad_input;
mod clients;
mod config;
mod crash;
mod credentials;
mod docker;
mod events;
mod example;
mod garbage;
mod limits;
mod metrics;
mod migrate;
mod mirrors;
mod orders;
mod pages;
mod pauses;
mod rest_walk;
mod scrub;
mod servers;
mod soak;
mod stopping;
mod storage;
mod support;
mod tls;
mod wire;
