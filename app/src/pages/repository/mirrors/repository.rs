//! The two fields of the remote repository's name.

use leptos::{html, prelude::*};

use super::input::MirrorInput;
use crate::sentence::sentence;

/// `namespace / name`. A full name entered in the first field is split.
#[component]
pub(super) fn RepositoryFields(input: MirrorInput, error: Signal<Option<String>>) -> impl IntoView {
    let name = NodeRef::<html::Input>::new();
    let typed_namespace = move |text: String| {
        if text.contains('/') {
            input.set_repository(&text);
            if let Some(name) = name.get_untracked() {
                // Focusing a field of the page cannot fail.
                let _ = name.focus();
            }
        } else {
            input.namespace.set(text);
        }
    };
    let invalid = move || error.get().map(|_| "true");
    view! {
        <div class="field" role="group" aria-labelledby="remote-repository">
            <span class="label" id="remote-repository">"Repository"</span>
            <div class="repository-name">
                <input
                    class="code"
                    type="text"
                    name="remote-namespace"
                    aria-label="Namespace"
                    placeholder="namespace"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    value=input.namespace.get_untracked()
                    prop:value=input.namespace
                    aria-describedby="remote-repository-hint remote-repository-error"
                    aria-invalid=invalid
                    on:input=move |event| typed_namespace(event_target_value(&event))
                />
                <span aria-hidden="true">"/"</span>
                <input
                    class="code"
                    type="text"
                    name="remote-name"
                    aria-label="Name"
                    placeholder="name"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    node_ref=name
                    value=input.name.get_untracked()
                    prop:value=input.name
                    aria-describedby="remote-repository-hint remote-repository-error"
                    aria-invalid=invalid
                    on:input=move |event| input.name.set(event_target_value(&event))
                />
            </div>
            <p class="hint" id="remote-repository-hint">"Leave the namespace empty if the registry has none."</p>
            <p class="error" id="remote-repository-error" aria-live="polite">{move || error.get().map(|error| sentence(&error))}</p>
        </div>
    }
}
