//! A field for a secret, with a button that shows it.

use leptos::prelude::*;

use super::form::{Field, Ids};

/// A field for a password or token. Its value stays in memory and is never written to the HTML.
#[component]
pub fn PasswordField(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    value: RwSignal<String>,
    /// One sentence.
    #[prop(optional, into)]
    hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    /// Shown while the field is empty: says that a secret is stored.
    #[prop(optional, into)]
    placeholder: Signal<String>,
    /// The `autocomplete` token, `current-password` or `new-password`; by default browsers fill in nothing.
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
                    // Browsers ignore "off" for passwords, and the password saved for this site is never the right one.
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
