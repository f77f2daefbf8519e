//! The fields of a connection.

use leptos::{either::Either, prelude::*};
use longshore_model::RemoteKind;

use super::{ConnectionInput, FieldErrors};
use crate::components::{
    Alert, Checkbox, Choice, Choices, FieldKind, PasswordField, TextArea, TextField, Tone,
};

/// The registry's type and address.
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

/// Credentials and TLS settings.
#[component]
pub(in crate::pages) fn AccessFields(
    input: ConnectionInput,
    errors: FieldErrors,
    /// The placeholder for a stored secret.
    #[prop(optional, into)]
    stored: Signal<String>,
    /// Whether a secret is stored that would now be sent to another host, so that it must be entered again.
    #[prop(optional, into)]
    discarded: Signal<bool>,
) -> impl IntoView {
    // Errors inside must be visible.
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
                hint="Leave empty for anonymous access."
                error=errors.about("username")
            />
            <PasswordField
                name="remote-password"
                label="Password or access token"
                value=input.secret
                hint="Use a service account made for mirroring."
                placeholder=stored
                error=errors.about("password")
            />
        </div>
        <Show when=move || discarded.get()>
            <Alert tone=Tone::Warn>
                "Host or TLS settings have changed, so the stored password will be discarded: enter it again. This prevents it from being sent to another host."
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
                    hint="In PEM format, if the registry's certificate is issued by a private CA. Longshore and DTR publish their CA at /ca."
                    error=errors.about("remoteCA")
                />
                <Checkbox
                    name="remote-skip-tls"
                    label="Skip TLS verification"
                    value=input.skip_tls_verify
                    hint="Anyone on the network path could then impersonate the registry and read the password."
                />
                <TextField
                    name="remote-proxy"
                    label="Proxy"
                    value=input.proxy
                    kind=FieldKind::Code
                    placeholder="http://proxy.example.com:3128"
                    hint="Optional. Leave empty to connect directly."
                    error=errors.about("proxy")
                />
            </div>
        </details>
    }
}
