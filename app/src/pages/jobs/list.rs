//! The list of jobs, newest first.

use leptos::{either::Either, prelude::*};
use longshore_model::{Page, job};

use super::{
    SECTION, calls,
    filter::{JobFilters, filter},
    moving::Moving,
    table::JobTable,
};
use crate::{
    components::{
        ButtonKind, ConfirmButton, Done, EmptyState, ListPage, ListPager, ListQuery, Loaded, use_call,
        use_list_query,
    },
    live::{News, follow},
};

/// Jobs: queued, running and finished.
#[component]
pub fn Jobs() -> impl IntoView {
    let query = use_list_query();
    let page = Resource::new_blocking(
        move || query.get(),
        |query: ListQuery| async move { calls::jobs(filter(&query), query.page()).await },
    );
    let moving = Moving::new();
    // The filter changed: jobs that arrived for the previous list do not belong here.
    Effect::new(move |before: Option<()>| {
        query.track();
        if before.is_some() {
            moving.reset();
        }
    });
    let lost = follow(
        || Some("/events?jobs=1".to_owned()),
        move |news| match news {
            News::Opened => page.refetch(),
            News::Event(job::Event::Job { job }) => moving.take(*job, |job| {
                query.with_untracked(|query| query.page().start.is_none() && filter(query).passes(job))
            }),
            News::Event(_) => {}
        },
    );
    view! {
        <ListPage
            title=SECTION.label
            lost=lost
            actions=move || view! { <RetryFailed query=query on_done=move || page.refetch()/> }
        >
            <JobFilters query=query/>
            // An empty list fills by itself.
            <Loaded resource=page children=move |page| view! { <List page=page moving=moving query=query/> }/>
        </ListPage>
    }
}

/// Retries all failed jobs that match the list's filter; hidden if the filter excludes failed jobs.
#[component]
fn RetryFailed(query: Memo<ListQuery>, #[prop(into)] on_done: Callback<()>) -> impl IntoView {
    let done = RwSignal::new(0);
    let wanted = move || query.with(filter);
    let retry = use_call(
        move |(): &()| calls::retry_failed(untrack(wanted)),
        move |outcome| {
            done.update(|done| *done += 1);
            on_done.run(());
            Done::here().saying(told(outcome))
        },
    );
    let about = move || match query.with(|query| *query == ListQuery::default()) {
        true => "Retries all failed jobs that have not been retried yet, the newest 100 at a time.",
        false => {
            "Retries all failed jobs of this list that have not been retried yet, the newest 100 at a time."
        }
    };
    view! {
        <Show when=move || wanted().status.is_none_or(|status| status == job::Status::Errored)>
            // Recreated after each success, which closes the confirmation.
            {move || {
                done.track();
                view! {
                    <ConfirmButton
                        label="Retry all failed"
                        kind=ButtonKind::Plain
                        title="Retry all failed jobs?".to_owned()
                        busy=retry.pending()
                        problem=retry.problem()
                        on_confirm=move || retry.send(())
                    >
                        <p>{about}</p>
                    </ConfirmButton>
                }
            }}
        </Show>
    }
}

/// The result, in sentences.
fn told(outcome: job::RetriedJobs) -> String {
    let retried = match outcome.retried {
        0 => "No job was retried".to_owned(),
        1 => "1 job is retried".to_owned(),
        jobs => format!("{jobs} jobs are retried"),
    };
    let left = match outcome.left {
        0 => String::new(),
        left => format!(
            "; {left} cannot be, because their policy, repository or remote is gone, disabled or read-only"
        ),
    };
    let more = match (outcome.more, outcome.retried) {
        (false, _) => "",
        (true, 0) => " Older failed jobs were not looked at; narrow the list to reach them.",
        (true, _) => " Older ones are left; retry again to reach them.",
    };
    format!("{retried}{left}.{more}")
}

#[component]
fn List(page: Page<job::Job>, moving: Moving, query: Memo<ListQuery>) -> impl IntoView {
    let pager = view! { <ListPager page=&page/> };
    let jobs = moving.with_arrived(page.items);
    let empty = Memo::new(move |_| jobs.with(Vec::is_empty));
    let narrow = move || query.with(|query| query.is_filtered() || query.page().start.is_some());
    view! {
        {move || match empty.get() {
            false => Either::Left(view! { <JobTable jobs=jobs moving=moving/> }),
            true if narrow() => Either::Right(Either::Left(view! {
                <EmptyState title="No job matches">
                    <p>"Choose another action or status, or leave the repository empty."</p>
                </EmptyState>
            })),
            true => Either::Right(Either::Right(view! {
                <EmptyState title="There are no jobs yet">
                    <p>"A push to a repository with policies starts one, and so does a mirror. They appear here automatically."</p>
                </EmptyState>
            })),
        }}
        {pager}
    }
}
