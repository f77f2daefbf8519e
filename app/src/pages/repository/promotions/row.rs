//! The row of a promotion policy in the list.

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
    components::{PolicyNotes, RelativeTime},
    pages::repository::{
        policy_row::{PolicyRow, use_policy_actions},
        use_repository,
    },
    paths,
    pauses::HeldNote,
};

#[component]
pub(super) fn PromotionRow(policy: PromotionPolicy, held: Option<PauseView>, side: Side) -> impl IntoView {
    let here = use_repository();
    let common = policy.common.clone();
    let (id, loaded) = (common.id, Loaded::from(&common));
    let other = match side {
        Side::Source => policy.target_name.to_string(),
        Side::Target => policy.source_name.to_string(),
    };
    let label = match side {
        Side::Source => format!("the policy to {}", shown(&other)),
        Side::Target => format!("the policy from {}", shown(&other)),
    };
    let actions = use_policy_actions(
        move |on| enable_promotion(here.name.get_untracked(), loaded, on),
        move || delete_promotion(here.name.get_untracked(), id),
        "The promotion policy is deleted.",
    );
    // Editing requires access to both repositories.
    let edit = named(policy.source_name.as_ref())
        .filter(|_| named(policy.target_name.as_ref()).is_some())
        .map(|source| paths::below(source, &format!("promotions/{id}/edit")));
    view! {
        <PolicyRow
            policy=&common
            actions=actions
            question=format!("Delete {label}?")
            label=label
            loss="No more tags are promoted. Tags already promoted are kept."
            edit=edit
        >
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
        </PolicyRow>
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
