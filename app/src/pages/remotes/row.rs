//! One remote in the list.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{PauseScope, Remote};

use super::use_changes;
use crate::{
    components::{
        Badge, Button, ButtonKind, ButtonLink, ConfirmButton, RelativeTime, TimeUntil, Tone, use_notices,
    },
    paths,
    pauses::PausedBadge,
    sentence::sentence,
    server::{delete_remote, test_remote},
};

/// A remote: where it leads, who signs in, who uses it, how it is, and what one can do with it.
#[component]
pub(super) fn RemoteRow(remote: Remote, paused: bool) -> impl IntoView {
    let changes = use_changes();
    let id = remote.id;
    let scope = PauseScope::Remote(id);
    let test = Action::new(move |(): &()| test_remote(id));
    let delete = Action::new(move |(): &()| delete_remote(id));
    let notices = use_notices();
    // A test is kept with the remote, so the list tells what it found.
    Effect::new(move |_| {
        if let Some(Ok(())) = delete.value().get() {
            notices.say("The remote is deleted.");
        }
        if matches!(test.value().get(), Some(Ok(_))) || matches!(delete.value().get(), Some(Ok(()))) {
            changes.changed();
        }
    });
    let failure = move || test.value().get().and_then(Result::err).map(|error| error.to_string());
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
                <Button kind=ButtonKind::Quiet busy=test.pending() on_press=move || { test.dispatch(()); }>"Test"</Button>
                <ButtonLink dialog=true href=href kind=ButtonKind::Quiet>"Edit"</ButtonLink>
                <ButtonLink href=paths::pause(&scope) kind=ButtonKind::Quiet>"Pause…"</ButtonLink>
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=question
                    busy=delete.pending()
                    problem=Signal::derive(move || delete.value().get().and_then(Result::err))
                    on_confirm=move || { delete.dispatch(()); }
                >
                    <p>"Its address and its stored password are forgotten. Nothing changes at the other registry."</p>
                </ConfirmButton>
            </td>
        </tr>
    }
}

/// When the registry last answered, and what went wrong since.
#[component]
fn Health(remote: Remote) -> impl IntoView {
    let contact = remote.last_contact.map(|at| view! { <RelativeTime at=at/> });
    let waits = remote.back_off.as_ref().map(|back_off| {
        view! {
            <p class="row-detail">
                "All work for it waits; it is tried again " <TimeUntil at=back_off.until/> ": " {back_off.because()}
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
