//! Server functions for the page of a pause.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PageRequest, PauseScope, PolicyId,
    pause::{PausePlan, PauseQueue, PollPlan},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// The state of something that can be paused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct PauseState {
    /// Its name, as the subject of a sentence.
    pub(super) subject: String,
    /// The held jobs; `None` while it is not paused.
    pub(super) queue: Option<PauseQueue>,
    /// What each policy would do if all held jobs ran.
    pub(super) plan: PausePlan,
}

/// The state of something that can be paused.
#[server(input = Json)]
pub(super) async fn look_at_pause(scope: PauseScope, page: PageRequest) -> Answer<PauseState> {
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
pub(super) async fn plan_poll(repository_name: String, mirror: PolicyId) -> Answer<PollPlan> {
    let (admin, actor) = asked()?;
    Ok(admin.plan_poll(&actor, &repository(&repository_name)?, mirror).await?)
}
