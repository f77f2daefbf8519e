//! Tags, where they came from, and what may be done with one by hand.

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
    /// Its name.
    #[schema(example = "1.0-stable")]
    name: String,
    /// The manifest it points to.
    digest: String,
    /// Who changed it last: a user, "promotion policy", "pull mirror".
    author: String,
    /// When the name first appeared.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// Signed in a Notary (version 1); never.
    in_notary: bool,
    /// Whether Notary knows another digest; never.
    hash_mismatch: bool,
    /// The number of its last change, from one increasing sequence of the whole server.
    revision: i64,
    /// What it points to.
    manifest: Manifest,
    /// Where it was promoted from, when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion: Option<PromotionOrigin>,
    /// Where it was mirrored from, when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    mirroring: Option<MirroringOrigin>,
    /// What it was restored from, when a person brought it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    restoration: Option<RestorationOrigin>,
    /// What the policies and push mirrors of the repository said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answer>,
}

/// A manifest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// Its digest.
    digest: String,
    /// Its media type.
    media_type: String,
    /// What sort of artifact it is, where it is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// The operating system of its one platform.
    os: String,
    /// The architecture of its one platform, with the variant.
    architecture: String,
    /// All its platforms.
    platforms: Vec<String>,
    /// Bytes of the manifest and of all that it needs.
    size: u64,
    /// When it arrived under this name.
    created_at: Timestamp,
}

/// Where a promoted tag came from. What the actor may not see is absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromotionOrigin {
    /// The policy; none when a person promoted it by hand.
    #[serde(rename = "promotionPolicyID")]
    promotion_policy_id: Option<Uuid>,
    /// `namespace/name` of the source.
    source_repository: Option<String>,
    /// Its name there.
    source_tag: Option<String>,
    /// The manifest, the same on both sides.
    digest: String,
}

/// Where a mirrored tag came from. What the actor may not see is absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MirroringOrigin {
    /// The pull mirror.
    #[serde(rename = "mirroringPolicyID")]
    mirroring_policy_id: Uuid,
    /// The manifest, the same on both sides.
    digest: String,
    /// The registry's host.
    remote_host: Option<String>,
    /// The repository there.
    remote_repository: Option<String>,
    /// Its name there.
    remote_tag: Option<String>,
}

/// What a restored tag was restored from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestorationOrigin {
    /// The number of the change that was brought back.
    revision: i64,
    /// Whether policies were asked about it.
    run_policies: bool,
    /// Whether the pull mirror that had made it leaves it alone until it is released.
    pinned: bool,
}

impl RestorationOrigin {
    pub(crate) fn of(provenance: &Provenance) -> Option<Self> {
        let Provenance::Restored { revision, quietly, .. } = provenance else { return None };
        let pinned = provenance.pinned_from().is_some();
        Some(Self { revision: revision.0, run_policies: !quietly, pinned })
    }
}

/// What became of a tag under one policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The policy or push mirror.
    #[serde(rename = "policyID")]
    policy_id: Uuid,
    /// `promotion` or `push_mirror`.
    kind: &'static str,
    /// Where it leads.
    destination: String,
    /// How it ended: `done`, `running`, `not_matched`, `waiting`, `failed`, `superseded`,
    /// `not_evaluated`.
    result: String,
    /// One sentence about what followed.
    consequence: String,
    /// What was found, rule by rule.
    #[schema(value_type = Option<Object>)]
    verdict: Option<Verdict>,
    /// The name at the destination.
    target_tag: Option<String>,
    /// The job that did it or tries to.
    #[serde(rename = "jobID")]
    job_id: Option<Uuid>,
    /// When.
    at: Option<Timestamp>,
    /// Whether today's rules would let it through.
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

/// The word by which an enum of the model travels.
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

/// A tag in detail: one element per platform of an index, one for anything else.
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

/// Which tags a list holds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TagQuery {
    /// Part of the name.
    pub(crate) search: Option<String>,
}

/// Which platforms of a tag are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlatformQuery {
    /// One operating system alone.
    os: Option<String>,
    /// One architecture alone.
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

/// Where one tag shall be promoted to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePromotion {
    /// `namespace/name` of the target.
    #[serde(default)]
    #[schema(example = "qa/website")]
    pub(crate) target_repository: String,
    /// The name it shall get there.
    #[serde(default)]
    #[schema(example = "1.0")]
    pub(crate) target_tag: String,
}

impl Wire for CreatePromotion {}

/// A promotion that was done by hand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promotion {
    /// `namespace/name` of the source.
    pub(crate) source_repository: String,
    /// The name there.
    pub(crate) source_tag: String,
    /// `namespace/name` of the target.
    pub(crate) target_repository: String,
    /// The name it got.
    pub(crate) target_tag: String,
    /// The manifest.
    pub(crate) digest: String,
    /// When.
    pub(crate) promoted_at: Timestamp,
}

/// Where one tag shall be pushed to.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePushMirroring {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    /// The repository there.
    #[serde(default)]
    pub(crate) remote_repository: String,
    /// The name it shall get there; its own where it does not say.
    #[serde(default)]
    pub(crate) remote_tag: String,
}

impl Wire for CreatePushMirroring {}

/// A push of one tag that is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PushMirroring {
    /// The push mirror; none for a push by hand.
    #[serde(rename = "mirroringPolicyID")]
    mirroring_policy_id: Option<Uuid>,
    /// The manifest.
    digest: String,
    /// The repository there.
    remote_repository: String,
    /// The name it will get there.
    remote_tag: String,
    /// The job that does it.
    #[serde(rename = "jobID")]
    job_id: Uuid,
}

impl PushMirroring {
    /// None for a job that pushes nothing.
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
