//! Connections to other registries: as part of a mirror (as in DTR), as saved remotes (Longshore's own), and the
//! results of *Connect*.

use jiff::Timestamp;
use longshore_model::connect::{Check, CheckStatus, ConnectReport, ConnectRequest, Direction, Permissions};
use longshore_model::policy::RemoteChoice;
use longshore_model::remote::{BackOff, RemoteDraft, WaitReason, host_of};
use longshore_model::{Code, FieldError, Problem, Remote as Model, RemoteId, RemoteKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::extract::Wire;

/// The connection settings of a mirror. In a change, omitted fields are unchanged.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// The identifier of a saved remote, instead of the settings below.
    #[serde(rename = "remoteID", alias = "remoteId")]
    remote_id: Option<Uuid>,
    /// The URL of the registry, with its scheme.
    #[schema(example = "https://registry.example.com")]
    remote_host: Option<String>,
    /// The kind of registry; derived from the host if omitted.
    registry_type: Option<RemoteKind>,
    /// The certificate of a private certificate authority, as PEM.
    #[serde(rename = "remoteCA", alias = "remoteCa")]
    remote_ca: Option<String>,
    /// Whether not to verify the server's certificate.
    #[serde(rename = "skipTLSVerification", alias = "skipTlsVerification")]
    skip_tls_verification: Option<bool>,
    /// The URL of a proxy.
    proxy: Option<String>,
    /// The username; empty for anonymous access.
    username: Option<String>,
    /// The password. Never returned. If it is empty or omitted in a change, the stored one is kept.
    #[schema(format = Password, write_only)]
    password: Option<String>,
    /// An access token, instead of a password.
    #[schema(format = Password, write_only)]
    auth_token: Option<String>,
}

impl Connection {
    /// The connection of a new mirror.
    pub(crate) fn choice(self) -> Result<RemoteChoice, Problem> {
        if let Some(id) = self.remote_id {
            return Ok(RemoteChoice::Saved { id: RemoteId(id) });
        }
        let secret = self.secret()?;
        Ok(RemoteChoice::New { remote: self.draft(secret, None) })
    }

    /// The connection of a mirror after a change. `now` is the current one; it is `None` if the caller may not see it,
    /// and can then only be kept or replaced as a whole.
    pub(crate) fn over(self, id: RemoteId, now: Option<&Model>) -> Result<RemoteChoice, Problem> {
        if self.remote_id.is_some() {
            return self.choice();
        }
        let secret = self.secret()?;
        if secret.is_none() && !self.differs(now) {
            return Ok(RemoteChoice::Saved { id });
        }
        Ok(RemoteChoice::New { remote: self.draft(secret, now) })
    }

    /// The request to test with *Connect*.
    pub(crate) fn check(self, remote_repository: String) -> Result<ConnectRequest, Problem> {
        let (saved, remote) = match self.choice()? {
            RemoteChoice::Saved { id } => (Some(id), None),
            RemoteChoice::New { remote } => (None, Some(remote)),
        };
        // The push check tests reading as well; the results of both are shown.
        Ok(ConnectRequest { saved, remote, remote_repository, direction: Direction::Push })
    }

    /// Whether no field is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.remote_id.is_none()
            && self.password.is_none()
            && self.auth_token.is_none()
            && !self.says_settings()
    }

    fn says_settings(&self) -> bool {
        self.remote_host.is_some()
            || self.registry_type.is_some()
            || self.remote_ca.is_some()
            || self.skip_tls_verification.is_some()
            || self.proxy.is_some()
            || self.username.is_some()
    }

    /// The password or token. DTR's scripts send both, one of them empty.
    fn secret(&self) -> Result<Option<String>, Problem> {
        let given = |secret: &Option<String>| secret.clone().filter(|secret| !secret.is_empty());
        match (given(&self.password), given(&self.auth_token)) {
            (Some(password), Some(token)) if password != token => Err(Problem::field(
                Code::ConflictingParameters,
                "authToken",
                "password and authToken differ; send only one of them.",
            )),
            (password, token) => Ok(password.or(token)),
        }
    }

    fn differs(&self, now: Option<&Model>) -> bool {
        let Some(now) = now else {
            return self.says_settings();
        };
        let text = |given: &Option<String>, stored: &str| {
            given.as_deref().is_some_and(|given| given.trim() != stored.trim())
        };
        let url = |url: &str| url.trim().trim_end_matches('/').to_ascii_lowercase();
        self.remote_host.as_deref().is_some_and(|given| url(given) != url(&now.url))
            || self.registry_type.is_some_and(|kind| kind != now.kind)
            || text(&self.remote_ca, now.ca_pem.as_deref().unwrap_or_default())
            || self.skip_tls_verification.is_some_and(|skip| skip != now.skip_tls_verify)
            || text(&self.proxy, now.proxy.as_deref().unwrap_or_default())
            || text(&self.username, &now.username)
    }

    fn draft(self, secret: Option<String>, now: Option<&Model>) -> RemoteDraft {
        let kept = |given: Option<String>, stored: Option<&str>| {
            given.unwrap_or_else(|| stored.unwrap_or_default().to_owned())
        };
        let kind = match (self.registry_type, &self.remote_host, now) {
            (Some(kind), _, _) => kind,
            (None, None, Some(now)) => now.kind,
            // DTR's requests do not contain the kind; derive it from the host of a well-known service.
            (None, host, _) => {
                let host = host_of(host.as_deref().unwrap_or_default().trim());
                RemoteKind::of_host(host).unwrap_or_default()
            }
        };
        let url = match kind.fixed_url() {
            Some(url) => url.to_owned(),
            None => kept(self.remote_host, now.map(|now| now.url.as_str())),
        };
        RemoteDraft {
            name: now.map(|now| now.name.clone()).unwrap_or_default(),
            owner: now.and_then(|now| now.owner.as_ref()).map(ToString::to_string).unwrap_or_default(),
            kind,
            url,
            username: kept(self.username, now.map(|now| now.username.as_str())),
            secret,
            ca_pem: kept(self.remote_ca, now.and_then(|now| now.ca_pem.as_deref())),
            skip_tls_verify: self
                .skip_tls_verification
                .unwrap_or_else(|| now.is_some_and(|now| now.skip_tls_verify)),
            proxy: kept(self.proxy, now.and_then(|now| now.proxy.as_deref())),
        }
    }
}

/// A connection to test with *Connect*.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRemoteRegistryCheck {
    #[serde(flatten)]
    pub(crate) connection: Connection,
    /// The repository in that registry.
    #[serde(default)]
    #[schema(example = "dev/website")]
    pub(crate) remote_repository: String,
}

impl Wire for CreateRemoteRegistryCheck {}

/// The results of *Connect*.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RemoteRegistryCheck {
    /// The kind of registry that was detected.
    registry_type: String,
    /// The permissions on the repository.
    permissions: Permissions,
    /// The checks, in the order in which they were made.
    checks: Vec<Check>,
    /// The token realm of the registry.
    realm: Option<String>,
}

impl RemoteRegistryCheck {
    /// The results if reading or writing works; otherwise a problem with each failure at its field.
    pub(crate) fn unless_useless(report: ConnectReport) -> Result<Self, Problem> {
        if report.permissions.read || report.permissions.write {
            return Ok(report.into());
        }
        let failed = report.checks.into_iter().filter(|check| check.status == CheckStatus::Failed);
        let fields = failed.map(|check| FieldError {
            field: check.field.unwrap_or_else(|| "remoteHost".to_owned()),
            message: match check.remedy {
                Some(remedy) => format!("{}. {remedy}", check.message.trim_end_matches('.')),
                None => check.message,
            },
        });
        let code = Code::RemoteRegistryInvalidPermissions;
        let silent = || Problem::new(code, "The repository can be neither read nor written.");
        Err(Problem::fields(code, fields.collect()).unwrap_or_else(silent))
    }
}

impl From<ConnectReport> for RemoteRegistryCheck {
    fn from(report: ConnectReport) -> Self {
        Self {
            registry_type: report.registry_type,
            permissions: report.permissions,
            checks: report.checks,
            realm: report.realm,
        }
    }
}

/// A saved connection to another registry. The password is never returned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remote {
    /// The identifier.
    id: Uuid,
    /// The version, which increases with each change. Send it with a change to detect concurrent changes.
    version: i64,
    /// The namespace that owns the remote; null for the system.
    owner: Option<String>,
    /// The display name.
    name: String,
    /// The kind of registry.
    registry_type: RemoteKind,
    /// Scheme, host and port.
    url: String,
    /// The username; empty for anonymous access.
    username: String,
    /// Whether a password or token is stored.
    has_secret: bool,
    /// The certificate of a private certificate authority, as PEM.
    #[serde(rename = "remoteCA")]
    remote_ca: Option<String>,
    /// Whether the server's certificate is not verified.
    #[serde(rename = "skipTLSVerification")]
    skip_tls_verification: bool,
    /// The URL of the proxy.
    proxy: Option<String>,
    /// The token realm that was pinned by *Connect*.
    realm: Option<String>,
    /// The number of mirrors that use the remote.
    used_by: u32,
    /// Why and until when all work for the remote waits; null if it does not.
    waits: Option<RemoteWait>,
    /// The time at which the registry last responded.
    last_contact: Option<Timestamp>,
    /// The last error, if the last request failed.
    last_error: Option<String>,
    /// The time of creation.
    created_at: Timestamp,
    /// The time of the last change.
    updated_at: Timestamp,
}

impl From<Model> for Remote {
    fn from(remote: Model) -> Self {
        Self {
            id: remote.id.0,
            version: remote.version.0,
            owner: remote.owner.map(|owner| owner.to_string()),
            name: remote.name,
            registry_type: remote.kind,
            url: remote.url,
            username: remote.username,
            has_secret: remote.has_secret,
            remote_ca: remote.ca_pem,
            skip_tls_verification: remote.skip_tls_verify,
            proxy: remote.proxy,
            realm: remote.realm,
            used_by: remote.used_by,
            waits: remote.back_off.map(RemoteWait::from),
            last_contact: remote.last_contact,
            last_error: remote.last_error,
            created_at: remote.created_at,
            updated_at: remote.updated_at,
        }
    }
}

/// A back-off: all work for a registry waits for a while.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RemoteWait {
    /// The end of the wait; then a single job tries first.
    until: Timestamp,
    /// The reason.
    reason: WaitReason,
    /// Whether the registry itself requested the delay, with `Retry-After`.
    asked_for: bool,
    /// The time of the first failure.
    since: Timestamp,
}

impl From<BackOff> for RemoteWait {
    fn from(back_off: BackOff) -> Self {
        Self {
            until: back_off.until,
            reason: back_off.reason,
            asked_for: back_off.asked,
            since: back_off.since,
        }
    }
}

/// A filter for the list of remotes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoteQuery {
    /// Part of the name or host.
    pub(crate) search: Option<String>,
}

/// A remote to save, or a change of one. In a change, omitted fields are unchanged.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SaveRemote {
    /// The display name; the host if omitted.
    name: Option<String>,
    /// The namespace that owns the remote.
    owner: Option<String>,
    /// The kind of registry.
    registry_type: Option<RemoteKind>,
    /// Scheme, host and port.
    #[schema(example = "https://registry.example.com")]
    url: Option<String>,
    /// The username; empty for anonymous access.
    username: Option<String>,
    /// The password or access token. Never returned. Must be sent again if the URL, the proxy, the certificate
    /// authority or the verification changes.
    #[schema(format = Password, write_only)]
    password: Option<String>,
    /// The certificate of a private certificate authority, as PEM.
    #[serde(rename = "remoteCA", alias = "remoteCa")]
    remote_ca: Option<String>,
    /// Whether not to verify the server's certificate.
    #[serde(rename = "skipTLSVerification", alias = "skipTlsVerification")]
    skip_tls_verification: Option<bool>,
    /// The URL of a proxy.
    proxy: Option<String>,
    /// The version that a change is based on, as returned earlier. A change of an older version is rejected with 409.
    /// If omitted, the change applies to any version.
    pub(crate) version: Option<i64>,
}

impl Wire for SaveRemote {}

impl SaveRemote {
    /// The remote after the change; `now` is the saved one, if any.
    pub(crate) fn over(self, now: Option<&Model>) -> RemoteDraft {
        let (name, owner) = (self.name.clone(), self.owner.clone());
        let secret = self.password.filter(|secret| !secret.is_empty());
        let connection = Connection {
            remote_host: self.url,
            registry_type: self.registry_type,
            remote_ca: self.remote_ca,
            skip_tls_verification: self.skip_tls_verification,
            proxy: self.proxy,
            username: self.username,
            ..Connection::default()
        };
        let kept = connection.draft(secret, now);
        RemoteDraft { name: name.unwrap_or(kept.name), owner: owner.unwrap_or(kept.owner), ..kept }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn connection(json: &str) -> Connection {
        serde_json::from_str(json).unwrap()
    }

    fn saved() -> Model {
        Model {
            id: RemoteId(Uuid::nil()),
            owner: Some("dev".parse().unwrap()),
            author: None,
            name: "partner".to_owned(),
            kind: RemoteKind::Other,
            url: "https://registry.example.com".to_owned(),
            username: "bot".to_owned(),
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
            used_by: 1,
            back_off: None,
        }
    }

    fn over(json: &str) -> RemoteChoice {
        connection(json).over(saved().id, Some(&saved())).unwrap()
    }

    fn draft(choice: RemoteChoice) -> RemoteDraft {
        match choice {
            RemoteChoice::New { remote } => remote,
            RemoteChoice::Saved { .. } => panic!("a new remote was expected"),
        }
    }

    #[test]
    fn a_token_replaces_the_password_and_conflicting_ones_are_rejected() {
        let by_token =
            connection(r#"{"remoteHost":"https://r","username":"u","password":"","authToken":"t"}"#);
        assert_eq!(draft(by_token.choice().unwrap()).secret.as_deref(), Some("t"));
        let both = connection(r#"{"remoteHost":"https://r","password":"p","authToken":"t"}"#);
        assert_eq!(both.choice().unwrap_err().code, Code::ConflictingParameters);
    }

    #[test]
    fn a_change_without_new_settings_keeps_the_saved_remote() {
        let kept = RemoteChoice::Saved { id: saved().id };
        assert_eq!(over("{}"), kept);
        let echo = r#"{"remoteHost":"https://Registry.example.com/","username":"bot","password":"",
            "remoteCA":"","skipTLSVerification":false}"#;
        assert_eq!(over(echo), kept);
    }

    #[test]
    fn changing_only_the_password_keeps_all_other_settings() {
        let remote = draft(over(r#"{"password":"rotated"}"#));
        assert_eq!(remote.url, "https://registry.example.com");
        assert_eq!((remote.username.as_str(), remote.secret.as_deref()), ("bot", Some("rotated")));
        assert_eq!((remote.owner.as_str(), remote.name.as_str()), ("dev", "partner"));
    }

    #[test]
    fn semantics_15_the_password_is_not_kept_if_the_host_changes() {
        assert_eq!(draft(over(r#"{"remoteHost":"https://evil.example.com"}"#)).secret, None);
    }

    #[test]
    fn docker_hub_is_recognised_by_its_host() {
        let remote = draft(connection(r#"{"remoteHost":"https://docker.io"}"#).choice().unwrap());
        assert_eq!((remote.kind, remote.url.as_str()), (RemoteKind::DockerHub, "https://index.docker.io"));
    }
}
