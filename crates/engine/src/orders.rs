//! The jobs this engine understands, written out: each kind is made in one place alone, so that its serial
//! key (two jobs with one key never run at once) is the same whoever asks for it.

use longshore_metadata::jobs::NewJob;
use longshore_model::{
    Author, JobId, Lineage, PolicyId, PolicyKind, Remote, RemoteId, Repository, RepositoryId, Revision,
    TagRecord, Timestamp,
    job::{Action, Cause, Parameters},
    stored::{Job, PullMirror, PushMirror},
};
use longshore_oci::{Digest, RemoteName, Tag};

/// How often a transfer is begun again after an error that may pass.
pub const TRANSFER_RETRIES: u32 = 6;
/// How often an evaluation is begun again; only a database in trouble makes it fail.
const EVALUATION_RETRIES: u32 = 10;

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The connection.
    pub remote: RemoteId,
    /// Its host, for showing.
    pub host: String,
    /// The repository there.
    pub repository: RemoteName,
}

impl Destination {
    /// Where a push mirror leads.
    #[must_use]
    pub fn of(mirror: &PushMirror) -> Self {
        Self {
            remote: mirror.remote,
            host: mirror.remote_host.clone(),
            repository: mirror.remote_repository.clone(),
        }
    }

    /// A repository at a saved connection.
    #[must_use]
    pub fn at(remote: &Remote, repository: RemoteName) -> Self {
        Self { remote: remote.id, host: remote.host().to_owned(), repository }
    }
}

/// What is copied to another registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The push mirror; none when a person asked for this one copy.
    pub policy: Option<PolicyId>,
    /// The version of its rules by which this was decided.
    pub rules_version: Option<i64>,
    /// The tag here; a referrer without a tag has none.
    pub tag: Option<Tag>,
    /// The manifest.
    pub digest: Digest,
    /// The change of the tag here.
    pub revision: Revision,
    /// The name there, rendered once (semantics 2).
    pub target_tag: Option<Tag>,
    /// Policies passed, the one that sends included.
    pub lineage: Lineage,
    /// Whether a tag there that Longshore did not set may be moved (semantics 4).
    pub overwrite: bool,
    /// Whether referrers go along (semantics 7).
    pub referrers: bool,
}

impl Shipment {
    /// What a push mirror sends of a tag.
    #[must_use]
    pub fn of(mirror: &PushMirror, tag: &TagRecord, target_tag: Tag) -> Self {
        Self {
            policy: Some(mirror.common.id),
            rules_version: Some(mirror.common.rules_version),
            tag: Some(tag.name.clone()),
            digest: tag.digest.clone(),
            revision: tag.revision,
            target_tag: Some(target_tag),
            lineage: tag.lineage.with(mirror.common.id),
            overwrite: mirror.overwrite,
            referrers: mirror.common.referrers,
        }
    }

    /// What a person sends of a tag, under the name they gave it there.
    #[must_use]
    pub fn by_hand(tag: &TagRecord, target_tag: Tag) -> Self {
        Self {
            policy: None,
            rules_version: None,
            tag: Some(tag.name.clone()),
            digest: tag.digest.clone(),
            revision: tag.revision,
            target_tag: Some(target_tag),
            lineage: tag.lineage.clone(),
            overwrite: true,
            referrers: true,
        }
    }
}

/// The job that copies `shipment` from `source` to `destination`.
#[must_use]
pub fn push(
    source: &Repository,
    shipment: Shipment,
    destination: &Destination,
    cause: Cause,
    now: Timestamp,
) -> NewJob {
    let policy = shipment.policy;
    let parameters = Parameters::PushTag {
        policy,
        rules_version: shipment.rules_version,
        repository: source.id,
        repository_name: source.name.clone(),
        tag: shipment.tag,
        digest: shipment.digest,
        revision: shipment.revision,
        remote: destination.remote,
        remote_host: destination.host.clone(),
        remote_repository: destination.repository.clone(),
        target_tag: shipment.target_tag,
        lineage: shipment.lineage,
        overwrite: shipment.overwrite,
        referrers: shipment.referrers,
    };
    NewJob { policy, repository: Some(source.id), ..order(Action::PushMirrorTag, parameters, cause, now) }
}

/// The job that polls `mirror` once.
#[must_use]
pub fn poll(mirror: &PullMirror, cause: Cause, parent: Option<JobId>, now: Timestamp) -> NewJob {
    let parameters = Parameters::Poll {
        policy: mirror.common.id,
        remote: Some(mirror.remote),
        repository_name: mirror.repository_name.clone(),
        remote_host: mirror.remote_host.clone(),
        remote_repository: mirror.remote_repository.clone(),
    };
    NewJob {
        policy: Some(mirror.common.id),
        repository: Some(mirror.repository),
        parent,
        ..order(Action::PollMirror, parameters, cause, now)
    }
}

/// The parent of several polls; it ends when its children have (semantics 19).
#[must_use]
pub fn poll_all(author: Author, now: Timestamp) -> NewJob {
    order(Action::PollMirror, Parameters::PollAll, Cause::Asked { author }, now)
}

/// Removes what nothing needs any more, or only tells what that would be.
#[must_use]
pub fn collect_garbage(dry_run: bool, cause: Cause, now: Timestamp) -> NewJob {
    order(Action::GarbageCollect, Parameters::CollectGarbage { dry_run }, cause, now)
}

/// Reads and verifies everything that is stored.
#[must_use]
pub fn scrub(cause: Cause, now: Timestamp) -> NewJob {
    order(Action::Scrub, Parameters::Scrub, cause, now)
}

/// *Save & Apply* of a promotion policy or push mirror: ask it about all present tags of `repository`.
#[must_use]
pub fn apply(
    policy: PolicyId,
    kind: PolicyKind,
    repository: RepositoryId,
    author: Author,
    now: Timestamp,
) -> NewJob {
    let parameters = Parameters::ApplyPolicy { policy, kind, after: Revision(0) };
    NewJob {
        policy: Some(policy),
        repository: Some(repository),
        ..order(Action::Evaluate, parameters, Cause::Asked { author }, now)
    }
}

/// The same work once more, because a person asked for it. Nothing that was rendered is rendered again.
#[must_use]
pub fn retry(job: &Job, author: Author, now: Timestamp) -> NewJob {
    NewJob {
        policy: job.policy,
        repository: job.repository,
        retry_of: Some(job.id),
        ..order(job.action, job.parameters.clone(), Cause::Asked { author }, now)
    }
}

/// Brings a referrer that arrived late wherever its subject went.
pub(crate) fn follow(
    repository: RepositoryId,
    referrer: Digest,
    subject: Digest,
    tag: Option<Tag>,
    author: Author,
    now: Timestamp,
) -> NewJob {
    let parameters = Parameters::FollowSubject { repository, referrer, subject, tag };
    NewJob {
        repository: Some(repository),
        ..order(Action::Evaluate, parameters, Cause::TagChanged { author }, now)
    }
}

fn order(action: Action, parameters: Parameters, cause: Cause, now: Timestamp) -> NewJob {
    NewJob {
        action,
        serial_key: serial_key(&parameters),
        parameters,
        cause,
        policy: None,
        repository: None,
        parent: None,
        retry_of: None,
        scheduled_at: now,
        retries: match action {
            Action::Evaluate => EVALUATION_RETRIES,
            Action::PushMirrorTag | Action::PollMirror | Action::GarbageCollect | Action::Scrub => {
                TRANSFER_RETRIES
            }
        },
    }
}

/// Work on one name at one destination is serial (semantics 1), and so is the work of one mirror.
fn serial_key(parameters: &Parameters) -> Option<String> {
    match parameters {
        Parameters::EvaluateTag { .. } | Parameters::FollowSubject { .. } | Parameters::PollAll => None,
        Parameters::CollectGarbage { .. } => Some("garbage".to_owned()),
        Parameters::Scrub => Some("scrub".to_owned()),
        Parameters::ApplyPolicy { policy, .. } => Some(format!("apply/{policy}")),
        Parameters::Poll { policy, .. } => Some(format!("poll/{policy}")),
        Parameters::PushTag { remote_host, remote_repository, target_tag: Some(tag), .. } => {
            Some(format!("push/{remote_host}/{remote_repository}:{tag}"))
        }
        // A referrer without a tag goes by its digest.
        Parameters::PushTag { remote_host, remote_repository, target_tag: None, digest, .. } => {
            Some(format!("push/{remote_host}/{remote_repository}@{digest}"))
        }
    }
}
