//! One remote in the list.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{PauseScope, Remote, RemoteId};

use super::calls::{delete_remote, test_remote};
use crate::{
    components::{
        Badge, Button, ButtonKind, ButtonLink, Changes, ConfirmButton, RelativeTime, TimeUntil, Tone,
        use_notices,
    },
    error::AppError,
    paths,
    pauses::PausedBadge,
    sentence::sentence,
    server::Answer,
};

/// The actions on remotes. Owned by the page, since the list may be read again while they run.
#[derive(Clone, Copy)]
pub(super) struct RemoteActions {
    test: Action<RemoteId, Done>,
    delete: Action<RemoteId, Done>,
}

/// The remote that an action was taken on, and the result.
type Done = (RemoteId, Answer<()>);

impl RemoteActions {
    pub(super) fn new(changes: Changes) -> Self {
        let test = Action::new(|id: &RemoteId| {
            let id = *id;
            async move { (id, test_remote(id).await.map(drop)) }
        });
        let delete = Action::new(|id: &RemoteId| {
            let id = *id;
            async move { (id, delete_remote(id).await) }
        });
        let notices = use_notices();
        Effect::new(move |_| {
            if let Some((_, Ok(()))) = delete.value().get() {
                notices.say("The remote is deleted.");
                changes.changed();
            }
        });
        // The result of a test is stored with the remote, so the list shows it.
        Effect::new(move |_| {
            if let Some((_, Ok(()))) = test.value().get() {
                changes.changed();
            }
        });
        Self { test, delete }
    }
}

/// The error of the last action, if it was taken on this remote.
fn failed(action: Action<RemoteId, Done>, id: RemoteId) -> Option<AppError> {
    let (with, done) = action.value().get()?;
    done.err().filter(|_| with == id)
}

/// A remote: address, user, use, health and actions.
#[component]
pub(super) fn RemoteRow(remote: Remote, paused: bool, actions: RemoteActions) -> impl IntoView {
    let RemoteActions { test, delete } = actions;
    let id = remote.id;
    let scope = PauseScope::Remote(id);
    let testing = move || test.input().get() == Some(id);
    let failure = move || failed(test, id).map(|error| error.to_string());
    let href = format!("/remotes/{id}");
    let host = remote.host().to_owned();
    let named = (remote.name != host).then(|| view! { <p class="row-detail">{host}</p> });
    let owner = remote.owner.as_ref().map_or_else(|| "the system".to_owned(), ToString::to_string);
    let user = match (remote.username.as_str(), remote.has_secret) {
        ("", _) => Either::Left(view! { <span class="muted">"anonymous"</span> }),
        (user, true) => Either::Right(Either::Left(user.to_owned())),
        (user, false) => {
            Either::Right(Either::Right(view! { {user.to_owned()} <p class="row-detail">"no password"</p> }))
        }
    };
    let used_by = match remote.used_by {
        0 => "nothing".to_owned(),
        1 => "1 mirror".to_owned(),
        many => format!("{many} mirrors"),
    };
    let (name, kind) = (remote.name.clone(), remote.kind.label());
    let question = format!("Delete the remote {name}?");
    view! {
        <tr>
            <th scope="row">
                <A href=href.clone()>{name}</A>
                {paused.then(|| view! { <PausedBadge/> })}
                {named}
                <p class="row-detail">"of " {owner}</p>
            </th>
            <td>{kind}</td>
            <td data-label="User">{user}</td>
            <td data-label="Used by">{used_by}</td>
            <td>
                <Health remote=remote/>
                {move || failure().map(|why| view! { <p class="error" role="alert">{why}</p> })}
            </td>
            <td class="row-actions">
                <Button
                    kind=ButtonKind::Quiet
                    busy=Signal::derive(testing)
                    disabled=test.pending()
                    on_press=move || { test.dispatch(id); }
                >
                    "Test"
                </Button>
                <ButtonLink dialog=true href=href kind=ButtonKind::Quiet>"Edit"</ButtonLink>
                <ButtonLink href=paths::pause(&scope) kind=ButtonKind::Quiet>"Pause…"</ButtonLink>
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=question
                    busy=delete.pending()
                    problem=Signal::derive(move || failed(delete, id))
                    on_confirm=move || { delete.dispatch(id); }
                >
                    <p>"Its address and stored password are deleted. Nothing changes at the other registry."</p>
                </ConfirmButton>
            </td>
        </tr>
    }
}

/// When the registry last answered, and the errors since.
#[component]
fn Health(remote: Remote) -> impl IntoView {
    let contact = remote.last_contact.map(|at| view! { <RelativeTime at=at/> });
    let waits = remote.back_off.as_ref().map(|back_off| {
        view! {
            <p class="row-detail">
                "All its jobs wait; next attempt " <TimeUntil at=back_off.until/> ": " {back_off.because()}
                "."
            </p>
        }
    });
    let health = match (remote.last_error, contact) {
        (Some(error), contact) => Either::Left(view! {
            <Badge tone=Tone::Bad>"Failed"</Badge>
            {contact.map(|contact| view! { <span class="muted">" last answered " {contact}</span> })}
            <p class="row-detail">{sentence(&error)}</p>
        }),
        (None, Some(contact)) => Either::Right(Either::Left(
            view! { <Badge tone=Tone::Ok>"Good"</Badge> " " <span class="muted">{contact}</span> },
        )),
        (None, None) => Either::Right(Either::Right(view! { <span class="muted">"not tried yet"</span> })),
    };
    view! {
        {health}
        {waits}
    }
}
