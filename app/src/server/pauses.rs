//! Pausing and resuming.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::pause::{PauseView, RepositoryPauses};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository};
#[cfg(feature = "ssr")]
use longshore_model::PauseScope;

/// The pause of the system, if any.
#[server(input = Json)]
pub async fn system_pause() -> Answer<Option<PauseView>> {
    let (admin, actor) = asked()?;
    Ok(admin.system_pause(&actor).await?)
}

/// The pauses that the user may see.
#[server(input = Json)]
pub async fn pauses() -> Answer<Vec<PauseView>> {
    let (admin, actor) = asked()?;
    Ok(admin.pauses(&actor).await?)
}

/// The pauses that hold the policies and mirrors of a repository.
#[server(input = Json)]
pub async fn pauses_of(repository_name: String) -> Answer<RepositoryPauses> {
    let (admin, actor) = asked()?;
    Ok(admin.repository_pauses(&actor, &repository(&repository_name)?).await?)
}

/// Pauses a scope. Also works as a plain form.
#[server]
pub async fn pause_flows(scope: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    admin.pause(&actor, &named(&scope)?).await?;
    Ok(())
}

/// Resumes a scope. Also works as a plain form.
#[server]
pub async fn resume_flows(scope: String, queued: String) -> Answer<longshore_model::pause::Resumed> {
    use longshore_model::{Code, Problem, Queued};

    let (admin, actor) = asked()?;
    let queued: Queued = queued.parse().map_err(|_| {
        Problem::new(Code::InvalidRequest, format!("“{queued}” is nothing to do with a queue."))
    })?;
    Ok(admin.resume(&actor, &named(&scope)?, queued).await?)
}

/// Parses the scope in a form.
#[cfg(feature = "ssr")]
fn named(scope: &str) -> Answer<PauseScope> {
    use longshore_model::{Code, Problem};
    scope
        .parse()
        .map_err(|_| Problem::new(Code::InvalidRequest, format!("“{scope}” cannot be paused.")).into())
}
