//! A policy or a mirror in the list of its repository: what is the same for both.

use leptos::prelude::*;
use longshore_model::policy::PolicyCommon;

use super::use_repository;
use crate::{
    components::{ButtonKind, ButtonLink, Call, ConfirmButton, Done, LiveForm, Switch, use_call},
    pauses::capitalised,
    server::Answer,
};

/// What one can do with a policy from its row. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct PolicyActions {
    switch: Call<bool, ()>,
    delete: Call<(), ()>,
}

/// Has a policy switched on or off by `switch` and deleted by `delete`; `deleted` is said after that.
pub(super) fn use_policy_actions<S, D>(
    switch: impl Fn(bool) -> S + Send + Sync + 'static,
    delete: impl Fn() -> D + Send + Sync + 'static,
    deleted: &'static str,
) -> PolicyActions
where
    S: Future<Output = Answer<()>> + Send + 'static,
    D: Future<Output = Answer<()>> + Send + 'static,
{
    let here = use_repository();
    let changed = move || {
        here.changed();
        Done::here()
    };
    PolicyActions {
        switch: use_call(move |on: &bool| switch(*on), move |()| changed()),
        delete: use_call(move |(): &()| delete(), move |()| changed().saying(deleted)),
    }
}

/// The row: the policy's own cells, its switch, and what else one can do with it.
#[component]
pub(super) fn PolicyRow<'policy>(
    /// The policy.
    policy: &'policy PolicyCommon,
    /// What one can do with it.
    actions: PolicyActions,
    /// What it is called in the middle of a sentence: "the policy to qa/website".
    label: String,
    /// The question before it is deleted.
    question: String,
    /// What deleting it means.
    loss: &'static str,
    /// Where it is changed; nothing where the reader may not change it.
    edit: Option<String>,
    /// Buttons before these.
    #[prop(optional)]
    buttons: Option<AnyView>,
    /// The cells before the switch.
    children: Children,
) -> impl IntoView + use<> {
    let PolicyActions { switch, delete } = actions;
    let enabled = policy.enabled;
    let on = move || switch.sent().unwrap_or(enabled);
    let refused = switch.problem();
    let refused = move || refused.get().map(|error| error.to_string());
    view! {
        <tr id=format!("policy-{}", policy.id)>
            {children()}
            <td>
                <LiveForm on_submit=move || switch.send(!enabled)>
                    <Switch on=Signal::derive(on) label=capitalised(&label) busy=switch.pending()/>
                </LiveForm>
                <p class="error" aria-live="polite">{refused}</p>
            </td>
            <td class="row-actions">
                {buttons}
                {edit.map(|href| view! { <ButtonLink href=href kind=ButtonKind::Quiet dialog=true>"Edit"</ButtonLink> })}
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=question
                    busy=delete.pending()
                    problem=delete.problem()
                    on_confirm=move || delete.send(())
                >
                    <p>{loss}</p>
                </ConfirmButton>
            </td>
        </tr>
    }
}
