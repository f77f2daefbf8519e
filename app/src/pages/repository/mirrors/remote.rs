//! The choice of a mirror's connection: a saved remote or a new connection.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{Remote, policy::Mirror};

use super::input::MirrorInput;
use crate::{
    components::{Choice, Fact, Facts, SelectField},
    pages::connection::{AccessFields, ConnectionFields, FieldErrors},
    sentence::sentence,
};

/// The list of saved remotes, and the fields of a new connection.
#[component]
pub(super) fn RemoteFields(
    input: MirrorInput,
    /// The remotes that the user may use.
    remotes: Vec<Remote>,
    /// The mirror to edit, whose remote the user may not be allowed to see; `None` for a new mirror.
    before: Option<Mirror>,
    errors: FieldErrors,
) -> impl IntoView {
    let choices = choices(&remotes, before.as_ref());
    let choosable = choices.len() > 1;
    let remotes = StoredValue::new(remotes);
    let chosen = Memo::new(move |_| {
        let id = input.saved.get();
        remotes.with_value(|remotes| remotes.iter().find(|remote| remote.id.to_string() == id).cloned())
    });
    let is_new = Memo::new(move |_| input.saved.with(String::is_empty));
    view! {
        {choosable
            .then(|| {
                view! {
                    <SelectField
                        name="remote"
                        label="Remote"
                        value=input.saved
                        choices=choices
                        error=errors.about("remote")
                    />
                }
            })}
        {move || match is_new.get() {
            true => Either::Left(view! {
                <ConnectionFields input=input.connection errors=errors/>
                <AccessFields input=input.connection errors=errors/>
            }),
            false => Either::Right(chosen.get().map(|remote| view! { <Saved remote=remote errors=errors/> })),
        }}
    }
}

/// A summary of a saved remote.
#[component]
fn Saved(remote: Remote, errors: FieldErrors) -> impl IntoView {
    let user = match (remote.username.is_empty(), remote.has_secret) {
        (true, _) => "none (anonymous access)".to_owned(),
        (false, true) => format!("{}, with the stored password", remote.username),
        (false, false) => format!("{}, without a password", remote.username),
    };
    // The form of a saved remote has no fields to show these errors beside.
    let elsewhere =
        ["remoteHost", "username", "password", "remoteCA", "proxy"].map(|field| errors.about(field));
    view! {
        <div class="saved-remote">
            <Facts>
                <Fact name="Registry">
                    <code>{remote.url.clone()}</code>
                    <span class="muted">" " {remote.kind.label()}</span>
                </Fact>
                <Fact name="Username">{user}</Fact>
            </Facts>
            <A href=format!("/remotes/{}", remote.id)>"Change this connection"</A>
            {elsewhere
                .map(|error| move || error.get().map(|error| view! { <p class="error">{sentence(&error)}</p> }))
                .into_iter()
                .collect_view()}
        </div>
    }
}

/// A new connection first, then the saved ones by name.
fn choices(remotes: &[Remote], before: Option<&Mirror>) -> Vec<Choice> {
    let label = |remote: &Remote| {
        let host = remote.host();
        let name = if remote.name == host { host.to_owned() } else { format!("{} ({host})", remote.name) };
        match remote.username.as_str() {
            "" => name,
            user => format!("{name} as {user}"),
        }
    };
    let saved = remotes.iter().map(|remote| Choice::new(remote.id.to_string(), label(remote)));
    let mut choices: Vec<_> = std::iter::once(Choice::new("", "New connection")).chain(saved).collect();
    let present = before.map(|mirror| match mirror {
        Mirror::Push { mirror } => (mirror.remote, &mirror.remote_host),
        Mirror::Pull { mirror } => (mirror.remote, &mirror.remote_host),
    });
    if let Some((id, host)) = present.filter(|(id, _)| remotes.iter().all(|remote| remote.id != *id)) {
        choices.push(Choice::new(id.to_string(), host.clone()));
    }
    choices
}
