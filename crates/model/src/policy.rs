//! Promotion policies and mirrors as they are stored and shown, and the drafts people fill in.
//! What a rule or template means is `longshore_policy`'s business.

use crate::id::{AccountId, JobId, PolicyId, RemoteId, RepositoryId};
use crate::remote::RemoteDraft;
use crate::version::{LastChange, Version};
use jiff::Timestamp;
use longshore_oci::{RemoteName, RepositoryName};
use longshore_policy::{RawRule, StoredRules};
use serde::{Deserialize, Serialize};

/// The three kinds of what moves images on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Into another repository of this server.
    Promotion,
    /// To another registry.
    PushMirror,
    /// From another registry.
    PullMirror,
}

impl PolicyKind {
    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::PushMirror => "push_mirror",
            Self::PullMirror => "pull_mirror",
        }
    }

    /// What a person calls it.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Promotion => "promotion policy",
            Self::PushMirror => "push mirror",
            Self::PullMirror => "pull mirror",
        }
    }
}

// The words are those of `lastStatus.code`. The discriminants are their order: of several runs, the greatest is shown.
/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LastCode))]
#[serde(rename_all = "snake_case")]
pub enum RunCode {
    /// It has not run yet.
    Never = 0,
    /// It is running.
    Running = 2,
    /// All went well.
    Success = 1,
    /// Something failed.
    Failed = 3,
}

/// The last run of a policy or mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun<Text = String> {
    /// How it went.
    pub code: RunCode,
    /// One sentence: what was moved, or what failed and what to do.
    pub detail: Text,
    /// When it ended (or began, while it runs).
    pub at: Option<Timestamp>,
    /// The job behind it.
    pub job: Option<JobId>,
}

impl<Text: Default> LastRun<Text> {
    /// Before the first run.
    #[must_use]
    pub fn never() -> Self {
        Self { code: RunCode::Never, detail: Text::default(), at: None, job: None }
    }
}

/// What all three kinds have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCommon<Text = String> {
    /// Its identifier.
    pub id: PolicyId,
    /// Whether it acts.
    pub enabled: bool,
    /// Grows with each change, the policy's own ones included; who changes it names the version
    /// that the change is based on (semantics 33).
    pub version: Version,
    /// Grows with each change of what the policy does: rules, template, patterns, destination. It
    /// acts at most once per tag revision and version of its rules (semantics 2).
    pub rules_version: i64,
    /// Who changed it last, and what.
    pub last_change: Option<LastChange>,
    /// Why it stopped itself, when it did (semantics 5, 10, 15).
    pub stopped: Option<Text>,
    /// Whether signatures, SBOMs and attestations go along (semantics 7).
    pub referrers: bool,
    /// Who set it up.
    pub author: Option<AccountId>,
    /// The author's name, or empty when that account is gone.
    pub author_name: String,
    /// The author has no longer the right that making it needed (semantics 16).
    pub orphaned: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by a person.
    pub updated_at: Timestamp,
    /// How it last went.
    pub last_run: LastRun<Text>,
}

/// A policy that a form changes, as it was when the form was loaded (semantics 33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Which.
    pub id: PolicyId,
    /// Its version then.
    pub version: Version,
}

impl From<&PolicyCommon> for Loaded {
    fn from(common: &PolicyCommon) -> Self {
        Self { id: common.id, version: common.version }
    }
}

/// Copies tags that match into another repository of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionPolicy<Text = String> {
    /// What all policies have.
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    /// The source.
    pub source: RepositoryId,
    /// The source's name.
    pub source_name: RepositoryName,
    /// The target.
    pub target: RepositoryId,
    /// The target's name.
    pub target_name: RepositoryName,
    /// All of them must hold.
    pub rules: StoredRules,
    /// The name a tag gets in the target.
    pub template: String,
    /// When it last promoted a tag.
    pub last_promoted_at: Option<Timestamp>,
}

/// Copies tags that match to a repository of another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMirror<Text = String> {
    /// What all policies have.
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    /// The local repository.
    pub repository: RepositoryId,
    /// Its name.
    pub repository_name: RepositoryName,
    /// The connection.
    pub remote: RemoteId,
    /// The connection's host, for showing.
    pub remote_host: String,
    /// The repository at the other registry.
    pub remote_repository: RemoteName,
    /// All of them must hold.
    pub rules: StoredRules,
    /// The name a tag gets there.
    pub template: String,
    /// Whether a tag of the other registry that this mirror did not set may be moved (semantics 4).
    pub overwrite: bool,
    /// Whether non-distributable layers that are stored here are sent too (semantics 43).
    pub foreign_layers: bool,
    /// When it last mirrored a tag.
    pub last_mirrored_at: Option<Timestamp>,
}

/// Brings tags of a repository of another registry in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullMirror<Text = String> {
    /// What all policies have.
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    /// The local repository.
    pub repository: RepositoryId,
    /// Its name.
    pub repository_name: RepositoryName,
    /// The connection.
    pub remote: RemoteId,
    /// The connection's host, for showing.
    pub remote_host: String,
    /// The repository at the other registry.
    pub remote_repository: RemoteName,
    /// Which tags: comma-separated names and globs.
    pub patterns: String,
    /// Seconds between two polls.
    pub interval_seconds: u32,
    /// Whether non-distributable layers that the remote has are fetched too (semantics 43).
    pub foreign_layers: bool,
    /// Whether the remote's listing at the time of saving still has to be recorded (semantics 3).
    pub baseline: Baseline,
    /// While that is pending: the patterns whose tags were decided about before. They are in the
    /// baseline or taken; only tags that match none of these are recorded (semantics 35).
    pub known_patterns: Option<String>,
    /// When the next poll is due.
    pub next_run_at: Timestamp,
    /// When it last brought a tag in.
    pub last_mirrored_at: Option<Timestamp>,
}

/// What a pull mirror knows of the tags that existed when it was saved (semantics 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// *Save & Apply*: there is none, every tag is taken.
    None,
    /// *Save*: to be recorded by the first job; until then nothing is copied.
    Pending,
    /// Recorded completely; only tags that are new or differ are taken.
    Complete,
}

/// What people call the switch of mirrors for non-distributable layers (semantics 43): in the dialogs, and where a
/// message names it as the remedy.
pub const FOREIGN_LAYERS: &str = "Include non-distributable layers";

/// Seconds between two polls where nobody says otherwise, as DTR had it.
pub const DEFAULT_POLL_INTERVAL_SECONDS: u32 = 30 * 60;
/// Polling more often than this helps nobody.
pub const MIN_POLL_INTERVAL_SECONDS: u32 = 60;
/// Polling less often than this (30 days) is a mistake.
pub const MAX_POLL_INTERVAL_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Which tags a saved policy acts on (semantics 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Save {
    /// *Save*: revisions from now on.
    Future,
    /// *Save & Apply*: existing tags as well.
    Apply,
}

/// A promotion policy as a person or script fills it in; everything is checked on arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionDraft {
    /// Rules on the wire; none means every tag, when `every_tag` says so.
    pub rules: Vec<RawRule>,
    /// That no rules are meant as such (semantics 10).
    pub every_tag: bool,
    /// `namespace/name` of the target.
    pub target: String,
    /// The tag template; empty means `%n`.
    pub template: String,
    /// Whether it acts; `None` leaves that as it is, and lets a new one act. `true` lets one go on that
    /// had stopped itself.
    pub enabled: Option<bool>,
    /// Whether referrers go along.
    pub referrers: bool,
}

/// Which connection a mirror uses: one that is saved, or one typed in the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RemoteChoice {
    /// A saved one.
    Saved {
        /// Which.
        id: RemoteId,
    },
    /// A new one, saved together with the mirror (or one saved already with equal settings).
    New {
        /// Its settings.
        remote: RemoteDraft,
    },
}

/// A push mirror as filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMirrorDraft {
    /// The connection.
    pub remote: RemoteChoice,
    /// The repository there.
    pub remote_repository: String,
    /// Rules on the wire.
    pub rules: Vec<RawRule>,
    /// That no rules are meant as such.
    pub every_tag: bool,
    /// The tag template; empty means `%n`.
    pub template: String,
    /// Whether it acts, as in [`PromotionDraft`].
    pub enabled: Option<bool>,
    /// Whether foreign tags there may be moved.
    pub overwrite: bool,
    /// Whether referrers go along.
    pub referrers: bool,
    /// Whether non-distributable layers that are stored here are sent too (semantics 43).
    pub foreign_layers: bool,
}

/// A pull mirror as filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullMirrorDraft {
    /// The connection.
    pub remote: RemoteChoice,
    /// The repository there.
    pub remote_repository: String,
    /// Names and globs; empty means `*`.
    pub patterns: String,
    /// Seconds between two polls.
    pub interval_seconds: u32,
    /// Whether it acts, as in [`PromotionDraft`].
    pub enabled: Option<bool>,
    /// Whether referrers come along.
    pub referrers: bool,
    /// Whether non-distributable layers that the remote has are fetched too (semantics 43).
    pub foreign_layers: bool,
    /// Make the local repository writable by this mirror alone (semantics 18); `None` leaves it.
    pub exclusive: Option<bool>,
}

/// A push or pull mirror, for lists that show both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "direction", rename_all = "snake_case")]
pub enum Mirror<Text = String> {
    /// To another registry.
    Push {
        /// The mirror.
        mirror: PushMirror<Text>,
    },
    /// From another registry.
    Pull {
        /// The mirror.
        mirror: PullMirror<Text>,
    },
}

impl<Text> Mirror<Text> {
    /// What all policies have.
    #[must_use]
    pub fn common(&self) -> &PolicyCommon<Text> {
        match self {
            Self::Push { mirror } => &mirror.common,
            Self::Pull { mirror } => &mirror.common,
        }
    }
}
