//! Activity, in the shape of DTR's events.

use jiff::Timestamp;
use longshore_model::Author;
use longshore_model::activity::{Activity as Model, ActivityKind};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::tag::word;

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// The identifier; increases with time.
    id: i64,
    /// The time of the event.
    published_at: Timestamp,
    /// The actor: a username, or the identifier of a policy.
    actor: String,
    /// The kind of actor: `USER`, `PROMOTION`, `PUSH_MIRRORING`, `POLL_MIRRORING` or `SYSTEM`.
    actor_type: &'static str,
    /// The kind of event: `CREATE`, `UPDATE`, `DELETE`, `SEND` or `FAIL`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The object of the event.
    object: EventObject,
    /// The repository that the event concerns; empty if none.
    repository: String,
    /// The kind of activity in Longshore's terms, which are finer than DTR's types.
    activity: String,
    /// The job that caused the event.
    #[serde(rename = "jobID")]
    job_id: Option<Uuid>,
    /// Details, in one sentence.
    detail: String,
}

/// The object of an event.
#[derive(Debug, Serialize, ToSchema)]
struct EventObject {
    /// The digest of a tag's manifest, or the identifier of a policy.
    id: String,
    /// The kind of object: `TAG`, `REPOSITORY`, `PROMOTION`, `PUSH_MIRRORING`, `POLL_MIRRORING`, `POLICY`, `PAUSE`,
    /// `REMOTE` or `ACCOUNT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of a tag or repository.
    name: String,
}

impl From<Model> for Event {
    fn from(activity: Model) -> Self {
        let repository = activity.repository.as_ref().map(ToString::to_string).unwrap_or_default();
        let (kind, object) = words(activity.kind);
        let id = match (&activity.digest, activity.policy) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(policy)) => policy.to_string(),
            (None, None) => String::new(),
        };
        let name = activity.tag.as_ref().map_or_else(|| repository.clone(), ToString::to_string);
        let (actor, actor_type) = match &activity.author {
            Author::User { name } => (name.to_string(), "USER"),
            Author::Policy { id, policy } => (id.to_string(), policy_word(*policy)),
            Author::System => ("Longshore".to_owned(), "SYSTEM"),
        };
        Self {
            id: activity.id,
            published_at: activity.at,
            actor,
            actor_type,
            kind,
            object: EventObject { id, kind: object, name },
            repository,
            activity: word(activity.kind),
            job_id: activity.job.map(|job| job.0),
            detail: activity.detail,
        }
    }
}

fn policy_word(kind: longshore_model::PolicyKind) -> &'static str {
    match kind {
        longshore_model::PolicyKind::Promotion => "PROMOTION",
        longshore_model::PolicyKind::PushMirror => "PUSH_MIRRORING",
        longshore_model::PolicyKind::PullMirror => "POLL_MIRRORING",
    }
}

/// DTR's types of event and object.
fn words(kind: ActivityKind) -> (&'static str, &'static str) {
    match kind {
        ActivityKind::TagPushed => ("CREATE", "TAG"),
        ActivityKind::TagPromoted => ("CREATE", "PROMOTION"),
        ActivityKind::TagMirrored => ("CREATE", "POLL_MIRRORING"),
        ActivityKind::TagSent => ("SEND", "PUSH_MIRRORING"),
        ActivityKind::TagDeleted => ("DELETE", "TAG"),
        ActivityKind::TagRestored => ("CREATE", "TAG"),
        ActivityKind::TagReleased => ("UPDATE", "TAG"),
        ActivityKind::RepositoryCreated => ("CREATE", "REPOSITORY"),
        ActivityKind::RepositoryChanged => ("UPDATE", "REPOSITORY"),
        ActivityKind::RepositoryDeleted | ActivityKind::RepositoryPurged => ("DELETE", "REPOSITORY"),
        ActivityKind::RepositoryRestored => ("CREATE", "REPOSITORY"),
        ActivityKind::PolicyCreated => ("CREATE", "POLICY"),
        ActivityKind::PolicyChanged => ("UPDATE", "POLICY"),
        ActivityKind::PolicyDeleted => ("DELETE", "POLICY"),
        ActivityKind::PolicyStopped => ("FAIL", "POLICY"),
        ActivityKind::Paused | ActivityKind::Resumed => ("UPDATE", "PAUSE"),
        ActivityKind::RemoteChanged => ("UPDATE", "REMOTE"),
        ActivityKind::AccountCreated => ("CREATE", "ACCOUNT"),
        ActivityKind::QuotaChanged => ("UPDATE", "ACCOUNT"),
    }
}
