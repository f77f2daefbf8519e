//! The current user, for all pages: signing in and out takes effect everywhere at once.

use leptos::{either::Either, ev, prelude::*, server::ServerActionError};
use leptos_router::{components::A, hooks::use_location};
use longshore_model::Actor;

use crate::{
    components::{Awaited, Button, ButtonKind, Way, use_leaving},
    paths,
    server::{Answer, SignIn, SignOut, whoami},
};

/// The current user, and the actions that change it.
#[derive(Clone, Copy)]
pub struct Session {
    pub actor: Resource<Answer<Actor>>,
    pub sign_in: ServerAction<SignIn>,
    sign_out: ServerAction<SignOut>,
}

/// The session of the page.
///
/// # Panics
/// Outside the app.
#[must_use]
pub fn use_session() -> Session {
    use_context().expect("the app provides a session")
}

/// Provides the session to its children.
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

/// Passes on the error of a form that was sent without script. It is in the address, and the router provides it only
/// inside pages, while the sign-in action is created outside.
fn provide_form_error() {
    let told = use_location().search.with_untracked(|query| {
        Some((paths::query_value(query, "__path")?, paths::query_value(query, "__err")?))
    });
    if let Some((form, error)) = told {
        provide_context(ServerActionError::new(&form, &error));
    }
}

/// The user's name with a sign-out button, or the sign-in link.
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
