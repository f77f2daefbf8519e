//! *Promote…*: promotes a tag manually.

use leptos::prelude::*;

use super::{calls::promote_tag, use_tag};
use crate::{
    components::{
        Button, ButtonKind, ButtonLink, Done, FieldKind, FormProblem, LiveForm, Loaded, PageTitle,
        RouteDialog, TextField, use_form,
    },
    pages::repository::target_field::TargetField,
    paths,
    routes::Route,
    server::signed_in,
};

pub(super) const PAGE: Route = Route::new("promote", || PromoteTag().into_any());

/// The dialog, which asks for the target repository and the tag name there.
#[component]
pub fn PromoteTag() -> impl IntoView {
    let here = use_tag();
    let target = RwSignal::new(String::new());
    let target_tag = RwSignal::new(here.tag.get_untracked());
    let promote = use_form(
        move |(target, target_tag): &(String, String)| {
            let (repository, tag) = (here.repository.get_untracked(), here.tag.get_untracked());
            promote_tag(repository, tag, target.clone(), target_tag.clone())
        },
        move |made| {
            let target = target.get_untracked();
            let (target, tag) = (target.trim(), made.name.as_str());
            Done::on_to(paths::tag(target, tag, "")).saying(format!("Promoted to {target}:{tag}."))
        },
    );
    let reader = Resource::new_blocking(|| (), |()| signed_in());
    let submit = move || promote.send((target.get(), target_tag.get()));
    view! {
        <PageTitle text=move || format!("Promote {}:{}", here.repository.get(), here.tag.get())/>
        <RouteDialog title=format!("Promote {}", here.tag.get_untracked()) back=here.path("")>
            <Loaded resource=reader let:_reader>
            <LiveForm class="stack" on_submit=submit>
                <FormProblem problem=promote.problem() fields=&["targetRepository", "targetTag"]/>
                <p class="muted">
                    "The tag is copied now, regardless of policies. An existing tag of that name is overwritten, even if its image is newer."
                </p>
                <TargetField source=here.repository value=target error=promote.about("targetRepository")/>
                <TextField
                    name="target-tag"
                    label="Tag name in target"
                    value=target_tag
                    kind=FieldKind::Code
                    error=promote.about("targetTag")
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
