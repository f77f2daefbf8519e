//! The System page: version, configuration and maintenance of the server.

mod calls;

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PauseScope,
    job::{Event, Job},
    pause::PauseView,
    view::{GarbageRules, SystemInfo},
};

use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Call, ConfirmButton, Done, Fact, Facts, Failure, FormProblem,
        LoadedBeside, PageHeader, PageTitle, Panel, RelativeTime, problem_of, size, use_call,
    },
    live::ConnectionNotice,
    pages::repository::{follow_everything, turns},
    paths,
    pauses::{OtherPauses, is_paused, known_pauses, use_pauses},
    routes::{Reader, Route, Section},
    server::PauseFlows,
};

pub(super) const SECTION: Section = Section {
    label: "System",
    reader: Reader::Administrator,
    key: None,
    page: Route::new("/system", || System().into_any()),
    more: &[],
};
use calls::{collect_garbage, scrub, system_info};

/// The server's own description.
#[component]
pub fn System() -> impl IntoView {
    let info = Resource::new_blocking(|| (), |()| system_info());
    let (paused, pauses) = (known_pauses(), use_pauses());
    // The numbers of queued and running jobs change with each job; pauses are read again when they change.
    let turned = turns();
    let noticed = move |event: &Event| match event {
        Event::Job { job } => turned(job),
        Event::Tags { .. } | Event::Settings => true,
        Event::Pauses => {
            pauses.changed();
            true
        }
        Event::Log { .. } => false,
    };
    // They outlive the view, which may be read again while they run.
    let collect = use_call(|dry_run: &bool| collect_garbage(*dry_run), |job| Done::on_to(paths::job(job.id)));
    let scrubbing = use_call(|(): &()| scrub(), |job| Done::on_to(paths::job(job.id)));
    let lost = follow_everything(noticed, move || info.refetch());
    view! {
        <PageTitle text=SECTION.label/>
        <PageHeader title=SECTION.label>
            <Button on_press=move || info.refetch()>"Refresh"</Button>
        </PageHeader>
        <ConnectionNotice lost=lost/>
        <LoadedBeside
            resource=info
            beside=paused
            children=move |info, paused| match paused {
                Ok(paused) => Either::Left(view! {
                    <Info info=info paused=paused collect=collect scrub=scrubbing/>
                }),
                Err(error) => Either::Right(view! { <Failure error=error again=move || pauses.changed()/> }),
            }
        />
    }
}

#[component]
fn Info(
    info: SystemInfo,
    paused: Vec<PauseView>,
    collect: Call<bool, Job>,
    scrub: Call<(), Job>,
) -> impl IntoView {
    let jobs = |status: &str, count: u64| {
        let href = format!("/jobs?status={status}");
        view! { <A href=href>{count}</A> }
    };
    view! {
        <div class="panels">
            <Panel title="Server">
                <Facts>
                    <Fact name="Version">{info.version}</Fact>
                    <Fact name="Started"><RelativeTime at=info.started_at/></Fact>
                    <Fact name="Database">{info.database}</Fact>
                    <Fact name="Time zone">{info.zone} <span class="muted">" in tag templates"</span></Fact>
                </Facts>
            </Panel>
            <Panel title="Contents">
                <Facts>
                    <Fact name="Repositories"><A href="/repositories">{info.repositories}</A></Fact>
                    <Fact name="Tags">{info.tags}</Fact>
                    <Fact name="Blobs">{size(info.blobs_bytes)} <span class="muted">" each counted once"</span></Fact>
                </Facts>
            </Panel>
            <Panel title="Jobs">
                <Facts>
                    <Fact name="Waiting">{jobs("waiting", info.jobs_waiting)}</Fact>
                    <Fact name="Running">{jobs("running", info.jobs_running)}</Fact>
                </Facts>
            </Panel>
            <Standstill paused=paused/>
            <Garbage rules=info.garbage collect=collect/>
            <Integrity begin=scrub/>
            <Panel title="For scripts">
                <p>
                    "Everything on this site is also available over REST: "
                    <a href="/api/docs" rel="external">"try it out"</a>
                    ", or read the "
                    <a href="/api/v0/openapi.json" rel="external">"description"</a>
                    "."
                </p>
            </Panel>
        </div>
    }
}

/// The pause button, and the current pauses.
#[component]
fn Standstill(paused: Vec<PauseView>) -> impl IntoView {
    let pauses = use_pauses();
    let pause = ServerAction::<PauseFlows>::new();
    let problem = problem_of(*pause);
    Effect::new(move |before: Option<()>| {
        pause.version().track();
        if before.is_some() {
            pauses.changed();
        }
    });
    let queue = paths::pause(&PauseScope::System);
    let all = is_paused(&paused, &PauseScope::System);
    view! {
        <Panel title="Pause">
            <p>
                "Pausing stops all policies and mirrors at once, even in the middle of a transfer. Their jobs wait \
                 until you resume and decide what to do with them. Pushes and pulls continue."
            </p>
            <FormProblem problem=problem fields=&[]/>
            <OtherPauses known=paused/>
            {if all {
                Either::Left(view! {
                    <div class="actions"><ButtonLink href=queue>"See waiting jobs and resume"</ButtonLink></div>
                })
            } else {
                Either::Right(view! {
                    <ActionForm action=pause attr:class="actions">
                        <input type="hidden" name="scope" value=PauseScope::System.to_string()/>
                        <Button busy=pause.pending()>"Pause everything"</Button>
                    </ActionForm>
                })
            }}
        </Panel>
    }
}

/// The button that starts a scrub.
#[component]
fn Integrity(begin: Call<(), Job>) -> impl IntoView {
    view! {
        <Panel title="Integrity">
            <p>
                "A scrub reads all stored blobs and manifests and compares them with their digests. Damaged ones are \
                 listed in its log, and fetched again if a mirror can supply them. Pushes and pulls continue \
                 meanwhile."
            </p>
            <FormProblem problem=begin.problem() fields=&[]/>
            <div class="actions">
                <Button
                    busy=begin.pending()
                    on_press=move || begin.send(())
                >
                    "Scrub now"
                </Button>
            </div>
        </Panel>
    }
}

/// The rules of garbage collection, and the buttons that run it now.
#[component]
fn Garbage(rules: GarbageRules, collect: Call<bool, Job>) -> impl IntoView {
    let problem = collect.problem();
    view! {
        <Panel title="Garbage">
            <p>{untagged(&rules)} " " {deleted(&rules)} " " {every(&rules)}</p>
            <FormProblem problem=problem fields=&[]/>
            <div class="actions">
                <Button busy=collect.pending() on_press=move || collect.send(true)>"Dry run"</Button>
                <ConfirmButton
                    label="Collect now"
                    kind=ButtonKind::Plain
                    title="Collect garbage now?"
                    busy=collect.pending()
                    problem=problem
                    on_confirm=move || collect.send(false)
                >
                    <p>"Unreferenced blobs and manifests are removed permanently. Pushes and pulls continue meanwhile."</p>
                </ConfirmButton>
            </div>
        </Panel>
    }
}

fn untagged(rules: &GarbageRules) -> String {
    match rules.untagged {
        Some(hours) => format!(
            "Images without a tag for {} are removed, with all blobs that nothing else uses.",
            time(hours)
        ),
        None => "Images stay when they lose their last tag; blobs that no image uses are removed.".to_owned(),
    }
}

fn deleted(rules: &GarbageRules) -> String {
    format!("Deleted tags and repositories are kept for {} first.", time(rules.undo))
}

fn every(rules: &GarbageRules) -> String {
    match rules.every {
        Some(hours) => format!("Runs every {}.", time(hours)),
        None => "Runs only on request.".to_owned(),
    }
}

fn time(hours: u64) -> String {
    match hours {
        1 => "hour".to_owned(),
        24 => "day".to_owned(),
        hours if hours % 24 == 0 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_described_in_words() {
        let rules = GarbageRules { untagged: Some(720), undo: 168, every: Some(24) };
        assert!(untagged(&rules).contains("without a tag for 30 days"));
        assert!(deleted(&rules).contains("kept for 7 days"));
        assert_eq!(every(&rules), "Runs every day.");
        let never = GarbageRules { untagged: None, undo: 0, every: None };
        assert!(untagged(&never).contains("stay when they lose"));
        assert!(every(&never).contains("only on request"));
    }
}
