//! Tags and repositories that were overwritten or deleted and can be restored.

use jiff::Timestamp;
use longshore_model::TagRecord;
use longshore_model::repository::{DeletedRepository as ModelRepository, PurgePlan};
use longshore_model::tag::{DeletedTag as ModelTag, RestorePlan, TagChange as ModelChange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::repository::Repository;
use super::tag::RestorationOrigin;
use crate::extract::Wire;

/// A change of a tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagChange {
    /// The revision, which is the number of the change.
    revision: i64,
    /// The digest that the tag was set to; absent if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The time of the change.
    at: Timestamp,
    /// The author: a username, "promotion policy" or "pull mirror".
    author: String,
    /// The origin: `push`, `promotion`, `mirror` or `restored`; absent if the tag was deleted, or if the caller may not
    /// see the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<String>,
    /// The time until which the change can be restored; absent if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    restorable_until: Option<Timestamp>,
}

impl From<ModelChange> for TagChange {
    fn from(change: ModelChange) -> Self {
        let kind = |provenance| match serde_json::to_value(provenance) {
            Ok(value) => value["kind"].as_str().map(str::to_owned),
            Err(_) => None,
        };
        Self {
            revision: change.revision.0,
            digest: change.digest.map(|digest| digest.to_string()),
            at: change.at,
            author: change.author.to_string(),
            provenance: change.provenance.and_then(kind),
            restorable_until: change.until,
        }
    }
}

/// A deleted tag that can be restored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedTag {
    /// The name.
    name: String,
    /// The revision to restore.
    revision: i64,
    /// The digest that the tag pointed to.
    digest: String,
    /// The time of deletion.
    deleted_at: Timestamp,
    /// The user who deleted the tag.
    deleted_by: String,
    /// The time until which the tag can be restored.
    restorable_until: Timestamp,
}

impl From<ModelTag> for DeletedTag {
    fn from(tag: ModelTag) -> Self {
        Self {
            name: tag.name.to_string(),
            revision: tag.revision.0,
            digest: tag.digest.to_string(),
            deleted_at: tag.deleted_at,
            deleted_by: tag.deleted_by.to_string(),
            restorable_until: tag.until,
        }
    }
}

/// Selects a change of a tag.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangeQuery {
    /// The revision, from the history.
    pub(crate) revision: i64,
}

/// What restoring a tag would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestorationPlan {
    /// The revision to restore.
    revision: i64,
    /// The digest that the tag would point to.
    digest: String,
    /// The digest that the tag points to now; absent if it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    present_digest: Option<String>,
    /// Whether the tag would be pinned, so that its pull mirror does not change it.
    pins: bool,
    /// The policies and push mirrors that would act on the tag.
    policies: Vec<PolicyAhead>,
}

/// A policy that would act on a restored tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyAhead {
    /// The policy or push mirror.
    #[serde(rename = "policyID")]
    policy_id: Uuid,
    /// `promotion` or `push_mirror`.
    kind: &'static str,
    /// The destination.
    destination: String,
    /// The tag at the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_tag: Option<String>,
}

impl From<RestorePlan> for RestorationPlan {
    fn from(plan: RestorePlan) -> Self {
        let ahead = plan.policies.into_iter().map(|policy| PolicyAhead {
            policy_id: policy.policy.0,
            kind: policy.kind.as_str(),
            destination: policy.destination,
            target_tag: policy.target_tag.map(|tag| tag.to_string()),
        });
        Self {
            revision: plan.revision.0,
            digest: plan.digest.to_string(),
            present_digest: plan.present.map(|digest| digest.to_string()),
            pins: plan.pins,
            policies: ahead.collect(),
        }
    }
}

/// The change of a tag to restore.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRestoration {
    /// The revision, from the history.
    pub(crate) revision: i64,
    /// Whether policies act on the tag as if it had been pushed.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) run_policies: bool,
}

fn yes() -> bool {
    true
}

impl Wire for CreateRestoration {}

/// A restored tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restoration {
    /// The tag.
    tag: String,
    /// The digest that the tag points to again.
    digest: String,
    /// The revision of the restoration itself.
    revision: i64,
    /// The origin; absent if the tag already pointed to the digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    restoration: Option<RestorationOrigin>,
}

impl From<TagRecord> for Restoration {
    fn from(tag: TagRecord) -> Self {
        Self {
            tag: tag.name.to_string(),
            digest: tag.digest.to_string(),
            revision: tag.revision.0,
            restoration: RestorationOrigin::of(&tag.provenance),
        }
    }
}

/// A deleted repository that can be restored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedRepository {
    #[serde(flatten)]
    repository: Repository,
    /// The time of deletion.
    deleted_at: Timestamp,
    /// The user who deleted it.
    deleted_by: String,
    /// The time at which it is removed permanently.
    restorable_until: Timestamp,
    /// The number of tags.
    tags: u64,
    /// The number of bytes of its blobs, each counted once.
    size_bytes: u64,
}

impl From<ModelRepository> for DeletedRepository {
    fn from(deleted: ModelRepository) -> Self {
        Self {
            repository: deleted.repository.into(),
            deleted_at: deleted.deleted_at,
            deleted_by: deleted.deleted_by.to_string(),
            restorable_until: deleted.until,
            tags: deleted.tags,
            size_bytes: deleted.size_bytes,
        }
    }
}

/// A page of deleted repositories.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedRepositories {
    /// The repositories, last deleted first.
    pub(crate) deleted_repositories: Vec<DeletedRepository>,
}

/// A deleted repository, and what purging it would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Purge {
    #[serde(flatten)]
    deleted: DeletedRepository,
    /// The number of bytes that no other repository holds. Null if not computed, for example for a repository with more
    /// than 5,000 blobs and manifests.
    frees_bytes: Option<u64>,
    /// Other places that store some of the images.
    stored_elsewhere: Vec<Elsewhere>,
    /// The number of further images that are stored at other places, which are not listed here.
    stored_elsewhere_more: u64,
}

/// A place that stores images of a deleted repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Elsewhere {
    /// A repository of this server, or `host/repository` of another registry that the images were pushed to.
    place: String,
    /// Whether the place is another registry, which may have removed the images since.
    remote: bool,
    /// The digests of the images.
    digests: Vec<String>,
}

impl From<PurgePlan> for Purge {
    fn from(plan: PurgePlan) -> Self {
        let elsewhere = plan.elsewhere.into_iter().map(|place| Elsewhere {
            place: place.place,
            remote: place.remote,
            digests: place.digests.iter().map(ToString::to_string).collect(),
        });
        Self {
            deleted: plan.deleted.into(),
            frees_bytes: plan.frees,
            stored_elsewhere: elsewhere.collect(),
            stored_elsewhere_more: plan.more,
        }
    }
}
