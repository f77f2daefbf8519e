//! *Promote…*: one tag, now, by hand.

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::{calls::promote_tag, use_tag};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, FieldKind, FormProblem, LiveForm, Loaded, PageTitle, RouteDialog,
        TextField, focus_first_error, use_notices,
    },
    pages::repository::target_field::TargetField,
    paths,
    routes::Route,
    server::signed_in,
};

/// The dialog, over the page of a tag.
pub(super) const PAGE: Route = Route::new("promote", || PromoteTag().into_any());

/// Asks where the tag shall go, and what it shall be called there.
#[component]
pub fn PromoteTag() -> impl IntoView {
    let here = use_tag();
    let target = RwSignal::new(String::new());
    let target_tag = RwSignal::new(here.tag.get_untracked());
    let promote = Action::new(move |(target, target_tag): &(String, String)| {
        let (repository, tag) = (here.repository.get_untracked(), here.tag.get_untracked());
        promote_tag(repository, tag, target.clone(), target_tag.clone())
    });
    let problem = Signal::derive(move || promote.value().get().and_then(Result::err));
    let about = move |field: &'static str| {
        Signal::derive(move || {
            problem.with(|problem| problem.as_ref().and_then(|problem| problem.about(field)))
        })
    };
    let reader = Resource::new_blocking(|| (), |()| signed_in());
    let (navigate, notices) = (use_navigate(), use_notices());
    Effect::new(move |_| match (promote.value().get(), promote.input().get_untracked()) {
        (Some(Ok(made)), _) => {
            let target = target.get_untracked();
            notices.say(format!("Promoted to {}:{}.", target.trim(), made.name));
            navigate(&paths::tag(target.trim(), made.name.as_str(), ""), Default::default());
        }
        (Some(Err(_)), _) => focus_first_error(),
        (None, _) => {}
    });
    let submit = move || {
        promote.dispatch((target.get(), target_tag.get()));
    };
    view! {
        <PageTitle text=move || format!("Promote {}:{}", here.repository.get(), here.tag.get())/>
        <RouteDialog title=format!("Promote {}", here.tag.get_untracked()) back=here.path("")>
            <Loaded resource=reader let:_reader>
            <LiveForm class="stack" on_submit=submit>
                <FormProblem problem=problem fields=&["targetRepository", "targetTag"]/>
                <p class="muted">
                    "The tag is copied now, whatever the policies say. An existing tag of that name is moved, even from a newer image."
                </p>
                <TargetField source=here.repository value=target error=about("targetRepository")/>
                <TextField
                    name="target-tag"
                    label="Tag name in target"
                    value=target_tag
                    kind=FieldKind::Code
                    error=about("targetTag")
                    required=true
                />
                <div class="form-actions">
                    <ButtonLink href=here.path("") dialog=true>"Cancel"</ButtonLink>
                    <Button kind=ButtonKind::Primary busy=promote.pending()>"Promote"</Button>
                </div>
            </LiveForm>
            </Loaded>
        </RouteDialog>
    }
}
