//! The Tags tab.

use std::collections::BTreeSet;

use leptos::{either::Either, prelude::*};
use longshore_model::{Page, tag::TagSummary};

use super::{changes_tags, follow_repository, tag_row::TagRow, use_repository};
use crate::{
    components::{
        Awaited, ButtonKind, ButtonLink, Commands, ConfirmButton, EmptyState, ListPager, ListQuery, Loaded,
        SearchBox, Table, use_list_query,
    },
    host::registry_host,
    live::ConnectionNotice,
    server::{delete_tags, tags},
};

/// What one can do with the tags of a list; context of its rows.
#[derive(Clone, Copy)]
pub(super) struct TagActions {
    /// Tags that are ticked.
    pub(super) chosen: RwSignal<BTreeSet<String>>,
    /// Deletes tags.
    pub(super) delete: Action<Vec<String>, crate::server::Answer<()>>,
}

/// The tags, newest first.
#[component]
pub fn Tags() -> impl IntoView {
    let here = use_repository();
    let query = use_list_query();
    let list = Resource::new_blocking(
        move || (here.name.get(), query.get(), here.changes()),
        |(name, query, _)| tags(name, query.search(), query.page()),
    );
    let lost = follow_repository(here.name, changes_tags, move || here.changed());
    let chosen = RwSignal::new(BTreeSet::new());
    let delete =
        Action::new(move |names: &Vec<String>| delete_tags(here.name.get_untracked(), names.clone()));
    Effect::new(move |_| {
        if let Some(Ok(())) = delete.value().get() {
            chosen.update(BTreeSet::clear);
            here.changed();
        }
    });
    provide_context(TagActions { chosen, delete });
    let search = Signal::derive(move || query.with(|query| query.search().unwrap_or_default()));
    view! {
        <div class="toolbar">
            <SearchBox action=here.path_untracked("tags") value=search label="Search the tags"/>
            <DeleteChosen/>
            <ToDeleted/>
        </div>
        <ConnectionNotice lost=lost/>
        <Loaded resource=list let:page>
            {if page.items.is_empty() {
                Either::Left(view! { <Empty query=query.get_untracked()/> })
            } else {
                Either::Right(view! { <List page=page/> })
            }}
        </Loaded>
    }
}

#[component]
fn List(page: Page<TagSummary>) -> impl IntoView {
    let rows: Vec<_> = page.items.iter().map(|summary| view! { <TagRow summary=summary.clone()/> }).collect();
    view! {
        <Table label="Tags" columns=vec!["Tag", "Digest", "Platforms", "Size", "Pushed", ""]>
            {rows}
        </Table>
        <ListPager page=&page/>
    }
}

/// Deletes the tags that are ticked; shows itself when there are some.
#[component]
fn DeleteChosen() -> impl IntoView {
    let TagActions { chosen, delete } = expect_context();
    let count = move || chosen.with(BTreeSet::len);
    let names = move || chosen.with(|chosen| chosen.iter().cloned().collect::<Vec<_>>().join(", "));
    let title = Signal::derive(move || match count() {
        1 => "Delete one tag?".to_owned(),
        count => format!("Delete {count} tags?"),
    });
    view! {
        <Show when=move || count() != 0>
            <div class="actions" role="status">
                <span>{count} " chosen"</span>
                <ConfirmButton
                    label="Delete the chosen tags"
                    title=title
                    busy=delete.pending()
                    problem=Signal::derive(move || delete.value().get().and_then(Result::err))
                    on_confirm=move || {
                        delete.dispatch(chosen.get_untracked().into_iter().collect());
                    }
                >
                    <p>
                        {names}
                        ": pulling by these names stops. What they point to stays, and can be pulled by digest. Deleted tags can be restored for a while."
                    </p>
                </ConfirmButton>
            </div>
        </Show>
    }
}

/// Leads to what was deleted, for those who may restore it.
#[component]
fn ToDeleted() -> impl IntoView {
    let here = use_repository();
    view! {
        <Awaited
            resource=here.summary
            children=move |summary| {
                summary.is_ok_and(|summary| summary.may_write).then(|| view! {
                    <ButtonLink href=here.path_untracked("deleted-tags") kind=ButtonKind::Quiet>"Deleted tags"</ButtonLink>
                })
            }
        />
    }
}

#[component]
fn Empty(query: ListQuery) -> impl IntoView {
    let here = use_repository();
    match query.search() {
        Some(words) => Either::Left(view! {
            <EmptyState title=format!("No tag has “{words}” in its name")>
                <ButtonLink href=here.path_untracked("tags")>"Show all tags"</ButtonLink>
            </EmptyState>
        }),
        None => {
            let image = format!("{}/{}:1.0", registry_host(), here.name.get_untracked());
            Either::Right(view! {
                <EmptyState title="There is no tag yet">
                    <p>"Push the first one, IMAGE being an image that you have:"</p>
                    <Commands
                        text=format!("docker tag IMAGE {image}\ndocker push {image}")
                        label="Copy the commands"
                    />
                </EmptyState>
            })
        }
    }
}
