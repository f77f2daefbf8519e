//! Restoring what was overwritten or deleted, and purging deleted repositories.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream::{self, StreamExt, TryStreamExt};
use longshore_model::{Problem, Revision};
use std::future::ready;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::repository::Repository;
use crate::dto::undo::{
    ChangeQuery, CreateRestoration, DeletedRepositories, DeletedRepository, DeletedTag, Purge, Restoration,
    RestorationPlan, TagChange,
};
use crate::error::Errors;
use crate::extract::{Body, Query, RepositoryPath, TagPath, Who};
use crate::paging::{Paging, json_array};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(tag_history))
        .routes(routes!(plan_restoration, restore_tag))
        .routes(routes!(release_tag))
        .routes(routes!(list_deleted_tags))
        .routes(routes!(list_deleted_repositories))
        .routes(routes!(get_deleted_repository, purge_repository))
        .routes(routes!(restore_repository))
}

/// Get the history of a tag
///
/// All its changes, newest first. Includes deleted tags.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/tags/{tag}/history", tag = "tags",
    params(TagPath),
    responses(
        (status = 200, body = [TagChange]),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn tag_history(State(api): State<Api>, Who(actor): Who, Path(path): Path<TagPath>) -> Answer<Response> {
    let (repository, tag) = (path.repository()?, path.tag()?);
    let mut parts = Box::pin(stream::try_unfold(None, move |before| {
        let (api, actor, repository, tag) = (api.clone(), actor.clone(), repository.clone(), tag.clone());
        async move {
            let changes = api.admin.tag_history(&actor, &repository, &tag, before).await?;
            let Some(oldest) = changes.last() else { return Ok::<_, Problem>(None) };
            let before = Some(oldest.revision);
            Ok(Some((changes, before)))
        }
    }));
    // Checked before the response starts, so that a missing tag is a 404.
    let first = parts.try_next().await?.unwrap_or_default();
    let all = stream::once(ready(Ok(first))).chain(parts);
    Ok(json_array(all.map_ok(|changes| changes.into_iter().map(TagChange::from).collect::<Vec<_>>())))
}

/// Get the plan of restoring a tag
///
/// Which policies would act on the tag, and whether it would be pinned.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/tags/{tag}/restoration", tag = "tags",
    params(TagPath, ChangeQuery),
    responses(
        (status = 200, body = RestorationPlan),
        (status = 409, description = "NOT_RESTORABLE, REPOSITORY_NOT_WRITABLE", body = Errors),
    )
)]
async fn plan_restoration(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
    Query(change): Query<ChangeQuery>,
) -> Answer<Json<RestorationPlan>> {
    let revision = Revision(change.revision);
    let plan = api.admin.plan_restore(&actor, &path.repository()?, &path.tag()?, revision).await?;
    Ok(Json(plan.into()))
}

/// Restore a tag
///
/// Points the tag to an earlier manifest again, whether it was overwritten or deleted. This is a change like any other.
/// A tag that came from a pull mirror is pinned: the mirror does not change it until it is released.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/tags/{tag}/restoration", tag = "tags",
    params(TagPath),
    request_body = CreateRestoration,
    responses(
        (status = 201, body = Restoration),
        (status = 409, description = "NOT_RESTORABLE, TAG_IMMUTABLE, REPOSITORY_NOT_WRITABLE", body = Errors),
    )
)]
async fn restore_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
    Body(restoration): Body<CreateRestoration>,
) -> Answer<(StatusCode, Json<Restoration>)> {
    let CreateRestoration { revision, run_policies } = restoration;
    let (repository, tag) = (path.repository()?, path.tag()?);
    let restored =
        api.admin.restore_tag(&actor, &repository, &tag, Revision(revision), !run_policies).await?;
    Ok((StatusCode::CREATED, Json(restored.into())))
}

/// Release a pinned tag
///
/// Its pull mirror may change it again, and does so with its next poll.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/tags/{tag}/pin", tag = "tags",
    params(TagPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG", body = Errors),
        (status = 409, description = "TAG_NOT_PINNED", body = Errors),
    )
)]
async fn release_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
) -> Answer<StatusCode> {
    api.admin.release_tag(&actor, &path.repository()?, &path.tag()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the deleted tags of a repository
///
/// Those that can be restored, last deleted first. For users who may push to the repository.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/deletedTags", tag = "tags",
    params(RepositoryPath, Paging),
    responses((status = 200, body = [DeletedTag]))
)]
async fn list_deleted_tags(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    paging: Paging,
) -> Answer<Response> {
    let page = api.admin.deleted_tags(&actor, &path.repository()?, paging.request()).await?;
    Ok(paging.answer(page, |tags| tags.into_iter().map(DeletedTag::from).collect::<Vec<_>>()))
}

/// List deleted repositories
///
/// Those in the namespaces in which the caller may act, last deleted first.
#[utoipa::path(
    get, path = "/deletedRepositories", tag = "repositories",
    params(Paging),
    responses((status = 200, body = DeletedRepositories))
)]
async fn list_deleted_repositories(
    State(api): State<Api>,
    Who(actor): Who,
    paging: Paging,
) -> Answer<Response> {
    let page = api.admin.deleted_repositories(&actor, paging.request()).await?;
    Ok(paging.answer(page, |rows| DeletedRepositories {
        deleted_repositories: rows.into_iter().map(DeletedRepository::from).collect(),
    }))
}

/// Get a deleted repository
///
/// Includes how much space its purge would free, and where else its images are stored.
#[utoipa::path(
    get, path = "/deletedRepositories/{namespace}/{reponame}", tag = "repositories",
    params(RepositoryPath),
    responses(
        (status = 200, body = Purge),
        (status = 404, description = "NO_SUCH_DELETED_REPOSITORY", body = Errors),
    )
)]
async fn get_deleted_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Purge>> {
    Ok(Json(api.admin.deleted_repository(&actor, &path.repository()?).await?.into()))
}

/// Restore a deleted repository
///
/// With its tags and policies.
#[utoipa::path(
    post, path = "/deletedRepositories/{namespace}/{reponame}/restoration", tag = "repositories",
    params(RepositoryPath),
    responses(
        (status = 200, body = Repository),
        (status = 404, description = "NO_SUCH_DELETED_REPOSITORY", body = Errors),
    )
)]
async fn restore_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Repository>> {
    Ok(Json(api.admin.restore_repository(&actor, &path.repository()?).await?.into()))
}

/// Purge a deleted repository
///
/// Removes it permanently before its restore period ends, and returns where else its images are stored. Its name
/// becomes available.
#[utoipa::path(
    delete, path = "/deletedRepositories/{namespace}/{reponame}", tag = "repositories",
    params(RepositoryPath),
    responses(
        (status = 200, body = Purge),
        (status = 404, description = "NO_SUCH_DELETED_REPOSITORY", body = Errors),
    )
)]
async fn purge_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Purge>> {
    Ok(Json(api.admin.purge_repository(&actor, &path.repository()?).await?.into()))
}
