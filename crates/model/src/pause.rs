//! Pauses (semantics 29): an administrator stops all policies and mirrors of the system, a namespace or a remote.
//! Jobs created meanwhile are *held* by the pause until somebody ends it and decides what happens to them.

use crate::account::Author;
use crate::id::{PolicyId, RemoteId};
use crate::job::{Job, JobAction};
use crate::page::Page;
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::{Namespace, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use strum::VariantArray;

/// What a pause covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum PauseScope {
    /// All policies and mirrors.
    System,
    /// The policies and mirrors of the repositories of a namespace.
    Namespace(Namespace),
    /// The mirrors that use a remote, and copies to it that people request.
    Remote(RemoteId),
}

/// `system`, `namespace/<name>` or `remote/<id>`, as in the database and in URLs.
impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Namespace(namespace) => write!(f, "namespace/{namespace}"),
            Self::Remote(remote) => write!(f, "remote/{remote}"),
        }
    }
}

/// The text is not a valid scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoScope;

impl fmt::Display for NoScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pause covers `system`, `namespace/<name>` or `remote/<id>`")
    }
}

impl FromStr for PauseScope {
    type Err = NoScope;
    fn from_str(text: &str) -> Result<Self, NoScope> {
        match text.split_once('/') {
            None if text == "system" => Ok(Self::System),
            Some(("namespace", name)) => name.parse().map(Self::Namespace).map_err(|_| NoScope),
            Some(("remote", id)) => id.parse().map(Self::Remote).map_err(|_| NoScope),
            _ => Err(NoScope),
        }
    }
}

impl From<PauseScope> for String {
    fn from(scope: PauseScope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for PauseScope {
    type Error = NoScope;
    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

/// Why a pause began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A person requested it.
    Asked,
    /// The server detected that it was restored from an older backup.
    Restored,
}

/// A pause of all policies and mirrors of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub scope: PauseScope,
    pub at: Timestamp,
    pub author: Author,
    pub reason: PauseReason,
}

impl Pause {
    /// What is paused, as the subject of a sentence. `remote` is the name of the paused remote, if the reader may
    /// know it.
    #[must_use]
    pub fn subject(&self, remote: Option<&str>) -> String {
        match &self.scope {
            PauseScope::System => "everything".to_owned(),
            PauseScope::Namespace(namespace) => format!("the namespace {namespace}"),
            PauseScope::Remote(_) => {
                remote.map_or("its remote".to_owned(), |name| format!("the remote {name}"))
            }
        }
    }

    /// The author or cause of the pause, to follow "is paused".
    #[must_use]
    pub fn cause(&self) -> String {
        match self.reason {
            PauseReason::Asked => format!("by {}", self.author),
            PauseReason::Restored => "because the server was restored from an older backup".to_owned(),
        }
    }
}

/// What happens to the held jobs when a pause ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Queued {
    /// All run, oldest first.
    #[default]
    Run,
    /// The newest change of each tag and the newest copy to each destination run.
    Newest,
    /// None run.
    Drop,
}

impl Queued {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word used in REST.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Drop => "drop",
            Self::Newest => "newest",
        }
    }
}

impl FromStr for Queued {
    type Err = NoScope;
    fn from_str(text: &str) -> Result<Self, NoScope> {
        Self::ALL.iter().copied().find(|queued| queued.as_str() == text).ok_or(NoScope)
    }
}

/// The number of jobs that a pause holds. A job belongs to one pause at a time, the narrowest that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    pub total: u64,
    /// The number that is left if the newest replace older ones.
    pub newest: u64,
}

/// What happened to the jobs that a pause held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resumed {
    /// The number that continue.
    pub freed: u64,
    /// The number that were dropped.
    pub dropped: u64,
    /// The number that another pause still holds.
    pub still_held: u64,
}

/// A pause as one reader may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    pub pause: Pause,
    /// The name of the paused remote, if the reader may see it.
    pub remote_name: Option<String>,
    /// The number of held jobs; `None` if the reader may not end the pause.
    pub held: Option<u64>,
}

impl PauseView {
    /// What is paused, as the subject of a sentence.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.pause.scope, &self.remote_name) {
            (PauseScope::Remote(_), None) => "a remote".to_owned(),
            (_, name) => self.pause.subject(name.as_deref()),
        }
    }
}

/// The pauses that affect one repository, as one reader may see them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryPauses {
    /// The pauses that hold all its outgoing promotions and copies and everything its mirrors pull.
    pub all: Vec<PauseView>,
    /// The pauses of remotes that its mirrors use, for readers who administer the repository.
    pub remotes: Vec<PauseView>,
}

/// The jobs that wait for a pause to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseQueue {
    pub pause: PauseView,
    pub held: Held,
    /// One page of the jobs, oldest first.
    pub jobs: Page<HeldJob>,
}

/// A job that waits for a pause to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldJob {
    /// `None` if the reader may not see the jobs of its repository (semantics 17).
    pub job: Option<Job>,
    pub action: JobAction,
    /// When the job was created.
    pub since: Timestamp,
}

/// What the policies and mirrors that a pause holds would do if all waiting jobs ran now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PausePlan {
    /// The policies and mirrors that have something to do.
    pub policies: Vec<PolicyPlan>,
    /// The number of waiting jobs that are not shown: too many, or about something that the reader may not see.
    pub untold: u64,
}

/// What one policy or mirror would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPlan {
    pub policy: PolicyId,
    pub kind: PolicyKind,
    /// The local repository that it belongs to.
    pub repository: RepositoryName,
    /// The destination, or the source of a pull mirror; "another repository" if the reader may not know it.
    pub place: String,
    /// The promotions and copies, oldest first; at most [`PolicyPlan::STEPS`]. Only the other registry knows the
    /// steps of a pull mirror.
    pub steps: Vec<PlannedStep>,
    /// The number of all steps.
    pub total: u64,
}

impl PolicyPlan {
    /// The maximum number of steps that are shown of one policy.
    pub const STEPS: usize = 20;

    /// Adds a step after all others.
    pub fn add(&mut self, step: PlannedStep) {
        self.total += 1;
        if self.steps.len() < Self::STEPS {
            self.steps.push(step);
        }
    }
}

/// A tag that a policy would promote or copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The local tag.
    pub tag: Tag,
    /// The tag at the destination; `None` if the reader may not know it, or if it gets no tag there.
    pub target: Option<Tag>,
}

/// What the next poll of a pull mirror would do, given the current state of the other registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollPlan<Text = String> {
    /// Tags that would be created.
    pub new: Vec<Tag>,
    /// Tags that would change to another image.
    pub moved: Vec<Tag>,
    /// Tags that point to another image there and would be left alone: pinned, or not set by this mirror.
    pub left_alone: Vec<Tag>,
    /// The number of tags that would not change, or that existed before the mirror was saved.
    pub unchanged: u64,
    /// Whether the poll would only record the existing tags, and mirror later ones.
    pub baseline_only: bool,
    /// Why the list of tags may be incomplete.
    pub incomplete: Option<String>,
    /// Tags that the other registry lists but that cannot be read, so the poll would not mirror them; at most
    /// [`PollPlan::UNREAD`].
    pub unread: Vec<UnreadTag<Text>>,
    /// The number of all such tags.
    pub unread_total: u64,
}

/// A tag that another registry lists but that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadTag<Text = String> {
    pub tag: Tag,
    pub why: Text,
}

impl<Text> PollPlan<Text> {
    /// The maximum number of unreadable tags that are shown.
    pub const UNREAD: usize = 20;

    /// Adds a tag that could not be read.
    pub fn add_unread(&mut self, tag: Tag, why: Text) {
        self.unread_total += 1;
        if self.unread.len() < Self::UNREAD {
            self.unread.push(UnreadTag { tag, why });
        }
    }
}

impl<Text> Default for PollPlan<Text> {
    fn default() -> Self {
        Self {
            new: Vec::new(),
            moved: Vec::new(),
            left_alone: Vec::new(),
            unchanged: 0,
            baseline_only: false,
            incomplete: None,
            unread: Vec::new(),
            unread_total: 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_formatted_as_it_is_parsed() {
        let remote = format!("remote/{}", uuid::Uuid::nil());
        for text in ["system", "namespace/dev", remote.as_str()] {
            assert_eq!(text.parse::<PauseScope>().unwrap().to_string(), text);
        }
        for text in ["", "System", "system/", "namespace/", "namespace/A b", "remote/1", "repository/dev/app"]
        {
            assert_eq!(text.parse::<PauseScope>(), Err(NoScope), "{text}");
        }
    }

    #[test]
    fn the_narrower_scope_sorts_first() {
        // The database uses this order to let the narrowest pause hold a job.
        assert!("namespace/dev" < "remote/1" && "remote/1" < "system");
    }

    #[test]
    fn a_pause_names_its_author_or_cause() {
        let mut pause = Pause {
            scope: PauseScope::Namespace("dev".parse().unwrap()),
            at: Timestamp::UNIX_EPOCH,
            author: Author::User { name: "dev".parse().unwrap() },
            reason: PauseReason::Asked,
        };
        assert_eq!((pause.subject(None).as_str(), pause.cause().as_str()), ("the namespace dev", "by dev"));
        pause.reason = PauseReason::Restored;
        assert!(pause.cause().contains("backup"));
    }
}
