//! The details of a job: progress against its plan, and origin.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PolicyId, PolicyKind,
    job::{Job, Status},
    view::named,
};

use super::{
    describe::cause,
    progress::{Pace, Took},
};
use crate::{
    components::{Fact, Facts, Panel, ProgressBar, RelativeTime, TimeUntil, size},
    paths,
};

/// Tags and bytes: completed, total, and speed.
#[component]
pub(super) fn JobProgress(job: Memo<Job>, pace: Memo<Pace>) -> impl IntoView {
    let progress = Memo::new(move |_| job.with(|job| job.progress));
    let running = Memo::new(move |_| job.with(|job| job.status == Status::Running));
    let anything = move || {
        let progress = progress.get();
        running.get() || progress.tags_total > 0 || progress.bytes_done > 0
    };
    let total = |total: u64| (total > 0).then_some(total);
    let tags = move || match (progress.get().tags_done, progress.get().tags_total) {
        (done, 0) => format!("{done}, of how many is not known yet"),
        (done, total) => format!("{done} of {total}"),
    };
    let bytes = move || match (progress.get().bytes_done, progress.get().bytes_total) {
        (done, 0) => size(done),
        (done, total) => format!("{} of {}", size(done), size(total)),
    };
    let speed = move || pace.get().describe(&progress.get());
    view! {
        <Show when=anything>
            <Panel title="Progress">
                <dl class="meters">
                    <dt>"Tags"</dt>
                    <dd>
                        <ProgressBar
                            label="Tags"
                            done=Signal::derive(move || progress.get().tags_done)
                            total=Signal::derive(move || total(progress.get().tags_total))
                        />
                        <span>{tags}</span>
                    </dd>
                    <Show when=move || progress.get().bytes_done.max(progress.get().bytes_total).gt(&0)>
                        <dt>"Bytes"</dt>
                        <dd>
                            <ProgressBar
                                label="Bytes"
                                done=Signal::derive(move || progress.get().bytes_done)
                                total=Signal::derive(move || total(progress.get().bytes_total))
                            />
                            <span>{bytes}</span>
                        </dd>
                    </Show>
                </dl>
                {move || speed().map(|speed| view! { <p class="muted">{speed}</p> })}
            </Panel>
        </Show>
    }
}

/// The origin and result of a job.
#[component]
pub(super) fn JobFacts(job: Memo<Job>) -> impl IntoView {
    // Values that never change are read once.
    let fixed = job.get_untracked();
    let repository = fixed.repository_name.as_ref().and_then(|name| named(name.as_ref())).map(str::to_owned);
    let policy = repository.clone().zip(fixed.policy).map(|(name, id)| policy(&name, id, &fixed));
    let related = |id| view! { <A href=paths::job(id)><code>{short(id)}</code></A> };
    let started = move || match job.with(|job| job.started_at) {
        Some(at) => Either::Left(view! { <RelativeTime at=at/> }),
        None => Either::Right("not yet"),
    };
    let due = move || {
        let due =
            job.with(|job| (job.status == Status::Waiting && job.attempt > 0).then_some(job.scheduled_at));
        due.map(|at| view! { <Fact name="Next attempt"><TimeUntil at=at/></Fact> })
    };
    let worker = move || job.with(|job| job.worker.clone()).unwrap_or_else(|| "none yet".to_owned());
    view! {
        <Panel title="Facts">
            <Facts>
                <Fact name="Action">{fixed.action.label()}</Fact>
                <Fact name="Cause">{cause(&fixed.cause)}</Fact>
                {repository.map(|name| {
                    let href = paths::below(&name, "");
                    view! { <Fact name="Repository"><A href=href>{name}</A></Fact> }
                })}
                {policy.map(|(noun, href)| view! { <Fact name="Policy"><A href=href>{noun}</A></Fact> })}
                {fixed.parent.map(|id| view! { <Fact name="Part of">{related(id)}</Fact> })}
                {fixed.retry_of.map(|id| view! { <Fact name="Retry of">{related(id)}</Fact> })}
                <Fact name="Queued"><RelativeTime at=fixed.created_at/></Fact>
                <Fact name="Started">{started}</Fact>
                {due}
                <Fact name="Took"><Took job=job/></Fact>
                <Fact name="Attempt">{move || job.with(|job| job.attempt)}</Fact>
                <Fact name="Server">{worker}</Fact>
                <Fact name="Identifier"><code>{fixed.id.to_string()}</code></Fact>
            </Facts>
        </Panel>
    }
}

/// The name of the kind of policy behind a job, and the address where it is listed.
fn policy(repository: &str, id: PolicyId, job: &Job) -> (&'static str, String) {
    match job.parameters.concerns().policy.map(|(_, kind)| kind) {
        Some(PolicyKind::PushMirror) => ("Push mirror", paths::mirror(repository, id)),
        Some(PolicyKind::PullMirror) => ("Pull mirror", paths::mirror(repository, id)),
        Some(PolicyKind::Promotion) | None => ("Promotion policy", paths::promotion(repository, id)),
    }
}

/// The end of an identifier, which differs even between jobs of the same minute.
pub(super) fn short(id: impl ToString) -> String {
    let text = id.to_string();
    text.get(text.len().saturating_sub(8)..).unwrap_or(&text).to_owned()
}
