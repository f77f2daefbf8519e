//! Deleted repositories that can be restored, and the dialog that purges one.

use leptos::{either::Either, prelude::*};
use leptos_router::{
    components::{A, Outlet},
    hooks::use_params_map,
};
use longshore_model::{
    Repository,
    job::Event,
    repository::{DeletedRepository, Elsewhere, PurgePlan},
};

use super::calls::{deleted_repositories, deleted_repository, purge_repository};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Call, DigestText, Done, EmptyState, FieldKind, FormProblem, LiveForm,
        Loaded, PageHeader, PageTitle, PagedList, RelativeTime, RouteDialog, Table, TextField, TimeUntil,
        not_worked_out, provide_changes, size, use_call, use_changes, use_list_query,
    },
    live::ConnectionNotice,
    pages::repository::follow_everything,
    paths,
    routes::Route,
    server::restore_repository,
};

/// The list, with its dialog.
pub(super) const PAGE: Route =
    Route::new("/deleted-repositories", || DeletedRepositories().into_any()).with_dialogs(&[PURGE]);

/// The dialog that purges a repository.
const PURGE: Route = Route::new(":namespace/:name/purge", || PurgeRepository().into_any());

/// Images stored in one other place beyond this number are counted, not listed.
const SHOWN: usize = 5;

/// The deleted repositories that the user may restore.
#[component]
pub fn DeletedRepositories() -> impl IntoView {
    let query = use_list_query();
    let changes = provide_changes();
    let list = Resource::new_blocking(
        move || (query.get(), changes.count()),
        |(query, _)| deleted_repositories(query.page()),
    );
    let lost = follow_everything(|event| *event == Event::Settings, move || changes.changed());
    // Outlives the list, which may be read again while it runs.
    let restore = use_call(
        |name: &String| restore_repository(name.clone()),
        |back| {
            Done::on_to(paths::below(back.name.as_str(), "")).saying(format!("{} is restored.", back.name))
        },
    );
    let table = move |deleted: Vec<DeletedRepository>, ()| {
        view! { <List deleted=deleted restore=restore/> }.into_any()
    };
    view! {
        <PageTitle text="Deleted repositories"/>
        <nav class="trail" aria-label="Trail">
            <A href="/repositories">"Repositories"</A>
            <span aria-hidden="true">"›"</span>
        </nav>
        <PageHeader title="Deleted repositories"/>
        <ConnectionNotice lost=lost/>
        <PagedList
            resource=list
            beside=()
            empty=|()| view! {
                <EmptyState title="There is no deleted repository">
                    <p>"One that you delete stays here for a while, with its tags and policies, and can be restored."</p>
                    <ButtonLink href="/repositories">"Show the repositories"</ButtonLink>
                </EmptyState>
            }
            .into_any()
            table=table
        />
        <Outlet/>
    }
}

#[component]
fn List(deleted: Vec<DeletedRepository>, restore: Restore) -> impl IntoView {
    let rows: Vec<_> = deleted.iter().map(|deleted| row(deleted, restore)).collect();
    view! {
        <FormProblem problem=restore.problem() fields=&[]/>
        <Table
            label="Deleted repositories"
            columns=vec!["Name", "Tags", "Size", "Deleted", "Expires", ""]
        >
            {rows}
        </Table>
    }
}

type Restore = Call<String, Repository>;

fn row(deleted: &DeletedRepository, restore: Restore) -> impl IntoView + use<> {
    let name = deleted.repository.name.to_string();
    let purge = format!(
        "{}/{}/{}/purge",
        PAGE.path(),
        paths::segment(deleted.repository.name.namespace()),
        paths::segment(deleted.repository.name.name())
    );
    let stored = StoredValue::new(name.clone());
    view! {
        <tr>
            <th scope="row">{name}</th>
            <td class="number" data-label="Tags">{deleted.tags}</td>
            <td class="number" data-label="Size">{size(deleted.size_bytes)}</td>
            <td data-label="Deleted">
                <RelativeTime at=deleted.deleted_at/>
                <span class="muted">" by " {deleted.deleted_by.to_string()}</span>
            </td>
            <td data-label="Expires"><TimeUntil at=deleted.until/></td>
            <td class="row-actions">
                <Button
                    busy=restore.pending()
                    on_press=move || restore.send(stored.get_value())
                >
                    "Restore"
                </Button>
                " "
                <ButtonLink href=purge kind=ButtonKind::Quiet dialog=true>"Purge now…"</ButtonLink>
            </td>
        </tr>
    }
}

/// Asks for confirmation before a deleted repository is purged.
#[component]
pub fn PurgeRepository() -> impl IntoView {
    let params = use_params_map().get_untracked();
    let part = |name| params.get(name).unwrap_or_default();
    let name = StoredValue::new(format!("{}/{}", part("namespace"), part("name")));
    let plan = Resource::new_blocking(|| (), move |()| deleted_repository(name.get_value()));
    view! {
        <PageTitle text=format!("Purge {}", name.get_value())/>
        <RouteDialog title=format!("Purge {}", name.get_value()) back=PAGE.path()>
            <Loaded resource=plan let:plan>
                <PurgeForm plan=plan/>
            </Loaded>
        </RouteDialog>
    }
}

#[component]
fn PurgeForm(plan: PurgePlan) -> impl IntoView {
    let name = plan.deleted.repository.name.to_string();
    let stored = StoredValue::new(name.clone());
    let typed = RwSignal::new(String::new());
    let changes = use_changes();
    let purge = use_call(
        move |(): &()| purge_repository(stored.get_value()),
        move |_| {
            changes.changed();
            Done::back_to(PAGE.path()).saying(format!("{} is purged.", stored.get_value()))
        },
    );
    let matches = move || typed.with(|typed| stored.with_value(|name| typed.trim() == name));
    let submit = move || {
        if matches() {
            purge.send(());
        }
    };
    let tags = match plan.deleted.tags {
        1 => "Its tag and its policies are".to_owned(),
        tags => format!("Its {tags} tags and its policies are"),
    };
    let places = match plan.elsewhere.is_empty() {
        true => Either::Left(
            view! { <p>"None of its images is stored anywhere else that Longshore knows of."</p> },
        ),
        false => Either::Right(view! {
            <p>"Some of its images are stored elsewhere, too:"</p>
            <ul class="ahead">
                {plan.elsewhere.into_iter().map(place).collect_view()}
                {(plan.more > 0).then(|| view! { <li>{format!("and {} more at these or other places", plan.more)}</li> })}
            </ul>
        }),
    };
    view! {
        <LiveForm class="stack" on_submit=submit>
            <FormProblem problem=purge.problem() fields=&[]/>
            <p>
                {tags} " removed for good and its name is free. " {frees(plan.frees)}
                " This cannot be undone."
            </p>
            {places}
            <TextField name="confirm-name" label=format!("Type {name} to confirm") value=typed kind=FieldKind::Code/>
            <div class="form-actions">
                <ButtonLink href=PAGE.path() dialog=true>"Cancel"</ButtonLink>
                <Button
                    kind=ButtonKind::Danger
                    busy=purge.pending()
                    disabled=Signal::derive(move || !matches())
                >
                    "Purge now"
                </Button>
            </div>
        </LiveForm>
    }
}

/// How much storage a purge frees.
fn frees(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => {
            format!("{} that nothing else holds are freed, at once or a day after they came.", size(bytes))
        }
        None => format!(
            "What nothing else holds is freed, at once or a day after it came; how much that is, is {}.",
            not_worked_out("a repository")
        ),
    }
}

fn place(place: Elsewhere) -> impl IntoView {
    let more = place.digests.len().saturating_sub(SHOWN);
    let sent = place.remote.then_some(" (sent there; it may have removed them)");
    let digests: Vec<_> = place
        .digests
        .iter()
        .take(SHOWN)
        .map(|digest| view! { <DigestText digest=digest.to_string()/> " " })
        .collect();
    view! {
        <li>
            <code>{place.place}</code> {sent} ": " {digests}
            {(more > 0).then(|| format!("and {more} more"))}
        </li>
    }
}
