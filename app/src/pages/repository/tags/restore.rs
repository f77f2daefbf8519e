//! The dialog that restores a deleted tag or rolls back an overwritten one. It shows which policies will act on the
//! change, and lets the user prevent that (semantics 22).

use leptos::{either::Either, prelude::*};
use longshore_model::{
    PolicyKind,
    tag::{PolicyAhead, RestorePlan},
};

use super::calls::{plan_restore, restore_tag};
use crate::components::{
    Alert, Button, ButtonKind, ButtonLink, Checkbox, DigestText, Done, FormProblem, LiveForm, Loaded,
    RelativeTime, RouteDialog, Tone, use_call,
};

/// The dialog that restores a tag or rolls it back.
#[component]
pub(crate) fn RestoreDialog(
    repository: String,
    tag: String,
    /// The revision to restore.
    revision: i64,
    /// Whether the tag exists and is rolled back, rather than deleted and restored.
    rolls_back: bool,
    /// The address of the page below the dialog.
    #[prop(into)]
    back: String,
    /// The address to open afterwards.
    #[prop(into)]
    done: String,
    #[prop(into)] on_done: Callback<()>,
) -> impl IntoView {
    let title = match rolls_back {
        true => format!("Roll back {tag}"),
        false => format!("Restore {tag}"),
    };
    let (of, name) = (repository.clone(), tag.clone());
    let plan = Resource::new_blocking(|| (), move |()| plan_restore(of.clone(), name.clone(), revision));
    let (repository, tag) = (StoredValue::new(repository), StoredValue::new(tag));
    let back_of_form = StoredValue::new(back.clone());
    let done = StoredValue::new(done);
    view! {
        <RouteDialog title=title back=back>
            <Loaded resource=plan let:plan>
                <RestoreForm
                    plan=plan
                    repository=repository.get_value()
                    tag=tag.get_value()
                    back=back_of_form.get_value()
                    done=done.get_value()
                    on_done=on_done
                />
            </Loaded>
        </RouteDialog>
    }
}

#[component]
fn RestoreForm(
    plan: RestorePlan,
    repository: String,
    tag: String,
    back: String,
    done: String,
    on_done: Callback<()>,
) -> impl IntoView {
    let revision = plan.revision.0;
    let rolls_back = plan.present.is_some();
    let act = RwSignal::new(true);
    let (name, of) = (tag.clone(), repository);
    let restore = use_call(
        move |quietly: &bool| restore_tag(of.clone(), name.clone(), revision, *quietly),
        move |restored| {
            on_done.run(());
            Done::back_to(done.clone()).saying(format!("{} is restored.", restored.name))
        },
    );
    let present = plan.present.map(|present| {
        view! { <p>"It now points to " <DigestText digest=present.to_string()/> ", which can be restored in the same way."</p> }
    });
    let policies = match plan.policies.is_empty() {
        true => Either::Left(view! { <p class="muted">"No policies or push mirrors will act on it."</p> }),
        false => Either::Right(view! {
            <p>"This counts as a push, so these policies and mirrors will act on it:"</p>
            <ul class="ahead">{plan.policies.into_iter().map(ahead).collect_view()}</ul>
            <Checkbox
                name="act"
                label="Let them act"
                value=act
                hint="If cleared, only the tag in this repository changes."
            />
        }),
    };
    view! {
        <LiveForm class="stack" on_submit=move || restore.send(!act.get_untracked())>
            <FormProblem problem=restore.problem() fields=&[]/>
            <p>
                <code>{tag}</code> " will point to " <DigestText digest=plan.digest.to_string()/> " again (originally set by "
                {plan.author.to_string()} " " <RelativeTime at=plan.at/> ")."
            </p>
            {present}
            {policies}
            {plan.pins.then(|| {
                view! {
                    <Alert tone=Tone::Info>
                        "This tag belongs to a pull mirror. It will be pinned: the mirror does not move it until it is released."
                    </Alert>
                }
            })}
            <div class="form-actions">
                <ButtonLink href=back dialog=true>"Cancel"</ButtonLink>
                <Button kind=ButtonKind::Primary busy=restore.pending()>
                    {if rolls_back { "Roll back" } else { "Restore" }}
                </Button>
            </div>
        </LiveForm>
    }
}

fn ahead(policy: PolicyAhead) -> impl IntoView {
    let verb = match policy.kind {
        PolicyKind::Promotion => "Promotion to ",
        PolicyKind::PushMirror | PolicyKind::PullMirror => "Push mirror to ",
    };
    let name = match policy.target_tag {
        Some(tag) => format!("{}:{tag}", policy.destination),
        None => policy.destination,
    };
    view! { <li>{verb} <code>{name}</code></li> }
}
