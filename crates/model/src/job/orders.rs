//! Creates jobs. Each sort of job is created in one place only, so that jobs for the same work are alike, whatever
//! created them.

use super::{Cause, Parameters};
use crate::{
    Author, JobId, Lineage, PolicyId, PolicyKind, Remote, RemoteId, Repository, RepositoryId, Revision,
    TagRecord,
    stored::{Job, PullMirror, PushMirror},
};
use jiff::Timestamp;
use longshore_oci::{Digest, RemoteName, Tag};

/// A job to be created. Its parameters determine its action.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub parameters: Parameters,
    pub cause: Cause,
    pub policy: Option<PolicyId>,
    pub repository: Option<RepositoryId>,
    pub parent: Option<JobId>,
    /// The job that this one retries.
    pub retry_of: Option<JobId>,
    /// Two jobs with the same key never run at the same time.
    pub serial_key: Option<String>,
    /// The earliest start.
    pub scheduled_at: Timestamp,
    /// The maximum number of retries.
    pub retries: u32,
}

impl NewJob {
    /// A job that is due now and concerns no repository.
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

/// The destination of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub remote: RemoteId,
    /// For display.
    pub host: String,
    pub repository: RemoteName,
}

impl Destination {
    /// The destination of a push mirror.
    #[must_use]
    pub fn of(mirror: &PushMirror) -> Self {
        Self {
            remote: mirror.remote,
            host: mirror.remote_host.clone(),
            repository: mirror.remote_repository.clone(),
        }
    }

    /// A repository at a remote.
    #[must_use]
    pub fn at(remote: &Remote, repository: RemoteName) -> Self {
        Self { remote: remote.id, host: remote.host().to_owned(), repository }
    }
}

/// A manifest to be copied to another registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The push mirror; `None` if a person requested the copy.
    pub policy: Option<PolicyId>,
    /// The version of the rules that the decision is based on.
    pub rules_version: Option<i64>,
    /// The local tag; `None` for a referrer without a tag.
    pub tag: Option<Tag>,
    pub digest: Digest,
    /// The revision of the local tag.
    pub revision: Revision,
    /// The tag at the destination, rendered once (semantics 2).
    pub target_tag: Option<Tag>,
    /// The policies passed, including this push mirror.
    pub lineage: Lineage,
    /// Whether a tag at the destination that Longshore did not set may be overwritten (semantics 4).
    pub overwrite: bool,
    /// Whether referrers are included (semantics 7).
    pub referrers: bool,
}

impl Shipment {
    /// A copy of a tag by a push mirror.
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

    /// A copy of a tag that a person requested, who chose the tag at the destination.
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

/// The parent of several polls; it ends when its children have ended (semantics 19).
#[must_use]
pub fn poll_all(author: Author, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::PollAll, Cause::Asked { author }, now)
}

/// Removes what is no longer needed. A dry run only reports what would be removed.
#[must_use]
pub fn collect_garbage(dry_run: bool, cause: Cause, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::CollectGarbage { dry_run }, cause, now)
}

/// Reads and verifies all stored content.
#[must_use]
pub fn scrub(cause: Cause, now: Timestamp) -> NewJob {
    NewJob::new(Parameters::Scrub, cause, now)
}

/// *Save & Apply* of a promotion policy or push mirror: evaluates it for all existing tags of `repository`.
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

/// Repeats a job at a person's request. What was rendered is not rendered again.
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

/// Copies a referrer that arrived late, with its digest tag if it has one, to where its subject was copied.
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
