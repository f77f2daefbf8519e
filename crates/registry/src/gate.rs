//! From a name in a path to a repository that the actor may use: the permission of every request
//! is asked here. Where somebody may not even read, a repository that is there and one that is not
//! look the same.

use crate::Registry;
use crate::error::Failure;
use axum::response::Response;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use longshore_access::{Permission, RequestActor, Via};
use longshore_content::{Made, may_write_tags};
use longshore_metadata::repositories::{self, Visible};
use longshore_model::{Actor, Author, Provenance, Repository, Visibility};
use longshore_oci::ScopeAction;
use longshore_oci::{Challenge, ErrorCode, Namespace, RepositoryName, Scope};
use serde_json::json;

/// What a push needs: clients look for what is there already.
const PUSH: [ScopeAction; 2] = [ScopeAction::Pull, ScopeAction::Push];

/// A request on its way through the gate.
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

    /// The repository, if it may be read; nothing, if it is not there but the actor could make it.
    pub(crate) async fn to_read_if_there(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<Repository>, Failure> {
        match self.find_readable(name).await? {
            None if self.may_create(name) => self.check_token(name, &[ScopeAction::Pull]).map(|()| None),
            _ => self.to_read(name).await.map(Some),
        }
    }

    /// Writes to the repository, if that may be. One that is not there is made, private, when the
    /// actor may make it: the first push does; and forgotten when that fails and is alone with it.
    pub(crate) async fn to_write(
        &self,
        name: &RepositoryName,
        write: impl AsyncFnOnce(&Repository) -> Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let content = &self.registry.content;
        let (repository, made) = match self.find_writable(name).await? {
            Some((repository, false)) => (repository, Made::Before),
            // Not there, or only until the push that made it comes to nothing.
            _ => content.repository_for_push(name, &self.author()).await?,
        };
        may_write_tags(&repository, &Provenance::Push)?;
        let written = write(&repository).await;
        if written.is_err() && made == Made::Now {
            content.forget_unused(&repository).await?;
        }
        written
    }

    /// The repository of an upload that is under way, if it may be written to.
    pub(crate) async fn to_go_on(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        let found = self.find_writable(name).await?;
        let (repository, _) = found.ok_or_else(|| self.unseen(name, &PUSH))?;
        may_write_tags(&repository, &Provenance::Push)?;
        Ok(repository)
    }

    /// The repository, if things in it may be deleted.
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

    /// The source of a mount, if it may be read; nothing otherwise, for then the client uploads. Who
    /// may read it and only lacks the token for it is told to get one, as for any other reading.
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
        let message = format!("the token does not allow to read {source}; ask for one that does");
        Err(self.challenge(&scopes, &message))
    }

    /// Where a blob may come from when the client names no source of a mount: what the actor may
    /// read. A token does not lend all of that to whoever carries it: it reaches what is public and
    /// the namespace that it pushes to.
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

    /// That somebody is known, or at least carries a token: what `/v2/` tells clients apart by.
    pub(crate) fn to_enter(&self) -> Result<(), Failure> {
        match self.who.via {
            Via::Refused { .. } | Via::None => Err(self.challenge(&[], "sign in to use this registry")),
            Via::Basic | Via::Bearer { .. } | Via::Session { .. } => Ok(()),
        }
    }

    /// That a list of repositories may be asked for; it holds what the actor may read.
    pub(crate) fn to_list(&self) -> Result<(), Failure> {
        let allowed = match &self.who.via {
            Via::Refused { .. } | Via::None => false,
            Via::Bearer { scopes } => scopes.contains(&Scope::Catalog),
            Via::Basic | Via::Session { .. } => true,
        };
        let message = "sign in to list repositories, or ask for a token that allows it";
        allowed.then_some(()).ok_or_else(|| self.challenge(&[Scope::Catalog], message))
    }

    /// The account that acts, for the records. Nobody else writes or deletes anything.
    pub(crate) fn author(&self) -> Author {
        self.who.actor.user().map_or(Author::System, Author::from)
    }

    async fn find_readable(&self, name: &RepositoryName) -> Result<Option<Repository>, Failure> {
        let found = repositories::find(&mut self.registry.db.read().await?, name).await?;
        Ok(found.filter(|found| self.registry.access.may(&self.who.actor, Permission::Read, found)))
    }

    /// The repository that may be written to, and whether it is there for one push alone; nothing, if the
    /// actor may make it.
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

    /// A token must cover what is done, although the permission was found to be there.
    fn check_token(&self, name: &RepositoryName, actions: &[ScopeAction]) -> Result<(), Failure> {
        if self.token_covers(name, actions) {
            return Ok(());
        }
        let message = format!("the token does not allow this in {name}; ask for one that does");
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

    /// For those who may not see the repository, be it there or not. `actions` are what they wanted
    /// to do with it.
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

    /// A 401 that tells where to get a token, for what, and what is wrong with the one that was sent:
    /// several clients ask for a larger one only where `error` says that it helps (RFC 6750 §3). Basic is
    /// accepted as well but not offered: several clients take whichever comes first.
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
            // Only an odd Host header can do this; the client is told without it.
            Err(_) => failure,
        }
    }
}

/// What may stand in an `error_description` (RFC 6750 §3).
fn may_describe(c: &char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\')
}

fn scope(name: &RepositoryName, actions: &[ScopeAction]) -> Scope {
    Scope::repository(name.clone(), actions.iter().copied())
}
