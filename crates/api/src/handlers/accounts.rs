//! Users and organizations. For compatibility with DTR, these endpoints are also served under `/enzi/v0`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_admin::NewAccount;
use secrecy::SecretString;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::account::{Account, AccountQuery, AccountSort, Accounts, ChangePassword, CreateAccount};
use crate::error::Errors;
use crate::extract::{Body, NamespacePath, Peer, Query, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_accounts, create_account))
        .routes(routes!(get_account))
        .routes(routes!(change_password))
}

/// List users and organizations
#[utoipa::path(
    get, path = "/accounts", tag = "accounts",
    params(Paging, AccountQuery),
    responses((status = 200, body = Accounts))
)]
async fn list_accounts(
    State(api): State<Api>,
    Who(actor): Who,
    paging: Paging,
    Query(query): Query<AccountQuery>,
) -> Answer<Response> {
    let orgs = match query.filter {
        None | Some(AccountSort::All) => None,
        Some(AccountSort::Users) => Some(false),
        Some(AccountSort::Orgs) => Some(true),
    };
    let page = api.admin.accounts(&actor, query.search(), orgs, paging.request()).await?;
    let next_page_start = page.next.as_ref().map(ToString::to_string).unwrap_or_default();
    let resource_count = page.total.exact();
    Ok(paging.answer(page, |accounts| Accounts {
        accounts: accounts.into_iter().map(Account::from).collect(),
        next_page_start,
        resource_count,
    }))
}

/// Create a user or an organization
///
/// Only for administrators.
#[utoipa::path(
    post, path = "/accounts", tag = "accounts",
    request_body = CreateAccount,
    responses(
        (status = 201, body = Account),
        (status = 409, description = "ACCOUNT_EXISTS", body = Errors),
        (status = 422, description = "INVALID_ACCOUNT_NAME, INVALID_PASSWORD", body = Errors),
    )
)]
async fn create_account(
    State(api): State<Api>,
    Who(actor): Who,
    Body(account): Body<CreateAccount>,
) -> Answer<(StatusCode, Json<Account>)> {
    let new = NewAccount {
        name: account.name,
        is_org: account.is_org,
        is_admin: account.is_admin,
        password: account.password.filter(|password| !password.is_empty()).map(SecretString::from),
    };
    let account = api.admin.create_account(&actor, new).await?;
    Ok((StatusCode::CREATED, Json(account.into())))
}

/// Get a user or an organization
#[utoipa::path(
    get, path = "/accounts/{namespace}", tag = "accounts",
    params(NamespacePath),
    responses((status = 200, body = Account), (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors))
)]
async fn get_account(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
) -> Answer<Json<Account>> {
    let account = api.admin.account(&actor, &path.namespace()?).await?;
    Ok(Json(account.into()))
}

/// Change a user's password
///
/// Users can change their own password with the current one; administrators can change any other password without it.
#[utoipa::path(
    post, path = "/accounts/{namespace}/changePassword", tag = "accounts",
    params(NamespacePath),
    request_body = ChangePassword,
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors),
        (status = 422, description = "INVALID_PASSWORD", body = Errors),
    )
)]
async fn change_password(
    State(api): State<Api>,
    Who(actor): Who,
    Peer(peer): Peer,
    Path(path): Path<NamespacePath>,
    Body(change): Body<ChangePassword>,
) -> Answer<StatusCode> {
    let old = change.old_password.filter(|old| !old.is_empty()).map(SecretString::from);
    let new = SecretString::from(change.new_password);
    api.admin.change_password(&actor, &path.namespace()?, old, new, peer).await?;
    Ok(StatusCode::NO_CONTENT)
}
