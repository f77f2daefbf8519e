//! Support for integration tests and benchmarks; never part of the server. It generates images, starts real servers
//! (Longshore itself, Debian's `docker-registry` and PostgreSQL, an S3 server) and runs real clients (skopeo,
//! buildah, podman, docker). It also has a small registry client of its own, so that no part of Longshore checks
//! itself.
//!
//! Its functions panic on failure: if the test environment fails, so does the test.

#![allow(clippy::disallowed_types, reason = "it calls the servers that it starts, as their clients do")]

mod ca;
pub mod corpus;
mod docker_registry;
mod eventually;
mod gate;
mod layout;
mod longshore;
#[expect(clippy::unwrap_used, reason = "a failure of the environment is a failure of the test")]
pub mod postgres;
mod process;
mod registry_client;
mod rest;
#[expect(clippy::unwrap_used, reason = "a failure of the environment is a failure of the test")]
pub mod s3_server;
pub mod scripted;
mod site;
mod tools;

pub use ca::{Issued, TestCa};
pub use corpus::{Package, StoredManifest};
pub use docker_registry::{DockerRegistry, DockerRegistryBuilder, Request};
pub use eventually::{Sighting, eventually};
pub use gate::Gate;
pub use layout::{write_docker_archive, write_oci_layout};
pub use longshore::{ADMIN_PASSWORD, Longshore, LongshoreBuilder};
pub use registry_client::{Answer, RegistryClient};
pub use rest::{Rest, RestAnswer};
pub use s3_server::S3Server;
pub use scripted::ScriptedRegistry;
pub use site::{Site, SiteAnswer};
pub use tools::{Buildah, Docker, Podman, Skopeo};
