//! A table of jobs that update live.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::job::{Job, Status};

use super::{
    describe::status_label,
    moving::Moving,
    progress::{RowProgress, Took},
};
use crate::{
    components::{Badge, RelativeTime, Table, TimeUntil, Tone},
    paths,
    pauses::held,
    sentence::sentence,
};

/// The jobs of a list.
#[component]
pub(super) fn JobTable(
    /// The jobs as loaded.
    #[prop(into)]
    jobs: Signal<Vec<Job>>,
    /// Their changes since.
    moving: Moving,
) -> impl IntoView {
    view! {
        <Table label="Jobs" columns=vec!["Job", "Action", "Status", "Progress", "Started", "Took"]>
            <For each=move || jobs.get() key=|job| job.id let(job)>
                <Row job=job moving=moving/>
            </For>
        </Table>
    }
}

#[component]
fn Row(job: Job, moving: Moving) -> impl IntoView {
    let (href, what, action) = (paths::job(job.id), job.sentence(), job.action.label());
    let job = moving.now(job);
    let started = move || match job.with(|job| job.started_at) {
        Some(at) => Either::Left(view! { <RelativeTime at=at/> }),
        None => Either::Right("–"),
    };
    let said = move || {
        if let Some((why, since)) = job.with(|job| held(job).zip(job.held_by.as_ref().map(|pause| pause.at)))
        {
            let waits =
                view! { <p class="row-detail">"Held: " {why} ", since " <RelativeTime at=since/> "."</p> };
            return Some(Either::Left(waits));
        }
        if let Some((host, back_off)) = job.with(Job::waits_for) {
            let waits = view! {
                <p class="row-detail">
                    "Waits for " {host} ", next attempt " <TimeUntil at=back_off.until/> ": "
                    {back_off.because()} "."
                </p>
            };
            return Some(Either::Right(Either::Left(waits)));
        }
        let said = job.with(|job| job.error.clone().or_else(|| job.outcome.clone()));
        said.map(|said| Either::Right(Either::Right(view! { <p class="row-detail">{sentence(&said)}</p> })))
    };
    view! {
        <tr>
            <th scope="row" class="job-what">
                <A href=href>{what}</A>
                {said}
            </th>
            <td class="nowrap" data-label="Action">{action}</td>
            <td><StatusBadge job=job/></td>
            <td class="job-progress"><RowProgress job=job/></td>
            <td data-label="Started">{started}</td>
            <td class="nowrap" data-label="Took"><Took job=job/></td>
        </tr>
    }
}

/// The status of a job.
#[component]
pub(super) fn StatusBadge(#[prop(into)] job: Signal<Job>) -> impl IntoView {
    let status = Memo::new(move |_| job.with(|job| job.status));
    let again = move || job.with(|job| job.status == Status::Waiting && job.attempt > 0);
    let is_held = Memo::new(move |_| job.with(|job| held(job).is_some()));
    let tone = move || if is_held.get() { Tone::Warn } else { status_label(status.get()).1 };
    let waits = Memo::new(move |_| job.with(|job| job.back_off.is_some()));
    let word = move || match (is_held.get(), again()) {
        (true, _) => "Held",
        (false, _) if waits.get() => "Waiting for registry",
        (false, true) => "Waiting to retry",
        (false, false) => status_label(status.get()).0,
    };
    view! {
        <Badge tone=Signal::derive(tone)>
            {word}
        </Badge>
    }
}
