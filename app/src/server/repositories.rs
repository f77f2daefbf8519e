//! Repositories: lists, details, and data shared by several of their pages.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Code, Page, PageRequest, Problem, Repository,
    repository::{self, RepositoryFilter},
    view,
};
use longshore_oci::Namespace;

use super::{Answer, unless_signed_out};
#[cfg(feature = "ssr")]
use super::{asked, repository};

/// The repositories that the user may see.
#[server(input = Json)]
pub async fn repositories(
    filter: RepositoryFilter,
    page: PageRequest,
) -> Answer<Page<repository::RepositorySummary>> {
    let (admin, actor) = asked()?;
    Ok(admin.repositories(&actor, filter, &page).await?)
}

/// The number of suggested names.
#[cfg(feature = "ssr")]
const SUGGESTED: u32 = 8;

/// Names of visible repositories that contain a text.
#[server(input = Json)]
pub async fn suggest_repositories(text: String) -> Answer<Vec<String>> {
    let (admin, actor) = asked()?;
    let filter = RepositoryFilter { search: Some(text), ..RepositoryFilter::default() };
    let found = admin.repositories(&actor, filter, &PageRequest::first(SUGGESTED)).await?;
    Ok(found.items.into_iter().map(|found| found.repository.name.to_string()).collect())
}

/// Names of users and organizations that contain a text.
#[server(input = Json)]
pub async fn suggest_namespaces(text: String) -> Answer<Vec<String>> {
    let (admin, actor) = asked()?;
    let found = admin.accounts(&actor, Some(&text), None, &PageRequest::first(SUGGESTED)).await?;
    Ok(found.items.into_iter().map(|account| account.name.to_string()).collect())
}

/// One repository.
#[server(input = Json)]
pub async fn repository_summary(name: String) -> Answer<repository::RepositorySummary> {
    let (admin, actor) = asked()?;
    Ok(admin.repository(&actor, &repository(&name)?).await?)
}

/// One repository, for users who may administer it; nobody else is shown a form.
pub(crate) async fn administered_repository(name: String) -> Answer<repository::RepositorySummary> {
    let summary = repository_summary(name).await?;
    match summary.may_administer {
        true => Ok(summary),
        false => {
            let message = format!("This requires permission to administer {}.", summary.repository.name);
            Err(unless_signed_out(Problem::new(Code::NotAuthorized, message)).await)
        }
    }
}

/// The namespaces in which the user may create repositories.
#[server(input = Json)]
pub async fn namespaces() -> Answer<Vec<Namespace>> {
    let (admin, actor) = asked()?;
    Ok(admin.namespaces(&actor).await?)
}

/// Restores a deleted repository.
#[server(input = Json)]
pub async fn restore_repository(name: String) -> Answer<Repository> {
    let (admin, actor) = asked()?;
    Ok(admin.restore_repository(&actor, &repository(&name)?).await?)
}

/// The tags and the server's time, for the live preview.
#[server(input = Json)]
pub async fn preview_facts(repository_name: String) -> Answer<view::PreviewFacts> {
    let (admin, actor) = asked()?;
    Ok(admin.preview_tags(&actor, &repository(&repository_name)?).await?)
}
