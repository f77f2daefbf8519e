//! The row of a policy or mirror in the lists of its repository: the parts that both have.

use leptos::prelude::*;
use longshore_model::policy::PolicyCommon;

use super::use_repository;
use crate::{
    components::{ButtonKind, ButtonLink, Call, ConfirmButton, Done, LiveForm, Switch, use_call},
    pauses::capitalised,
    server::Answer,
};

/// The actions of a row. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct PolicyActions {
    switch: Call<bool, ()>,
    delete: Call<(), ()>,
}

/// The actions of a row: `switch` enables or disables the policy and `delete` deletes it, after which the notice
/// `deleted` is shown.
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

/// A row: cells of the policy, then its switch and its buttons.
#[component]
pub(super) fn PolicyRow<'policy>(
    policy: &'policy PolicyCommon,
    actions: PolicyActions,
    /// The name of the policy within a sentence: "the policy to qa/website".
    label: String,
    /// The title of the dialog that confirms the deletion.
    question: String,
    /// The consequences of the deletion.
    loss: &'static str,
    /// The address of the edit dialog; `None` if the user may not edit the policy.
    edit: Option<String>,
    /// More buttons, shown before *Edit* and *Delete*.
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
