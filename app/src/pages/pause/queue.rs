//! The jobs that a pause holds.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{Page, pause::HeldJob, view::named};

use crate::{
    components::{EmptyState, ListPager, RelativeTime, Table},
    paths,
};

/// The held jobs, oldest first.
#[component]
pub(super) fn Queue(jobs: Page<HeldJob>) -> impl IntoView {
    let pager = view! { <ListPager page=&jobs/> };
    let rows: Vec<_> = jobs.items.into_iter().map(|held| view! { <Row held=held/> }).collect();
    match rows.is_empty() {
        true => Either::Left(view! {
            <EmptyState title="No jobs are waiting">
                <p>"New jobs of policies and mirrors appear here automatically."</p>
            </EmptyState>
        }),
        false => Either::Right(view! {
            <h2 class="queue-title">"Waiting jobs"</h2>
            <Table label="Waiting jobs" columns=vec!["Job", "Repository", "Tag", "Action", "Waits since"]>
                {rows}
            </Table>
            {pager}
        }),
    }
}

#[component]
fn Row(held: HeldJob) -> impl IntoView {
    let action = held.action.label();
    let (what, repository, tag) = match &held.job {
        Some(job) => {
            let (href, what) = (paths::job(job.id), job.sentence());
            let repository = job.repository_name.as_ref().and_then(|name| named(name.as_ref()));
            let repository = repository.map(str::to_owned).map(|name| {
                let href = paths::below(&name, "");
                view! { <A href=href>{name}</A> }
            });
            let tag = job.parameters.concerns().tag.map(ToString::to_string);
            (Either::Left(view! { <A href=href>{what}</A> }), repository, tag)
        }
        None => (
            Either::Right(view! { <span class="muted">"About a repository that you may not see"</span> }),
            None,
            None,
        ),
    };
    view! {
        <tr>
            <th scope="row" class="job-what">{what}</th>
            <td data-label="Repository">{repository}</td>
            <td data-label="Tag">{tag.map(|tag| view! { <code>{tag}</code> })}</td>
            <td class="nowrap" data-label="Action">{action}</td>
            <td class="nowrap" data-label="Waits since"><RelativeTime at=held.since/></td>
        </tr>
    }
}
