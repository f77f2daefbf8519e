//! The dialog that shows the storage of a namespace and lets administrators set its quota.

use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_params_map;
use longshore_model::{parse_size, repository::NamespaceStorage};

use super::{
    Kind,
    calls::{namespace_storage, set_quota},
};
use crate::{
    components::{
        Alert, Button, ButtonKind, ButtonLink, Done, Fact, Facts, FormProblem, LiveForm, LoadedBeside,
        PageTitle, ProgressBar, RouteDialog, TextField, Tone, focus_first_error, not_worked_out, size,
        use_call,
    },
    routes::Route,
    session::use_session,
};

/// The dialog over the list of users.
pub(super) const OF_USER: Route = Route::new(":name/storage", || UserStorage().into_any());

/// The dialog over the list of organizations.
pub(super) const OF_ORGANIZATION: Route = Route::new(":name/storage", || OrganizationStorage().into_any());

/// The storage of the user in the address.
#[component]
pub fn UserStorage() -> impl IntoView {
    view! { <Storage kind=Kind::User/> }
}

/// The storage of the organization in the address.
#[component]
pub fn OrganizationStorage() -> impl IntoView {
    view! { <Storage kind=Kind::Organization/> }
}

#[component]
fn Storage(kind: Kind) -> impl IntoView {
    let name = use_params_map().with_untracked(|params| params.get("name").unwrap_or_default());
    let stored = StoredValue::new(name.clone());
    let storage = Resource::new_blocking(|| (), move |()| namespace_storage(stored.get_value()));
    let session = use_session();
    view! {
        <PageTitle text=format!("Storage of {name}")/>
        <RouteDialog title=format!("Storage of {name}") back=kind.path()>
            <LoadedBeside
                resource=storage
                beside=session.actor
                children=move |held, actor| {
                    // A new quota changes the figures but must not recreate the form, which keeps the typed input.
                    let held = RwSignal::new(held);
                    let form = match actor.is_ok_and(|actor| actor.is_admin()) {
                        true => Either::Left(view! { <QuotaForm kind=kind held=held/> }),
                        false => Either::Right(view! {
                            <div class="form-actions">
                                <ButtonLink href=kind.path() dialog=true>"Close"</ButtonLink>
                            </div>
                        }),
                    };
                    view! {
                        {move || view! { <Held held=held.get()/> }}
                        {form}
                    }
                }
            />
        </RouteDialog>
    }
}

#[component]
fn Held(held: NamespaceStorage) -> impl IntoView {
    let (used, quota) = (held.storage.total, held.quota);
    let of = match quota {
        Some(quota) => format!("{} of {} used", size(used), size(quota)),
        None => format!("{} used, no limit", size(used)),
    };
    let full = quota.is_some_and(|quota| used >= quota);
    view! {
        <p class="usage">{of}</p>
        {quota.map(|quota| {
            view! { <ProgressBar label="Storage used" done=used.min(quota) total=Some(quota)/> }
        })}
        {full.then(|| {
            view! {
                <Alert tone=Tone::Warn>
                    "The quota is used up: pushes, promotions and mirrors that need space are refused. Delete what is not needed and purge deleted repositories."
                </Alert>
            }
        })}
        <Facts>
            <Fact name="Only here">
                <Figure bytes=held.storage.unique meaning="that no other namespace holds" holders="a namespace"/>
            </Fact>
            <Fact name="Shared">
                <Figure bytes=held.storage.shared() meaning="that other namespaces hold as well" holders="a namespace"/>
            </Fact>
            <Fact name="Deleted">
                <Figure
                    bytes=held.deleted
                    meaning="only in deleted repositories; it counts until they are purged"
                    holders="deleted repositories"
                />
            </Fact>
        </Facts>
    }
}

/// A number of bytes with an explanation, or why it is not known.
#[component]
fn Figure(bytes: Option<u64>, meaning: &'static str, holders: &'static str) -> impl IntoView {
    match bytes {
        Some(bytes) => {
            Either::Left(view! { {size(bytes)} <span class="muted">{format!(" {meaning}")}</span> })
        }
        None => Either::Right(view! { <span class="muted">{not_worked_out(holders)}</span> }),
    }
}

/// Parses a typed quota; empty means unlimited.
fn read(typed: &str) -> Result<Option<u64>, String> {
    match typed.trim() {
        "" => Ok(None),
        typed => parse_size(typed).map(Some).map_err(|error| error.to_string()),
    }
}

#[component]
fn QuotaForm(kind: Kind, held: RwSignal<NamespaceStorage>) -> impl IntoView {
    let name = held.with_untracked(|held| held.namespace.to_string());
    let quota = RwSignal::new(held.with_untracked(|held| held.quota.map(size).unwrap_or_default()));
    let error = Signal::derive(move || quota.with(|typed| read(typed)).err());
    let save = use_call(
        move |quota: &Option<u64>| set_quota(name.clone(), *quota),
        move |now| {
            held.set(now);
            Done::here()
        },
    );
    let saved = save.is_done();
    let submit = move || match quota.with_untracked(|typed| read(typed)) {
        Ok(quota) => save.send(quota),
        Err(_) => focus_first_error(),
    };
    view! {
        <LiveForm class="stack quota" on_submit=submit saved=saved saving=save.pending()>
            <FormProblem problem=save.problem() fields=&[]/>
            <TextField
                name="quota"
                label="Quota"
                value=quota
                placeholder="no limit"
                hint="The most that the repositories of the namespace may hold together, such as 500 MB or 1.5 TB. Leave empty for no limit."
                error=error
            />
            {move || saved.get().then(|| view! { <Alert tone=Tone::Ok>"The quota is saved."</Alert> })}
            <div class="form-actions">
                <ButtonLink href=kind.path() dialog=true>"Close"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=save.pending()>"Save"</Button>
            </div>
        </LiveForm>
    }
}
