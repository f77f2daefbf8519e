//! The row of a mirror in the list.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    pause::PauseView,
    policy::{LastRun, Loaded, Mirror, RunCode},
};

use super::{
    TAB,
    calls::{delete_mirror, enable_mirror, sync_now},
    words::{other_end, pushed, rhythm, run_label, title},
};
use crate::{
    components::{Badge, Button, ButtonKind, Done, PolicyNotes, RelativeTime, TimeUntil, use_call},
    pages::repository::{
        policy_row::{PolicyRow, use_policy_actions},
        use_repository,
    },
    paths,
    pauses::HeldNote,
    sentence::sentence,
};

#[component]
pub(super) fn MirrorRow(mirror: Mirror, held: Option<PauseView>) -> impl IntoView {
    let here = use_repository();
    let common = mirror.common().clone();
    let (id, enabled) = (common.id, common.enabled);
    let loaded = Loaded::from(&common);
    let label = title(&mirror);
    let actions = use_policy_actions(
        move |on| enable_mirror(here.name.get_untracked(), loaded, on),
        move || delete_mirror(here.name.get_untracked(), id),
        "The mirror is deleted.",
    );
    let is_pull = matches!(mirror, Mirror::Pull { .. });
    let loss = match is_pull {
        true => "No more tags are pulled. Tags already mirrored are kept.",
        false => "No more tags are pushed. Tags already mirrored are kept.",
    };
    let sync = is_pull.then(|| view! { <SyncNow id=id enabled=enabled/> });
    view! {
        <PolicyRow
            policy=&common
            actions=actions
            question=format!("Delete the mirror “{label}”?")
            label=label
            loss=loss
            edit=Some(here.path_untracked(&format!("{}/{id}/edit", TAB.path())))
            buttons=sync.into_any()
        >
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
        </PolicyRow>
    }
}

/// The button that queues a poll and opens its job.
#[component]
fn SyncNow(id: longshore_model::PolicyId, enabled: bool) -> impl IntoView {
    let here = use_repository();
    let sync = use_call(
        move |(): &()| sync_now(here.name.get_untracked(), id),
        |job| Done::on_to(paths::job(job.id)),
    );
    let refused = sync.problem();
    let refused = move || refused.get().map(|error| error.to_string());
    view! {
        <Button
            kind=ButtonKind::Quiet
            busy=sync.pending()
            disabled=!enabled
            on_press=move || sync.send(())
        >
            "Sync now"
        </Button>
        {move || refused().map(|refused| view! { <p class="error" role="alert">{refused}</p> })}
    }
}

/// The rules or patterns as a sentence.
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

/// Why the mirror has stopped, and its last failure.
fn notes(mirror: &Mirror) -> impl IntoView + use<> {
    let common = mirror.common().clone();
    match mirror {
        Mirror::Push { mirror } => Either::Left(
            view! { <PolicyNotes common=common rules=mirror.rules.clone() failure_is_told=true/> },
        ),
        Mirror::Pull { .. } => Either::Right(view! { <PolicyNotes common=common failure_is_told=true/> }),
    }
}

/// The next poll of a pull mirror; a push mirror runs when a tag changes.
fn next_run(mirror: &Mirror) -> impl IntoView + use<> {
    let idle = !mirror.common().enabled || mirror.common().stopped.is_some();
    match mirror {
        _ if idle => Either::Left(view! { <span class="muted">"not scheduled"</span> }),
        Mirror::Push { .. } => Either::Left(view! { <span class="muted">"on next push"</span> }),
        Mirror::Pull { mirror } => Either::Right(view! { <TimeUntil at=mirror.next_run_at/> }),
    }
}

/// The result of the last run.
#[component]
fn Run(run: LastRun) -> impl IntoView {
    let (word, tone) = run_label(run.code);
    let badge = view! { <Badge tone=tone>{word}</Badge> };
    view! {
        <div class="run">
            {match run.job {
                Some(job) => Either::Left(view! { <A href=paths::job(job)>{badge}</A> }),
                None => Either::Right(badge),
            }}
            {run.at.map(|at| view! { " " <RelativeTime at=at/> })}
        </div>
        // `notes` shows the details of a failure.
        {(run.code != RunCode::Failed && !run.detail.is_empty())
            .then(|| view! { <p class="row-detail">{sentence(&run.detail)}</p> })}
    }
}
