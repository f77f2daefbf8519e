//! A field for a secret, which one may look at while typing it.

use leptos::prelude::*;

use super::form::{Field, Ids};

/// A field for a password or token. What is typed stays in memory: it never stands in the HTML.
#[component]
pub fn PasswordField(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What one writes there.
    #[prop(into)]
    label: String,
    /// What is written there.
    value: RwSignal<String>,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
    /// What stands there while nothing is typed: that a secret is stored.
    #[prop(optional, into)]
    placeholder: Signal<String>,
    /// What browsers may fill in: `current-password`, `new-password`; nothing when not given.
    #[prop(optional, into)]
    autocomplete: Option<String>,
) -> impl IntoView {
    let ids = Ids::of(&name);
    let (control, described_by) = (ids.control.clone(), ids.described_by());
    let shown = RwSignal::new(false);
    view! {
        <Field ids=ids label=label hint=hint error=error>
            <div class="reveal">
                <input
                    id=control.clone()
                    class="code"
                    name=name
                    type=move || if shown.get() { "text" } else { "password" }
                    prop:value=value
                    placeholder=placeholder
                    // "off" is ignored for passwords; a browser's own one for this site is never meant.
                    autocomplete=autocomplete.unwrap_or_else(|| "new-password".to_owned())
                    autocapitalize="none"
                    spellcheck="false"
                    aria-describedby=described_by
                    aria-invalid=move || error.get().map(|_| "true")
                    on:input=move |event| value.set(event_target_value(&event))
                />
                <button
                    type="button"
                    class="button quiet needs-script"
                    aria-controls=control
                    aria-pressed=move || if shown.get() { "true" } else { "false" }
                    on:click=move |_| shown.update(|shown| *shown = !*shown)
                >
                    {move || if shown.get() { "Hide" } else { "Show" }}
                </button>
            </div>
        </Field>
    }
}
