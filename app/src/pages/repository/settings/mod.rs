//! The Settings tab: visibility, state, immutable tags and descriptions of a repository, and its deletion.

mod immutable;

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Repository,
    repository::{RepositoryChange, RepositorySummary},
};

use super::{tab::RepositoryTab, use_repository};
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};
use crate::{
    components::{
        Alert, Button, ButtonKind, Choice, Choices, ConfirmButton, Done, EmptyState, FormProblem, LiveForm,
        Loaded, Panel, TextArea, TextField, Tone, focus_first_error, use_call, use_form, use_notices,
    },
    pages::repositories::{STATES, state_of, visibility_choices, visibility_of},
    routes::Route,
    server::{Answer, restore_repository},
};
use immutable::{ImmutableFields, ImmutableInput};

pub(super) const TAB: RepositoryTab =
    RepositoryTab::new("Settings", Route::new("settings", || Settings().into_any()))
        .offered_if(|summary| summary.may_administer);

/// The settings, for users who may administer the repository.
#[component]
pub fn Settings() -> impl IntoView {
    let here = use_repository();
    view! {
        <Loaded resource=here.summary let:summary>
            {if summary.may_administer {
                view! {
                    <SettingsForm repository=summary.repository.clone()/>
                    <Deletion summary=summary/>
                }
                    .into_any()
            } else {
                view! {
                    <EmptyState title="You cannot change these settings">
                        <p>"Only the owner of the namespace and administrators can."</p>
                    </EmptyState>
                }
                    .into_any()
            }}
        </Loaded>
    }
}

#[component]
fn SettingsForm(repository: Repository) -> impl IntoView {
    let here = use_repository();
    let visibility = RwSignal::new(repository.visibility.as_str().to_owned());
    let state = RwSignal::new(repository.state.as_str().to_owned());
    let short = RwSignal::new(repository.short_description);
    let long = RwSignal::new(repository.long_description);
    let immutable = ImmutableInput::of(&repository.immutable_tags);
    let version = RwSignal::new(repository.version);
    let save = use_form(
        move |change: &RepositoryChange| change_repository(here.name.get_untracked(), change.clone()),
        move |saved: Repository| {
            // The next change is based on this one.
            version.set(saved.version);
            Done::here()
        },
    );
    let saved = save.is_done();
    let send = move || {
        let Ok(immutable_tags) = immutable.read() else { return focus_first_error() };
        save.send(RepositoryChange {
            visibility: Some(visibility_of(&visibility.get_untracked())),
            state: state_of(&state.get_untracked()),
            short_description: Some(short.get_untracked()),
            long_description: Some(long.get_untracked()),
            immutable_tags: Some(immutable_tags),
            based_on: Some(version.get_untracked()),
        });
    };
    let overwrite = move |newer| {
        version.set(newer);
        send();
    };
    let states =
        STATES.map(|(state, label, hint)| Choice::new(state.as_str(), label).with_hint(hint)).to_vec();
    view! {
        <Panel title="Settings">
            <LiveForm class="stack" on_submit=send saved=saved saving=save.pending()>
                <FormProblem problem=save.problem() fields=&["shortDescription", "longDescription"] overwrite=overwrite/>
                <Choices name="visibility" legend="Visibility" value=visibility choices=visibility_choices()/>
                <Choices name="state" legend="State" value=state choices=states/>
                <ImmutableFields input=immutable/>
                <TextField
                    name="short"
                    label="Short description"
                    value=short
                    hint="One line."
                    error=save.about("shortDescription")
                />
                <TextArea name="long" label="Description" value=long rows=5 error=save.about("longDescription")/>
                {move || saved.get().then(|| view! { <Alert tone=Tone::Ok>"The settings are saved."</Alert> })}
                <div class="form-actions">
                    <Button kind=ButtonKind::Primary busy=save.pending()>"Save"</Button>
                </div>
            </LiveForm>
        </Panel>
    }
}

#[component]
fn Deletion(summary: RepositorySummary) -> impl IntoView {
    let name = StoredValue::new(summary.repository.name.to_string());
    let notices = use_notices();
    let delete = use_call(
        move |(): &()| delete_repository(name.get_value()),
        move |undoable| {
            let name = name.get_value();
            let (text, undone) = (format!("{name} is deleted."), format!("{name} is restored."));
            match undoable {
                true => notices.say_undoable(text, undone, move || {
                    let name = name.clone();
                    async move { restore_repository(name).await.map(drop) }
                }),
                false => notices.say(text),
            }
            Done::on_to("/deleted-repositories")
        },
    );
    let tags = summary.tags;
    view! {
        <Panel title="Delete the repository">
            <p>
                "Its tags can no longer be pulled, and policies and mirrors from and to it are suspended. It can be restored for a while, from the deleted repositories."
            </p>
            <ConfirmButton
                label="Delete the repository"
                title=format!("Delete {}?", name.get_value())
                busy=delete.pending()
                problem=delete.problem()
                on_confirm=move || delete.send(())
            >
                <p>
                    {match tags {
                        0 => "It has no tags. It can be restored for a while.".to_owned(),
                        1 => "Its tag can no longer be pulled. It can be restored for a while.".to_owned(),
                        tags => {
                            format!("Its {tags} tags can no longer be pulled. It can be restored for a while.")
                        }
                    }}
                </p>
            </ConfirmButton>
        </Panel>
    }
}

/// Changes a repository's settings.
#[server(input = Json)]
async fn change_repository(name: String, change: RepositoryChange) -> Answer<Repository> {
    let (admin, actor) = asked()?;
    Ok(admin.change_repository(&actor, &repository(&name)?, change).await?)
}

/// Deletes a repository with its tags. Returns whether it can be restored.
#[server(input = Json)]
async fn delete_repository(name: String) -> Answer<bool> {
    let (admin, actor) = asked()?;
    admin.delete_repository(&actor, &repository(&name)?).await?;
    Ok(admin.keeps_deleted())
}
