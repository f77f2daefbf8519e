//! Storage of namespaces, and their quotas.

use longshore_model::repository::NamespaceStorage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::Wire;

/// The storage that the repositories of a namespace use together, each blob and each manifest counted once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Storage {
    /// The namespace.
    #[schema(example = "dev")]
    namespace: String,
    /// The number of bytes of all blobs and manifests, which the quota limits.
    used_bytes: u64,
    /// The number of bytes that no other namespace holds. Null if not computed, for example for a namespace with more
    /// than 5,000 blobs and manifests.
    unique_bytes: Option<u64>,
    /// The number of bytes that other namespaces hold too. Null if not computed, for example for a namespace with more
    /// than 5,000 blobs and manifests.
    shared_bytes: Option<u64>,
    /// The number of bytes that only deleted repositories hold; purging them frees it. Null if not computed, for
    /// example if they hold more than 5,000 blobs and manifests.
    deleted_bytes: Option<u64>,
    /// The quota in bytes; null if unlimited.
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

/// The quota of a namespace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quota {
    /// The quota in bytes; null or omitted for unlimited.
    #[schema(example = 10_000_000_000_u64)]
    pub(crate) quota_bytes: Option<u64>,
}

impl Wire for Quota {}
