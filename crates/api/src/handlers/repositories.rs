//! Listing, creating, changing and deleting repositories.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_model::Actor;
use longshore_model::repository::RepositoryFilter;
use longshore_oci::Namespace;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::repository::{CreateRepository, Repositories, Repository, RepositoryQuery, UpdateRepository};
use crate::error::Errors;
use crate::extract::{Body, NamespacePath, Query, RepositoryPath, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_repositories))
        .routes(routes!(list_repositories_of, create_repository))
        .routes(routes!(get_repository, update_repository, delete_repository))
}

/// List repositories
///
/// Those that the caller may see.
#[utoipa::path(
    get, path = "/repositories", tag = "repositories",
    params(Paging, RepositoryQuery),
    responses((status = 200, body = Repositories)),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_repositories(
    State(api): State<Api>,
    Who(actor): Who,
    paging: Paging,
    Query(query): Query<RepositoryQuery>,
) -> Answer<Response> {
    list(&api, &actor, None, &paging, query).await
}

/// List the repositories of a namespace
///
/// Those that the caller may see.
#[utoipa::path(
    get, path = "/repositories/{namespace}", tag = "repositories",
    params(NamespacePath, Paging, RepositoryQuery),
    responses((status = 200, body = Repositories)),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_repositories_of(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
    paging: Paging,
    Query(query): Query<RepositoryQuery>,
) -> Answer<Response> {
    list(&api, &actor, Some(path.namespace()?), &paging, query).await
}

async fn list(
    api: &Api,
    actor: &Actor,
    namespace: Option<Namespace>,
    paging: &Paging,
    query: RepositoryQuery,
) -> Answer<Response> {
    let filter = RepositoryFilter {
        search: query.search.filter(|search| !search.is_empty()),
        namespace,
        state: query.state,
        writable: false,
    };
    let page = api.admin.repositories(actor, filter, paging.request()).await?;
    Ok(paging
        .answer(page, |rows| Repositories { repositories: rows.into_iter().map(Repository::from).collect() }))
}

/// Create a repository
#[utoipa::path(
    post, path = "/repositories/{namespace}", tag = "repositories",
    params(NamespacePath),
    request_body = CreateRepository,
    responses(
        (status = 201, body = Repository),
        (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors),
        (status = 409, description = "REPOSITORY_EXISTS", body = Errors),
        (status = 422, description = "INVALID_REPOSITORY_NAME", body = Errors),
    )
)]
async fn create_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
    Body(repository): Body<CreateRepository>,
) -> Answer<(StatusCode, Json<Repository>)> {
    let new = repository.in_namespace(path.namespace)?;
    let repository = api.admin.create_repository(&actor, new).await?;
    Ok((StatusCode::CREATED, Json(repository.into())))
}

/// Get a repository
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}", tag = "repositories",
    params(RepositoryPath),
    responses((status = 200, body = Repository)),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Repository>> {
    let repository = api.admin.repository(&actor, &path.repository()?).await?;
    Ok(Json(repository.into()))
}

/// Change a repository
///
/// Omitted fields are unchanged. A repository cannot be renamed.
#[utoipa::path(
    patch, path = "/repositories/{namespace}/{reponame}", tag = "repositories",
    params(RepositoryPath),
    request_body = UpdateRepository,
    responses(
        (status = 200, body = Repository),
        (status = 400, description = "INVALID_REQUEST, INVALID_TAG_PATTERNS", body = Errors),
        (
            status = 409, body = Errors,
            description = "REPOSITORY_CHANGED: the version in the body is outdated",
        ),
    )
)]
async fn update_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Body(change): Body<UpdateRepository>,
) -> Answer<Json<Repository>> {
    let repository = api.admin.change_repository(&actor, &path.repository()?, change.try_into()?).await?;
    Ok(Json(repository.into()))
}

/// Delete a repository
///
/// It can be restored for a while; see `/deletedRepositories`.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}", tag = "repositories",
    params(RepositoryPath),
    responses((status = 204))
)]
async fn delete_repository(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<StatusCode> {
    api.admin.delete_repository(&actor, &path.repository()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
