//! Promotion policies and mirrors as they are stored and shown, and the drafts that people submit. `longshore_policy`
//! evaluates rules and templates.

use crate::id::{AccountId, JobId, PolicyId, RemoteId, RepositoryId};
use crate::remote::RemoteDraft;
use crate::version::{LastChange, Version};
use jiff::Timestamp;
use longshore_oci::{RemoteName, RepositoryName};
use longshore_policy::{RawRule, StoredRules};
use serde::{Deserialize, Serialize};

/// The three kinds of policy: promotion policies, push mirrors and pull mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Promotes tags into another repository of this server.
    Promotion,
    /// Copies tags to another registry.
    PushMirror,
    /// Copies tags from another registry.
    PullMirror,
}

impl PolicyKind {
    /// The word used in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::PushMirror => "push_mirror",
            Self::PullMirror => "pull_mirror",
        }
    }

    /// The name in sentences.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Promotion => "promotion policy",
            Self::PushMirror => "push mirror",
            Self::PullMirror => "pull mirror",
        }
    }
}

// The words are those of `lastStatus.code`. The discriminants are their order: of several runs, the greatest is
// shown.
/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LastCode))]
#[serde(rename_all = "snake_case")]
pub enum RunCode {
    /// It has not run yet.
    Never = 0,
    /// It is running.
    Running = 2,
    /// Everything succeeded.
    Success = 1,
    /// Something failed.
    Failed = 3,
}

/// The last run of a policy or mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun<Text = String> {
    pub code: RunCode,
    /// One sentence: what was copied, or what failed and what to do about it.
    pub detail: Text,
    /// When it ended, or when it started while it is still running.
    pub at: Option<Timestamp>,
    pub job: Option<JobId>,
}

impl<Text: Default> LastRun<Text> {
    /// The state before the first run.
    #[must_use]
    pub fn never() -> Self {
        Self { code: RunCode::Never, detail: Text::default(), at: None, job: None }
    }
}

/// The fields that all kinds of policy share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCommon<Text = String> {
    pub id: PolicyId,
    pub enabled: bool,
    /// Grows with each change, including those that the policy makes itself. A change names the version that it is
    /// based on (semantics 33).
    pub version: Version,
    /// Grows with each change of what the policy does: rules, template, patterns, destination. The policy acts at
    /// most once per tag revision and version of its rules (semantics 2).
    pub rules_version: i64,
    pub last_change: Option<LastChange>,
    /// Why it stopped itself; `None` if it did not (semantics 5, 10, 15).
    pub stopped: Option<Text>,
    /// Whether signatures, SBOMs and attestations are included (semantics 7).
    pub referrers: bool,
    /// The user who set it up.
    pub author: Option<AccountId>,
    /// Empty if the author's account was deleted.
    pub author_name: String,
    /// Whether the author no longer has the permission that creating the policy required (semantics 16).
    pub orphaned: bool,
    pub created_at: Timestamp,
    /// When a person last changed it.
    pub updated_at: Timestamp,
    pub last_run: LastRun<Text>,
}

/// A policy that a form changes, as it was when the form was loaded (semantics 33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    pub id: PolicyId,
    /// Its version at that time.
    pub version: Version,
}

impl From<&PolicyCommon> for Loaded {
    fn from(common: &PolicyCommon) -> Self {
        Self { id: common.id, version: common.version }
    }
}

/// Copies matching tags into another repository of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionPolicy<Text = String> {
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    pub source: RepositoryId,
    pub source_name: RepositoryName,
    pub target: RepositoryId,
    pub target_name: RepositoryName,
    /// All of them must match.
    pub rules: StoredRules,
    /// The template of the tag in the target.
    pub template: String,
    pub last_promoted_at: Option<Timestamp>,
}

/// Copies matching tags to a repository of another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMirror<Text = String> {
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    pub repository: RepositoryId,
    pub repository_name: RepositoryName,
    pub remote: RemoteId,
    /// For display.
    pub remote_host: String,
    pub remote_repository: RemoteName,
    /// All of them must match.
    pub rules: StoredRules,
    /// The template of the tag at the remote.
    pub template: String,
    /// Whether a tag at the remote that this mirror did not set may be overwritten (semantics 4).
    pub overwrite: bool,
    /// Whether stored non-distributable layers are copied too (semantics 43).
    pub foreign_layers: bool,
    pub last_mirrored_at: Option<Timestamp>,
}

/// Copies tags of a repository of another registry into a local repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullMirror<Text = String> {
    #[serde(flatten)]
    pub common: PolicyCommon<Text>,
    pub repository: RepositoryId,
    pub repository_name: RepositoryName,
    pub remote: RemoteId,
    /// For display.
    pub remote_host: String,
    pub remote_repository: RemoteName,
    /// The tags to mirror: comma-separated names and globs.
    pub patterns: String,
    pub interval_seconds: u32,
    /// Whether non-distributable layers that the remote has are copied too (semantics 43).
    pub foreign_layers: bool,
    /// Whether the existing tags of the remote must still be recorded (semantics 3).
    pub baseline: Baseline,
    /// While that is pending: the earlier patterns. Tags that match them are already recorded or mirrored; only tags
    /// that match none of them are recorded (semantics 35).
    pub known_patterns: Option<String>,
    pub next_run_at: Timestamp,
    pub last_mirrored_at: Option<Timestamp>,
}

/// What a pull mirror knows about the tags that existed when it was saved (semantics 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// *Save & Apply*: every tag is mirrored.
    None,
    /// *Save*: the first job records the existing tags; until then nothing is copied.
    Pending,
    /// The existing tags are recorded; only tags that are new or differ are mirrored.
    Complete,
}

/// The label of the switch for non-distributable layers of mirrors (semantics 43), in dialogs and in messages that
/// name it as the remedy.
pub const FOREIGN_LAYERS: &str = "Include non-distributable layers";

/// The default interval between polls, as in DTR.
pub const DEFAULT_POLL_INTERVAL_SECONDS: u32 = 30 * 60;
/// The minimum interval between polls.
pub const MIN_POLL_INTERVAL_SECONDS: u32 = 60;
/// The maximum interval between polls, 30 days.
pub const MAX_POLL_INTERVAL_SECONDS: u32 = 30 * 24 * 60 * 60;

/// The tags that a saved policy acts on (semantics 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Save {
    /// *Save*: changes from now on.
    Future,
    /// *Save & Apply*: existing tags as well.
    Apply,
}

/// A promotion policy as a person or script submits it; not validated yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionDraft {
    /// No rules match every tag, which `every_tag` must confirm.
    pub rules: Vec<RawRule>,
    /// Confirms that no rules are intended (semantics 10).
    pub every_tag: bool,
    /// The target as `namespace/name`.
    pub target: String,
    /// The tag template; empty means `%n`.
    pub template: String,
    /// Whether the policy acts. `None` keeps the current state and enables a new policy. `true` restarts a policy
    /// that stopped itself.
    pub enabled: Option<bool>,
    /// Whether referrers are included.
    pub referrers: bool,
}

/// The remote of a mirror: a saved one, or one that is entered in the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RemoteChoice {
    Saved {
        id: RemoteId,
    },
    /// A new one, saved together with the mirror, unless a saved one has the same settings.
    New {
        remote: RemoteDraft,
    },
}

/// A push mirror as submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushMirrorDraft {
    pub remote: RemoteChoice,
    /// The repository at the remote.
    pub remote_repository: String,
    pub rules: Vec<RawRule>,
    /// Confirms that no rules are intended (semantics 10).
    pub every_tag: bool,
    /// The tag template; empty means `%n`.
    pub template: String,
    /// As in [`PromotionDraft`].
    pub enabled: Option<bool>,
    /// Whether tags at the remote that this mirror did not set may be overwritten.
    pub overwrite: bool,
    /// Whether referrers are included.
    pub referrers: bool,
    /// Whether stored non-distributable layers are copied too (semantics 43).
    pub foreign_layers: bool,
}

/// A pull mirror as submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullMirrorDraft {
    pub remote: RemoteChoice,
    /// The repository at the remote.
    pub remote_repository: String,
    /// Names and globs; empty means `*`.
    pub patterns: String,
    pub interval_seconds: u32,
    /// As in [`PromotionDraft`].
    pub enabled: Option<bool>,
    /// Whether referrers are included.
    pub referrers: bool,
    /// Whether non-distributable layers that the remote has are copied too (semantics 43).
    pub foreign_layers: bool,
    /// Whether only this mirror may write to the local repository (semantics 18); `None` keeps the current setting.
    pub exclusive: Option<bool>,
}

/// A push or pull mirror, for lists that show both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "direction", rename_all = "snake_case")]
pub enum Mirror<Text = String> {
    /// To another registry.
    Push { mirror: PushMirror<Text> },
    /// From another registry.
    Pull { mirror: PullMirror<Text> },
}

impl<Text> Mirror<Text> {
    #[must_use]
    pub fn common(&self) -> &PolicyCommon<Text> {
        match self {
            Self::Push { mirror } => &mirror.common,
            Self::Pull { mirror } => &mirror.common,
        }
    }
}
