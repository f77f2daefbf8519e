//! The form of a promotion policy: rules, target and tag template beside a preview of their effect.

use leptos::prelude::*;
use longshore_model::{
    PromotionPolicy,
    policy::{Loaded, PromotionDraft, Save},
    view::{PreviewFacts, named},
};
use longshore_oci::RepositoryName;

use super::{TAB, calls::save_promotion};
use crate::{
    components::{
        Checkbox, Done, FormProblem, LiveForm, PolicyPreview, RulesEditor, RulesInput, SaveButtons,
        TemplateField, focus_first_error, previewed, read_template, use_form,
    },
    pages::repository::{target_field::TargetField, use_repository},
};

/// The form that creates or edits a policy.
#[component]
pub(super) fn PromotionForm(
    /// The policy to edit; `None` for a new one.
    existing: Option<PromotionPolicy>,
    facts: PreviewFacts,
) -> impl IntoView {
    let here = use_repository();
    let loaded = RwSignal::new(existing.as_ref().map(|policy| Loaded::from(&policy.common)));
    let overwrites = RwSignal::new(false);
    let how = RwSignal::new(Save::Future);
    let enabled = existing.as_ref().is_none_or(|policy| policy.common.enabled);
    let rules = existing.as_ref().map_or_else(RulesInput::default, |policy| RulesInput::of(&policy.rules));
    let target = existing.as_ref().and_then(|policy| named(policy.target_name.as_ref()));
    let target = RwSignal::new(target.unwrap_or_default().to_owned());
    let template =
        RwSignal::new(existing.as_ref().map_or_else(|| "%n".to_owned(), |policy| policy.template.clone()));
    let referrers = RwSignal::new(existing.is_none_or(|policy| policy.common.referrers));
    let tried = RwSignal::new(false);

    let save = use_form(
        move |(draft, save): &(PromotionDraft, Save)| {
            save_promotion(here.name.get_untracked(), loaded.get_untracked(), draft.clone(), *save)
        },
        move |_| {
            here.changed();
            Done::back_to(here.path_untracked(TAB.path())).saying("The promotion policy is saved.")
        },
    );
    let problem = save.problem();
    let target_error = Signal::derive(move || {
        let mistake = target.with(|target| target_mistake(target, tried.get()));
        mistake.or_else(|| problem.with(|problem| problem.as_ref()?.about("targetRepository")))
    });

    let submit = move |chosen: Save| {
        tried.set(true);
        let target_is_good = target.with_untracked(|target| target_mistake(target, true)).is_none();
        if !rules.insist() || !target_is_good || read_template(&template.get_untracked()).is_err() {
            return focus_first_error();
        }
        let draft = PromotionDraft {
            rules: untrack(|| rules.raw()),
            every_tag: untrack(|| rules.every_tag()),
            target: target.get_untracked(),
            template: template.get_untracked(),
            // The form has no field for `enabled`, so a concurrent change of it is kept.
            enabled: (!overwrites.get_untracked()).then_some(enabled),
            referrers: referrers.get_untracked(),
        };
        how.set(chosen);
        save.send((draft, chosen));
    };
    let overwrite = move |newer| {
        loaded.update(|loaded| *loaded = loaded.map(|loaded| Loaded { version: newer, ..loaded }));
        overwrites.set(true);
        submit(how.get_untracked());
    };
    let shared_names = StoredValue::new(facts.clone());
    let shared_names = Memo::new(move |_| {
        let preview = shared_names.with_value(|facts| previewed(rules, template, facts));
        preview.is_some_and(|preview| !preview.collisions.is_empty())
    });
    view! {
        <LiveForm class="policy-form" on_submit=move || submit(Save::Future)>
            <FormProblem problem=problem fields=&["rules", "targetRepository", "tagTemplate"] overwrite=overwrite/>
            <div class="policy-columns">
                <div class="stack">
                    <RulesEditor input=rules verb="Promote" problem=problem/>
                    <TargetField source=here.name value=target error=target_error/>
                    <TemplateField label="Tag name in target" value=template problem=problem/>
                    <Checkbox
                        name="referrers"
                        label="Include signatures, SBOMs and attestations"
                        value=referrers
                    />
                </div>
                <PolicyPreview rules=rules template=template facts=facts/>
            </div>
            <SaveButtons
                back=here.path_untracked(TAB.path())
                busy=save.pending()
                shared_names=shared_names
                on_apply=move || submit(Save::Apply)
            />
        </LiveForm>
    }
}

/// The error in the target field. An empty or unfinished name is an error only after an attempt to save (`tried`).
fn target_mistake(target: &str, tried: bool) -> Option<String> {
    match target.trim() {
        "" if tried => Some("choose the target repository".to_owned()),
        "" => None,
        // A namespace or a trailing separator is a name that is still being typed.
        name if !tried && (!name.contains('/') || name.ends_with(['/', '.', '_', '-'])) => None,
        name => name.parse::<RepositoryName>().err().map(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::target_mistake;

    #[test]
    fn a_target_is_required_only_on_saving() {
        assert_eq!(target_mistake("", false), None);
        assert!(target_mistake("", true).is_some());
        assert_eq!(target_mistake("qa", false), None);
        assert_eq!(target_mistake("qa/", false), None);
        assert!(target_mistake("qa/", true).is_some());
        assert!(target_mistake("qa", true).is_some());
        assert!(target_mistake("qa/Website", false).is_some());
        assert_eq!(target_mistake("qa/website", true), None);
    }
}
