//! The client for other registries, the only room that speaks to them.
//!
//! It knows the distribution API, its token services and the oddities of registries in the wild;
//! what is fetched, pushed or retried, and when, is decided by those who call it.

mod address;
mod answer;
mod auth;
mod authorities;
mod blobs;
mod budget;
mod client;
mod connect;
#[expect(clippy::disallowed_types, reason = "this is what everything else uses instead")]
mod connector;
mod encoding;
mod endpoint;
mod error;
mod failure;
mod gate;
mod hash;
mod identify;
mod learned;
mod manifests;
mod network;
mod presence;
mod referrers;
mod resolve;
mod tags;
mod text;
#[expect(clippy::disallowed_types, reason = "the connector's clients are made here")]
mod tls;
mod token;
mod transport;
mod uploads;

pub use authorities::{Authorities, CaError};
pub use blobs::BlobStream;
pub use budget::{Allowance, Budget, OverBudget};
pub use client::{Ping, Registry};
pub use connect::connect;
pub use encoding::ContentEncoding;
pub use endpoint::{Clock, Credentials, Endpoint, Patience, UrlError};
pub use error::{Error, Refusal};
pub use failure::{CertificateProblem, Failure};
pub use gate::{Closure, Gate, Standing};
pub use manifests::{FetchedManifest, ManifestHead, PutOutcome};
pub use network::{AddressRefused, NetworkPolicy, Objection, PrivateRemotes, Why};
pub use presence::Presence;
pub use referrers::{Referrers, ReferrersWarning, ReferrersWays, Skipped};
pub use tags::{Incomplete, Listing, OddNames};
pub use tls::ensure_provider;
pub use uploads::{Mount, Source, SourceError, SourceStream, Upload};
