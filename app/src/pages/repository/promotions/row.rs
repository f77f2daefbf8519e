//! One promotion policy in the list.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PromotionPolicy,
    pause::PauseView,
    policy::Loaded,
    view::{Side, named},
};
use longshore_policy::{Rules, StoredRules};

use super::calls::{delete_promotion, enable_promotion};
use crate::{
    components::{
        ButtonKind, ButtonLink, ConfirmButton, LiveForm, PolicyNotes, RelativeTime, Switch, use_notices,
    },
    pages::repository::use_repository,
    paths,
    pauses::{HeldNote, capitalised},
};

/// A policy: where it leads, what it says, how it last went, and what one can do with it.
#[component]
pub(super) fn PromotionRow(policy: PromotionPolicy, held: Option<PauseView>, side: Side) -> impl IntoView {
    let here = use_repository();
    let id = policy.common.id;
    let loaded = Loaded::from(&policy.common);
    let enabled = policy.common.enabled;
    let other = match side {
        Side::Source => policy.target_name.to_string(),
        Side::Target => policy.source_name.to_string(),
    };
    let label = match side {
        Side::Source => format!("the policy to {}", shown(&other)),
        Side::Target => format!("the policy from {}", shown(&other)),
    };
    let question = format!("Delete {label}?");
    let switch = Action::new(move |on: &bool| enable_promotion(here.name.get_untracked(), loaded, *on));
    let delete = Action::new(move |(): &()| delete_promotion(here.name.get_untracked(), id));
    let notices = use_notices();
    Effect::new(move |_| {
        if let Some(Ok(())) = delete.value().get() {
            notices.say("The promotion policy is deleted.");
        }
        if [switch.value().get(), delete.value().get()].into_iter().flatten().any(|answer| answer.is_ok()) {
            here.changed();
        }
    });
    let on = move || switch.input().get().unwrap_or(enabled);
    let submit = move || {
        switch.dispatch(!enabled);
    };
    let refused = move || switch.value().get().and_then(Result::err).map(|error| error.to_string());
    // Changing it takes the right on both ends.
    let edit = named(policy.source_name.as_ref())
        .filter(|_| named(policy.target_name.as_ref()).is_some())
        .map(|source| paths::below(source, &format!("promotions/{id}/edit")));
    view! {
        <tr id=format!("policy-{id}")>
            <th scope="row">{link(&other)}</th>
            <td class="wide">
                {sentence(&policy)}
                <PolicyNotes common=policy.common.clone() rules=policy.rules.clone()/>
                {held.map(|pause| view! { <HeldNote pause=pause/> })}
            </td>
            <td data-label="Last promoted">
                {match policy.last_promoted_at {
                    Some(at) => Either::Left(view! { <RelativeTime at=at/> }),
                    None => Either::Right(view! { <span class="muted">"never"</span> }),
                }}
            </td>
            <td>
                <LiveForm on_submit=submit>
                    <Switch on=Signal::derive(on) label=capitalised(&label) busy=switch.pending()/>
                </LiveForm>
                <p class="error" aria-live="polite">{refused}</p>
            </td>
            <td class="row-actions">
                {edit.map(|href| view! { <ButtonLink href=href kind=ButtonKind::Quiet dialog=true>"Edit"</ButtonLink> })}
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=question
                    busy=delete.pending()
                    problem=Signal::derive(move || delete.value().get().and_then(Result::err))
                    on_confirm=move || {
                        delete.dispatch(());
                    }
                >
                    <p>"Tags are promoted no more. Those that were promoted stay where they are."</p>
                </ConfirmButton>
            </td>
        </tr>
    }
}

/// The policy as a sentence.
fn sentence(policy: &PromotionPolicy) -> impl IntoView + use<> {
    let criteria = match &policy.rules {
        StoredRules::Readable(Rules::EveryTag) => "Every tag: ".to_owned(),
        rules => format!("When the {}, ", rules.describe()),
    };
    let target = shown(policy.target_name.as_ref()).to_owned();
    view! {
        <span class="sentence">
            {criteria} "promote to " {target} " as " <code>{policy.template.clone()}</code>
        </span>
    }
}

fn shown(name: &str) -> &str {
    named(name).unwrap_or("another repository")
}

fn link(name: &str) -> impl IntoView + use<> {
    match named(name) {
        None => Either::Left("another repository"),
        Some(name) => {
            let name = name.to_owned();
            Either::Right(view! { <A href=paths::below(&name, "")>{name.clone()}</A> })
        }
    }
}
