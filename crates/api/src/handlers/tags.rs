//! Tags, and promoting or pushing one by hand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_model::{Code, Problem};
use longshore_oci::Reference;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::tag::{
    CreatePromotion, CreatePushMirroring, PlatformQuery, Promotion, PushMirroring, Tag, TagQuery, details,
};
use crate::error::Errors;
use crate::extract::{Body, Query, RepositoryPath, TagPath, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_tags))
        .routes(routes!(get_tag, delete_tag))
        .routes(routes!(promote_tag))
        .routes(routes!(push_tag))
}

/// List the tags of a repository
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/tags", tag = "tags",
    params(RepositoryPath, Paging, TagQuery),
    responses((status = 200, body = [Tag])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_tags(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    paging: Paging,
    Query(query): Query<TagQuery>,
) -> Answer<Response> {
    let search = query.search.filter(|search| !search.is_empty());
    let page = api.admin.tags(&actor, &path.repository()?, search.as_deref(), paging.request()).await?;
    Ok(paging.answer(page, |tags| tags.into_iter().map(Tag::from).collect::<Vec<_>>()))
}

/// Get a tag
///
/// By name, or by digest: the most recently set tag that points to it. Returns one element per platform of an index,
/// otherwise a single one, with the results of policies.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/tags/{tag}", tag = "tags",
    params(TagPath, PlatformQuery),
    responses(
        (status = 200, body = [Tag]),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
    Query(platform): Query<PlatformQuery>,
) -> Answer<Json<Vec<Tag>>> {
    let repository = path.repository()?;
    let tag = match path.reference()? {
        Reference::Tag(tag) => tag,
        Reference::Digest(digest) => api.admin.tag_at(&actor, &repository, &digest).await?,
    };
    let detail = api.admin.tag(&actor, &repository, &tag).await?;
    Ok(Json(details(detail).into_iter().filter(|tag| platform.keeps(tag)).collect()))
}

/// Delete a tag
///
/// It can be restored for a while; see `/deletedTags` of the repository.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/tags/{tag}", tag = "tags",
    params(TagPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG", body = Errors),
        (status = 409, description = "REPOSITORY_NOT_WRITABLE, TAG_IMMUTABLE", body = Errors),
    )
)]
async fn delete_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
) -> Answer<StatusCode> {
    api.admin.delete_tags(&actor, &path.repository()?, &[path.tag()?]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Promote a tag by hand
///
/// Requires permission to read the source and to push to the target.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/tags/{tag}/promotion", tag = "tags",
    params(TagPath),
    request_body = CreatePromotion,
    responses(
        (status = 201, body = Promotion),
        (status = 400, description = "INVALID_REQUEST, INVALID_TAG_NAME", body = Errors),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG", body = Errors),
        (status = 409, description = "TAG_IMMUTABLE, REPOSITORY_NOT_WRITABLE", body = Errors),
    )
)]
async fn promote_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
    Body(promotion): Body<CreatePromotion>,
) -> Answer<(StatusCode, Json<Promotion>)> {
    let source = path.repository()?;
    let CreatePromotion { target_repository, target_tag } = promotion;
    let made = api.admin.promote_tag(&actor, &source, &path.tag()?, &target_repository, &target_tag).await?;
    let answer = Promotion {
        source_repository: source.to_string(),
        source_tag: path.tag,
        target_repository,
        target_tag: made.name.to_string(),
        digest: made.digest.to_string(),
        promoted_at: made.updated_at,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Push a tag to another registry by hand
///
/// The response is sent when the job is queued.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/tags/{tag}/pushMirroring", tag = "tags",
    params(TagPath),
    request_body = CreatePushMirroring,
    responses(
        (status = 201, body = PushMirroring),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_TAG_NAME, INVALID_PUSH_MIRRORING_POLICY, \
                REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, CONFLICTING_PARAMETERS",
        ),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_TAG, NO_SUCH_REMOTE", body = Errors),
    )
)]
async fn push_tag(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<TagPath>,
    Body(push): Body<CreatePushMirroring>,
) -> Answer<(StatusCode, Json<PushMirroring>)> {
    let (repository, tag) = (path.repository()?, path.tag()?);
    let remote_tag = if push.remote_tag.is_empty() { tag.to_string() } else { push.remote_tag };
    let remote = push.connection.choice()?;
    let job =
        api.admin.push_tag(&actor, &repository, &tag, remote, &push.remote_repository, &remote_tag).await?;
    let answer = PushMirroring::of(&job)
        .ok_or_else(|| Problem::new(Code::Internal, "The push returned another kind of job."))?;
    Ok((StatusCode::CREATED, Json(answer)))
}
