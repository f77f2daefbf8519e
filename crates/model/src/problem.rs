//! Errors as people and scripts see them: a code, a sentence and the fields concerned. The codes and HTTP statuses
//! are those of DTR, if it has them.

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
            /// The code used in REST.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The HTTP status of the code.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The request needs a signed-in user.
    NotAuthenticated = "NOT_AUTHENTICATED", 401;
    /// Incorrect username or password.
    WrongCredentials = "WRONG_CREDENTIALS", 401;
    /// The actor lacks the permission.
    NotAuthorized = "NOT_AUTHORIZED", 403;
    /// A request from another site.
    ForeignOrigin = "FOREIGN_ORIGIN", 403;
    /// Too many wrong passwords.
    TooManyAttempts = "TOO_MANY_ATTEMPTS", 429;
    /// A request that cannot be parsed.
    InvalidRequest = "INVALID_REQUEST", 400;
    /// `initialEvaluation` differs between query and body.
    ConflictingParameters = "CONFLICTING_PARAMETERS", 400;
    /// The maximum number of these exists already.
    LimitReached = "LIMIT_REACHED", 409;
    NoSuchAccount = "NO_SUCH_ACCOUNT", 404;
    /// An account with this name exists.
    AccountExists = "ACCOUNT_EXISTS", 409;
    InvalidAccountName = "INVALID_ACCOUNT_NAME", 422;
    /// The password is not acceptable.
    InvalidPassword = "INVALID_PASSWORD", 422;
    /// Not found, or the actor may not see it.
    NoSuchRepository = "NO_SUCH_REPOSITORY", 404;
    /// A repository with this name exists.
    RepositoryExists = "REPOSITORY_EXISTS", 409;
    InvalidRepositoryName = "INVALID_REPOSITORY_NAME", 422;
    /// The settings were changed after the version that the change is based on.
    RepositoryChanged = "REPOSITORY_CHANGED", 409;
    /// Not found, or the actor does not administer it.
    NoSuchDeletedRepository = "NO_SUCH_DELETED_REPOSITORY", 404;
    /// The repository's state does not allow it.
    RepositoryNotWritable = "REPOSITORY_NOT_WRITABLE", 409;
    NoSuchTag = "NO_SUCH_TAG", 404;
    InvalidTagName = "INVALID_TAG_NAME", 400;
    /// The tag is immutable and points to another manifest.
    TagImmutable = "TAG_IMMUTABLE", 409;
    InvalidTagPatterns = "INVALID_TAG_PATTERNS", 400;
    /// The earlier state of the tag can no longer be restored.
    NotRestorable = "NOT_RESTORABLE", 409;
    NotPinned = "TAG_NOT_PINNED", 409;
    /// The change would exceed the quota of the namespace.
    QuotaExceeded = "QUOTA_EXCEEDED", 403;
    /// A later change takes precedence.
    Superseded = "SUPERSEDED", 409;
    NoSuchPromotionPolicy = "NO_SUCH_PROMOTION_POLICY", 404;
    InvalidPromotionPolicy = "INVALID_PROMOTION_POLICY", 400;
    /// The policy or mirror was changed after the version that the change is based on.
    PolicyChanged = "POLICY_CHANGED", 409;
    NoSuchPushMirroringPolicy = "NO_SUCH_PUSH_MIRRORING_POLICY", 404;
    InvalidPushMirroringPolicy = "INVALID_PUSH_MIRRORING_POLICY", 400;
    NoSuchPollMirroringPolicy = "NO_SUCH_POLL_MIRRORING_POLICY", 404;
    InvalidPollMirroringPolicy = "INVALID_POLL_MIRRORING_POLICY", 400;
    /// The remote registry cannot be used with these settings; the message and the fields say why.
    RemoteRegistryInvalidPermissions = "REMOTE_REGISTRY_INVALID_PERMISSIONS", 400;
    /// Not found, or the actor may not use it.
    NoSuchRemote = "NO_SUCH_REMOTE", 404;
    InvalidRemote = "INVALID_REMOTE", 400;
    /// The remote was changed after the version that the change is based on.
    RemoteChanged = "REMOTE_CHANGED", 409;
    /// Mirrors use the remote.
    RemoteInUse = "REMOTE_IN_USE", 409;
    /// The stored password cannot be used with changed settings.
    SecretNeeded = "SECRET_NEEDED", 400;
    NoSuchJob = "NO_SUCH_JOB", 404;
    /// The job cannot be started with this request.
    InvalidJob = "INVALID_JOB", 400;
    JobEnded = "JOB_ENDED", 409;
    /// The scope is not paused.
    NoSuchPause = "NO_SUCH_PAUSE", 404;
    /// The server failed; its log has the details.
    Internal = "INTERNAL_ERROR", 500;
}

/// An invalid field, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The name of the field in REST, such as `targetRepository` or `rules[1].values`.
    pub field: String,
    /// What is wrong and what would be valid.
    pub message: String,
}

impl FieldError {
    /// An error about `field`. A message that quotes a long input is cut.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: legible(message.into()) }
    }
}

/// Cuts a message to at most [`Problem::LONGEST`] characters.
fn legible(mut message: String) -> String {
    cut(&mut message, Problem::LONGEST);
    message
}

/// An error, as a person or script sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub code: Code,
    /// One or two sentences: what is affected, the cause, the remedy.
    pub message: String,
    /// The fields concerned.
    pub fields: Vec<FieldError>,
    /// The seconds until a retry may succeed; `None` if waiting does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The current version, if the change was based on an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Version>,
}

impl Problem {
    /// The maximum number of characters of a message. Many messages quote input of any length.
    pub const LONGEST: usize = 1_000;

    /// A problem that concerns no field.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = legible(message.into());
        Self { code, message, fields: Vec::new(), retry_after: None, newer: None }
    }

    /// A problem about one field, whose message is also that of the problem.
    pub fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let wrong = FieldError::new(field, message);
        let problem = Self::new(code, wrong.message.clone());
        Self { fields: vec![wrong], ..problem }
    }

    /// A problem about several fields; `None` if there are none.
    #[must_use]
    pub fn fields(code: Code, fields: Vec<FieldError>) -> Option<Self> {
        let first = fields.first()?;
        let message = match fields.len() {
            1 => first.message.clone(),
            more => format!("{} (and {} more)", first.message, more - 1),
        };
        Some(Self { fields, ..Self::new(code, message) })
    }

    /// The same problem, with the time after which a retry may succeed.
    #[must_use]
    pub fn over_after(self, wait: Duration) -> Self {
        // `Retry-After` has whole seconds.
        Self { retry_after: Some(wait.as_secs().max(1)), ..self }
    }

    /// The message about `field`, if it is invalid.
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
