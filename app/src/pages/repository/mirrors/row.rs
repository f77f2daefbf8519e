//! One mirror in the list.

use leptos::{either::Either, prelude::*};
use leptos_router::{components::A, hooks::use_navigate};
use longshore_model::{
    pause::PauseView,
    policy::{LastRun, Loaded, Mirror, RunCode},
};

use super::{
    calls::{delete_mirror, enable_mirror, sync_now},
    words::{other_end, pushed, rhythm, run_label, title},
};
use crate::{
    components::{
        Badge, Button, ButtonKind, ButtonLink, ConfirmButton, LiveForm, PolicyNotes, RelativeTime, Switch,
        TimeUntil, use_notices,
    },
    pages::repository::use_repository,
    pauses::HeldNote,
    sentence::sentence,
};

/// A mirror: where it leads, what it copies, how it last went, and what one can do with it.
#[component]
pub(super) fn MirrorRow(mirror: Mirror, held: Option<PauseView>) -> impl IntoView {
    let here = use_repository();
    let (id, enabled) = (mirror.common().id, mirror.common().enabled);
    let loaded = Loaded::from(mirror.common());
    let label = title(&mirror);
    let question = format!("Delete the mirror “{label}”?");
    let switch = Action::new(move |on: &bool| enable_mirror(here.name.get_untracked(), loaded, *on));
    let delete = Action::new(move |(): &()| delete_mirror(here.name.get_untracked(), id));
    let notices = use_notices();
    Effect::new(move |_| {
        if let Some(Ok(())) = delete.value().get() {
            notices.say("The mirror is deleted.");
        }
        if [switch.value().get(), delete.value().get()].into_iter().flatten().any(|answer| answer.is_ok()) {
            here.changed();
        }
    });
    let on = move || switch.input().get().unwrap_or(enabled);
    let submit = move || {
        switch.dispatch(!enabled);
    };
    let refused = move || switch.value().get().and_then(Result::err).map(|error| error.to_string());
    let is_pull = matches!(mirror, Mirror::Pull { .. });
    let lost = match is_pull {
        true => "No more tags are brought in. Those that are here stay.",
        false => "No more tags are sent. Those that were sent stay there.",
    };
    view! {
        <tr id=format!("policy-{id}")>
            <th scope="row" class="mirror-ends">
                <Badge>{if is_pull { "Pull from" } else { "Push to" }}</Badge>
                <span>{other_end(&mirror)}</span>
            </th>
            <td class="mirror-copies wide">
                {copies(&mirror)}
                {notes(&mirror)}
                {held.map(|pause| view! { <HeldNote pause=pause/> })}
            </td>
            <td data-label="Last run"><Run run=mirror.common().last_run.clone()/></td>
            <td data-label="Next run">{next_run(&mirror)}</td>
            <td>
                <LiveForm on_submit=submit>
                    <Switch on=Signal::derive(on) label=label.clone() busy=switch.pending()/>
                </LiveForm>
                <p class="error" aria-live="polite">{refused}</p>
            </td>
            <td class="row-actions">
                {is_pull.then(|| view! { <SyncNow id=id enabled=enabled/> })}
                <ButtonLink dialog=true href=here.path_untracked(&format!("mirrors/{id}/edit")) kind=ButtonKind::Quiet>
                    "Edit"
                </ButtonLink>
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=question
                    busy=delete.pending()
                    problem=Signal::derive(move || delete.value().get().and_then(Result::err))
                    on_confirm=move || {
                        delete.dispatch(());
                    }
                >
                    <p>{lost}</p>
                </ConfirmButton>
            </td>
        </tr>
    }
}

/// Polls at once, and leads to the job that does.
#[component]
fn SyncNow(id: longshore_model::PolicyId, enabled: bool) -> impl IntoView {
    let here = use_repository();
    let navigate = use_navigate();
    let sync = Action::new(move |(): &()| sync_now(here.name.get_untracked(), id));
    Effect::new(move |_| {
        if let Some(Ok(job)) = sync.value().get() {
            navigate(&format!("/jobs/{}", job.id), Default::default());
        }
    });
    let refused = move || sync.value().get().and_then(Result::err).map(|error| error.to_string());
    view! {
        <Button
            kind=ButtonKind::Quiet
            busy=sync.pending()
            disabled=!enabled
            on_press=move || {
                sync.dispatch(());
            }
        >
            "Sync now"
        </Button>
        {move || refused().map(|refused| view! { <p class="error" role="alert">{refused}</p> })}
    }
}

/// What is copied, as a sentence.
fn copies(mirror: &Mirror) -> impl IntoView + use<> {
    match mirror {
        Mirror::Push { mirror } => Either::Left(view! {
            <span class="sentence">{pushed(mirror)} " " <code>{mirror.template.clone()}</code></span>
        }),
        Mirror::Pull { mirror } => Either::Right(view! {
            <span class="sentence">"Tags " <code>{mirror.patterns.clone()}</code> ", " {rhythm(mirror)}</span>
        }),
    }
}

/// That it stopped, and why; what failed.
fn notes(mirror: &Mirror) -> impl IntoView + use<> {
    let common = mirror.common().clone();
    match mirror {
        Mirror::Push { mirror } => Either::Left(
            view! { <PolicyNotes common=common rules=mirror.rules.clone() failure_is_told=true/> },
        ),
        Mirror::Pull { .. } => Either::Right(view! { <PolicyNotes common=common failure_is_told=true/> }),
    }
}

/// When a pull mirror looks again; a push mirror acts when a tag changes.
fn next_run(mirror: &Mirror) -> impl IntoView + use<> {
    let idle = !mirror.common().enabled || mirror.common().paused.is_some();
    match mirror {
        _ if idle => Either::Left(view! { <span class="muted">"not while it is off"</span> }),
        Mirror::Push { .. } => Either::Left(view! { <span class="muted">"with the next tag"</span> }),
        Mirror::Pull { mirror } => Either::Right(view! { <TimeUntil at=mirror.next_run_at/> }),
    }
}

/// How the last run went.
#[component]
fn Run(run: LastRun) -> impl IntoView {
    let (word, tone) = run_label(run.code);
    let badge = view! { <Badge tone=tone>{word}</Badge> };
    view! {
        <div class="run">
            {match run.job {
                Some(job) => Either::Left(view! { <A href=format!("/jobs/{job}")>{badge}</A> }),
                None => Either::Right(badge),
            }}
            {run.at.map(|at| view! { " " <RelativeTime at=at/> })}
        </div>
        // A failure is told at length beside what the mirror copies.
        {(run.code != RunCode::Failed && !run.detail.is_empty())
            .then(|| view! { <p class="row-detail">{sentence(&run.detail)}</p> })}
    }
}
