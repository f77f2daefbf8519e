//! The permission checks that use cases begin with. `access` decides; here a denial becomes a [`Problem`] that does not
//! reveal more than the actor may know.

use crate::Admin;
use longshore_access::Permission;
use longshore_metadata::{Conn, remotes, repositories};
use longshore_model::{Actor, Author, Code, Problem, Remote, RemoteId, Repository, RepositoryId, UserActor};
use longshore_oci::{Namespace, RepositoryName};

/// The user.
///
/// # Errors
/// `NOT_AUTHENTICATED` for an anonymous actor.
pub(crate) fn user(actor: &Actor) -> Result<&UserActor, Problem> {
    actor.user().ok_or_else(|| {
        Problem::new(
            Code::NotAuthenticated,
            "authentication required; sign in, or send a username and password",
        )
    })
}

/// The user, who must be an administrator.
pub(crate) fn administrator(actor: &Actor) -> Result<&UserActor, Problem> {
    let user = user(actor)?;
    match user.is_admin {
        true => Ok(user),
        false => Err(Problem::new(Code::NotAuthorized, "only administrators may do this; ask one of them")),
    }
}

/// The author to be recorded for what the actor does.
pub(crate) fn author(actor: &Actor) -> Author {
    actor.user().map_or(Author::System, Author::from)
}

pub(crate) fn no_such_repository(name: impl std::fmt::Display) -> String {
    format!("there is no repository {name}, or you may not see it; check the name")
}

/// The problem for an error of `content`, for an actor with permission.
pub(crate) fn content_problem(error: longshore_content::Error) -> Problem {
    use longshore_content::Error;
    let message = error.to_string();
    let code = match error {
        Error::ManifestUnknown { .. } => Code::NoSuchTag,
        Error::NotWritable { .. } => Code::RepositoryNotWritable,
        Error::TagImmutable { .. } => Code::TagImmutable,
        Error::NotRestorable { .. } => Code::NotRestorable,
        Error::QuotaExceeded(_) => Code::QuotaExceeded,
        Error::RepositoryGone(_) => Code::NoSuchRepository,
        Error::Metadata(error) => return error.into(),
        other => {
            tracing::error!(error = %other, "content could not be changed");
            return Problem::new(Code::Internal, "an internal error occurred; see the server's log");
        }
    };
    Problem::new(code, message)
}

fn denied(action: Permission, name: &RepositoryName) -> String {
    let what = match action {
        Permission::Read => "see",
        Permission::Write => "push to",
        Permission::Delete => "delete from",
        Permission::Administer => "administer",
    };
    let namespace = name.namespace();
    format!("you may not {what} {name}; {namespace} or an administrator may")
}

impl Admin {
    /// The repository, if `actor` has the permission. For an actor who may not read it, it does not exist.
    pub(crate) async fn repository_for(
        &self,
        actor: &Actor,
        action: Permission,
        name: &RepositoryName,
    ) -> Result<Repository, Problem> {
        if action != Permission::Read {
            user(actor)?;
        }
        let found = repositories::find(&mut self.read().await?, name).await?;
        let access = &self.0.access;
        let Some(repository) = found.filter(|found| access.may(actor, Permission::Read, found)) else {
            // Anonymous actors are told to sign in, whether the repository exists or not.
            user(actor)?;
            return Err(Problem::new(Code::NoSuchRepository, no_such_repository(name)));
        };
        match access.may(actor, action, &repository) {
            true => Ok(repository),
            false => Err(Problem::new(Code::NotAuthorized, denied(action, name))),
        }
    }

    /// As [`Admin::repository_for`], for a repository named in a form: a denial concerns `field`.
    pub(crate) async fn repository_in_field(
        &self,
        actor: &Actor,
        action: Permission,
        name: &RepositoryName,
        field: &str,
    ) -> Result<Repository, Problem> {
        let refusal = |problem: Problem| Problem::field(problem.code, field, problem.message);
        self.repository_for(actor, action, name).await.map_err(refusal)
    }
    /// Whether `actor` administers the repository.
    pub(crate) async fn may_administer(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        repository: RepositoryId,
    ) -> Result<bool, Problem> {
        let found = repositories::get(conn, repository).await?;
        Ok(found.is_some_and(|found| self.0.access.may(actor, Permission::Administer, &found)))
    }

    /// Checks that `actor` may act in a namespace.
    pub(crate) fn namespace_for(&self, actor: &Actor, namespace: &Namespace) -> Result<(), Problem> {
        user(actor)?;
        match self.0.access.may_in_namespace(actor, namespace) {
            true => Ok(()),
            false => Err(Problem::new(
                Code::NotAuthorized,
                format!("you may not act in the namespace {namespace}; {namespace} or an administrator may"),
            )),
        }
    }

    /// Whether `actor` may see, test, edit and use a remote (semantics 15).
    pub(crate) fn may_use(&self, actor: &Actor, remote: &Remote) -> bool {
        match &remote.owner {
            Some(owner) => self.0.access.may_in_namespace(actor, owner),
            None => actor.is_admin(),
        }
    }

    /// The remote, if `actor` may use it; otherwise it does not exist for the actor.
    pub(crate) async fn remote_for(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        id: RemoteId,
    ) -> Result<Remote, Problem> {
        user(actor)?;
        let found = remotes::get(conn, id).await?;
        found.filter(|found| self.may_use(actor, found)).ok_or_else(|| {
            Problem::field(
                Code::NoSuchRemote,
                "remote",
                "there is no such remote, or it belongs to a namespace that you do not administer; choose \
                 one of yours or enter the settings",
            )
        })
    }
}
