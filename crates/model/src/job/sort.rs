//! The sorts of background work. This file answers every question about a sort: what it is called, which parameters
//! it has, what it concerns, how it is queued and retried. Nothing outside of it matches on [`Parameters`], except
//! the module of `engine` that does the work. docs/adding-a-job.md describes how to add a sort.

use crate::id::{PolicyId, RemoteId, RepositoryId};
use crate::message::Eyes;
use crate::policy::PolicyKind;
use crate::tag::{Lineage, Revision};
use crate::view::{ANOTHER_REGISTRY, another_remote_repository};
use longshore_oci::{Digest, RemoteName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

// The words are those of the REST interface and of the database.
/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobAction))]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Evaluate the policies of a repository for a tag, and do what they say.
    Evaluate,
    /// Copy one tag to another registry.
    PushMirrorTag,
    /// Bring the tags of another registry in; as a parent, of several pull mirrors.
    PollMirror,
    /// Remove what nothing needs any more.
    GarbageCollect,
    /// Read and verify everything that is stored.
    Scrub,
}

/// The words of all actions with some trait as a literal, in quotes and with commas between them: for statements that
/// are put together at compile time. A test compares the lists with the methods of [`JobAction`] that they are named after.
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

/// Which workers an action has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// The evaluator, which takes the changes of each repository in turn (semantics 36).
    Evaluations,
    /// Workers that remotes and namespaces share (semantics 39): a job waits in the lane of its remote and namespace.
    Lanes {
        /// Whether there are also jobs without a remote, which only wait for their parts and need no worker.
        parents: bool,
    },
    /// One worker for each action. Its jobs are rare and need the whole store to themselves.
    Housekeeping,
}

impl JobAction {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Evaluate, Self::PushMirrorTag, Self::PollMirror, Self::GarbageCollect, Self::Scrub];

    /// The word on the wire and in the database.
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

    /// What it is called in filters and columns.
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

    /// Which workers it has.
    #[must_use]
    pub fn queue(self) -> Queue {
        match self {
            Self::Evaluate => Queue::Evaluations,
            Self::PushMirrorTag => Queue::Lanes { parents: false },
            Self::PollMirror => Queue::Lanes { parents: true },
            Self::GarbageCollect | Self::Scrub => Queue::Housekeeping,
        }
    }

    /// How often a job is begun again after an error that may pass.
    #[must_use]
    pub fn retries(self) -> u32 {
        match self {
            // Only a database in trouble makes it fail.
            Self::Evaluate => 10,
            Self::PushMirrorTag | Self::PollMirror | Self::GarbageCollect | Self::Scrub => 6,
        }
    }

    /// Whether it brings content from elsewhere into its repository: that stays until the job has ended (semantics 23),
    /// and a read-only repository has no use for the job.
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

    /// Whether it is the work of policies and mirrors, which a pause stops.
    #[must_use]
    pub fn is_pausable(self) -> bool {
        !matches!(self.queue(), Queue::Housekeeping)
    }

    /// Whether its jobs are so many and so short that lists can leave them out.
    #[must_use]
    pub fn is_evaluation(self) -> bool {
        matches!(self.queue(), Queue::Evaluations)
    }
}

/// What exactly a job is about. This is how it is stored: what earlier versions wrote must remain readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Parameters {
    /// A tag has a new revision, or was pushed again.
    EvaluateTag {
        /// Its repository.
        repository: RepositoryId,
        /// Its name.
        tag: Tag,
        /// What it pointed to.
        digest: Digest,
        /// The change.
        revision: Revision,
    },
    /// *Save & Apply*: ask one policy about all present tags, oldest first.
    ApplyPolicy {
        /// Which.
        policy: PolicyId,
        /// Its kind.
        kind: PolicyKind,
        /// The last revision that was looked at, so that a restart goes on behind it.
        after: Revision,
    },
    /// A referrer or digest tag arrived: send it wherever its subject went (semantics 7).
    FollowSubject {
        /// The repository it arrived in.
        repository: RepositoryId,
        /// The referrer's manifest.
        referrer: Digest,
        /// What it refers to.
        subject: Digest,
        /// Its digest tag, where it came as one.
        tag: Option<Tag>,
    },
    /// Copy one tag (or one referrer) to another registry.
    PushTag {
        /// The push mirror; none when a person asked for this one copy.
        policy: Option<PolicyId>,
        /// The version of its rules by which the copy was decided on; the job ends when they change
        /// (semantics 34). None for jobs of before there was one.
        #[serde(default)]
        rules_version: Option<i64>,
        /// The local repository.
        repository: RepositoryId,
        /// Its name, for showing.
        repository_name: RepositoryName,
        /// The tag here; a referrer without a tag has none.
        tag: Option<Tag>,
        /// The manifest that is copied, fixed when the verdict was given (semantics 4).
        digest: Digest,
        /// The change of the tag here.
        revision: Revision,
        /// The connection.
        remote: RemoteId,
        /// Its host, for showing.
        remote_host: String,
        /// The repository there.
        remote_repository: RemoteName,
        /// The name there, rendered once (semantics 2); none for a referrer, which goes by digest.
        target_tag: Option<Tag>,
        /// Policies passed, this one included; a Longshore at the other end is told.
        lineage: Lineage,
        /// Whether a foreign tag may be moved.
        overwrite: bool,
        /// Whether referrers go along.
        referrers: bool,
    },
    /// Poll one pull mirror.
    Poll {
        /// Which.
        policy: PolicyId,
        /// The connection; unknown for what an earlier version put into the queue.
        #[serde(default)]
        remote: Option<RemoteId>,
        /// The local repository's name, for showing.
        repository_name: RepositoryName,
        /// The registry's host, for showing.
        remote_host: String,
        /// The repository there.
        remote_repository: RemoteName,
    },
    /// Poll several pull mirrors: ends when its children have.
    PollAll,
    /// Remove what nothing needs any more (semantics 23).
    CollectGarbage {
        /// Only tell what would be removed.
        dry_run: bool,
    },
    /// Read and verify everything that is stored.
    Scrub,
}

/// What a job concerns, as far as its parameters say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concerns<'a> {
    /// The policy or mirror whose work it is.
    pub policy: Option<(PolicyId, PolicyKind)>,
    /// The tag here.
    pub tag: Option<&'a Tag>,
    /// The manifest, which stays until the job has ended (semantics 23).
    pub manifest: Option<&'a Digest>,
    /// What that manifest refers to, which stays as well.
    pub subject: Option<&'a Digest>,
    /// The change of a tag that policies are evaluated for.
    pub change: Option<(RepositoryId, Revision)>,
    /// Where it sends something to, or brings something from.
    pub transfer: Option<Transfer<'a>>,
}

/// The two ends of a transfer.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// The repository here.
    pub here: &'a RepositoryName,
    /// The remote.
    pub remote: RemoteOf,
    /// Its host, for showing.
    pub host: &'a str,
    /// The repository there.
    pub repository: &'a RemoteName,
    /// The tag there, where it is about a single one.
    pub tag: Option<&'a Tag>,
}

/// The remote that a job speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteOf {
    /// This one.
    Job(RemoteId),
    /// The one that a mirror has when the job is put into the queue.
    Mirror {
        /// The mirror.
        id: PolicyId,
        /// The remote that it had when the job was made; unknown for jobs of earlier versions.
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
    /// What a job with these parameters does.
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

    /// What it concerns. Each field is named here, so that a new one cannot be forgotten.
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

    /// Two jobs with one key never run at once: work on one name at one destination is serial (semantics 1), and so is
    /// the work of one mirror.
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
            // A referrer without a tag goes by its digest.
            Self::PushTag { remote_host, remote_repository, target_tag: None, digest, .. } => {
                Some(format!("push/{remote_host}/{remote_repository}@{digest}"))
            }
        }
    }

    /// What the job does, as a sentence without an end; `here` is the repository that it is about.
    pub(super) fn sentence(&self, here: &str) -> String {
        match self {
            Self::EvaluateTag { tag, .. } => format!("Ask the policies of {here} about {tag}"),
            Self::ApplyPolicy { kind, .. } => {
                format!("Apply a {} of {here} to the tags that are there", kind.noun())
            }
            Self::FollowSubject { tag: Some(tag), .. } => {
                format!("Send {tag} of {here} wherever its image went")
            }
            Self::FollowSubject { tag: None, .. } => {
                format!("Send a new referrer of {here} wherever its image went")
            }
            Self::PushTag { tag, remote_host, remote_repository, target_tag, .. } => {
                let what = tag.as_ref().map_or_else(|| "a referrer".to_owned(), ToString::to_string);
                let name = match target_tag {
                    Some(name) if Some(name) != tag.as_ref() => format!(" as {name}"),
                    _ => String::new(),
                };
                format!("Send {what} of {here} to {remote_host}/{remote_repository}{name}")
            }
            Self::Poll { remote_host, remote_repository, .. } => {
                format!("Bring tags of {remote_host}/{remote_repository} into {here}")
            }
            Self::PollAll => "Poll all pull mirrors".to_owned(),
            Self::CollectGarbage { dry_run: false } => "Remove what nothing needs".to_owned(),
            Self::CollectGarbage { dry_run: true } => "Look for what nothing needs".to_owned(),
            Self::Scrub => "Verify everything that is stored".to_owned(),
        }
    }

    /// The parameters as the REST interface shows them, which is a flat map of texts as in DTR. The repository here is
    /// not among them.
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

    /// The mirror whose transfer this is. It stops itself when the transfer finds a reason to (semantics 5, 10, 15).
    #[must_use]
    pub fn mirror(&self) -> Option<(PolicyId, PolicyKind)> {
        let Concerns { policy, transfer, .. } = self.concerns();
        policy.filter(|_| transfer.is_some())
    }

    /// The host of the registry that the job speaks to.
    #[must_use]
    pub fn remote_host(&self) -> Option<&str> {
        self.concerns().transfer.map(|transfer| transfer.host)
    }

    /// Looks at all that the parameters name with the eyes of a reader; whether the reader may know it (semantics 17).
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

    /// Puts stand-ins in the place of names at another registry.
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
