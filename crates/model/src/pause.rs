//! Pauses (semantics 29): an administrator stops all policies and mirrors of the system, a namespace or a
//! remote. What happens meanwhile waits, *held* by the pause, until somebody resumes and decides what
//! becomes of it.

use crate::account::Author;
use crate::id::{PolicyId, RemoteId};
use crate::job::{Job, JobAction};
use crate::page::Page;
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::{Namespace, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a pause covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum PauseScope {
    /// All policies and mirrors.
    System,
    /// Those of the repositories of a namespace.
    Namespace(Namespace),
    /// The mirrors that use a remote, and what is sent there by hand.
    Remote(RemoteId),
}

/// `system`, `namespace/<name>` or `remote/<id>`, as it stands in the database and in addresses.
impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Namespace(namespace) => write!(f, "namespace/{namespace}"),
            Self::Remote(remote) => write!(f, "remote/{remote}"),
        }
    }
}

/// No scope is written like this.
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
    /// Somebody asked for it.
    Asked,
    /// The server found itself restored from an older backup.
    Restored,
}

/// All policies and mirrors of something stand still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Of what.
    pub scope: PauseScope,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub author: Author,
    /// Why.
    pub reason: PauseReason,
}

impl Pause {
    /// What stands still, as the subject of a sentence. `remote` is the name of the remote where it is one
    /// and the reader may know it.
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

    /// Who paused it or what did, behind "is paused".
    #[must_use]
    pub fn cause(&self) -> String {
        match self.reason {
            PauseReason::Asked => format!("by {}", self.author),
            PauseReason::Restored => "because the server was restored from an older backup".to_owned(),
        }
    }
}

/// What becomes of the jobs that a pause holds when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queued {
    /// All run, oldest first.
    #[default]
    Run,
    /// None runs.
    Drop,
    /// Of each tag the newest change runs, of each place at another registry the newest copy.
    Newest,
}

impl Queued {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Run, Self::Newest, Self::Drop];

    /// The word on the wire.
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
        Self::ALL.into_iter().find(|queued| queued.as_str() == text).ok_or(NoScope)
    }
}

/// How many jobs a pause holds. A job belongs to one pause at a time, the narrowest that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// All of them.
    pub total: u64,
    /// Those that are left when older ones give way to the newest.
    pub newest: u64,
}

/// What became of the jobs that a pause held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resumed {
    /// How many go on.
    pub freed: u64,
    /// How many ended.
    pub dropped: u64,
    /// How many wait on, because another pause covers them.
    pub still_held: u64,
}

/// A pause as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// The pause.
    pub pause: Pause,
    /// What the remote is called, where it is one that the reader may see.
    pub remote_name: Option<String>,
    /// How many jobs it holds; none where the reader may not resume it.
    pub held: Option<u64>,
}

impl PauseView {
    /// What stands still, as the subject of a sentence.
    #[must_use]
    pub fn subject(&self) -> String {
        match (&self.pause.scope, &self.remote_name) {
            (PauseScope::Remote(_), None) => "a remote".to_owned(),
            (_, name) => self.pause.subject(name.as_deref()),
        }
    }
}

/// The pauses that touch one repository, as somebody sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryPauses {
    /// Those that hold everything that goes out of it or comes into it by a mirror.
    pub all: Vec<PauseView>,
    /// Those of remotes that its mirrors use, for who administers it.
    pub remotes: Vec<PauseView>,
}

/// What waits for a pause to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseQueue {
    /// The pause.
    pub pause: PauseView,
    /// How much that is.
    pub held: Held,
    /// One page of it, oldest first.
    pub jobs: Page<HeldJob>,
}

/// One thing that waits for a pause to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldJob {
    /// The job; none where it is about a repository whose jobs the reader may not see (semantics 17).
    pub job: Option<Job>,
    /// What it will do.
    pub action: JobAction,
    /// When it was asked for.
    pub since: Timestamp,
}

/// What the policies and mirrors that a pause holds would do, were all that waits run now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PausePlan {
    /// Those that have something to do.
    pub policies: Vec<PolicyPlan>,
    /// How many jobs wait that this does not tell of: about what the reader may not see, or too many.
    pub untold: u64,
}

/// What one policy or mirror would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPlan {
    /// The policy.
    pub policy: PolicyId,
    /// What sort of policy.
    pub kind: PolicyKind,
    /// The repository here that it belongs to.
    pub repository: RepositoryName,
    /// Where it leads, or for a pull mirror from where; "another repository" for who may not know.
    pub place: String,
    /// What it would promote or send, the oldest first; at most [`PolicyPlan::STEPS`]. What a pull mirror
    /// would do only the other registry can tell.
    pub steps: Vec<PlannedStep>,
    /// How many steps there are.
    pub total: u64,
}

impl PolicyPlan {
    /// So many steps are told of one policy.
    pub const STEPS: usize = 20;

    /// Adds a step, the latest so far.
    pub fn add(&mut self, step: PlannedStep) {
        self.total += 1;
        if self.steps.len() < Self::STEPS {
            self.steps.push(step);
        }
    }
}

/// One tag that a policy would promote or send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The tag here.
    pub tag: Tag,
    /// What it would be called there; none for who may not know, and for what has no name there.
    pub target: Option<Tag>,
}

/// What the next poll of a pull mirror would do, as the other registry is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollPlan<Text = String> {
    /// Tags that would come.
    pub new: Vec<Tag>,
    /// Tags that would move to another image.
    pub moved: Vec<Tag>,
    /// Tags that are at another image there and would be left alone: pinned, or made by somebody else.
    pub left_alone: Vec<Tag>,
    /// How many would stay as they are, or were there before the mirror was saved.
    pub unchanged: u64,
    /// Whether the poll would only write down what is there, to take what comes later.
    pub baseline_only: bool,
    /// Why there may be more tags than were found.
    pub incomplete: Option<String>,
    /// Tags that the other registry lists but does not answer for, so that the poll would not bring them; at most
    /// [`PollPlan::UNREAD`].
    pub unread: Vec<UnreadTag<Text>>,
    /// How many of them there are.
    pub unread_total: u64,
}

/// A tag that another registry lists but does not answer for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadTag<Text = String> {
    /// Its name there.
    pub tag: Tag,
    /// Why.
    pub why: Text,
}

impl<Text> PollPlan<Text> {
    /// So many tags that cannot be read are told of, each with its reason.
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
    fn a_scope_is_written_as_it_is_read() {
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
        // The database lets the narrowest pause hold a job by this order.
        assert!("namespace/dev" < "remote/1" && "remote/1" < "system");
    }

    #[test]
    fn a_pause_says_who_or_what_paused() {
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
