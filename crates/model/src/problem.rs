//! What goes wrong, as a person or script is told: a code, a sentence, and the fields it is about.
//! The codes are DTR's where DTR has one (dtr.md §1), with the HTTP statuses it used.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

use crate::{message::cut, version::Version};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $status:literal;)*) => {
        /// The code of a [`Problem`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {$(
            $(#[$doc])*
            #[serde(rename = $wire)]
            $name,
        )*}

        impl Code {
            /// The code on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The HTTP status it goes with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// Nobody is signed in.
    NotAuthenticated = "NOT_AUTHENTICATED", 401;
    /// User name and password do not go together.
    WrongCredentials = "WRONG_CREDENTIALS", 401;
    /// The actor may not do this.
    NotAuthorized = "NOT_AUTHORIZED", 403;
    /// A request from another site.
    ForeignOrigin = "FOREIGN_ORIGIN", 403;
    /// Too many wrong passwords.
    TooManyAttempts = "TOO_MANY_ATTEMPTS", 429;
    /// A request that cannot be read.
    InvalidRequest = "INVALID_REQUEST", 400;
    /// `initialEvaluation` differs between query and body.
    ConflictingParameters = "CONFLICTING_PARAMETERS", 400;
    /// There are as many of these as there may be.
    LimitReached = "LIMIT_REACHED", 409;
    /// No such account.
    NoSuchAccount = "NO_SUCH_ACCOUNT", 404;
    /// The name is taken.
    AccountExists = "ACCOUNT_EXISTS", 409;
    /// Not a name for an account.
    InvalidAccountName = "INVALID_ACCOUNT_NAME", 422;
    /// Not a password one would accept.
    InvalidPassword = "INVALID_PASSWORD", 422;
    /// No such repository, or none that the actor may see.
    NoSuchRepository = "NO_SUCH_REPOSITORY", 404;
    /// The name is taken.
    RepositoryExists = "REPOSITORY_EXISTS", 409;
    /// Not a name for a repository.
    InvalidRepositoryName = "INVALID_REPOSITORY_NAME", 422;
    /// The settings have been changed since the version that the change is based on.
    RepositoryChanged = "REPOSITORY_CHANGED", 409;
    /// No such deleted repository, or none that the actor administers.
    NoSuchDeletedRepository = "NO_SUCH_DELETED_REPOSITORY", 404;
    /// The repository's state does not allow it.
    RepositoryNotWritable = "REPOSITORY_NOT_WRITABLE", 409;
    /// No such tag.
    NoSuchTag = "NO_SUCH_TAG", 404;
    /// Not a legal tag.
    InvalidTagName = "INVALID_TAG_NAME", 400;
    /// The tag is immutable and points elsewhere.
    TagImmutable = "TAG_IMMUTABLE", 409;
    /// Not a list of patterns that tags can match.
    InvalidTagPatterns = "INVALID_TAG_PATTERNS", 400;
    /// What it pointed to cannot be brought back any more.
    NotRestorable = "NOT_RESTORABLE", 409;
    /// The tag is not pinned.
    NotPinned = "TAG_NOT_PINNED", 409;
    /// The namespace would hold more than it may.
    QuotaExceeded = "QUOTA_EXCEEDED", 403;
    /// A later change took its place.
    Superseded = "SUPERSEDED", 409;
    /// No such promotion policy.
    NoSuchPromotionPolicy = "NO_SUCH_PROMOTION_POLICY", 404;
    /// A promotion policy that cannot be.
    InvalidPromotionPolicy = "INVALID_PROMOTION_POLICY", 400;
    /// The policy or mirror has been changed since the version that the change is based on.
    PolicyChanged = "POLICY_CHANGED", 409;
    /// No such push mirror.
    NoSuchPushMirroringPolicy = "NO_SUCH_PUSH_MIRRORING_POLICY", 404;
    /// A push mirror that cannot be.
    InvalidPushMirroringPolicy = "INVALID_PUSH_MIRRORING_POLICY", 400;
    /// No such pull mirror.
    NoSuchPollMirroringPolicy = "NO_SUCH_POLL_MIRRORING_POLICY", 404;
    /// A pull mirror that cannot be.
    InvalidPollMirroringPolicy = "INVALID_POLL_MIRRORING_POLICY", 400;
    /// The remote registry cannot be used like this; the message and the fields say why.
    RemoteRegistryInvalidPermissions = "REMOTE_REGISTRY_INVALID_PERMISSIONS", 400;
    /// No such remote, or none that the actor may use.
    NoSuchRemote = "NO_SUCH_REMOTE", 404;
    /// A remote that cannot be.
    InvalidRemote = "INVALID_REMOTE", 400;
    /// The remote has been changed since the version that the change is based on.
    RemoteChanged = "REMOTE_CHANGED", 409;
    /// Mirrors use it.
    RemoteInUse = "REMOTE_IN_USE", 409;
    /// The stored password cannot be used with changed settings.
    SecretNeeded = "SECRET_NEEDED", 400;
    /// No such job.
    NoSuchJob = "NO_SUCH_JOB", 404;
    /// A job that cannot be started like this.
    InvalidJob = "INVALID_JOB", 400;
    /// The job has ended already.
    JobEnded = "JOB_ENDED", 409;
    /// It is not paused.
    NoSuchPause = "NO_SUCH_PAUSE", 404;
    /// Something in the server failed; the log says what.
    Internal = "INTERNAL_ERROR", 500;
}

/// One field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field as the REST interface calls it, such as `targetRepository` or `rules[1].values`.
    pub field: String,
    /// What is wrong and how it would be right.
    pub message: String,
}

impl FieldError {
    /// That `field` is wrong. A message that quotes what was typed is cut where nobody reads on.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: legible(message.into()) }
    }
}

/// A message of at most [`Problem::LONGEST`] characters.
fn legible(mut message: String) -> String {
    cut(&mut message, Problem::LONGEST);
    message
}

/// Something that did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What sort.
    pub code: Code,
    /// One or two sentences: the thing, the cause, the remedy.
    pub message: String,
    /// The fields it is about.
    pub fields: Vec<FieldError>,
    /// After how many seconds the same may be tried again, where waiting helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The version that the thing is at, where the change was based on an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Version>,
}

impl Problem {
    /// No message has more characters. Many quote what came, which may be of any length.
    pub const LONGEST: usize = 1_000;

    /// A problem that is about no field.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = legible(message.into());
        Self { code, message, fields: Vec::new(), retry_after: None, newer: None }
    }

    /// A problem about one field; the field's message is the problem's.
    pub fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let wrong = FieldError::new(field, message);
        let problem = Self::new(code, wrong.message.clone());
        Self { fields: vec![wrong], ..problem }
    }

    /// A problem about several fields; none when there are none.
    #[must_use]
    pub fn fields(code: Code, fields: Vec<FieldError>) -> Option<Self> {
        let first = fields.first()?;
        let message = match fields.len() {
            1 => first.message.clone(),
            more => format!("{} (and {} more)", first.message, more - 1),
        };
        Some(Self { fields, ..Self::new(code, message) })
    }

    /// The same problem, which is over when so much time is.
    #[must_use]
    pub fn over_after(self, wait: Duration) -> Self {
        // Headers count whole seconds.
        Self { retry_after: Some(wait.as_secs().max(1)), ..self }
    }

    /// What went wrong with `field`, when something did.
    #[must_use]
    pub fn about(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
