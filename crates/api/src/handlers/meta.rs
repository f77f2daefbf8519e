//! The features and the state of the server.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use longshore_model::view::SystemInfo;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::extract::Who;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_features)).routes(routes!(get_system))
}

/// The features of the server, for DTR's scripts. None of them depends on a licence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Features {
    scanning_enabled: bool,
    scanning_licensed: bool,
    promotion_licensed: bool,
    mirroring_licensed: bool,
    #[serde(rename = "onlineGCEnabled")]
    online_gc_enabled: bool,
}

/// Get the features of the server
#[utoipa::path(
    get, path = "/meta/features", tag = "server",
    responses((status = 200, body = Features)),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_features() -> Json<Features> {
    Json(Features {
        scanning_enabled: false,
        scanning_licensed: false,
        promotion_licensed: true,
        mirroring_licensed: true,
        online_gc_enabled: false,
    })
}

/// The state of the server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct System {
    /// The version of Longshore.
    version: String,
    /// The time at which the server was started.
    started_at: Timestamp,
    /// `SQLite` or `PostgreSQL`.
    database: String,
    /// The number of repositories.
    repositories: u64,
    /// The number of tags.
    tags: u64,
    /// The number of bytes of all blobs, each counted once.
    blobs_bytes: u64,
    /// The number of queued jobs.
    jobs_waiting: u64,
    /// The number of running jobs.
    jobs_running: u64,
    /// The time zone of tag templates.
    zone: String,
}

impl From<SystemInfo> for System {
    fn from(info: SystemInfo) -> Self {
        Self {
            version: info.version,
            started_at: info.started_at,
            database: info.database.to_string(),
            repositories: info.repositories,
            tags: info.tags,
            blobs_bytes: info.blobs_bytes,
            jobs_waiting: info.jobs_waiting,
            jobs_running: info.jobs_running,
            zone: info.zone,
        }
    }
}

/// Get the state of the server
///
/// Only for administrators.
#[utoipa::path(
    get, path = "/system", tag = "server",
    responses((status = 200, body = System))
)]
async fn get_system(State(api): State<Api>, Who(actor): Who) -> Answer<Json<System>> {
    Ok(Json(api.admin.system(&actor).await?.into()))
}
