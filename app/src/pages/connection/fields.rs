//! The fields of a connection.

use leptos::{either::Either, prelude::*};
use longshore_model::RemoteKind;

use super::{ConnectionInput, FieldErrors};
use crate::components::{
    Alert, Checkbox, Choice, Choices, FieldKind, PasswordField, TextArea, TextField, Tone,
};

/// Which registry it is, and where.
#[component]
pub(in crate::pages) fn ConnectionFields(input: ConnectionInput, errors: FieldErrors) -> impl IntoView {
    let kinds = RemoteKind::ALL.iter().map(|kind| Choice::new(kind.as_str(), kind.label())).collect();
    let address = move || match input.kind().fixed_url() {
        Some(url) => Either::Left(view! {
            <p class="hint">
                {input.kind().label()} " is at " <code>{url}</code> "."
                {input.kind().quirks().library.map(|library| view! {
                    " Official images are in the namespace " <code>{library}</code> "."
                })}
            </p>
        }),
        None => Either::Right(view! {
            <TextField
                name="remote-host"
                label="Registry URL"
                value=input.url
                kind=FieldKind::Url
                placeholder="https://qa-example.com"
                error=errors.about("remoteHost")
            />
        }),
    };
    // The field keeps its text while a kind with a fixed address is chosen: it lives in the signal.
    view! {
        <Choices name="remote-kind" legend="Registry type" value=input.kind choices=kinds/>
        {address}
    }
}

/// Who signs in there, and how the connection is secured.
#[component]
pub(in crate::pages) fn AccessFields(
    input: ConnectionInput,
    errors: FieldErrors,
    /// What stands for a secret that is not typed.
    #[prop(optional, into)]
    stored: Signal<String>,
    /// Whether a secret is stored that the settings have led astray: it has to be typed again.
    #[prop(optional, into)]
    discarded: Signal<bool>,
) -> impl IntoView {
    // Errors in there must be seen.
    let wrong = move || errors.any(&["remoteCA", "proxy"]);
    let used = untrack(|| {
        input.skip_tls_verify.get()
            || !input.ca_pem.with(String::is_empty)
            || !input.proxy.with(String::is_empty)
    });
    view! {
        <div class="row">
            <TextField
                name="remote-username"
                label="Username"
                value=input.username
                kind=FieldKind::Code
                hint="Empty for anonymous access."
                error=errors.about("username")
            />
            <PasswordField
                name="remote-password"
                label="Password or access token"
                value=input.secret
                hint="Best that of an account made for mirroring alone."
                placeholder=stored
                error=errors.about("password")
            />
        </div>
        <Show when=move || discarded.get()>
            <Alert tone=Tone::Warn>
                "Host or TLS settings have changed, so the stored password is not kept: type it again. This way nobody can lead it elsewhere."
            </Alert>
        </Show>
        <details class="advanced" open=move || used || wrong()>
            <summary>"Show advanced settings"</summary>
            <div class="stack">
                <TextArea
                    name="remote-ca"
                    label="Remote certificate authority"
                    value=input.ca_pem
                    rows=4
                    hint="In PEM form, where the registry's certificate comes from an authority of your own. A Longshore or DTR shows its authority at /ca."
                    error=errors.about("remoteCA")
                />
                <Checkbox
                    name="remote-skip-tls"
                    label="Skip TLS verification"
                    value=input.skip_tls_verify
                    hint="Anybody on the way could then pose as the registry and read the password."
                />
                <TextField
                    name="remote-proxy"
                    label="Proxy"
                    value=input.proxy
                    kind=FieldKind::Code
                    placeholder="http://proxy.example.com:3128"
                    hint="Empty: the registry is reached directly."
                    error=errors.about("proxy")
                />
            </div>
        </details>
    }
}
