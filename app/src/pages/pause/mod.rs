//! The page that pauses and resumes the system, a namespace or a remote: held jobs, their plan, and the choice to
//! resume.

mod calls;
mod choices;
mod plan;
mod queue;

use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_params_map;
use longshore_model::{
    Code, PauseScope, Problem,
    job::{Event, Status},
    pause::{PauseView, Resumed},
};

use crate::{
    components::{
        Alert, Button, ButtonKind, FormProblem, ListQuery, LoadedBeside, PageHeader, PageTitle, Panel,
        RelativeTime, Tone, problem_of, use_list_query,
    },
    live::ConnectionNotice,
    pages::repository::follow_and_reload,
    pauses::{OtherPauses, capitalised, known_pauses, use_pauses, waiting},
    routes::Route,
    server::{Answer, PauseFlows, ResumeFlows},
};
use calls::{PauseState, look_at_pause};
use choices::ResumeChoices;
use plan::{Asked, Plan};
use queue::Queue;

/// The page for the system.
pub(super) const OF_THE_SYSTEM: Route = Route::new("/pauses/system", || PausePage().into_any());
/// The page for a namespace.
pub(super) const OF_A_NAMESPACE: Route =
    Route::new("/pauses/namespaces/:namespace", || PausePage().into_any());
/// The page for a remote.
pub(super) const OF_A_REMOTE: Route = Route::new("/pauses/remotes/:id", || PausePage().into_any());

/// The scope in the address; `None` if it names nothing that can be paused.
fn scope_in_address() -> Memo<Option<PauseScope>> {
    let params = use_params_map();
    Memo::new(move |_| {
        params.with(|params| match (params.get_str("namespace"), params.get_str("id")) {
            (Some(namespace), _) => namespace.parse().ok().map(PauseScope::Namespace),
            (None, Some(id)) => id.parse().ok().map(PauseScope::Remote),
            (None, None) => Some(PauseScope::System),
        })
    })
}

async fn load(scope: Option<PauseScope>, query: ListQuery) -> Answer<PauseState> {
    let nothing = || Problem::new(Code::NoSuchPause, "There is nothing here that can be paused.");
    look_at_pause(scope.ok_or_else(nothing)?, query.page()).await
}

/// The current state, the held jobs, and the buttons that pause and resume.
#[component]
pub fn PausePage() -> impl IntoView {
    let (scope, query, pauses) = (scope_in_address(), use_list_query(), use_pauses());
    provide_context(Asked::default());
    let state = Resource::new_blocking(
        move || (scope.get(), query.get(), pauses.changes()),
        |(scope, query, _)| load(scope, query),
    );
    let known = known_pauses();
    let resume = ServerAction::<ResumeFlows>::new();
    let pause = ServerAction::<PauseFlows>::new();
    Effect::new(move |before: Option<()>| {
        resume.version().track();
        pause.version().track();
        if before.is_some() {
            pauses.changed();
        }
    });
    // Other jobs have no effect on this page.
    let matters = |event: &Event| match event {
        Event::Pauses => true,
        Event::Job { job } => job.held_by.is_some() || job.status == Status::Canceled,
        _ => false,
    };
    let lost = follow_and_reload(|| Some("/events?jobs=1".to_owned()), matters, move || pauses.changed());
    view! {
        <ConnectionNotice lost=lost/>
        <LoadedBeside
            resource=state
            beside=known
            children=move |state, known| {
                let known = known.unwrap_or_default();
                let scope = scope.get_untracked().unwrap_or(PauseScope::System);
                match state.queue.is_some() {
                    true => Either::Left(view! { <Paused state=state known=known scope=scope resume=resume/> }),
                    false => Either::Right(view! { <Flowing state=state scope=scope pause=pause resume=resume/> }),
                }
            }
        />
    }
}

/// Shown while paused.
#[component]
fn Paused(
    state: PauseState,
    known: Vec<PauseView>,
    scope: PauseScope,
    resume: ServerAction<ResumeFlows>,
) -> impl IntoView {
    let queue = state.queue.expect("it is shown only while something is paused");
    let title = format!("{} is paused", capitalised(&state.subject));
    let (pause, held) = (queue.pause.pause, queue.held);
    let is_system = scope == PauseScope::System;
    view! {
        <PageTitle text=title.clone()/>
        <PageHeader title=title/>
        <p class="lead">
            "Paused " {pause.cause()} ", " <RelativeTime at=pause.at/> ". " {standing(&pause.scope)} " "
            {capitalised(&waiting(held.total))} "."
        </p>
        <ResumeChoices scope=scope held=held resume=resume/>
        {is_system
            .then(|| {
                view! {
                    <section class="also-paused">
                        <OtherPauses known=known/>
                    </section>
                }
            })}
        <Plan plan=state.plan/>
        <Queue jobs=queue.jobs/>
    }
}

/// What a pause stops.
fn standing(scope: &PauseScope) -> &'static str {
    match scope {
        PauseScope::System => {
            "Policies, mirrors and manual pushes to other registries are stopped; pushes, pulls and manual promotions \
             continue."
        }
        PauseScope::Namespace(_) => {
            "The policies and mirrors of its repositories and manual pushes from them to other registries are \
             stopped; pushes, pulls and manual promotions continue."
        }
        PauseScope::Remote(_) => "Mirrors that use it and manual pushes to it wait; promotions continue.",
    }
}

/// Shown while not paused.
#[component]
fn Flowing(
    state: PauseState,
    scope: PauseScope,
    pause: ServerAction<PauseFlows>,
    resume: ServerAction<ResumeFlows>,
) -> impl IntoView {
    let title = format!("Pause {}", state.subject);
    let problem = problem_of(*pause);
    let resumed = move || match resume.value().get() {
        Some(Ok(resumed)) => Some(view! { <Alert tone=Tone::Ok>{became(resumed)}</Alert> }),
        _ => None,
    };
    let flowing = match scope {
        PauseScope::System => "Policies and mirrors are active.".to_owned(),
        _ => format!("{} is not paused by itself.", capitalised(&state.subject)),
    };
    let label = match scope {
        PauseScope::System => "Pause everything",
        PauseScope::Namespace(_) => "Pause the namespace",
        PauseScope::Remote(_) => "Pause the remote",
    };
    view! {
        <PageTitle text=title.clone()/>
        <PageHeader title=title/>
        {resumed}
        <Panel title="Pause">
            <p>{flowing} " " {foretold(&scope)}</p>
            <FormProblem problem=problem fields=&[]/>
            <ActionForm action=pause attr:class="actions">
                <input type="hidden" name="scope" value=scope.to_string()/>
                <Button kind=ButtonKind::Primary busy=pause.pending()>{label}</Button>
            </ActionForm>
        </Panel>
    }
}

/// What pausing would stop.
fn foretold(scope: &PauseScope) -> &'static str {
    match scope {
        PauseScope::System => {
            "Pausing stops all policies and mirrors at once, even in the middle of a transfer. Their jobs wait \
             until someone resumes and decides what to do with them. Pushes and pulls continue."
        }
        PauseScope::Namespace(_) => {
            "Pausing stops the policies and mirrors of its repositories at once, even in the middle of a \
             transfer. Their jobs wait until someone resumes and decides what to do with them. Pushes and \
             pulls continue."
        }
        PauseScope::Remote(_) => {
            "Pausing stops the mirrors that use it at once, even in the middle of a transfer. Transfers to and \
             from it wait until someone resumes and decides what to do with them."
        }
    }
}

/// What happened to the held jobs.
fn became(resumed: Resumed) -> String {
    let count = |jobs: u64, one: &str, many: &str| match jobs {
        1 => format!("1 job {one}"),
        jobs => format!("{jobs} jobs {many}"),
    };
    let parts: Vec<String> = [
        (resumed.freed, count(resumed.freed, "continues", "continue")),
        (resumed.dropped, count(resumed.dropped, "was dropped", "were dropped")),
        (
            resumed.still_held,
            count(resumed.still_held, "is held by another pause", "are held by another pause"),
        ),
    ]
    .into_iter()
    .filter(|(jobs, _)| *jobs > 0)
    .map(|(_, part)| part)
    .collect();
    match parts.is_empty() {
        true => "Resumed. Nothing had been waiting.".to_owned(),
        false => format!("Resumed: {}.", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_resuming_is_described_in_words() {
        assert_eq!(became(Resumed::default()), "Resumed. Nothing had been waiting.");
        let resumed = Resumed { freed: 1, dropped: 2, still_held: 0 };
        assert_eq!(became(resumed), "Resumed: 1 job continues, 2 jobs were dropped.");
    }
}
