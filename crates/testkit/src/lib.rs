//! Test support shared by the integration tests and benchmarks; never part of the server. It makes images,
//! starts real processes (Longshore itself, Debian's `docker-registry`) and drives real clients (skopeo,
//! buildah), and has a small registry client of its own, so that nothing of Longshore is checked by itself.
//!
//! Its functions panic with what went wrong: to a test every failure of the scenery is a failure.

mod ca;
pub mod corpus;
mod docker_registry;
mod eventually;
mod layout;
mod longshore;
mod process;
mod registry_client;
mod rest;
pub mod soak;
mod tools;

pub use ca::{Issued, TestCa};
pub use corpus::{Package, StoredManifest};
pub use docker_registry::{DockerRegistry, DockerRegistryBuilder, Request};
pub use eventually::{Sighting, eventually};
pub use layout::write_oci_layout;
pub use longshore::{ADMIN_PASSWORD, Longshore, LongshoreBuilder};
pub use registry_client::{Answer, RegistryClient};
pub use rest::{Rest, RestAnswer};
pub use tools::{Buildah, Skopeo};
