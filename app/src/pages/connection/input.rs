//! The settings of a connection as typed, and their errors.

use leptos::prelude::*;
use longshore_model::{FieldError, Remote, RemoteKind, remote::RemoteDraft};

/// The settings of a connection in a form. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(in crate::pages) struct ConnectionInput {
    /// The wire word of a [`RemoteKind`].
    pub(super) kind: RwSignal<String>,
    pub(super) url: RwSignal<String>,
    pub(super) username: RwSignal<String>,
    /// Kept in memory only, and sent only with the request it is meant for.
    pub(super) secret: RwSignal<String>,
    pub(super) ca_pem: RwSignal<String>,
    pub(super) skip_tls_verify: RwSignal<bool>,
    pub(super) proxy: RwSignal<String>,
}

impl Default for ConnectionInput {
    fn default() -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            kind: RwSignal::new(RemoteKind::ALL[0].as_str().to_owned()),
            url: text(),
            username: text(),
            secret: text(),
            ca_pem: text(),
            skip_tls_verify: RwSignal::new(false),
            proxy: text(),
        }
    }
}

impl From<&Remote> for ConnectionInput {
    fn from(remote: &Remote) -> Self {
        let text = |text: &Option<String>| RwSignal::new(text.clone().unwrap_or_default());
        Self {
            kind: RwSignal::new(remote.kind.as_str().to_owned()),
            url: RwSignal::new(remote.url.clone()),
            username: RwSignal::new(remote.username.clone()),
            secret: RwSignal::new(String::new()),
            ca_pem: text(&remote.ca_pem),
            skip_tls_verify: RwSignal::new(remote.skip_tls_verify),
            proxy: text(&remote.proxy),
        }
    }
}

impl ConnectionInput {
    pub(in crate::pages) fn kind(self) -> RemoteKind {
        let word = self.kind.get();
        RemoteKind::ALL.iter().copied().find(|kind| kind.as_str() == word).unwrap_or_default()
    }

    /// The settings as typed. An empty secret becomes `None`.
    pub(in crate::pages) fn draft(self) -> RemoteDraft {
        let kind = self.kind();
        let url = kind.fixed_url().unwrap_or(self.url.get().trim()).to_owned();
        RemoteDraft {
            name: String::new(),
            owner: String::new(),
            kind,
            url,
            username: self.username.get().trim().to_owned(),
            secret: Some(self.secret.get()).filter(|secret| !secret.is_empty()),
            ca_pem: self.ca_pem.get().trim().to_owned(),
            skip_tls_verify: self.skip_tls_verify.get(),
            proxy: self.proxy.get().trim().to_owned(),
        }
    }

    /// Whether the settings point to another host than `remote`, so that its stored secret is discarded (semantics 15).
    pub(in crate::pages) fn leads_elsewhere(self, remote: &Remote) -> bool {
        let draft = self.draft();
        let same =
            |typed: &str, stored: &Option<String>| typed == stored.as_deref().unwrap_or_default().trim();
        draft.url.trim_end_matches('/') != remote.url.trim_end_matches('/')
            || !same(&draft.ca_pem, &remote.ca_pem)
            || draft.skip_tls_verify != remote.skip_tls_verify
            || !same(&draft.proxy, &remote.proxy)
    }
}

/// The errors of a form's fields, by their names in the REST interface. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(in crate::pages) struct FieldErrors(pub(in crate::pages) Signal<Vec<FieldError>>);

impl FieldErrors {
    /// The error of one field.
    pub(in crate::pages) fn about(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || {
            self.0.with(|errors| {
                errors.iter().find(|error| error.field == field).map(|error| error.message.clone())
            })
        })
    }

    /// Whether any of these fields has an error.
    pub(super) fn any(self, fields: &[&str]) -> bool {
        self.0.with(|errors| errors.iter().any(|error| fields.contains(&error.field.as_str())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::{RemoteId, Timestamp};

    use super::*;

    fn remote() -> Remote {
        Remote {
            id: RemoteId::new(),
            owner: None,
            author: None,
            name: "qa".to_owned(),
            kind: RemoteKind::Other,
            url: "https://qa-example.com".to_owned(),
            username: "mirror-bot".to_owned(),
            has_secret: true,
            ca_pem: None,
            skip_tls_verify: false,
            proxy: None,
            realm: None,
            version: longshore_model::Version::FIRST,
            last_change: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            last_contact: None,
            last_error: None,
            used_by: 0,
            back_off: None,
        }
    }

    #[test]
    fn semantics_15_the_form_knows_when_the_stored_password_will_be_discarded() {
        Owner::new().with(|| {
            let remote = remote();
            let input = ConnectionInput::from(&remote);
            assert!(!input.leads_elsewhere(&remote));
            input.username.set("other-bot".to_owned());
            input.url.set("https://qa-example.com/ ".to_owned());
            assert!(!input.leads_elsewhere(&remote));
            input.skip_tls_verify.set(true);
            assert!(input.leads_elsewhere(&remote));
            input.skip_tls_verify.set(false);
            input.url.set("http://qa-example.com".to_owned());
            assert!(input.leads_elsewhere(&remote));
        });
    }

    #[test]
    fn docker_hub_has_a_fixed_address() {
        Owner::new().with(|| {
            let input = ConnectionInput::default();
            input.url.set("https://elsewhere.example".to_owned());
            input.kind.set("docker_hub".to_owned());
            assert_eq!(input.draft().url, "https://index.docker.io");
            assert_eq!(input.draft().secret, None);
        });
    }
}
