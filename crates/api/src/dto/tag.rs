//! Tags, their origins, and promoting or pushing one by hand.

use jiff::Timestamp;
use longshore_model::job::{Concerns, Job};
use longshore_model::tag::{PolicyAnswer as ModelAnswer, TagDetail, TagSummary};
use longshore_model::{Provenance, TagRecord};
use longshore_oci::Descriptor;
use longshore_policy::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::remote::Connection;
use crate::extract::Wire;

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tag {
    /// The name.
    #[schema(example = "1.0-stable")]
    name: String,
    /// The digest of the manifest that the tag points to.
    digest: String,
    /// The author of the last change: a username, "promotion policy" or "pull mirror".
    author: String,
    /// The time at which the tag was first set.
    created_at: Timestamp,
    /// The time of the last change.
    updated_at: Timestamp,
    /// Whether the tag is signed in Notary v1; always false.
    in_notary: bool,
    /// Whether Notary has another digest; always false.
    hash_mismatch: bool,
    /// The revision: the number of the last change, from one increasing sequence of the server.
    revision: i64,
    /// The manifest that the tag points to.
    manifest: Manifest,
    /// The origin of a promoted tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion: Option<PromotionOrigin>,
    /// The origin of a mirrored tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    mirroring: Option<MirroringOrigin>,
    /// The origin of a restored tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    restoration: Option<RestorationOrigin>,
    /// The results of the policies and push mirrors of the repository for this tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answer>,
}

/// A manifest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// The digest.
    digest: String,
    /// The media type.
    media_type: String,
    /// The artifact type, if the manifest is not an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// The operating system, if there is only one platform.
    os: String,
    /// The architecture with its variant, if there is only one platform.
    architecture: String,
    /// All platforms.
    platforms: Vec<String>,
    /// The number of bytes of the manifest and everything that it references.
    size: u64,
    /// The time at which the tag was pointed to this manifest.
    created_at: Timestamp,
}

/// The origin of a promoted tag. Fields that the caller may not see are absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromotionOrigin {
    /// The policy; null for a promotion by hand.
    #[serde(rename = "promotionPolicyID")]
    promotion_policy_id: Option<Uuid>,
    /// The source repository, as `namespace/name`.
    source_repository: Option<String>,
    /// The source tag.
    source_tag: Option<String>,
    /// The digest of the manifest, the same on both sides.
    digest: String,
}

/// The origin of a mirrored tag. Fields that the caller may not see are absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MirroringOrigin {
    /// The pull mirror.
    #[serde(rename = "mirroringPolicyID")]
    mirroring_policy_id: Uuid,
    /// The digest of the manifest, the same on both sides.
    digest: String,
    /// The host of the registry.
    remote_host: Option<String>,
    /// The repository in that registry.
    remote_repository: Option<String>,
    /// The tag in that repository.
    remote_tag: Option<String>,
}

/// The origin of a restored tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestorationOrigin {
    /// The revision that was restored.
    revision: i64,
    /// Whether policies were evaluated for the restored tag.
    run_policies: bool,
    /// Whether the tag is pinned, so that its pull mirror does not change it until it is released.
    pinned: bool,
}

impl RestorationOrigin {
    pub(crate) fn of(provenance: &Provenance) -> Option<Self> {
        let Provenance::Restored { revision, quietly, .. } = provenance else { return None };
        let pinned = provenance.pinned_from().is_some();
        Some(Self { revision: revision.0, run_policies: !quietly, pinned })
    }
}

/// The result of one policy for a tag.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The policy or push mirror.
    #[serde(rename = "policyID")]
    policy_id: Uuid,
    /// `promotion` or `push_mirror`.
    kind: &'static str,
    /// The destination.
    destination: String,
    /// The result: `done`, `running`, `not_matched`, `waiting`, `failed`, `superseded` or `not_evaluated`.
    result: String,
    /// What followed, in one sentence.
    consequence: String,
    /// The verdict, with a reason for each rule.
    #[schema(value_type = Option<Object>)]
    verdict: Option<Verdict>,
    /// The tag at the destination.
    target_tag: Option<String>,
    /// The job that delivers the tag.
    #[serde(rename = "jobID")]
    job_id: Option<Uuid>,
    /// The time of the result.
    at: Option<Timestamp>,
    /// Whether the tag would match the current rules.
    would_qualify_today: Option<bool>,
}

impl From<ModelAnswer> for Answer {
    fn from(answer: ModelAnswer) -> Self {
        Self {
            policy_id: answer.policy.0,
            kind: answer.kind.as_str(),
            destination: answer.destination,
            result: word(answer.result),
            consequence: answer.consequence,
            verdict: answer.verdict,
            target_tag: answer.target_tag.map(|tag| tag.to_string()),
            job_id: answer.job.map(|job| job.0),
            at: answer.at,
            would_qualify_today: answer.would_qualify_today,
        }
    }
}

/// The serialised name of an enum variant of the model.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl Manifest {
    fn of(summary: &TagSummary) -> Self {
        let only = match summary.platforms.as_slice() {
            [only] => only.split_once('/').unwrap_or((only, "")),
            _ => ("", ""),
        };
        Self {
            digest: summary.tag.digest.to_string(),
            media_type: summary.media_type.clone(),
            artifact_type: summary.artifact_type.clone(),
            os: only.0.to_owned(),
            architecture: only.1.to_owned(),
            platforms: summary.platforms.clone(),
            size: summary.size_bytes,
            created_at: summary.tag.updated_at,
        }
    }

    fn of_child(child: &Descriptor, at: Timestamp) -> Self {
        let platform = child.platform.as_ref().map(ToString::to_string).unwrap_or_default();
        let (os, architecture) = platform.split_once('/').unwrap_or((&platform, ""));
        Self {
            digest: child.digest.to_string(),
            media_type: child.media_type.clone(),
            artifact_type: child.artifact_type.clone(),
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            platforms: if platform.is_empty() { Vec::new() } else { vec![platform.clone()] },
            size: child.size,
            created_at: at,
        }
    }
}

impl From<TagSummary> for Tag {
    fn from(summary: TagSummary) -> Self {
        let manifest = Manifest::of(&summary);
        let TagSummary { tag, source_visible, .. } = summary;
        let (promotion, mirroring) = origin(&tag, source_visible);
        let restoration = RestorationOrigin::of(&tag.provenance);
        Self {
            name: tag.name.to_string(),
            digest: tag.digest.to_string(),
            author: tag.author.to_string(),
            created_at: tag.created_at,
            updated_at: tag.updated_at,
            in_notary: false,
            hash_mismatch: false,
            revision: tag.revision.0,
            manifest,
            promotion,
            mirroring,
            restoration,
            answers: Vec::new(),
        }
    }
}

fn origin(tag: &TagRecord, visible: bool) -> (Option<PromotionOrigin>, Option<MirroringOrigin>) {
    let digest = tag.digest.to_string();
    match &tag.provenance {
        Provenance::Push | Provenance::Restored { .. } => (None, None),
        Provenance::Promotion { policy, source_repository, source_tag, .. } => {
            let origin = PromotionOrigin {
                promotion_policy_id: policy.map(|policy| policy.0),
                source_repository: visible.then(|| source_repository.to_string()),
                source_tag: visible.then(|| source_tag.to_string()),
                digest,
            };
            (Some(origin), None)
        }
        Provenance::Mirror { policy, remote_host, remote_repository, remote_tag, .. } => {
            let origin = MirroringOrigin {
                mirroring_policy_id: policy.0,
                digest,
                remote_host: visible.then(|| remote_host.clone()),
                remote_repository: visible.then(|| remote_repository.to_string()),
                remote_tag: visible.then(|| remote_tag.to_string()),
            };
            (None, Some(origin))
        }
    }
}

/// The details of a tag: one element per platform of an index, otherwise a single one.
pub(crate) fn details(detail: TagDetail) -> Vec<Tag> {
    let at = detail.summary.tag.updated_at;
    let one = |manifest: Option<Manifest>| {
        let mut tag = Tag::from(detail.summary.clone());
        tag.answers = detail.answers.iter().cloned().map(Answer::from).collect();
        if let Some(manifest) = manifest {
            tag.manifest = manifest;
        }
        tag
    };
    let platforms = detail.children.iter().filter(|child| !child.is_attestation_like());
    let elements: Vec<Tag> = platforms.map(|child| one(Some(Manifest::of_child(child, at)))).collect();
    if elements.is_empty() { vec![one(None)] } else { elements }
}

/// A filter for the list of tags.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TagQuery {
    /// Part of the name.
    pub(crate) search: Option<String>,
}

/// A filter for the platforms of a tag.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlatformQuery {
    /// The operating system.
    os: Option<String>,
    /// The architecture.
    arch: Option<String>,
}

impl PlatformQuery {
    pub(crate) fn keeps(&self, tag: &Tag) -> bool {
        let same = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == is)
        };
        same(&self.os, &tag.manifest.os) && same(&self.arch, &tag.manifest.architecture)
    }
}

/// The target of a promotion by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePromotion {
    /// The target repository, as `namespace/name`.
    #[serde(default)]
    #[schema(example = "qa/website")]
    pub(crate) target_repository: String,
    /// The target tag.
    #[serde(default)]
    #[schema(example = "1.0")]
    pub(crate) target_tag: String,
}

impl Wire for CreatePromotion {}

/// A promotion by hand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promotion {
    /// The source repository, as `namespace/name`.
    pub(crate) source_repository: String,
    /// The source tag.
    pub(crate) source_tag: String,
    /// The target repository, as `namespace/name`.
    pub(crate) target_repository: String,
    /// The target tag.
    pub(crate) target_tag: String,
    /// The digest of the manifest.
    pub(crate) digest: String,
    /// The time of the promotion.
    pub(crate) promoted_at: Timestamp,
}

/// The destination of a push by hand.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePushMirroring {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    /// The repository in that registry.
    #[serde(default)]
    pub(crate) remote_repository: String,
    /// The remote tag; the same name if empty or omitted.
    #[serde(default)]
    pub(crate) remote_tag: String,
}

impl Wire for CreatePushMirroring {}

/// A push of one tag that was queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PushMirroring {
    /// The push mirror; null for a push by hand.
    #[serde(rename = "mirroringPolicyID")]
    mirroring_policy_id: Option<Uuid>,
    /// The digest of the manifest.
    digest: String,
    /// The repository in that registry.
    remote_repository: String,
    /// The remote tag.
    remote_tag: String,
    /// The job that pushes the tag.
    #[serde(rename = "jobID")]
    job_id: Uuid,
}

impl PushMirroring {
    /// `None` for a job that pushes nothing.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        let Concerns { manifest: Some(digest), transfer: Some(transfer), .. } = job.parameters.concerns()
        else {
            return None;
        };
        Some(Self {
            mirroring_policy_id: job.policy.map(|policy| policy.0),
            digest: digest.to_string(),
            remote_repository: transfer.repository.to_string(),
            remote_tag: transfer.tag.map(ToString::to_string).unwrap_or_default(),
            job_id: job.id.0,
        })
    }
}
