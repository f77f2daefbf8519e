//! The sorts of background work. This file answers every question about a sort: its label, its parameters, what it
//! concerns, how it is queued and retried. Nothing else matches on [`Parameters`], except the module of `engine` that
//! does the work. docs/adding-a-job.md describes how to add a sort.

use crate::id::{PolicyId, RemoteId, RepositoryId};
use crate::message::Eyes;
use crate::policy::PolicyKind;
use crate::tag::{Lineage, Revision};
use crate::view::{ANOTHER_REGISTRY, another_remote_repository};
use longshore_oci::{Digest, RemoteName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use strum::VariantArray;

// These words are used in REST and in the database.
/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobAction))]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Evaluates the policies of a repository for a tag and acts on their verdicts.
    Evaluate,
    /// Copies one tag to another registry.
    PushMirrorTag,
    /// Mirrors the tags of another registry. A parent job covers several pull mirrors.
    PollMirror,
    /// Removes what is no longer needed.
    GarbageCollect,
    /// Reads and verifies all stored content.
    Scrub,
}

/// The words of all actions with a given trait, as a literal of quoted words separated by commas, for SQL that is put
/// together at compile time. A test compares the lists with the methods of [`JobAction`] of the same name.
#[macro_export]
macro_rules! job_actions {
    (is_evaluation) => {
        "'evaluate'"
    };
    (is_pausable) => {
        "'evaluate', 'push_mirror_tag', 'poll_mirror'"
    };
    (has_lanes) => {
        "'push_mirror_tag', 'poll_mirror'"
    };
    (fills_repository) => {
        "'poll_mirror'"
    };
}

/// The workers that run an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// The evaluator, which takes the changes of each repository in turn (semantics 36).
    Evaluations,
    /// Workers that remotes and namespaces share (semantics 39): a job waits in the lane of its remote and namespace.
    Lanes {
        /// Whether there are also jobs without a remote, which need no worker because they only wait for their parts.
        parents: bool,
    },
    /// One worker per action. Its jobs are rare and need the whole store to themselves.
    Housekeeping,
}

impl JobAction {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word used in REST and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::PushMirrorTag => "push_mirror_tag",
            Self::PollMirror => "poll_mirror",
            Self::GarbageCollect => "garbage_collect",
            Self::Scrub => "scrub",
        }
    }

    /// The label in filters and columns.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Evaluate => "Evaluate",
            Self::PushMirrorTag => "Push mirror",
            Self::PollMirror => "Pull mirror",
            Self::GarbageCollect => "Garbage collection",
            Self::Scrub => "Scrub",
        }
    }

    #[must_use]
    pub fn queue(self) -> Queue {
        match self {
            Self::Evaluate => Queue::Evaluations,
            Self::PushMirrorTag => Queue::Lanes { parents: false },
            Self::PollMirror => Queue::Lanes { parents: true },
            Self::GarbageCollect | Self::Scrub => Queue::Housekeeping,
        }
    }

    /// The maximum number of retries after errors that may be temporary.
    #[must_use]
    pub fn retries(self) -> u32 {
        match self {
            // It fails only if the database is in trouble.
            Self::Evaluate => 10,
            Self::PushMirrorTag | Self::PollMirror | Self::GarbageCollect | Self::Scrub => 6,
        }
    }

    /// Whether it copies content into its repository. That content is kept until the job ends (semantics 23), and the
    /// job is useless in a read-only repository.
    #[must_use]
    pub fn fills_repository(self) -> bool {
        match self {
            Self::PollMirror => true,
            Self::Evaluate | Self::PushMirrorTag | Self::GarbageCollect | Self::Scrub => false,
        }
    }

    /// Whether its jobs wait in lanes.
    #[must_use]
    pub fn has_lanes(self) -> bool {
        matches!(self.queue(), Queue::Lanes { .. })
    }

    /// Whether it is work of policies and mirrors, which a pause stops.
    #[must_use]
    pub fn is_pausable(self) -> bool {
        !matches!(self.queue(), Queue::Housekeeping)
    }

    /// Whether its jobs are so numerous and short that lists can leave them out.
    #[must_use]
    pub fn is_evaluation(self) -> bool {
        matches!(self.queue(), Queue::Evaluations)
    }
}

/// What a job concerns. This is also the stored form, so what earlier versions wrote must remain readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Parameters {
    /// A tag has a new revision, or was pushed again.
    EvaluateTag {
        repository: RepositoryId,
        tag: Tag,
        /// What the tag pointed to at that revision.
        digest: Digest,
        revision: Revision,
    },
    /// *Save & Apply*: evaluates one policy for all existing tags, oldest first.
    ApplyPolicy {
        policy: PolicyId,
        kind: PolicyKind,
        /// The last revision that was processed, so that a restart continues after it.
        after: Revision,
    },
    /// A referrer or digest tag arrived: copies it to where its subject was copied (semantics 7).
    FollowSubject {
        repository: RepositoryId,
        /// The manifest of the referrer.
        referrer: Digest,
        /// The manifest that it refers to.
        subject: Digest,
        /// Its digest tag, if it was pushed as one.
        tag: Option<Tag>,
    },
    /// Copies one tag (or one referrer) to another registry.
    PushTag {
        /// The push mirror; `None` if a person requested the copy.
        policy: Option<PolicyId>,
        /// The version of the rules that the decision is based on; the job ends when the rules change (semantics 34).
        /// `None` for jobs of versions that did not record it.
        #[serde(default)]
        rules_version: Option<i64>,
        repository: RepositoryId,
        /// For display.
        repository_name: RepositoryName,
        /// The local tag; `None` for a referrer without a tag.
        tag: Option<Tag>,
        /// The manifest to copy, fixed by the verdict (semantics 4).
        digest: Digest,
        /// The revision of the local tag.
        revision: Revision,
        remote: RemoteId,
        /// For display.
        remote_host: String,
        remote_repository: RemoteName,
        /// The tag at the remote, rendered once (semantics 2); `None` for a referrer, which is pushed by digest.
        target_tag: Option<Tag>,
        /// The policies passed, including this one. If the remote is a Longshore too, it receives them.
        lineage: Lineage,
        /// Whether a tag at the remote that Longshore did not set may be overwritten.
        overwrite: bool,
        /// Whether referrers are included.
        referrers: bool,
    },
    /// Polls one pull mirror.
    Poll {
        policy: PolicyId,
        /// `None` for jobs queued by earlier versions.
        #[serde(default)]
        remote: Option<RemoteId>,
        /// The local repository, for display.
        repository_name: RepositoryName,
        /// For display.
        remote_host: String,
        remote_repository: RemoteName,
    },
    /// Polls several pull mirrors; ends when its children have ended.
    PollAll,
    /// Removes what is no longer needed (semantics 23).
    CollectGarbage {
        /// Whether to report only what would be removed.
        dry_run: bool,
    },
    /// Reads and verifies all stored content.
    Scrub,
}

/// What a job concerns, as far as its parameters say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concerns<'a> {
    /// The policy or mirror whose work it is.
    pub policy: Option<(PolicyId, PolicyKind)>,
    /// The local tag.
    pub tag: Option<&'a Tag>,
    /// The manifest, which is kept until the job ends (semantics 23).
    pub manifest: Option<&'a Digest>,
    /// The subject of that manifest, which is kept as well.
    pub subject: Option<&'a Digest>,
    /// The change of a tag for which policies are evaluated.
    pub change: Option<(RepositoryId, Revision)>,
    /// The transfer to or from another registry.
    pub transfer: Option<Transfer<'a>>,
}

/// The two ends of a transfer.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// The local repository.
    pub here: &'a RepositoryName,
    pub remote: RemoteOf,
    /// For display.
    pub host: &'a str,
    /// The repository at the remote.
    pub repository: &'a RemoteName,
    /// The tag at the remote, if the transfer is about a single one.
    pub tag: Option<&'a Tag>,
}

/// The remote that a job connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteOf {
    /// Always this one.
    Job(RemoteId),
    /// The remote that the mirror has when the job is queued.
    Mirror {
        id: PolicyId,
        /// The remote that the mirror had when the job was created; `None` for jobs of earlier versions.
        then: Option<RemoteId>,
    },
}

impl RemoteOf {
    fn is_seen(self, eyes: &dyn Eyes) -> bool {
        match self {
            Self::Job(remote) | Self::Mirror { then: Some(remote), .. } => eyes.remote(remote),
            Self::Mirror { id, then: None } => eyes.remote_of(id),
        }
    }
}

impl Parameters {
    #[must_use]
    pub fn action(&self) -> JobAction {
        match self {
            Self::EvaluateTag { .. } | Self::ApplyPolicy { .. } | Self::FollowSubject { .. } => {
                JobAction::Evaluate
            }
            Self::PushTag { .. } => JobAction::PushMirrorTag,
            Self::Poll { .. } | Self::PollAll => JobAction::PollMirror,
            Self::CollectGarbage { .. } => JobAction::GarbageCollect,
            Self::Scrub => JobAction::Scrub,
        }
    }

    /// What the job concerns. Each field is named here, so that a new one cannot be forgotten.
    #[must_use]
    pub fn concerns(&self) -> Concerns<'_> {
        let nothing = Concerns::default();
        match self {
            Self::EvaluateTag { repository, tag, digest, revision } => Concerns {
                tag: Some(tag),
                manifest: Some(digest),
                change: Some((*repository, *revision)),
                ..nothing
            },
            Self::ApplyPolicy { policy, kind, after: _ } => {
                Concerns { policy: Some((*policy, *kind)), ..nothing }
            }
            Self::FollowSubject { repository: _, referrer, subject, tag } => {
                Concerns { tag: tag.as_ref(), manifest: Some(referrer), subject: Some(subject), ..nothing }
            }
            Self::PushTag {
                policy,
                rules_version: _,
                repository: _,
                repository_name,
                tag,
                digest,
                revision: _,
                remote,
                remote_host,
                remote_repository,
                target_tag,
                lineage: _,
                overwrite: _,
                referrers: _,
            } => Concerns {
                policy: policy.map(|policy| (policy, PolicyKind::PushMirror)),
                tag: tag.as_ref(),
                manifest: Some(digest),
                transfer: Some(Transfer {
                    here: repository_name,
                    remote: RemoteOf::Job(*remote),
                    host: remote_host,
                    repository: remote_repository,
                    tag: target_tag.as_ref(),
                }),
                ..nothing
            },
            Self::Poll { policy, remote, repository_name, remote_host, remote_repository } => Concerns {
                policy: Some((*policy, PolicyKind::PullMirror)),
                transfer: Some(Transfer {
                    here: repository_name,
                    remote: RemoteOf::Mirror { id: *policy, then: *remote },
                    host: remote_host,
                    repository: remote_repository,
                    tag: None,
                }),
                ..nothing
            },
            Self::PollAll | Self::CollectGarbage { dry_run: _ } | Self::Scrub => nothing,
        }
    }

    /// Two jobs with the same key never run at the same time: copies to one tag at one destination are serial
    /// (semantics 1), and so is the work of one mirror.
    #[must_use]
    pub fn serial_key(&self) -> Option<String> {
        match self {
            Self::EvaluateTag { .. } | Self::FollowSubject { .. } | Self::PollAll => None,
            Self::CollectGarbage { .. } => Some("garbage".to_owned()),
            Self::Scrub => Some("scrub".to_owned()),
            Self::ApplyPolicy { policy, .. } => Some(format!("apply/{policy}")),
            Self::Poll { policy, .. } => Some(format!("poll/{policy}")),
            Self::PushTag { remote_host, remote_repository, target_tag: Some(tag), .. } => {
                Some(format!("push/{remote_host}/{remote_repository}:{tag}"))
            }
            // A referrer without a tag is pushed by its digest.
            Self::PushTag { remote_host, remote_repository, target_tag: None, digest, .. } => {
                Some(format!("push/{remote_host}/{remote_repository}@{digest}"))
            }
        }
    }

    /// The job as a sentence without a full stop; `here` is the repository that it concerns.
    pub(super) fn sentence(&self, here: &str) -> String {
        match self {
            Self::EvaluateTag { tag, .. } => format!("Evaluate policies of {here} for {tag}"),
            Self::ApplyPolicy { kind, .. } => {
                format!("Apply a {} of {here} to existing tags", kind.noun())
            }
            Self::FollowSubject { tag: Some(tag), .. } => {
                format!("Copy {tag} of {here} to where its image was copied")
            }
            Self::FollowSubject { tag: None, .. } => {
                format!("Copy a new referrer of {here} to where its image was copied")
            }
            Self::PushTag { tag, remote_host, remote_repository, target_tag, .. } => {
                let what = tag.as_ref().map_or_else(|| "a referrer".to_owned(), ToString::to_string);
                let name = match target_tag {
                    Some(name) if Some(name) != tag.as_ref() => format!(" as {name}"),
                    _ => String::new(),
                };
                format!("Push {what} of {here} to {remote_host}/{remote_repository}{name}")
            }
            Self::Poll { remote_host, remote_repository, .. } => {
                format!("Pull {remote_host}/{remote_repository} into {here}")
            }
            Self::PollAll => "Poll all pull mirrors".to_owned(),
            Self::CollectGarbage { dry_run: false } => "Collect garbage".to_owned(),
            Self::CollectGarbage { dry_run: true } => "Collect garbage (dry run)".to_owned(),
            Self::Scrub => "Verify stored content".to_owned(),
        }
    }

    /// The parameters as REST shows them: a flat map of strings, as in DTR. The local repository is not included.
    #[must_use]
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        let there = |host: &str, repository: &RemoteName| {
            [("remoteHost", host.to_owned()), ("remoteRepository", repository.to_string())]
        };
        let tagged = |key, tag: &Option<Tag>| tag.as_ref().map(|tag| (key, tag.to_string()));
        match self {
            Self::EvaluateTag { tag, digest, revision, .. } => vec![
                ("tag", tag.to_string()),
                ("digest", digest.to_string()),
                ("revision", revision.0.to_string()),
            ],
            Self::ApplyPolicy { policy, kind, .. } => {
                vec![("policyID", policy.to_string()), ("kind", kind.as_str().to_owned())]
            }
            Self::FollowSubject { referrer, subject, tag, .. } => {
                let mut texts = vec![("referrer", referrer.to_string()), ("subject", subject.to_string())];
                texts.extend(tagged("tag", tag));
                texts
            }
            Self::PushTag { tag, digest, remote_host, remote_repository, target_tag, .. } => {
                let mut texts = vec![("digest", digest.to_string())];
                texts.extend(there(remote_host, remote_repository));
                texts.extend(tagged("tag", tag));
                texts.extend(tagged("remoteTag", target_tag));
                texts
            }
            Self::Poll { policy, remote_host, remote_repository, .. } => {
                let mut texts = vec![("policyID", policy.to_string())];
                texts.extend(there(remote_host, remote_repository));
                texts
            }
            Self::PollAll | Self::Scrub => Vec::new(),
            Self::CollectGarbage { dry_run } => vec![("dryRun", dry_run.to_string())],
        }
    }

    /// Whether the job only waits for its parts, which do the work.
    #[must_use]
    pub fn waits_for_parts(&self) -> bool {
        *self == Self::PollAll
    }

    /// The mirror whose transfer this is. It stops if the transfer finds a reason (semantics 5, 10, 15).
    #[must_use]
    pub fn mirror(&self) -> Option<(PolicyId, PolicyKind)> {
        let Concerns { policy, transfer, .. } = self.concerns();
        policy.filter(|_| transfer.is_some())
    }

    /// The host of the registry that the job connects to.
    #[must_use]
    pub fn remote_host(&self) -> Option<&str> {
        self.concerns().transfer.map(|transfer| transfer.host)
    }

    /// Whether the reader may see everything that the parameters name (semantics 17). Reports each reference to
    /// `eyes`.
    pub(crate) fn is_seen(&self, eyes: &dyn Eyes) -> bool {
        self.concerns().transfer.is_none_or(|transfer| transfer.remote.is_seen(eyes))
    }

    /// The parameters as one reader may see them.
    pub(crate) fn shown(mut self, eyes: &dyn Eyes) -> Self {
        if !self.is_seen(eyes) {
            self.hide();
        }
        self
    }

    /// Replaces names at another registry by stand-ins.
    fn hide(&mut self) {
        match self {
            Self::PushTag { remote_host, remote_repository, target_tag, .. } => {
                *remote_host = ANOTHER_REGISTRY.to_owned();
                *remote_repository = another_remote_repository();
                *target_tag = None;
            }
            Self::Poll { remote_host, remote_repository, .. } => {
                *remote_host = ANOTHER_REGISTRY.to_owned();
                *remote_repository = another_remote_repository();
            }
            Self::EvaluateTag { .. }
            | Self::ApplyPolicy { .. }
            | Self::FollowSubject { .. }
            | Self::PollAll
            | Self::CollectGarbage { .. }
            | Self::Scrub => {}
        }
    }
}

#[cfg(test)]
mod tests;
