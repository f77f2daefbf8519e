//! The fields of a push mirror: rules, tag template and options, with a preview.

use leptos::prelude::*;
use longshore_model::{policy::FOREIGN_LAYERS, view::PreviewFacts};

use super::input::MirrorInput;
use crate::{
    components::{Checkbox, PolicyPreview, RulesEditor, TemplateField},
    error::AppError,
    sentence::sentence,
    server::Answer,
};

#[component]
pub(super) fn PushFields(
    input: MirrorInput,
    /// The tags of the repository; `None` while they load.
    facts: Signal<Option<Answer<PreviewFacts>>>,
    problem: Signal<Option<AppError>>,
) -> impl IntoView {
    let preview = move || match facts.get()? {
        Ok(facts) => {
            Some(view! { <PolicyPreview rules=input.rules template=input.template facts=facts/> }.into_any())
        }
        Err(error) => Some(view! { <p class="error">{sentence(&error.to_string())}</p> }.into_any()),
    };
    view! {
        <div class="policy-columns">
            <div class="stack">
                <RulesEditor input=input.rules verb="Copy" problem=problem/>
                <TemplateField label="Tag name in target" value=input.template problem=problem/>
                <details>
                    <summary>"More"</summary>
                    <div class="stack">
                        <Checkbox
                            name="referrers"
                            label="Include signatures, SBOMs and attestations"
                            value=input.referrers
                        />
                        <Checkbox
                            name="foreign_layers"
                            label=FOREIGN_LAYERS
                            value=input.foreign_layers
                            hint="Layers whose licence may forbid sharing them, such as those of Windows base images. They are pushed if they are stored here."
                        />
                        <Checkbox
                            name="overwrite"
                            label="Overwrite tags that others have pushed to the remote repository"
                            value=input.overwrite
                            hint="The job records what was overwritten. If cleared, such a tag is kept and the job fails."
                        />
                    </div>
                </details>
            </div>
            {preview}
        </div>
    }
}
