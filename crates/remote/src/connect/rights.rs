//! The last checks: what the credentials may do to the repository. Reading is proved by listing
//! tags, writing by an upload that is begun and cancelled.

use longshore_model::connect::{CheckKind, CheckStatus, Direction};
use longshore_oci::{ErrorCode, Reference, RemoteName, Tag};

use super::explain::{HOST, REPOSITORY, USERNAME, failed};
use super::steps::{Findings, Stop};
use crate::{Error, Presence, Registry};

/// What reading the repository showed.
pub(super) enum Reading {
    Exists,
    Missing,
    Denied,
}

impl Findings {
    pub(super) async fn read(
        &mut self,
        registry: &Registry,
        repository: &RemoteName,
        direction: Direction,
    ) -> Result<Reading, Stop> {
        let host = self.host.clone();
        let shown = registry.endpoint().repository(repository);
        let who = who(registry);
        match registry.has_tags(repository).await {
            Ok(has_tags) => {
                self.permissions.read = true;
                let message = match has_tags {
                    true => format!("The repository {shown} is there"),
                    false => format!("The repository {shown} is there and has no tags yet"),
                };
                self.note(CheckKind::Repository, CheckStatus::Ok, message);
                self.note(CheckKind::Read, CheckStatus::Ok, format!("{who} may read {shown} at {host}"));
                Ok(Reading::Exists)
            }
            Err(error) if error.is_not_found() => match direction {
                Direction::Pull => {
                    let message =
                        format!("{host} has no repository {shown}, or hides it from {who}: {}", said(&error));
                    let remedy = "Check the repository's name, and that it holds an image".to_owned();
                    Err(self.fail(failed(CheckKind::Repository, message, remedy, Some(REPOSITORY))))
                }
                Direction::Push => {
                    self.note(CheckKind::Read, CheckStatus::Skipped, "There is nothing to read yet");
                    Ok(Reading::Missing)
                }
            },
            Err(error) if error.is_denied() && pulls(registry, repository).await => {
                self.permissions.read = true;
                let message = format!("{who} may pull {shown} at {host}, but not list its tags");
                let remedy = match direction {
                    Direction::Pull => {
                        "Name the tags to mirror without patterns, or give the user the right to list them"
                    }
                    Direction::Push => "A push needs no list; nothing has to be done",
                };
                self.warn(CheckKind::Read, message, remedy, REPOSITORY);
                Ok(Reading::Denied)
            }
            Err(error) if error.is_denied() => {
                let message = format!("{host} does not let {who} read {shown}: {}", said(&error));
                let remedy = match registry.auth().credentials() {
                    Some(_) => "Give the user the right to pull from it, or check the repository's name",
                    None => {
                        "Enter the credentials of a user who may pull from it, or check the repository's name"
                    }
                };
                match direction {
                    Direction::Pull => {
                        Err(self.fail(failed(CheckKind::Read, message, remedy.to_owned(), Some(REPOSITORY))))
                    }
                    Direction::Push => {
                        self.warn(CheckKind::Read, message, remedy, REPOSITORY);
                        Ok(Reading::Denied)
                    }
                }
            }
            Err(error) => Err(self.fail(failed(CheckKind::Read, error.to_string(), None, Some(HOST)))),
        }
    }

    pub(super) async fn write(
        &mut self,
        registry: &Registry,
        repository: &RemoteName,
        reading: Reading,
    ) -> Result<(), Stop> {
        let host = self.host.clone();
        let quirks = registry.endpoint().quirks;
        let shown = registry.endpoint().repository(repository);
        let who = who(registry);
        match registry.start_upload(repository).await {
            Ok(upload) => {
                if let Err(error) = registry.cancel_upload(repository, upload).await {
                    tracing::warn!(%error, "the upload that proved the right to push was not cancelled");
                }
                self.permissions.write = true;
                match reading {
                    Reading::Exists => {}
                    Reading::Missing => {
                        let message = match quirks.creates_on_push {
                            true => format!(
                                "{shown} does not exist, or {who} may not see it; the first push creates it if need be"
                            ),
                            false => format!("{shown} has no tags yet, or {who} may not see them"),
                        };
                        self.note(CheckKind::Repository, CheckStatus::Ok, message);
                    }
                    Reading::Denied => {
                        let message = format!("{host} does not show whether {shown} is there");
                        self.note(CheckKind::Repository, CheckStatus::Warning, message);
                    }
                }
                let message = format!("{who} may write {shown} at {host}: an upload was begun and cancelled");
                self.note(CheckKind::Write, CheckStatus::Ok, message);
                Ok(())
            }
            Err(error) if error.is_not_found() || error.code() == Some(&ErrorCode::NameUnknown) => {
                let message = format!(
                    "{host} has no repository {shown} and does not create it on push: {}",
                    said(&error)
                );
                let remedy = quirks.missing_repository.to_owned();
                Err(self.fail(failed(CheckKind::Repository, message, remedy, Some(REPOSITORY))))
            }
            Err(error) if error.is_denied() => {
                if matches!(reading, Reading::Missing) {
                    let message = format!("{shown} does not exist, or {who} may not see it at {host}");
                    self.note(CheckKind::Repository, CheckStatus::Warning, message);
                }
                let message = format!("{host} does not let {who} write {shown}: {}", said(&error));
                let (remedy, field) = match registry.auth().credentials() {
                    Some(_) => ("Use a user who may push to it, or give this one the right", USERNAME),
                    None => ("Enter the credentials of a user who may push to it", USERNAME),
                };
                Err(self.fail(failed(CheckKind::Write, message, remedy.to_owned(), Some(field))))
            }
            Err(error) => Err(self.fail(failed(CheckKind::Write, error.to_string(), None, Some(REPOSITORY)))),
        }
    }
}

/// Whether the manifests of a repository may be read where its tags may not be listed, as with a token of ACR that has
/// `content/read` alone (semantics 27). Any name will do: where one may read, a tag that is not there is not found.
async fn pulls(registry: &Registry, repository: &RemoteName) -> bool {
    let Ok(any) = "latest".parse::<Tag>() else { return false };
    match registry.look_at_manifest(repository, &Reference::Tag(any)).await {
        Ok(Presence::There(_) | Presence::Missing) => true,
        Ok(Presence::Unsaid(_)) | Err(_) => false,
    }
}

/// Who asks, for a message.
fn who(registry: &Registry) -> String {
    match registry.auth().credentials() {
        Some(credentials) => format!("{:?}", credentials.username),
        None => "an anonymous user".to_owned(),
    }
}

/// What the registry answered, without what is said around it already.
fn said(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => format!("it answered {}{}", refusal.status, refusal.reason()),
        Error::Unauthorized { message, .. } if message.is_empty() => {
            "it answered 401 Unauthorized".to_owned()
        }
        Error::Unauthorized { message, .. } => format!("it answered 401 Unauthorized {message}"),
        other => other.to_string(),
    }
}
