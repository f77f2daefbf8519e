//! Looks up the repository of a request and checks the permission. If the actor may not read a repository, the response
//! is the same whether it exists or not.

use crate::Registry;
use crate::error::Failure;
use axum::response::Response;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use longshore_access::{Permission, RequestActor, Via};
use longshore_content::{Made, may_write_tags};
use longshore_metadata::{Visible, repositories};
use longshore_model::{Actor, Author, Provenance, Repository, Visibility};
use longshore_oci::ScopeAction;
use longshore_oci::{Challenge, ErrorCode, Namespace, RepositoryName, Scope};
use serde_json::json;

/// The actions that a push needs: clients check for existing content first.
const PUSH: [ScopeAction; 2] = [ScopeAction::Pull, ScopeAction::Push];

/// A request whose permissions are checked.
pub(crate) struct Asking<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) request: &'a Parts,
    pub(crate) who: &'a RequestActor,
}

impl Asking<'_> {
    /// The repository, if it may be read.
    pub(crate) async fn to_read(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        match self.find_readable(name).await? {
            Some(repository) => {
                self.check_token(name, &[ScopeAction::Pull])?;
                Ok(repository)
            }
            None => Err(self.unseen(name, &[ScopeAction::Pull])),
        }
    }

    /// The repository, if it may be read; `None` if it does not exist but the actor could create it.
    pub(crate) async fn to_read_if_there(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<Repository>, Failure> {
        match self.find_readable(name).await? {
            None if self.may_create(name) => self.check_token(name, &[ScopeAction::Pull]).map(|()| None),
            _ => self.to_read(name).await.map(Some),
        }
    }

    /// Writes to the repository, if that is allowed. A missing repository is created as private if the actor may do so,
    /// as on a first push; it is removed again if the push fails and nothing else uses it.
    pub(crate) async fn to_write(
        &self,
        name: &RepositoryName,
        write: impl AsyncFnOnce(&Repository) -> Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let content = &self.registry.content;
        let (repository, made) = match self.find_writable(name).await? {
            Some((repository, false)) => (repository, Made::Before),
            // Missing, or existing only until the push that created it fails.
            _ => content.repository_for_push(name, &self.author()).await?,
        };
        may_write_tags(&repository, &Provenance::Push)?;
        let written = write(&repository).await;
        if written.is_err() && made == Made::Now {
            content.forget_unused(&repository).await?;
        }
        written
    }

    /// The repository of an existing upload, if it may be written to.
    pub(crate) async fn to_go_on(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        let found = self.find_writable(name).await?;
        let (repository, _) = found.ok_or_else(|| self.unseen(name, &PUSH))?;
        may_write_tags(&repository, &Provenance::Push)?;
        Ok(repository)
    }

    /// The repository, if its content may be deleted.
    pub(crate) async fn to_delete(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        let Some(repository) = self.find_readable(name).await? else {
            return Err(self.unseen(name, &[ScopeAction::Delete]));
        };
        if !self.registry.access.may(&self.who.actor, Permission::Delete, &repository) {
            return Err(self.denied(name, "delete from", &[ScopeAction::Delete]));
        }
        self.check_token(name, &[ScopeAction::Delete])?;
        Ok(repository)
    }

    /// The source of a mount, if it may be read; otherwise `None`, and the client uploads. An actor who may read it but
    /// whose token does not cover it gets a challenge, as for any other read.
    pub(crate) async fn to_mount_from(
        &self,
        source: &RepositoryName,
        to: &RepositoryName,
    ) -> Result<Option<Repository>, Failure> {
        let Some(readable) = self.find_readable(source).await? else { return Ok(None) };
        let needs_no_token =
            readable.visibility == Visibility::Public || source.namespace() == to.namespace();
        if needs_no_token || self.token_covers(source, &[ScopeAction::Pull]) {
            return Ok(Some(readable));
        }
        let scopes = [scope(to, &PUSH), scope(source, &[ScopeAction::Pull])];
        let message = format!("the token does not allow reading {source}; request one that does");
        Err(self.challenge(&scopes, &message))
    }

    /// The repositories from which a blob may be mounted if the client names no source: those that the actor may read.
    /// A token does not grant all of these to its bearer, only public ones and the namespace that it pushes to.
    pub(crate) fn to_mount_from_any(&self, to: &RepositoryName) -> Visible {
        match self.who.via {
            Via::Bearer { .. } => {
                let namespaces = Some(to.to_namespace());
                let may =
                    |namespace: &Namespace| self.registry.access.may_in_namespace(&self.who.actor, namespace);
                Visible::Of { public: true, namespaces: namespaces.into_iter().filter(may).collect() }
            }
            Via::Basic | Via::Session { .. } | Via::Refused { .. } | Via::None => {
                self.registry.access.visible(&self.who.actor)
            }
        }
    }

    /// Checks that the request has credentials or a token. `/v2/` uses this to tell clients whether to authenticate.
    pub(crate) fn to_enter(&self) -> Result<(), Failure> {
        match self.who.via {
            Via::Refused { .. } | Via::None => Err(self.challenge(&[], "sign in to use this registry")),
            Via::Basic | Via::Bearer { .. } | Via::Session { .. } => Ok(()),
        }
    }

    /// Checks that repositories may be listed. The list contains those that the actor may read.
    pub(crate) fn to_list(&self) -> Result<(), Failure> {
        let allowed = match &self.who.via {
            Via::Refused { .. } | Via::None => false,
            Via::Bearer { scopes } => scopes.contains(&Scope::Catalog),
            Via::Basic | Via::Session { .. } => true,
        };
        let message = "sign in to list repositories, or request a token that allows it";
        allowed.then_some(()).ok_or_else(|| self.challenge(&[Scope::Catalog], message))
    }

    /// The account that acts, for the records. Only accounts write or delete.
    pub(crate) fn author(&self) -> Author {
        self.who.actor.user().map_or(Author::System, Author::from)
    }

    async fn find_readable(&self, name: &RepositoryName) -> Result<Option<Repository>, Failure> {
        let found = repositories::find(&mut self.registry.db.read().await?, name).await?;
        Ok(found.filter(|found| self.registry.access.may(&self.who.actor, Permission::Read, found)))
    }

    /// The repository to write to, and whether it exists only for one push; `None` if it does not exist and the actor
    /// may create it.
    async fn find_writable(&self, name: &RepositoryName) -> Result<Option<(Repository, bool)>, Failure> {
        let found = repositories::find_for_push(&mut self.registry.db.read().await?, name).await?;
        let may = match &found {
            Some((repository, _)) => self.registry.access.may(&self.who.actor, Permission::Write, repository),
            None => self.may_create(name),
        };
        if !may {
            return Err(self.denied(name, "push to", &PUSH));
        }
        self.check_token(name, &PUSH)?;
        Ok(found)
    }

    fn may_create(&self, name: &RepositoryName) -> bool {
        self.registry.access.may_in_namespace(&self.who.actor, &name.to_namespace())
    }

    /// Checks that a token covers the action; the permission has been checked separately.
    fn check_token(&self, name: &RepositoryName, actions: &[ScopeAction]) -> Result<(), Failure> {
        if self.token_covers(name, actions) {
            return Ok(());
        }
        let message = format!("the token does not allow this in {name}; request one that does");
        Err(self.challenge(&[scope(name, actions)], &message))
    }

    fn token_covers(&self, wanted: &RepositoryName, needed: &[ScopeAction]) -> bool {
        let Via::Bearer { scopes } = &self.who.via else { return true };
        scopes.iter().any(|scope| match scope {
            Scope::Repository { name, actions } => {
                name.as_str() == wanted.as_str() && needed.iter().all(|action| actions.contains(action))
            }
            Scope::Catalog => false,
        })
    }

    /// The response to an actor who may not see the repository, whether it exists or not. `actions` are the requested
    /// ones.
    fn unseen(&self, name: &RepositoryName, actions: &[ScopeAction]) -> Failure {
        if self.who.actor == Actor::Anonymous {
            let message = format!("sign in to see whether you may use {name}");
            return self.challenge(&[scope(name, actions)], &message);
        }
        let message = format!("there is no repository {name}, or you may not see it");
        Failure::detailed(ErrorCode::NameUnknown, message, json!({ "name": name }))
    }

    fn denied(&self, name: &RepositoryName, what: &str, actions: &[ScopeAction]) -> Failure {
        let Some(user) = self.who.actor.user() else {
            return self.challenge(&[scope(name, actions)], &format!("sign in to {what} {name}"));
        };
        let message = format!(
            "{} may not {what} {name}; use a repository of your own namespace ({}/…), or ask an \
             administrator",
            user.name, user.name
        );
        Failure::detailed(ErrorCode::Denied, message, json!({ "name": name }))
    }

    /// A 401 that names the token service, the required scopes, and what is wrong with the token that was sent: several
    /// clients request a larger token only if `error` says that it helps (RFC 6750 §3). Basic is accepted but not
    /// offered, because several clients use the first challenge.
    fn challenge(&self, scopes: &[Scope], message: &str) -> Failure {
        let (error, message) = match &self.who.via {
            Via::Bearer { .. } => (Some("insufficient_scope"), message),
            Via::Refused { why } => (Some("invalid_token"), why.as_str()),
            Via::Basic | Via::Session { .. } | Via::None => (None, message),
        };
        let challenge = Challenge::Bearer {
            realm: self.registry.realm(self.request),
            service: Some(self.registry.settings.service.clone()),
            scope: (!scopes.is_empty())
                .then(|| scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")),
            error: error.map(ToOwned::to_owned),
            description: error.map(|_| message.chars().filter(may_describe).collect()),
        };
        let failure = Failure::new(ErrorCode::Unauthorized, message);
        match challenge.to_string().parse() {
            Ok(header) => failure.header(WWW_AUTHENTICATE, header),
            // Only an invalid Host header can cause this; the client gets no challenge.
            Err(_) => failure,
        }
    }
}

/// The characters that `error_description` allows (RFC 6750 §3).
fn may_describe(c: &char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

fn scope(name: &RepositoryName, actions: &[ScopeAction]) -> Scope {
    Scope::repository(name.clone(), actions.iter().copied())
}
