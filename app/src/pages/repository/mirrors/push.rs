//! What a push mirror copies, and under which name.

use leptos::prelude::*;
use longshore_model::{policy::FOREIGN_LAYERS, view::PreviewFacts};

use super::input::MirrorInput;
use crate::{
    components::{Checkbox, PolicyPreview, RulesEditor, TemplateField},
    error::AppError,
    sentence::sentence,
    server::Answer,
};

/// Rules, template, and what they do to the repository's tags.
#[component]
pub(super) fn PushFields(
    input: MirrorInput,
    /// The repository's tags, once they are here.
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
                            label="Signatures, SBOMs and attestations go along"
                            value=input.referrers
                        />
                        <Checkbox
                            name="foreign_layers"
                            label=FOREIGN_LAYERS
                            value=input.foreign_layers
                            hint="Layers whose licence may forbid sharing them, such as those of Windows base images. They are sent if they are stored here."
                        />
                        <Checkbox
                            name="overwrite"
                            label="Move tags of that repository that somebody else has set"
                            value=input.overwrite
                            hint="The job records what was overwritten. Without it, such a tag stays and the job fails."
                        />
                    </div>
                </details>
            </div>
            {preview}
        </div>
    }
}
