//! The dialogs that create a user or an organization.

use leptos::prelude::*;
use longshore_model::account::NewAccount;

use super::{Kind, calls::create_account};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Checkbox, Done, FieldKind, FormProblem, LiveForm, PageTitle,
        PasswordField, RouteDialog, TextField, use_changes, use_form,
    },
    routes::Route,
};

pub(super) const NEW_USER: Route = Route::new("new", || NewUser().into_any());

pub(super) const NEW_ORGANIZATION: Route = Route::new("new", || NewOrganization().into_any());

/// Creates a user.
#[component]
pub fn NewUser() -> impl IntoView {
    view! {
        <PageTitle text="New user"/>
        <RouteDialog title="New user" back=Kind::User.path()>
            <AccountForm kind=Kind::User/>
        </RouteDialog>
    }
}

/// Creates an organization.
#[component]
pub fn NewOrganization() -> impl IntoView {
    view! {
        <PageTitle text="New organization"/>
        <RouteDialog title="New organization" back=Kind::Organization.path()>
            <AccountForm kind=Kind::Organization/>
        </RouteDialog>
    }
}

#[component]
fn AccountForm(kind: Kind) -> impl IntoView {
    let changes = use_changes();
    let name = RwSignal::new(String::new());
    let password = RwSignal::new(String::new());
    let is_admin = RwSignal::new(false);
    let create = use_form(
        |draft: &NewAccount| create_account(draft.clone()),
        move |made| {
            changes.changed();
            Done::back_to(kind.path()).saying(format!("{} is created.", made.name))
        },
    );
    let submit = move || {
        create.send(NewAccount {
            name: name.get_untracked().trim().to_owned(),
            is_org: kind.is_org(),
            is_admin: !kind.is_org() && is_admin.get_untracked(),
            password: (!kind.is_org()).then(|| password.get_untracked()),
        });
    };
    let hint = match kind {
        Kind::User => {
            "The user signs in with it, and it is the first part of the names of the user's repositories."
        }
        Kind::Organization => "The first part of the names of its repositories, such as dev in dev/website.",
    };
    view! {
        <LiveForm class="stack" on_submit=submit>
            <FormProblem problem=create.problem() fields=&["name", "password"]/>
            <TextField
                name="name"
                label="Name"
                value=name
                kind=FieldKind::Code
                hint=hint
                error=create.about("name")
                required=true
            />
            {(kind == Kind::User)
                .then(|| {
                    view! {
                        <PasswordField
                            name="password"
                            label="Password"
                            value=password
                            hint="The user can change it later."
                            error=create.about("password")
                        />
                        <Checkbox
                            name="is-admin"
                            label="Administrator"
                            value=is_admin
                            hint="May do everything, in all namespaces."
                        />
                    }
                })}
            <div class="form-actions">
                <ButtonLink dialog=true href=kind.path()>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=create.pending()>"Create"</Button>
            </div>
        </LiveForm>
    }
}
