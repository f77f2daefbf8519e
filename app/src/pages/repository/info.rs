//! The Info tab: pull command, description, figures and recent tags.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{PageRequest, repository::RepositorySummary, tag::TagSummary};

use super::{changes_anything, follow_repository, tab::RepositoryTab, use_repository};
use crate::{
    components::{
        Commands, EmptyState, Fact, Facts, LoadedBeside, Panel, RelativeTime, not_worked_out, size,
    },
    host::registry_host,
    live::ConnectionNotice,
    pages::repositories::Flows,
    paths,
    routes::Route,
    server::tags,
};

pub(super) const TAB: RepositoryTab = RepositoryTab::new("Info", Route::new("", || Info().into_any()));

/// The number of tags under *Recent tags*.
const RECENT: u32 = 5;

/// The first page of a repository.
#[component]
pub fn Info() -> impl IntoView {
    let here = use_repository();
    let recent = Resource::new_blocking(
        move || (here.name.get(), here.changes()),
        |(name, _)| tags(name, None, PageRequest::first(RECENT)),
    );
    let lost = follow_repository(here.name, changes_anything, move || here.changed());
    view! {
        <ConnectionNotice lost=lost/>
        <LoadedBeside
            resource=recent
            beside=here.summary
            children=|page, summary| view! {
                <Pull newest=page.items.first().map(|newest| newest.tag.name.to_string())/>
                <div class="columns">
                    {summary.ok().map(|summary| view! { <About summary=summary/> })}
                    <Recent tags=page.items/>
                </div>
            }
        />
    }
}

/// The command that pulls the newest tag, or the commands that push the first one.
#[component]
fn Pull(newest: Option<String>) -> impl IntoView {
    let image = format!("{}/{}", registry_host(), use_repository().name.get_untracked());
    match newest {
        Some(tag) => view! {
            <Commands text=format!("docker pull {image}:{tag}") label="Copy the pull command"/>
        }
        .into_any(),
        None => view! {
            <EmptyState title="No tags yet">
                <p>"To push the first one, replace IMAGE with the name of a local image:"</p>
                <Commands
                    text=format!("docker tag IMAGE {image}:1.0\ndocker push {image}:1.0")
                    label="Copy the commands"
                />
            </EmptyState>
        }
        .into_any(),
    }
}

#[component]
fn About(summary: RepositorySummary) -> impl IntoView {
    let repository = summary.repository.clone();
    let description = Some(repository.long_description).filter(|text| !text.is_empty());
    let last_push = match summary.last_push {
        Some(at) => Either::Left(view! { <RelativeTime at=at/> }),
        None => Either::Right("never"),
    };
    let flows = view! { <Flows summary=&summary/> };
    view! {
        <Panel title="About">
            {description.map(|text| view! { <p class="description">{text}</p> })}
            <Facts>
                <Fact name="Tags">{summary.tags}</Fact>
                <Fact name="Size">
                    {size(summary.size_bytes)}
                    {shared_with(summary.size_bytes, summary.unique_bytes).map(|shared| {
                        view! { <span class="muted">{shared}</span> }
                    })}
                </Fact>
                <Fact name="Flows">{flows}</Fact>
                <Fact name="Last push">{last_push}</Fact>
                <Fact name="Created">
                    <RelativeTime at=repository.created_at/>
                </Fact>
            </Facts>
        </Panel>
    }
}

/// How many of the repository's bytes are shared with other repositories; `None` if it is empty.
fn shared_with(total: u64, unique: Option<u64>) -> Option<String> {
    if total == 0 {
        return None;
    }
    Some(match unique.map(|unique| (unique, total.saturating_sub(unique))) {
        None => format!(": the part shared with other repositories is {}", not_worked_out("a repository")),
        Some((_, 0)) => " not shared".to_owned(),
        Some((unique, shared)) => {
            format!(": {} unique, {} shared with other repositories", size(unique), size(shared))
        }
    })
}

#[component]
fn Recent(tags: Vec<TagSummary>) -> impl IntoView {
    let name = use_repository().name.get_untracked();
    let rows = tags.into_iter().map(move |summary| {
        let tag = summary.tag.name.to_string();
        view! {
            <li>
                <A href=paths::tag(&name, &tag, "")>
                    <code>{tag.clone()}</code>
                </A>
                <RelativeTime at=summary.tag.updated_at/>
            </li>
        }
    });
    let rows: Vec<_> = rows.collect();
    view! {
        <Panel title="Recent tags">
            {if rows.is_empty() {
                Either::Left(view! { <p class="muted">"None yet."</p> })
            } else {
                Either::Right(view! { <ul class="recent">{rows}</ul> })
            }}
        </Panel>
    }
}
