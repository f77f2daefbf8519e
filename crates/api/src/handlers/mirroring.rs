//! Mirrors of both directions, what their endpoints have in common, and *Connect*.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_model::policy::Mirror;
use longshore_model::{Actor, Code, PolicyId, Problem, Remote, RemoteId};
use longshore_oci::RepositoryName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::mirror::{MirroringPolicy, Named};
use crate::dto::remote::{CreateRemoteRegistryCheck, RemoteRegistryCheck};
use crate::error::{ApiError, Errors};
use crate::extract::{Body, RepositoryPath, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_mirroring_policies, delete_mirroring_policies))
        .routes(routes!(check_remote_registry))
}

/// The remotes of mirrors, each loaded once; `None` for one that the caller may not see.
pub(super) struct Remotes<'a> {
    api: &'a Api,
    actor: &'a Actor,
    seen: HashMap<RemoteId, Option<Remote>>,
}

impl<'a> Remotes<'a> {
    pub(super) fn new(api: &'a Api, actor: &'a Actor) -> Self {
        Self { api, actor, seen: HashMap::new() }
    }

    pub(super) async fn get(&mut self, id: RemoteId) -> Answer<Option<&Remote>> {
        if !self.seen.contains_key(&id) {
            let remote = match self.api.admin.remote(self.actor, id).await {
                Ok(remote) => Some(remote),
                Err(problem) if problem.code.status() < 500 => None,
                Err(problem) => return Err(problem.into()),
            };
            self.seen.insert(id, remote);
        }
        Ok(self.seen.get(&id).and_then(Option::as_ref))
    }
}

/// One mirror. A missing one is reported with the code `missing`.
pub(super) async fn mirror(
    api: &Api,
    actor: &Actor,
    repository: &RepositoryName,
    id: PolicyId,
    missing: Code,
) -> Answer<Mirror> {
    api.admin.mirror(actor, repository, id).await.map_err(|problem| match problem.code {
        Code::NoSuchPushMirroringPolicy | Code::NoSuchPollMirroringPolicy => {
            ApiError(Problem { code: missing, ..problem })
        }
        _ => problem.into(),
    })
}

/// The error for a mirror of the other direction.
pub(super) fn other_direction(id: PolicyId, missing: Code) -> ApiError {
    ApiError(Problem::new(missing, format!("The mirror {id} of this repository has the other direction.")))
}

/// List push and pull mirrors
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/mirroringPolicies", tag = "mirrors",
    params(RepositoryPath, Paging),
    responses((status = 200, body = [MirroringPolicy])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_mirroring_policies(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    paging: Paging,
) -> Answer<Response> {
    let page = paging.cut(api.admin.mirrors(&actor, &path.repository()?).await?);
    let mut remotes = Remotes::new(&api, &actor);
    let mut shown = Vec::with_capacity(page.items.len());
    for mirror in &page.items {
        let id = match mirror {
            Mirror::Push { mirror } => mirror.remote,
            Mirror::Pull { mirror } => mirror.remote,
        };
        shown.push(MirroringPolicy::new(mirror.clone(), remotes.get(id).await?));
    }
    Ok(paging.answer(page, |_| shown))
}

/// Delete several mirrors
///
/// All or none: if one does not exist, none is deleted.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/mirroringPolicies", tag = "mirrors",
    params(RepositoryPath),
    request_body = [Named],
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PUSH_MIRRORING_POLICY", body = Errors),
    )
)]
async fn delete_mirroring_policies(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Body(named): Body<Vec<Named>>,
) -> Answer<StatusCode> {
    let repository = path.repository()?;
    for one in &named {
        mirror(&api, &actor, &repository, one.policy(), Code::NoSuchPushMirroringPolicy).await?;
    }
    for one in &named {
        api.admin.delete_mirror(&actor, &repository, one.policy()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Test connection settings (Connect)
///
/// The response is 201 with the results of all checks if at least reading or writing works. For every signed-in user.
#[utoipa::path(
    post, path = "/remote/registry", tag = "mirrors",
    request_body = CreateRemoteRegistryCheck,
    responses(
        (status = 201, body = RemoteRegistryCheck),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, \
                CONFLICTING_PARAMETERS",
        ),
        (status = 404, description = "NO_SUCH_REMOTE", body = Errors),
    )
)]
async fn check_remote_registry(
    State(api): State<Api>,
    Who(actor): Who,
    Body(check): Body<CreateRemoteRegistryCheck>,
) -> Answer<(StatusCode, Json<RemoteRegistryCheck>)> {
    let request = check.connection.check(check.remote_repository)?;
    let report = api.admin.connect(&actor, None, &request).await?;
    Ok((StatusCode::CREATED, Json(RemoteRegistryCheck::unless_useless(report)?)))
}
