//! The list of tags.

use std::collections::{BTreeMap, BTreeSet};

use leptos::{either::Either, prelude::*};
use longshore_model::{Actor, Code, PageRequest, Problem, repository::RepositorySummary, tag::TagSummary};

use super::{
    actions::{Deletion, TagActions, TagRights},
    calls::{delete_tags, deleted_tags, restore_tag},
    row::TagRow,
};
use crate::{
    components::{
        Awaited, ButtonKind, ButtonLink, Commands, ConfirmButton, Done, EmptyState, ListQuery, PagedList,
        SearchBox, Table, use_call, use_list_query, use_notices,
    },
    error::AppError,
    host::registry_host,
    live::ConnectionNotice,
    pages::repository::{changes_tags, follow_repository, use_repository},
    sentence::sentence,
    server::{Answer, tags},
    session::use_session,
};

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
    let notices = use_notices();
    let delete = use_call(
        move |names: &Vec<String>| {
            let (repository, names) = (here.name.get_untracked(), names.clone());
            async move {
                let undoable = delete_tags(repository.clone(), names.clone()).await?;
                Ok(Deletion { repository, names, undoable })
            }
        },
        move |Deletion { repository, names, undoable }| {
            let what = match names.as_slice() {
                [name] => name.clone(),
                names => format!("{} tags", names.len()),
            };
            let verb = if names.len() == 1 { "is" } else { "are" };
            let (text, undone) = (format!("{what} {verb} deleted."), format!("{what} {verb} restored."));
            match undoable {
                true => {
                    notices.say_undoable(text, undone, move || bring_back(repository.clone(), names.clone()))
                }
                false => notices.say(text),
            }
            chosen.update(BTreeSet::clear);
            here.changed();
            Done::here()
        },
    );
    provide_context(TagActions { chosen, delete });
    let search = Signal::derive(move || query.with(|query| query.search().unwrap_or_default()));
    let table = |tags: Vec<TagSummary>, (summary, actor): (Answer<RepositorySummary>, Answer<Actor>)| {
        let may = TagRights {
            act: actor.is_ok_and(|actor| actor.user().is_some()),
            delete: summary.is_ok_and(|summary| summary.may_write),
        };
        let rows: Vec<_> =
            tags.into_iter().map(|summary| view! { <TagRow summary=summary may=may/> }).collect();
        let columns = vec!["Tag", "Digest", "Platforms", "Size", "Pushed", ""];
        view! { <Table label="Tags" columns=columns>{rows}</Table> }.into_any()
    };
    view! {
        <div class="toolbar">
            <SearchBox action=here.path_untracked("tags") value=search label="Search the tags"/>
            <DeleteChosen/>
            <ToDeleted/>
        </div>
        <ConnectionNotice lost=lost/>
        <PagedList
            resource=list
            beside=(here.summary, use_session().actor)
            empty=move |_| view! { <Empty query=query.get_untracked()/> }.into_any()
            table=table
        />
    }
}

/// Undoes a deletion: restores tags that are among the most recently deleted ones, without letting policies act on
/// them. The error names the tags that could not be restored.
async fn bring_back(repository: String, names: Vec<String>) -> Answer<()> {
    let deleted = deleted_tags(repository.clone(), PageRequest::first(PageRequest::MAX)).await?.items;
    let mut left = BTreeMap::<_, Vec<_>>::new();
    for name in names {
        let restored = match deleted.iter().find(|tag| tag.name.as_str() == name) {
            Some(tag) => restore_tag(repository.clone(), name.clone(), tag.revision.0, true).await.map(drop),
            None => Err(Problem::new(Code::NotRestorable, GONE).into()),
        };
        if let Err(AppError(problem)) = restored {
            left.entry(problem.message).or_default().push(name);
        }
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(Problem::new(Code::NotRestorable, not_restored(&left)).into()),
    }
}

/// Why a tag is not among the most recently deleted ones.
const GONE: &str = "it was pushed again in the meantime, or it has expired";

/// The tags that could not be restored, grouped by reason.
fn not_restored(left: &BTreeMap<String, Vec<String>>) -> String {
    let told =
        left.iter().map(|(why, names)| format!("Not restored: {}. {}", names.join(", "), sentence(why)));
    told.collect::<Vec<_>>().join(" ")
}

/// The button that deletes the selected tags; hidden while none is selected.
#[component]
fn DeleteChosen() -> impl IntoView {
    let TagActions { chosen, delete } = expect_context();
    let count = move || chosen.with(BTreeSet::len);
    let names = move || chosen.with(|chosen| chosen.iter().cloned().collect::<Vec<_>>().join(", "));
    let title = Signal::derive(move || match count() {
        1 => "Delete 1 tag?".to_owned(),
        count => format!("Delete {count} tags?"),
    });
    view! {
        <Show when=move || count() != 0>
            <div class="actions" role="status">
                <span>{count} " selected"</span>
                <ConfirmButton
                    label="Delete the selected tags"
                    title=title
                    busy=delete.pending()
                    problem=delete.problem()
                    on_confirm=move || delete.send(chosen.get_untracked().into_iter().collect())
                >
                    <p>
                        {names}
                        ": these tags can no longer be pulled by name. Their images are kept and can be pulled by digest. Deleted tags can be restored for a while."
                    </p>
                </ConfirmButton>
            </div>
        </Show>
    }
}

/// The link to the deleted tags, for users who may restore them.
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
            <EmptyState title=format!("No tags match “{words}”")>
                <ButtonLink href=here.path_untracked("tags")>"Show all tags"</ButtonLink>
            </EmptyState>
        }),
        None => {
            let image = format!("{}/{}:1.0", registry_host(), here.name.get_untracked());
            Either::Right(view! {
                <EmptyState title="No tags yet">
                    <p>"To push the first one, replace IMAGE with the name of a local image:"</p>
                    <Commands
                        text=format!("docker tag IMAGE {image}\ndocker push {image}")
                        label="Copy the commands"
                    />
                </EmptyState>
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_cannot_be_restored_are_named_with_the_reason() {
        let left = [(GONE, vec!["1.0", "2.0"]), ("the tag 3.0 is immutable", vec!["3.0"])]
            .map(|(why, names)| (why.to_owned(), names.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        assert_eq!(
            not_restored(&left.into()),
            "Not restored: 1.0, 2.0. It was pushed again in the meantime, or it has expired. \
             Not restored: 3.0. The tag 3.0 is immutable."
        );
    }
}
