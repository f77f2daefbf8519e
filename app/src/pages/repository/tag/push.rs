//! *Push to a remote…*: pushes a tag manually, using a saved remote.

use leptos::prelude::*;
use longshore_model::{Remote, RemoteId, policy::RemoteChoice};

use super::{calls::push_tag, use_tag};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Choice, Done, EmptyState, FieldKind, FormProblem, LiveForm, Loaded,
        PageTitle, RouteDialog, SelectField, TextField, use_form,
    },
    paths,
    routes::Route,
    server::all_remotes,
};

pub(super) const PAGE: Route = Route::new("push", || PushTag().into_any());

/// The dialog, which asks for the remote, its repository and the tag name there.
#[component]
pub fn PushTag() -> impl IntoView {
    let here = use_tag();
    let saved = Resource::new_blocking(|| (), |()| all_remotes());
    view! {
        <PageTitle text=move || format!("Push {}:{}", here.repository.get(), here.tag.get())/>
        <RouteDialog title=format!("Push {} to a remote", here.tag.get_untracked()) back=here.path("")>
            <Loaded resource=saved let:saved>
                {if saved.is_empty() {
                    view! {
                        <EmptyState title="There is no remote yet">
                            <p>"A remote is a saved connection to another registry. Create one first."</p>
                            <ButtonLink href="/remotes/new" kind=ButtonKind::Primary>"New remote"</ButtonLink>
                        </EmptyState>
                    }
                        .into_any()
                } else {
                    view! { <PushForm saved=saved/> }.into_any()
                }}
            </Loaded>
        </RouteDialog>
    }
}

#[component]
fn PushForm(saved: Vec<Remote>) -> impl IntoView {
    let here = use_tag();
    let remote = RwSignal::new(saved.first().map(|remote| remote.id.to_string()).unwrap_or_default());
    let repository = RwSignal::new(here.repository.get_untracked());
    let tag = RwSignal::new(here.tag.get_untracked());
    let push = use_form(
        move |(id, repository, tag): &(RemoteId, String, String)| {
            let (local, name) = (here.repository.get_untracked(), here.tag.get_untracked());
            push_tag(local, name, RemoteChoice::Saved { id: *id }, repository.clone(), tag.clone())
        },
        |job| Done::on_to(paths::job(job.id)),
    );
    let submit = move || {
        if let Ok(id) = remote.get().parse() {
            push.send((id, repository.get(), tag.get()));
        }
    };
    let choices: Vec<_> =
        saved.iter().map(|remote| Choice::new(remote.id.to_string(), named(remote))).collect();
    view! {
        <LiveForm class="stack" on_submit=submit>
            <FormProblem problem=push.problem() fields=&["remoteRepository", "remoteTag"]/>
            <SelectField name="remote" label="Remote" value=remote choices=choices/>
            <div class="row">
                <TextField
                    name="remote-repository"
                    label="Remote repository"
                    value=repository
                    kind=FieldKind::Code
                    error=push.about("remoteRepository")
                    required=true
                />
                <TextField
                    name="remote-tag"
                    label="Remote tag"
                    value=tag
                    kind=FieldKind::Code
                    error=push.about("remoteTag")
                    required=true
                />
            </div>
            <div class="form-actions">
                <ButtonLink href=here.path("") dialog=true>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=push.pending()>"Push"</Button>
                <p class="hint">"This queues a job; its page shows the progress."</p>
            </div>
        </LiveForm>
    }
}

/// The label of a remote: its name, its host if that differs from the name, and its username.
fn named(remote: &Remote) -> String {
    if remote.name == remote.host() || remote.name.is_empty() {
        format!("{} as {}", remote.host(), user(remote))
    } else {
        format!("{} ({} as {})", remote.name, remote.host(), user(remote))
    }
}

fn user(remote: &Remote) -> &str {
    if remote.username.is_empty() { "anonymous" } else { &remote.username }
}
