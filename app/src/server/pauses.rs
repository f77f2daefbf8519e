//! Pausing and resuming.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PageRequest, PauseScope, PolicyId,
    pause::{PausePlan, PauseQueue, PauseView, PollPlan, RepositoryPauses},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository};

/// Whether everything is paused.
#[server(input = Json)]
pub async fn system_pause() -> Answer<Option<PauseView>> {
    let (admin, actor) = asked()?;
    Ok(admin.system_pause(&actor).await?)
}

/// The pauses that the reader may know of.
#[server(input = Json)]
pub async fn pauses() -> Answer<Vec<PauseView>> {
    let (admin, actor) = asked()?;
    Ok(admin.pauses(&actor).await?)
}

/// What keeps the policies and mirrors of a repository from acting.
#[server(input = Json)]
pub async fn pauses_of(repository_name: String) -> Answer<RepositoryPauses> {
    let (admin, actor) = asked()?;
    Ok(admin.repository_pauses(&actor, &repository(&repository_name)?).await?)
}

/// What is paused or may be, and what waits for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PauseState {
    /// What it is, as the subject of a sentence.
    pub subject: String,
    /// What waits; none while it is not paused.
    pub queue: Option<PauseQueue>,
    /// What each policy would do, were all of it run.
    pub plan: PausePlan,
}

/// How something that can be paused stands.
#[server(input = Json)]
pub async fn look_at_pause(scope: PauseScope, page: PageRequest) -> Answer<PauseState> {
    let (admin, actor) = asked()?;
    let queue = admin.pause_queue(&actor, &scope, &page).await?;
    let plan = admin.pause_plan(&actor, &scope).await?.unwrap_or_default();
    let subject = match &scope {
        PauseScope::System => "everything".to_owned(),
        PauseScope::Namespace(namespace) => format!("the namespace {namespace}"),
        PauseScope::Remote(remote) => format!("the remote {}", admin.remote(&actor, *remote).await?.name),
    };
    Ok(PauseState { subject, queue, plan })
}

/// What the next poll of a pull mirror would do.
#[server(input = Json)]
pub async fn plan_poll(repository_name: String, mirror: PolicyId) -> Answer<PollPlan> {
    let (admin, actor) = asked()?;
    Ok(admin.plan_poll(&actor, &repository(&repository_name)?, mirror).await?)
}

/// Pauses it. A plain form does it too.
#[server]
pub async fn pause_flows(scope: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    admin.pause(&actor, &named(&scope)?).await?;
    Ok(())
}

/// Resumes it. A plain form does it too.
#[server]
pub async fn resume_flows(scope: String, queued: String) -> Answer<longshore_model::pause::Resumed> {
    use longshore_model::{Code, Problem, Queued};

    let (admin, actor) = asked()?;
    let queued: Queued = queued.parse().map_err(|_| {
        Problem::new(Code::InvalidRequest, format!("“{queued}” is nothing to do with a queue."))
    })?;
    Ok(admin.resume(&actor, &named(&scope)?, queued).await?)
}

/// What a form pauses or resumes.
#[cfg(feature = "ssr")]
fn named(scope: &str) -> Answer<PauseScope> {
    use longshore_model::{Code, Problem};
    scope
        .parse()
        .map_err(|_| Problem::new(Code::InvalidRequest, format!("“{scope}” cannot be paused.")).into())
}
