//! The activity feed, as DTR's events.

use axum::extract::{Path, State};
use axum::response::Response;
use longshore_model::Actor;
use longshore_model::activity::ActivityFilter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::activity::Event;
use crate::extract::{RepositoryPath, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(list_repository_events))
}

/// List activity
///
/// In the repositories that the caller may see, newest first.
#[utoipa::path(
    get, path = "/events", tag = "activity",
    params(Paging),
    responses((status = 200, body = [Event])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_events(State(api): State<Api>, Who(actor): Who, paging: Paging) -> Answer<Response> {
    list(&api, &actor, ActivityFilter::default(), &paging).await
}

/// List the activity of a repository
///
/// Newest first.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/events", tag = "activity",
    params(RepositoryPath, Paging),
    responses((status = 200, body = [Event])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_repository_events(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    paging: Paging,
) -> Answer<Response> {
    let filter = ActivityFilter { repository: Some(path.repository()?), ..ActivityFilter::default() };
    list(&api, &actor, filter, &paging).await
}

async fn list(api: &Api, actor: &Actor, filter: ActivityFilter, paging: &Paging) -> Answer<Response> {
    let page = api.admin.activity(actor, &filter, paging.request()).await?;
    Ok(paging.answer(page, |events| events.into_iter().map(Event::from).collect::<Vec<_>>()))
}
