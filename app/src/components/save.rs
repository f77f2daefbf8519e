//! The buttons at the end of a policy's form.

use leptos::prelude::*;

use super::{Alert, Button, ButtonKind, ButtonLink, Tone};

/// *Cancel*, *Save* and *Save & Apply*, with an explanation of the difference. *Save* submits the form, so Enter saves.
#[component]
pub fn SaveButtons(
    /// Where *Cancel* leads.
    #[prop(into)]
    back: String,
    #[prop(into)] busy: Signal<bool>,
    /// Whether several existing tags would get the same name. *Save & Apply* then asks for confirmation (semantics 14).
    #[prop(optional, into)]
    shared_names: Signal<bool>,
    #[prop(into)] on_apply: Callback<()>,
) -> impl IntoView {
    let asking = RwSignal::new(false);
    let asked = move || asking.get() && shared_names.get();
    let apply = move || match shared_names.get_untracked() && !asking.get_untracked() {
        true => asking.set(true),
        false => on_apply.run(()),
    };
    view! {
        {move || {
            asked()
                .then(|| {
                    view! {
                        <Alert tone=Tone::Warn>
                            "Several existing tags would get the same name, and only the newest would keep it. Press Save & Apply again to confirm."
                        </Alert>
                    }
                })
        }}
        <div class="form-actions">
            <ButtonLink href=back dialog=true>"Cancel"</ButtonLink>
            <Button busy=busy>"Save"</Button>
            <Button kind=ButtonKind::Primary on_press=apply busy=busy>"Save & Apply"</Button>
            <p class="hint">"Save acts on future tags. Save & Apply acts on existing tags as well."</p>
        </div>
    }
}
