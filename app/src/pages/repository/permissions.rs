//! The Permissions tab: the rights of the owner, administrators and everybody else.

use leptos::prelude::*;
use longshore_model::{RepositoryState, Visibility};

use super::{tab::RepositoryTab, use_repository};
use crate::{
    components::{Alert, Loaded, Table, Tone},
    routes::Route,
};

pub(super) const TAB: RepositoryTab =
    RepositoryTab::new("Permissions", Route::new("permissions", || Permissions().into_any()));

/// A table of the rights on the repository.
#[component]
pub fn Permissions() -> impl IntoView {
    let here = use_repository();
    view! {
        <Loaded resource=here.summary let:summary>
            {state_note(summary.repository.state)
                .map(|note| view! { <Alert tone=Tone::Info>{note}</Alert> })}
            <Table label="Who may do what" columns=vec!["Who", "May"]>
                <tr>
                    <th scope="row">{owner(summary.repository.name.namespace())}</th>
                    <td>"Everything: pull, push, delete tags, set up promotions and mirrors, change settings, delete."</td>
                </tr>
                <tr>
                    <th scope="row">"Administrators"</th>
                    <td>"Everything, as in every repository."</td>
                </tr>
                <tr>
                    <th scope="row">"Everyone else"</th>
                    <td>{everybody(summary.repository.visibility)}</td>
                </tr>
            </Table>
            <p class="hint">
                {match (summary.may_administer, summary.may_write) {
                    (true, true) => "You may do everything here.",
                    (true, false) => "You may do everything here that its state allows.",
                    (false, _) => "You may pull.",
                }}
                " A policy acts with the rights of the user who set it up, so users who push here need no rights on its target."
            </p>
        </Loaded>
    }
}

fn owner(namespace: &str) -> String {
    format!("{namespace}, the namespace owner")
}

fn everybody(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "Pull, and see tags and policies; signed in or not.",
        Visibility::Private => "Nothing; they cannot see that it exists.",
    }
}

fn state_note(state: RepositoryState) -> Option<&'static str> {
    match state {
        RepositoryState::Normal => None,
        RepositoryState::ReadOnly => {
            Some("The repository is read-only: nobody may push, move or delete tags.")
        }
        RepositoryState::Mirror => Some(
            "The repository is a mirror: only its pull mirrors may push, move or delete tags. This applies to administrators too.",
        ),
    }
}
