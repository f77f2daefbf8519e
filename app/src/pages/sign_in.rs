//! The sign-in page. Its form works without script.

use leptos::prelude::*;
use leptos_router::{components::A, hooks::use_location};

use crate::{
    components::{Alert, Awaited, Button, ButtonKind, FieldKind, PageTitle, TextField, Tone},
    paths,
    routes::Route,
    session::use_session,
};

pub(super) const PAGE: Route = Route::new("/sign-in", || SignIn().into_any());

/// Signs in and returns to the page that required it.
#[component]
pub fn SignIn() -> impl IntoView {
    let session = use_session();
    let sign_in = session.sign_in;
    let next = use_location().search.with_untracked(|query| paths::query_value(query, "next"));
    let (username, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let failure = move || sign_in.value().get().and_then(Result::err);
    view! {
        <PageTitle text="Sign in"/>
        <section class="panel sign-in">
            <h1>"Sign in"</h1>
            <Awaited
                resource=session.actor
                children=move |actor| {
                    let user = actor.ok().and_then(|actor| actor.user().map(|user| user.name.to_string()))?;
                    Some(view! {
                        <Alert tone=Tone::Info>
                            "You are signed in as " <strong>{user}</strong> ". "
                            <A href="/repositories">"Go to the repositories"</A>
                            ", or sign in as another user."
                        </Alert>
                    })
                }
            />
            <ActionForm action=sign_in attr:class="stack">
                <input type="hidden" name="next" value=next/>
                <TextField
                    name="username"
                    label="Username"
                    value=username
                    kind=FieldKind::Code
                    autocomplete="username"
                    required=true
                />
                <TextField
                    name="password"
                    label="Password"
                    value=password
                    kind=FieldKind::Password
                    autocomplete="current-password"
                    required=true
                />
                {move || failure().map(|error| view! { <Alert tone=Tone::Bad>{error.to_string()}</Alert> })}
                <Button kind=ButtonKind::Primary busy=sign_in.pending()>
                    "Sign in"
                </Button>
            </ActionForm>
            <p class="hint">"The first administrator is " <code>"admin"</code> "; the server showed the password when it first started."</p>
        </section>
    }
}
