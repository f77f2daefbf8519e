//! What namespaces hold, and how much they may.

use longshore_model::repository::NamespaceStorage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::Wire;

/// What the repositories of a namespace hold together, each blob and each manifest counted once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Storage {
    /// The namespace.
    #[schema(example = "dev")]
    namespace: String,
    /// Bytes of all blobs and manifests; what the quota is about.
    used_bytes: u64,
    /// How much of that no other namespace holds; null where it is not worked out, as in a namespace with more than
    /// 5,000 blobs and manifests.
    unique_bytes: Option<u64>,
    /// How much of that other namespaces hold as well; null where it is not worked out, as in a namespace with more
    /// than 5,000 blobs and manifests.
    shared_bytes: Option<u64>,
    /// How much of that only deleted repositories hold; purging them frees it. Null where it is not worked out, as where
    /// these hold more than 5,000 blobs and manifests.
    deleted_bytes: Option<u64>,
    /// The most that the namespace may hold; null where there is no limit.
    quota_bytes: Option<u64>,
}

impl From<NamespaceStorage> for Storage {
    fn from(held: NamespaceStorage) -> Self {
        Self {
            namespace: held.namespace.to_string(),
            used_bytes: held.storage.total,
            unique_bytes: held.storage.unique,
            shared_bytes: held.storage.shared(),
            deleted_bytes: held.deleted,
            quota_bytes: held.quota,
        }
    }
}

/// How much a namespace may hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quota {
    /// The most bytes; null or absent where there shall be no limit.
    #[schema(example = 10_000_000_000_u64)]
    pub(crate) quota_bytes: Option<u64>,
}

impl Wire for Quota {}
