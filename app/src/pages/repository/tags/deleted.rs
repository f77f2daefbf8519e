//! The deleted tags of a repository, which can be restored until they expire.

use leptos::prelude::*;
use leptos_router::{
    components::{A, Outlet},
    hooks::use_params_map,
};
use longshore_model::tag::DeletedTag;

use super::{calls::deleted_tags, restore::RestoreDialog};
use crate::{
    components::{
        ButtonLink, DigestText, EmptyState, PagedList, RelativeTime, Table, TimeUntil, use_list_query,
    },
    live::ConnectionNotice,
    pages::repository::{changes_tags, follow_repository, use_repository},
    paths,
    routes::Route,
};

pub(super) const PAGE: Route =
    Route::new("deleted-tags", || DeletedTags().into_any()).with_dialogs(&[RESTORE]);

const RESTORE: Route = Route::new(":tag/:revision", || RestoreDeletedTag().into_any());

/// The deleted tags, most recently deleted first.
#[component]
pub fn DeletedTags() -> impl IntoView {
    let here = use_repository();
    let query = use_list_query();
    let list = Resource::new_blocking(
        move || (here.name.get(), query.get(), here.changes()),
        |(name, query, _)| deleted_tags(name, query.page()),
    );
    let lost = follow_repository(here.name, changes_tags, move || here.changed());
    let table = |tags: Vec<DeletedTag>, ()| view! { <List tags=tags/> }.into_any();
    view! {
        <nav class="trail spaced" aria-label="Trail">
            <A href=here.path_untracked("tags")>"Tags"</A>
            <span aria-hidden="true">"›"</span>
            <span>"Deleted tags"</span>
        </nav>
        <ConnectionNotice lost=lost/>
        <PagedList
            resource=list
            beside=()
            empty=move |()| view! {
                <EmptyState title="No deleted tags">
                    <p>
                        "Deleted tags stay here until they expire. For tags that were overwritten, see History on the page of the tag."
                    </p>
                    <ButtonLink href=here.path_untracked("tags")>"Show the tags"</ButtonLink>
                </EmptyState>
            }
            .into_any()
            table=table
        />
        <Outlet/>
    }
}

#[component]
fn List(tags: Vec<DeletedTag>) -> impl IntoView {
    let here = use_repository();
    let row = move |tag: &DeletedTag| {
        let name = tag.name.to_string();
        let page = format!("deleted-tags/{}/{}", paths::segment(&name), tag.revision.0);
        view! {
            <tr>
                <th scope="row"><code>{name.clone()}</code></th>
                <td><DigestText digest=tag.digest.to_string()/></td>
                <td data-label="Deleted">
                    <RelativeTime at=tag.deleted_at/>
                    <span class="muted">" by " {tag.deleted_by.to_string()}</span>
                </td>
                <td data-label="Expires"><TimeUntil at=tag.until/></td>
                <td class="row-actions">
                    <ButtonLink
                        href=here.path_untracked(&page)
                        dialog=true
                        attr:aria-label=format!("Restore {name}")
                    >
                        "Restore…"
                    </ButtonLink>
                </td>
            </tr>
        }
    };
    let rows: Vec<_> = tags.iter().map(row).collect();
    view! {
        <Table label="Deleted tags" columns=vec!["Tag", "Digest", "Deleted", "Expires", ""]>
            {rows}
        </Table>
    }
}

/// The dialog that restores the tag in the address.
#[component]
pub fn RestoreDeletedTag() -> impl IntoView {
    let here = use_repository();
    let params = use_params_map().get_untracked();
    let tag = params.get("tag").unwrap_or_default();
    let revision = params.get("revision").and_then(|revision| revision.parse().ok()).unwrap_or_default();
    let repository = here.name.get_untracked();
    let done = paths::tag(&repository, &tag, "");
    view! {
        <RestoreDialog
            repository=repository
            tag=tag
            revision=revision
            rolls_back=false
            back=here.path_untracked("deleted-tags")
            done=done
            on_done=move || here.changed()
        />
    }
}
