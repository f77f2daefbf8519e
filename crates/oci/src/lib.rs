//! The terms of the OCI specifications: names, tags, digests, manifests, and the small grammars of the distribution
//! API's paths and headers.
//!
//! Everything here parses and validates; nothing reads, writes or hashes content. What is specific to Longshore
//! (policies, mirrors, permissions) is in other crates.

pub mod challenge;
pub mod credentials;
pub mod descriptor;
pub mod digest;
pub mod digest_tag;
pub mod error;
pub mod link;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod path;
pub mod range;
pub mod reference;
pub mod scope;
pub mod tag;
mod text;
pub mod token_request;

pub use challenge::{Challenge, parse_challenges};
pub use credentials::Credentials;
pub use descriptor::{Descriptor, Platform, PlatformError};
pub use digest::{Algorithm, Digest, DigestError};
pub use digest_tag::DigestTag;
pub use error::{ErrorBody, ErrorCode, ErrorEntry};
pub use link::{Link, NextPage};
pub use manifest::{
    MAX_MANIFEST_BYTES, Manifest, ManifestError, ManifestKind, ManifestReference, ReferenceRole,
};
pub use name::{NameError, Namespace, RemoteName, RepositoryName};
pub use path::{Route, RouteError, UploadId};
pub use range::{ByteRange, ContentRange, RangeError, Span, Unsatisfiable};
pub use reference::{Reference, ReferenceError};
pub use scope::{Scope, ScopeAction, ScopeError};
pub use tag::{Tag, TagError};
pub use token_request::{TokenRequest, TooManyScopes};
