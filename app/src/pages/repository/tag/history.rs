//! The history of a tag: its earlier digests with time and author, and the dialog that rolls back to one.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::{
    Provenance,
    tag::{TagChange, TagDetail},
};

use super::{calls::earlier_changes, use_tag};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, DigestText, Done, FormProblem, Panel, RelativeTime, Table, use_call,
    },
    pages::repository::tags::RestoreDialog,
    paths,
    routes::Route,
};

/// The changes of the tag, newest first. Older ones are loaded on demand, since their number is unlimited.
#[component]
pub(super) fn History<'detail>(detail: &'detail TagDetail) -> impl IntoView + use<> {
    let here = use_tag();
    let newest = detail.history.first().map(|change| change.revision);
    let changes = RwSignal::new(detail.history.clone());
    let whole = RwSignal::new(detail.history.len() < TagChange::AT_ONCE);
    let earlier = use_call(
        move |before: &i64| {
            earlier_changes(here.repository.get_untracked(), here.tag.get_untracked(), *before)
        },
        move |more: Vec<TagChange>| {
            whole.set(more.len() < TagChange::AT_ONCE);
            changes.update(|changes| changes.extend(more));
            Done::here()
        },
    );
    view! {
        <Panel title="History">
            <Table label="History" columns=vec!["Time", "Revision", "Change", "By", "Digest", ""]>
                <For each=move || changes.get() key=|change| change.revision let(change)>
                    {row(&change, Some(change.revision) == newest)}
                </For>
            </Table>
            <FormProblem problem=earlier.problem() fields=&[]/>
            <Show when=move || !whole.get()>
                <Button
                    busy=earlier.pending()
                    on_press=move || {
                        if let Some(oldest) = changes.with_untracked(|changes| changes.last().map(|c| c.revision.0)) {
                            earlier.send(oldest);
                        }
                    }
                >
                    "Earlier changes"
                </Button>
            </Show>
        </Panel>
    }
}

fn row(change: &TagChange, present: bool) -> impl IntoView + use<> {
    let revision = change.revision.0;
    let back = change.until.map(|_| {
        let href = use_tag().path(&format!("changes/{revision}"));
        let label = format!("Roll back to revision {revision}");
        view! {
            <ButtonLink href=href kind=ButtonKind::Quiet dialog=true attr:aria-label=label>
                "Roll back to this…"
            </ButtonLink>
        }
    });
    view! {
        <tr>
            <th scope="row"><RelativeTime at=change.at/></th>
            <td class="number" data-label="Revision">{revision}</td>
            <td>{what(change)}</td>
            <td data-label="By">{change.author.to_string()}</td>
            <td>{change.digest.as_ref().map(|digest| view! { <DigestText digest=digest.to_string()/> })}</td>
            <td class="row-actions">
                {present.then(|| view! { <span class="muted">"current"</span> })}
                {back}
            </td>
        </tr>
    }
}

fn what(change: &TagChange) -> String {
    match (&change.digest, &change.provenance) {
        (None, _) => "deleted".to_owned(),
        (_, None) => "updated".to_owned(),
        (_, Some(Provenance::Push)) => "pushed".to_owned(),
        (_, Some(Provenance::Promotion { source_repository, source_tag, .. })) => {
            format!("promoted from {source_repository}:{source_tag}")
        }
        (_, Some(Provenance::Mirror { remote_host, remote_repository, remote_tag, .. })) => {
            format!("mirrored from {remote_host}/{remote_repository}:{remote_tag}")
        }
        (_, Some(Provenance::Restored { revision, .. })) => format!("restored from revision {}", revision.0),
    }
}

pub(super) const ROLL_BACK: Route = Route::new("changes/:revision", || RollBackTag().into_any());

/// The dialog that rolls the tag back to the revision in the address.
#[component]
pub fn RollBackTag() -> impl IntoView {
    let here = use_tag();
    let revision = use_params_map()
        .with_untracked(|params| params.get("revision").and_then(|revision| revision.parse().ok()))
        .unwrap_or_default();
    let (repository, tag) = (here.repository.get_untracked(), here.tag.get_untracked());
    let page = paths::tag(&repository, &tag, "");
    view! {
        <RestoreDialog
            repository=repository
            tag=tag
            revision=revision
            rolls_back=true
            back=page.clone()
            done=page
            on_done=move || here.changed()
        />
    }
}
