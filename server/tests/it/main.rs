//! Black-box tests: the real binary, real clients, real registries.

mod bad_input;
mod clients;
mod config;
mod crash;
mod example;
mod garbage;
mod migrate;
mod mirrors;
mod orders;
mod rest_walk;
mod scrub;
mod servers;
mod soak;
mod storage;
mod support;
mod wire;
