//! What was overwritten or deleted and can be restored.

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

/// One change of a tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagChange {
    /// Its number.
    revision: i64,
    /// The manifest the tag was set to; absent where it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// When.
    at: Timestamp,
    /// Who did it: a user, "promotion policy", "pull mirror".
    author: String,
    /// How it came: `push`, `promotion`, `mirror`, `restored`; absent where it was deleted, or where the
    /// actor may not see the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<String>,
    /// Until when it can be restored; absent where it cannot.
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

/// A tag that was deleted and can be restored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedTag {
    /// Its name.
    name: String,
    /// The number of the change to restore.
    revision: i64,
    /// The manifest it pointed to.
    digest: String,
    /// When it was deleted.
    deleted_at: Timestamp,
    /// By whom.
    deleted_by: String,
    /// Until when it can be restored.
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

/// Which change of a tag.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangeQuery {
    /// Its number, as the history tells it.
    pub(crate) revision: i64,
}

/// What restoring a tag would mean.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestorationPlan {
    /// The number of the change.
    revision: i64,
    /// The manifest the tag would point to.
    digest: String,
    /// The manifest it points to now; absent where it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    present_digest: Option<String>,
    /// Whether it would be pinned, so that the pull mirror that had made it leaves it alone.
    pins: bool,
    /// The policies and push mirrors that would act on it.
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
    /// Where it leads.
    destination: String,
    /// The name the tag would get there.
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

/// The change of a tag that shall be restored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRestoration {
    /// Its number, as the history tells it.
    pub(crate) revision: i64,
    /// Whether policies shall act on the tag as on any that was pushed.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) run_policies: bool,
}

fn yes() -> bool {
    true
}

impl Wire for CreateRestoration {}

/// A tag that was restored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restoration {
    /// The tag.
    tag: String,
    /// The manifest it points to again.
    digest: String,
    /// The number of this very change.
    revision: i64,
    /// What it was restored from; absent where it pointed there already.
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

/// A repository that was deleted and can be restored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedRepository {
    #[serde(flatten)]
    repository: Repository,
    /// When it was deleted.
    deleted_at: Timestamp,
    /// By whom.
    deleted_by: String,
    /// When it is removed for good.
    restorable_until: Timestamp,
    /// How many tags it had.
    tags: u64,
    /// Bytes of the blobs it holds, each counted once.
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

/// A deleted repository, and what its purge means.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Purge {
    #[serde(flatten)]
    deleted: DeletedRepository,
    /// Bytes that no other repository holds; null where it is not worked out, as of a repository with more than 5,000
    /// blobs and manifests.
    frees_bytes: Option<u64>,
    /// Where some of its images are stored as well.
    stored_elsewhere: Vec<Elsewhere>,
    /// How many more images are stored at other places, which are not named here.
    stored_elsewhere_more: u64,
}

/// A place that has images of a deleted repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Elsewhere {
    /// A repository of this server, or `host/repository` of another registry that they were sent to.
    place: String,
    /// Whether it is another registry, which may have removed them since.
    remote: bool,
    /// The images.
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
