//! The dialog that creates a repository.

use leptos::{either::Either, prelude::*};
use longshore_model::{Code, ImmutableTags, Problem, repository::NewRepository as Draft};

use super::{calls::create_repository, visibility_choices, visibility_of};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Checkbox, Choice, Choices, Done, Failure, FieldKind, FormProblem,
        LiveForm, Loaded, PageTitle, RouteDialog, SelectField, TextField, use_form,
    },
    paths,
    routes::Route,
    server::namespaces,
};

/// The dialog, over the list of repositories.
pub(super) const PAGE: Route = Route::new("new", || NewRepository().into_any());

/// Asks for the name and the visibility.
#[component]
pub fn NewRepository() -> impl IntoView {
    let choices = Resource::new_blocking(|| (), |()| namespaces());
    view! {
        <PageTitle text="New repository"/>
        <RouteDialog title="New repository" back="/repositories">
            <Loaded resource=choices let:namespaces>
                {if namespaces.is_empty() {
                    // Only users who are not signed in have no namespace to create a repository in.
                    let problem = Problem::new(Code::NotAuthenticated, "Sign in to create a repository.");
                    Either::Left(view! { <Failure error=problem.into()/> })
                } else {
                    let names = namespaces.iter().map(ToString::to_string).collect();
                    Either::Right(view! { <RepositoryForm namespaces=names/> })
                }}
            </Loaded>
        </RouteDialog>
    }
}

#[component]
fn RepositoryForm(namespaces: Vec<String>) -> impl IntoView {
    let namespace = RwSignal::new(namespaces.first().cloned().unwrap_or_default());
    let name = RwSignal::new(String::new());
    let visibility = RwSignal::new("private".to_owned());
    let description = RwSignal::new(String::new());
    let immutable = RwSignal::new(false);
    let create = use_form(
        |draft: &Draft| create_repository(draft.clone()),
        |made| Done::on_to(paths::below(made.name.as_ref(), "")).saying(format!("{} is created.", made.name)),
    );
    let submit = move || {
        create.send(Draft {
            namespace: namespace.get(),
            name: name.get(),
            visibility: visibility_of(&visibility.get()),
            short_description: description.get(),
            long_description: String::new(),
            immutable_tags: if immutable.get() { ImmutableTags::All } else { ImmutableTags::Off },
        });
    };
    let choices: Vec<_> = namespaces.into_iter().map(|name| Choice::new(name.clone(), name)).collect();
    view! {
        <LiveForm class="stack" on_submit=submit>
            <FormProblem problem=create.problem() fields=&["namespace", "name", "shortDescription"]/>
            <div class="row">
                <SelectField
                    name="namespace"
                    label="Namespace"
                    value=namespace
                    choices=choices
                    error=create.about("namespace")
                />
                <TextField
                    name="name"
                    label="Name"
                    value=name
                    kind=FieldKind::Code
                    placeholder="website"
                    hint="Lower case letters, digits, and . _ - / between them."
                    error=create.about("name")
                    required=true
                />
            </div>
            <Choices name="visibility" legend="Visibility" value=visibility choices=visibility_choices()/>
            <TextField
                name="description"
                label="Description"
                value=description
                hint="One line."
                error=create.about("shortDescription")
            />
            <Checkbox
                name="immutable"
                label="Tags are immutable"
                value=immutable
                hint="Once set, a tag can neither be moved to another digest nor deleted. The settings can narrow this to some tags."
            />
            <div class="form-actions">
                <ButtonLink href="/repositories" dialog=true>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=create.pending()>"Create"</Button>
            </div>
        </LiveForm>
    }
}
