//! The dialog that changes a password: a user's own, which requires the old one, or as an administrator anyone's.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::Actor;

use super::{USERS, calls::change_password};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Done, FormProblem, LiveForm, Loaded, PageTitle, PasswordField,
        RouteDialog, use_form,
    },
    routes::Route,
    session::use_session,
};

/// The dialog, over the list of users.
pub(super) const PAGE: Route = Route::new(":name/password", || ChangePassword().into_any());

/// Changes the password of the user in the address.
#[component]
pub fn ChangePassword() -> impl IntoView {
    let params = use_params_map();
    let name = Memo::new(move |_| params.with(|params| params.get("name").unwrap_or_default()));
    let session = use_session();
    view! {
        <PageTitle text=move || format!("Password of {}", name.get())/>
        <RouteDialog title="Change password" back=USERS.page.path()>
            <Loaded
                resource=session.actor
                children=move |actor: Actor| {
                    let own = actor.user().is_some_and(|user| user.name.to_string() == name.get_untracked());
                    view! { <PasswordForm name=name.get_untracked() own=own/> }
                }
            />
        </RouteDialog>
    }
}

#[component]
fn PasswordForm(name: String, own: bool) -> impl IntoView {
    let old = RwSignal::new(String::new());
    let new = RwSignal::new(String::new());
    let session = use_session();
    let hint = match own {
        true => "All your sessions end: sign in again with it.",
        false => "All sessions of the user end.",
    };
    let change = use_form(
        move |(): &()| {
            let old = own.then(|| old.get_untracked());
            change_password(name.clone(), old, new.get_untracked())
        },
        move |()| {
            // All sessions of the account have ended, including this one if it is the user's own.
            session.actor.refetch();
            Done::back_to(USERS.page.path()).saying("The password is changed.")
        },
    );
    view! {
        <LiveForm class="stack" on_submit=move || change.send(())>
            <FormProblem problem=change.problem() fields=&["oldPassword", "password"]/>
            {own
                .then(|| {
                    view! {
                        <PasswordField
                            name="old-password"
                            label="Current password"
                            value=old
                            autocomplete="current-password"
                            error=change.about("oldPassword")
                        />
                    }
                })}
            <PasswordField
                name="new-password"
                label="New password"
                value=new
                hint=hint
                error=change.about("password")
            />
            <div class="form-actions">
                <ButtonLink dialog=true href=USERS.page.path()>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=change.pending()>"Change"</Button>
            </div>
        </LiveForm>
    }
}
