//! The form of a remote.

use leptos::prelude::*;
use longshore_model::{Remote, remote::RemoteDraft};
use longshore_oci::Namespace;

use super::{
    SECTION,
    calls::{save_remote, test_remote},
};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Choice, Done, Fact, Facts, FormProblem, LiveForm, SelectField,
        TextField, use_call, use_changes, use_form,
    },
    error::AppError,
    pages::connection::{AccessFields, ConnectionFields, ConnectionInput, FieldErrors, Findings},
};

/// The fields that show their own errors.
const FIELDS: &[&str] = &["remoteHost", "remoteCA", "username", "password", "proxy", "name", "owner"];

/// Creates a remote, or edits an existing one.
#[component]
pub(super) fn RemoteForm(
    /// The possible owners of a new remote; `None` is the system.
    owners: Vec<Option<Namespace>>,
    /// The remote to edit; `None` creates one.
    before: Option<Remote>,
) -> impl IntoView {
    let changes = use_changes();
    let loaded = before.as_ref().map(|remote| remote.id);
    let based_on = RwSignal::new(before.as_ref().map(|remote| remote.version));
    let input = before.as_ref().map_or_else(ConnectionInput::default, ConnectionInput::from);
    let name = RwSignal::new(before.as_ref().map(|remote| remote.name.clone()).unwrap_or_default());
    let first = owners.first().cloned().flatten().map(|owner| owner.to_string()).unwrap_or_default();
    let owner = RwSignal::new(first);

    let save = use_form(
        move |draft: &RemoteDraft| save_remote(loaded.zip(based_on.get_untracked()), draft.clone()),
        move |saved| {
            changes.changed();
            Done::back_to(SECTION.page.path()).saying(format!("The remote {} is saved.", saved.name))
        },
    );
    let problem = save.problem();
    let errors = FieldErrors(Signal::derive(move || {
        problem.get().map(|AppError(problem)| problem.fields).unwrap_or_default()
    }));
    let send = move || {
        let draft = untrack(|| input.draft());
        save.send(RemoteDraft { name: name.get_untracked(), owner: owner.get_untracked(), ..draft });
    };
    let overwrite = move |newer| {
        based_on.set(Some(newer));
        send();
    };
    let owners: Vec<_> = owners
        .into_iter()
        .map(|owner| match owner {
            Some(owner) => Choice::new(owner.to_string(), owner.to_string()),
            None => Choice::new("", "The system").with_hint("Administrators only"),
        })
        .collect();
    let stored = before.as_ref().is_some_and(|remote| remote.has_secret);
    let kept = StoredValue::new(before.clone().filter(|remote| remote.has_secret));
    // Whether the stored password will be discarded, shown before it happens.
    let discarded = Memo::new(move |_| {
        kept.with_value(|remote| remote.as_ref().is_some_and(|remote| input.leads_elsewhere(remote)))
    });
    let placeholder = Signal::derive(move || {
        if stored && !discarded.get() { "stored; empty keeps it".to_owned() } else { String::new() }
    });
    view! {
        <LiveForm class="stack" on_submit=send>
            <FormProblem problem=problem fields=FIELDS overwrite=overwrite/>
            {before.as_ref().map(|remote| view! { <About remote=remote.clone()/> })}
            <ConnectionFields input=input errors=errors/>
            <AccessFields input=input errors=errors stored=placeholder discarded=discarded/>
            <div class="row">
                <TextField
                    name="remote-name"
                    label="Name"
                    value=name
                    hint="Its name in lists. Defaults to its host."
                    error=errors.about("name")
                />
                {(owners.len() > 1)
                    .then(|| {
                        view! {
                            <SelectField
                                name="remote-owner"
                                label="Belongs to"
                                value=owner
                                choices=owners
                                hint="Only its administrators see and use it."
                                error=errors.about("owner")
                            />
                        }
                    })}
            </div>
            {loaded.map(|id| view! { <Test id=id/> })}
            <div class="form-actions">
                <ButtonLink dialog=true href=SECTION.page.path()>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=save.pending()>"Save"</Button>
            </div>
        </LiveForm>
    }
}

/// The properties that cannot be changed here.
#[component]
fn About(remote: Remote) -> impl IntoView {
    let owner = remote.owner.as_ref().map_or_else(|| "the system".to_owned(), ToString::to_string);
    let used_by = match remote.used_by {
        0 => "no mirror".to_owned(),
        1 => "1 mirror, which changes with it".to_owned(),
        many => format!("{many} mirrors, which change with it"),
    };
    view! {
        <Facts>
            <Fact name="Belongs to">{owner}</Fact>
            <Fact name="Used by">{used_by}</Fact>
            {remote.realm.map(|realm| view! { <Fact name="Token service"><code>{realm}</code></Fact> })}
        </Facts>
    }
}

/// Tests the saved remote.
#[component]
fn Test(id: longshore_model::RemoteId) -> impl IntoView {
    let changes = use_changes();
    let test = use_call(
        move |(): &()| test_remote(id),
        move |_| {
            changes.changed();
            Done::here()
        },
    );
    let found = move || {
        test.answer().map(|found| match found {
            Ok(report) => view! { <Findings report=report/> }.into_any(),
            Err(error) => view! { <p class="error">{error.to_string()}</p> }.into_any(),
        })
    };
    view! {
        <div class="connect">
            <Button busy=test.pending() on_press=move || test.send(())>"Test saved settings"</Button>
            <div class="trial" role="status">{found}</div>
        </div>
    }
}
