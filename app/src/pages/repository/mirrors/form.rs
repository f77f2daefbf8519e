//! The form of a mirror: first the connection, which *Connect* must test, then the rules or patterns.

use leptos::prelude::*;
use longshore_model::{
    Remote,
    connect::Direction,
    policy::{Loaded, Mirror, Save},
    repository::RepositorySummary,
};

use super::{
    TAB,
    calls::{remote_tags, save_pull_mirror, save_push_mirror},
    connect::{Trial, TrialFindings},
    input::{MirrorInput, PULL, PUSH},
    pull::{PullFields, read_patterns},
    push::PushFields,
    remote::RemoteFields,
    repository::RepositoryFields,
};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Choice, Choices, Done, FormProblem, LiveForm, SaveButtons,
        focus_first_error, in_browser, previewed, read_template, use_form,
    },
    error::AppError,
    pages::connection::FieldErrors,
    pages::repository::use_repository,
    server::{Answer, preview_facts},
};

/// The fields that show their own errors.
const FIELDS: &[&str] =
    &["remote", "username", "password", "proxy", "rules", "tagTemplate", "patterns", "interval"];

/// The form that creates or edits a mirror.
#[component]
pub(super) fn MirrorForm(
    /// The local repository.
    summary: RepositorySummary,
    /// The remotes that the user may use.
    remotes: Vec<Remote>,
    /// The mirror to edit; `None` for a new one.
    before: Option<Mirror>,
) -> impl IntoView {
    let here = use_repository();
    let loaded = RwSignal::new(before.as_ref().map(|mirror| Loaded::from(mirror.common())));
    let how = RwSignal::new(Save::Future);
    let is_new = before.is_none();
    let input = before
        .as_ref()
        .map_or_else(|| MirrorInput::new(&summary), |before| MirrorInput::of(before, &summary));
    let trial = Trial::new(input, !is_new);
    let usable = Memo::new(move |_| trial.usable());
    let name = summary.repository.name.to_string();

    let save = use_form(
        move |how: &Save| save_mirror(here.name.get_untracked(), input, loaded.get_untracked(), *how),
        move |()| {
            here.changed();
            Done::back_to(here.path_untracked(TAB.path())).saying("The mirror is saved.")
        },
    );
    let refused = save.problem();
    let problem = Signal::derive(move || refused.get().or_else(|| trial.problem()));
    let errors = FieldErrors(Signal::derive(move || {
        refused.get().map_or_else(|| trial.field_errors(), |AppError(problem)| problem.fields)
    }));
    let connect = move || {
        save.forget();
        trial.connect(here.name.get_untracked());
    };
    let submit = move |chosen: Save| {
        if untrack(|| complete(input)) {
            how.set(chosen);
            save.send(chosen);
        } else {
            focus_first_error();
        }
    };
    let overwrite = move |newer| {
        loaded.update(|loaded| *loaded = loaded.map(|loaded| Loaded { version: newer, ..loaded }));
        // The form has no field for `enabled`, so a concurrent change of it is kept.
        input.enabled.set(None);
        submit(how.get_untracked());
    };
    // Listed once per tested connection, and only in the browser: rendering on the server must not wait for another
    // registry.
    let listed = in_browser(move || {
        let wanted = usable.get().filter(|request| request.direction == Direction::Pull);
        async move { Some(remote_tags(here.name.get_untracked(), wanted?).await) }
    });
    let facts = in_browser(move || preview_facts(here.name.get()));
    let shared_names = Memo::new(move |_| {
        let facts = facts.get().and_then(Result::ok).filter(|_| input.direction() == Direction::Push);
        let preview = facts.and_then(|facts| previewed(input.rules, input.template, &facts));
        preview.is_some_and(|preview| !preview.collisions.is_empty())
    });
    let connected = Memo::new(move |_| usable.with(Option::is_some));
    // Enter takes the next step: connect first, then save.
    let send = move || if connected.get_untracked() { submit(Save::Future) } else { connect() };
    let back = here.path_untracked(TAB.path());
    let (cancel, local) = (back.clone(), StoredValue::new(name.clone()));
    view! {
        <LiveForm class="mirror-form stack" on_submit=send>
            <FormProblem problem=problem fields=FIELDS overwrite=overwrite/>
            {is_new.then(|| view! { <Directions input=input repository=name/> })}
            <RemoteFields input=input remotes=remotes before=before errors=errors/>
            <RepositoryFields input=input error=errors.about("remoteRepository")/>
            <div class="connect">
                <Button
                    kind=ButtonKind::Primary
                    busy=trial.pending()
                    on_press=connect
                    submits=Signal::derive(move || !connected.get())
                >
                    "Connect"
                </Button>
                <TrialFindings trial=trial/>
            </div>
            <Show
                when=move || connected.get()
                fallback=move || view! {
                    <div class="form-actions">
                        <ButtonLink dialog=true href=cancel.clone()>"Cancel"</ButtonLink>
                        <p class="hint">"Connect successfully to enable Save."</p>
                    </div>
                }
            >
                <hr/>
                {move || match input.direction() {
                    Direction::Push => view! { <PushFields input=input facts=facts problem=problem/> }.into_any(),
                    Direction::Pull => {
                        view! { <PullFields input=input repository=local.get_value() tags=listed errors=errors/> }
                            .into_any()
                    }
                }}
                <SaveButtons back=back.clone() busy=save.pending() shared_names=shared_names on_apply=move || submit(Save::Apply)/>
            </Show>
        </LiveForm>
    }
}

/// The choice of the mirror's direction.
#[component]
fn Directions(input: MirrorInput, repository: String) -> impl IntoView {
    let choices = vec![
        Choice::new(PULL, "Pull from remote registry")
            .with_hint(format!("Pull tags from another registry into {repository}")),
        Choice::new(PUSH, "Push to remote registry")
            .with_hint(format!("Push tags from {repository} to another registry")),
    ];
    view! { <Choices name="direction" legend="Mirror direction" value=input.direction choices=choices/> }
}

/// Whether the fields that the browser can validate are valid. From now on, missing values are marked.
fn complete(input: MirrorInput) -> bool {
    match input.direction() {
        Direction::Push => input.rules.insist() && input.template.with(|typed| read_template(typed)).is_ok(),
        Direction::Pull => {
            input.pull_draft().is_some() && input.patterns.with(|typed| read_patterns(typed)).is_ok()
        }
    }
}

fn save_mirror(
    repository: String,
    input: MirrorInput,
    loaded: Option<Loaded>,
    how: Save,
) -> impl Future<Output = Answer<()>> + Send {
    let (direction, push, pull) = untrack(|| (input.direction(), input.push_draft(), input.pull_draft()));
    async move {
        match (direction, pull) {
            (Direction::Pull, Some(draft)) => save_pull_mirror(repository, loaded, draft, how).await,
            (Direction::Push, _) => save_push_mirror(repository, loaded, push, how).await,
            // Unreachable: an incomplete form is not saved.
            (Direction::Pull, None) => Ok(()),
        }
    }
}
