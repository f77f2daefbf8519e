//! Jobs to be done. Each sort is ordered in one place alone, so that two orders of the same work are alike, whoever
//! asks for it.

use super::{Cause, Parameters};
use crate::{
    Author, JobId, Lineage, PolicyId, PolicyKind, Remote, RemoteId, Repository, RepositoryId, Revision,
    TagRecord,
    stored::{Job, PullMirror, PushMirror},
};
use jiff::Timestamp;
use longshore_oci::{Digest, RemoteName, Tag};

/// A job to be done. Its action is that of its parameters.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What exactly it is about.
    pub parameters: Parameters,
    /// Why it exists.
    pub cause: Cause,
    /// The policy behind it.
    pub policy: Option<PolicyId>,
    /// The local repository it is about.
    pub repository: Option<RepositoryId>,
    /// The job that it is a part of.
    pub parent: Option<JobId>,
    /// The job whose work is tried again.
    pub retry_of: Option<JobId>,
    /// Two jobs with one key never run at once.
    pub serial_key: Option<String>,
    /// When it may start.
    pub scheduled_at: Timestamp,
    /// How often it may be begun again.
    pub retries: u32,
}

impl NewJob {
    /// A job that is due at once, and about no repository.
    #[must_use]
    pub fn new(parameters: Parameters, cause: Cause, now: Timestamp) -> Self {
        Self {
            serial_key: parameters.serial_key(),
            retries: parameters.action().retries(),
            parameters,
            cause,
            policy: None,
            repository: None,
            parent: None,
            retry_of: None,
            scheduled_at: now,
        }
    }
}

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
    NewJob { policy, repository: Some(source.id), ..NewJob::new(parameters, cause, now) }
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
        ..NewJob::new(parameters, cause, now)
    }
}

/// The parent of several polls; it ends when its children have (semantics 19).
#[must_use]
pub fn poll_all(author: Author, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::PollAll, Cause::Asked { author }, now)
}

/// Removes what nothing needs any more, or only tells what that would be.
#[must_use]
pub fn collect_garbage(dry_run: bool, cause: Cause, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::CollectGarbage { dry_run }, cause, now)
}

/// Reads and verifies everything that is stored.
#[must_use]
pub fn scrub(cause: Cause, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::Scrub, cause, now)
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
        ..NewJob::new(parameters, Cause::Asked { author }, now)
    }
}

/// The same work once more, because a person asked for it. Nothing that was rendered is rendered again.
#[must_use]
pub fn retry(job: &Job, author: Author, now: Timestamp) -> NewJob {
    NewJob {
        policy: job.policy,
        repository: job.repository,
        retry_of: Some(job.id),
        ..NewJob::new(job.parameters.clone(), Cause::Asked { author }, now)
    }
}

/// Evaluates the policies of a tag's repository for its latest change.
#[must_use]
pub fn evaluate(changed: &TagRecord, author: Author, now: Timestamp) -> NewJob {
    let parameters = Parameters::EvaluateTag {
        repository: changed.repository,
        tag: changed.name.clone(),
        digest: changed.digest.clone(),
        revision: changed.revision,
    };
    NewJob {
        repository: Some(changed.repository),
        ..NewJob::new(parameters, Cause::TagChanged { author }, now)
    }
}

/// Brings a referrer that arrived late, with its digest tag if it came as one, wherever its subject went.
#[must_use]
pub fn follow(
    repository: RepositoryId,
    referrer: Digest,
    subject: Digest,
    tag: Option<Tag>,
    author: Author,
    now: Timestamp,
) -> NewJob {
    let parameters = Parameters::FollowSubject { repository, referrer, subject, tag };
    NewJob { repository: Some(repository), ..NewJob::new(parameters, Cause::TagChanged { author }, now) }
}
