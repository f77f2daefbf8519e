//! The page of one job: details, progress, log and actions.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::{
    Code, JobId, Problem,
    job::{self, Job, LogPart, Status},
};

use super::{
    calls,
    facts::{JobFacts, JobProgress},
    log::{Log, append},
    moving::Moving,
    table::{JobTable, StatusBadge},
};
use crate::{
    components::{
        Alert, Button, ButtonKind, ConfirmButton, Done, Loaded, PageHeader, PageTitle, Panel, RelativeTime,
        TimeUntil, Tone, use_call,
    },
    live::{ConnectionNotice, News, follow},
    paths,
    pauses::{capitalised, held},
    sentence::sentence,
    server::{self, Answer},
};

/// The last log lines may arrive after the job's final state.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The data of the page: the job, its child jobs, and the beginning of its log.
type Parts = (Job, Vec<Job>, LogPart);

async fn load(id: Option<JobId>) -> Answer<Parts> {
    let Some(id) = id else {
        return Err(server::unless_signed_out(Problem::new(Code::NoSuchJob, "There is no such job.")).await);
    };
    let job = calls::job(id).await?;
    Ok((job, calls::job_children(id).await?, calls::job_log(id).await?))
}

#[component]
pub fn JobPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get_str("id").and_then(|id| id.parse().ok())));
    let parts = Resource::new_blocking(move || id.get(), load);
    // Loaded once per job; events then keep it up to date.
    view! { <Loaded resource=parts children=move |parts| view! { <Loading parts=parts/> }/> }
}

#[component]
fn Loading(parts: Parts) -> impl IntoView {
    let (loaded, children, log) = parts;
    let id = loaded.id;
    let moving = Moving::new();
    let complete = loaded.status.is_final() && log.more == 0;
    let has_children = !children.is_empty();
    let whole = log.lines.len() as u64 + log.more;
    let lines = RwSignal::new(log.lines);
    let over = RwSignal::new(complete);
    let address = move || {
        let after = lines.with_untracked(|lines| lines.last().map_or(0, |line| line.line));
        // Child jobs have events of their own.
        let parts = if has_children { "&jobs=1" } else { "" };
        (!over.get()).then(|| format!("/events?job={id}&after={after}{parts}"))
    };
    let children = RwSignal::new(children);
    let lost = follow(address, move |news| match news {
        News::Event(job::Event::Job { job }) => {
            if job.id == id && job.status.is_final() {
                set_timeout(move || over.set(true), AFTERMATH);
            }
            moving.take(*job, |_| false);
        }
        News::Event(job::Event::Log { lines: more, .. }) => append(lines, more),
        News::Opened if has_children => leptos::task::spawn_local(async move {
            if let Ok(loaded) = calls::job_children(id).await {
                children.set(loaded);
            }
        }),
        News::Opened | News::Event(_) => {}
    });
    let what = loaded.sentence();
    let job = moving.now(loaded);
    view! {
        <PageTitle text=what.clone()/>
        <PageHeader title=what detail=move || view! { <StatusBadge job=job/> }>
            <Actions job=job/>
        </PageHeader>
        <ConnectionNotice lost=lost/>
        <Ending job=job/>
        <Show when=move || children.with(|children| !children.is_empty())>
            <section class="stack job-children">
                <h2>"Parts"</h2>
                <JobTable jobs=children moving=moving/>
            </section>
        </Show>
        <div class="columns">
            <div>
                <JobProgress job=job pace=moving.pace(id)/>
                <Panel title="Log">
                    <Log job=id lines=lines whole=whole/>
                </Panel>
            </div>
            <JobFacts job=job/>
        </div>
    }
}

/// The result, or why the job waits. Errors come first.
#[component]
fn Ending(job: Memo<Job>) -> impl IntoView {
    move || {
        if let Some(why) = job.with(held) {
            let since = job.with(|job| job.held_by.as_ref().map(|pause| pause.at));
            let since = since.map(|at| view! { ", since " <RelativeTime at=at/> });
            return Some(
                view! {
                    <Alert tone=Tone::Warn>
                        <strong>"Held. "</strong>
                        {capitalised(&why)}
                        {since}
                        ". The job waits until that is resumed."
                    </Alert>
                }
                .into_any(),
            );
        }
        if let Some((host, back_off)) = job.with(Job::waits_for) {
            return Some(
                view! {
                    <Alert tone=Tone::Warn>
                        <strong>"Waiting for " {host} ". "</strong>
                        {sentence(back_off.because())}
                        " Next attempt " <TimeUntil at=back_off.until/> "; the job then continues automatically."
                    </Alert>
                }
                .into_any(),
            );
        }
        let (status, error, outcome) = job.with(|job| (job.status, job.error.clone(), job.outcome.clone()));
        let (tone, title, text) = match (status, error, outcome) {
            (Status::Errored, Some(error), _) => (Tone::Bad, "Failed. ", error),
            (Status::Waiting | Status::Running, Some(error), _) => {
                (Tone::Warn, "The last attempt failed and will be retried. ", error)
            }
            (Status::Done, _, Some(outcome)) => (Tone::Ok, "", outcome),
            (_, Some(error), _) => (Tone::Neutral, "", error),
            (_, None, Some(outcome)) => (Tone::Neutral, "", outcome),
            (_, None, None) => return None,
        };
        Some(view! { <Alert tone=tone><strong>{title}</strong>{sentence(&text)}</Alert> }.into_any())
    }
}

/// Cancel or retry.
#[component]
fn Actions(job: Memo<Job>) -> impl IntoView {
    let id = job.with_untracked(|job| job.id);
    let status = Memo::new(move |_| job.with(|job| job.status));
    let cancel = use_call(move |(): &()| calls::cancel_job(id), |_| Done::here());
    let retry = use_call(move |(): &()| calls::retry_job(id), |job| Done::on_to(paths::job(job.id)));
    let (not_canceled, not_retried) = (cancel.problem(), retry.problem());
    let problem = move || not_canceled.get().or_else(|| not_retried.get());
    let stopping = Signal::derive(move || cancel.pending().get() || matches!(cancel.answer(), Some(Ok(_))));
    view! {
        {move || problem().map(|problem| view! { <span class="error" role="alert">{problem.to_string()}</span> })}
        <Show when=move || !status.get().is_final()>
            <ConfirmButton
                label="Cancel"
                title="Cancel this job?"
                busy=stopping
                on_confirm=move || cancel.send(())
            >
                <p>"It stops within a second. Tags that it has set stay; the others are left as they were."</p>
            </ConfirmButton>
        </Show>
        <Show when=move || status.get().is_final() && status.get() != Status::Done>
            <Button
                kind=ButtonKind::Primary
                busy=retry.pending()
                on_press=move || retry.send(())
            >
                "Retry"
            </Button>
        </Show>
    }
}
