//! Who reads the page, for all pages: signing in and out changes it everywhere at once.

use leptos::{either::Either, ev, prelude::*, server::ServerActionError};
use leptos_router::{components::A, hooks::use_location};
use longshore_model::Actor;

use crate::{
    components::{Awaited, Button, ButtonKind, Way, use_leaving},
    paths,
    server::{Answer, SignIn, SignOut, whoami},
};

/// The reader, and what changes who that is.
#[derive(Clone, Copy)]
pub struct Session {
    /// The reader.
    pub actor: Resource<Answer<Actor>>,
    /// Signs in.
    pub sign_in: ServerAction<SignIn>,
    sign_out: ServerAction<SignOut>,
}

/// The session of the page.
///
/// # Panics
/// Outside of the app.
#[must_use]
pub fn use_session() -> Session {
    use_context().expect("the app provides a session")
}

/// Provides the session to what is inside.
#[component]
pub(crate) fn SessionProvider(children: Children) -> impl IntoView {
    provide_form_error();
    let sign_in = ServerAction::<SignIn>::new();
    let sign_out = ServerAction::<SignOut>::new();
    let versions = move || (sign_in.version().get(), sign_out.version().get());
    let actor = Resource::new_blocking(versions, |_| whoami());
    provide_context(Session { actor, sign_in, sign_out });
    children()
}

/// What became of a form that was sent without script stands in the address; the router tells it to
/// what is made inside of a page, and signing in is made before.
fn provide_form_error() {
    let told = use_location().search.with_untracked(|query| {
        Some((paths::query_value(query, "__path")?, paths::query_value(query, "__err")?))
    });
    if let Some((form, error)) = told {
        provide_context(ServerActionError::new(&form, &error));
    }
}

/// The reader's name and the way out, or the way in.
#[component]
pub(crate) fn SignedIn() -> impl IntoView {
    let (session, leaving) = (use_session(), use_leaving());
    let out = Callback::new(move |()| {
        session.sign_out.dispatch(SignOut {});
    });
    let leave = move |event: ev::MouseEvent| {
        if leaving.asks(None, Way::Out(out)) {
            event.prevent_default();
        }
    };
    view! {
        <Awaited
            resource=session.actor
            children=move |actor| match actor {
                Ok(Actor::User(user)) => Either::Left(view! {
                    <ActionForm action=session.sign_out attr:class="signed-in">
                        <span class="signed-in-name">{user.name.to_string()}</span>
                        <Button kind=ButtonKind::Quiet on:click=leave>"Sign out"</Button>
                    </ActionForm>
                }),
                _ => Either::Right(view! { <A href="/sign-in">"Sign in"</A> }),
            }
        />
    }
}
