//! The list of jobs, newest first.

use leptos::{either::Either, prelude::*};
use longshore_model::{Page, job};

use super::{
    filter::{JobFilters, filter, passes},
    moving::Moving,
    table::JobTable,
};
use crate::{
    components::{EmptyState, ListPager, ListQuery, Loaded, PageHeader, PageTitle, use_list_query},
    live::{ConnectionNotice, News, follow},
    server,
};

/// Jobs: what runs, what ran, and what went wrong.
#[component]
pub fn Jobs() -> impl IntoView {
    let query = use_list_query();
    let page = Resource::new_blocking(
        move || query.get(),
        |query: ListQuery| async move { server::jobs(filter(&query), query.page()).await },
    );
    let moving = Moving::new();
    // Another list: what arrived for the former one does not belong here.
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
                query.with_untracked(|query| query.page().start.is_none() && passes(&filter(query), job))
            }),
            News::Event(_) => {}
        },
    );
    view! {
        <PageTitle text="Jobs"/>
        <PageHeader title="Jobs"/>
        <ConnectionNotice lost=lost/>
        <JobFilters query=query/>
        <Loaded resource=page children=move |page| view! { <List page=page moving=moving query=query/> }/>
    }
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
                    <p>"A push to a repository with policies starts one, and so does a mirror. They appear here by themselves."</p>
                </EmptyState>
            })),
        }}
        {pager}
    }
}
