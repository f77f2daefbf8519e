//! The dialog that brings a tag back, whether it was deleted or overwritten: what will be, which policies
//! will act, and the choice that none does (semantics 22).

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

/// Asks before a tag is brought back.
#[component]
pub(crate) fn RestoreDialog(
    /// The repository.
    repository: String,
    /// The tag.
    tag: String,
    /// The change to bring back.
    revision: i64,
    /// Whether the tag is there and moves, instead of being there again.
    rolls_back: bool,
    /// The page behind.
    #[prop(into)]
    back: String,
    /// Where to go when it is done.
    #[prop(into)]
    done: String,
    /// Says that the tag was changed.
    #[prop(into)]
    on_done: Callback<()>,
) -> impl IntoView {
    let title = match rolls_back {
        true => format!("Roll {tag} back"),
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
        view! { <p>"It points to " <DigestText digest=present.to_string()/> " now, and that can be brought back in the same way."</p> }
    });
    let policies = match plan.policies.is_empty() {
        true => Either::Left(view! { <p class="muted">"No policy and no push mirror will act on it."</p> }),
        false => Either::Right(view! {
            <p>"It is a change like a push, so these will act on it:"</p>
            <ul class="ahead">{plan.policies.into_iter().map(ahead).collect_view()}</ul>
            <Checkbox
                name="act"
                label="Let them act"
                value=act
                hint="Not ticked: the tag changes in this repository alone."
            />
        }),
    };
    view! {
        <LiveForm class="stack" on_submit=move || restore.send(!act.get_untracked())>
            <FormProblem problem=restore.problem() fields=&[]/>
            <p>
                <code>{tag}</code> " will point to " <DigestText digest=plan.digest.to_string()/> " again (set by "
                {plan.author.to_string()} " " <RelativeTime at=plan.at/> ")."
            </p>
            {present}
            {policies}
            {plan.pins.then(|| {
                view! {
                    <Alert tone=Tone::Info>
                        "A pull mirror made this tag. It will be pinned: the mirror leaves it alone until somebody releases it."
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
