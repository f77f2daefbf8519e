//! What an actor may do. This is the only place that decides it: the own namespace entirely,
//! everything for administrators, and reading for everybody where a repository is public. Whether a
//! repository's *state* lets anyone write is not a permission and is decided in `content`.

use crate::Access;
use longshore_metadata::repositories::Visible;
use longshore_model::{Actor, Repository, Visibility};
use longshore_oci::Namespace;

/// What somebody wants to do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See it and pull from it.
    Read,
    /// Push to it.
    Write,
    /// Delete tags, manifests and blobs.
    Delete,
    /// Change its settings, policies and mirrors, or delete it.
    Administer,
}

impl Access {
    /// Whether `actor` may do `action` with `repository`.
    #[must_use]
    pub fn may(&self, actor: &Actor, action: Permission, repository: &Repository) -> bool {
        let public_read = action == Permission::Read && repository.visibility == Visibility::Public;
        public_read || self.may_in_namespace(actor, &repository.name.to_namespace())
    }

    /// Whether `actor` may act in a namespace: create repositories in it, own remotes through it.
    #[must_use]
    pub fn may_in_namespace(&self, actor: &Actor, namespace: &Namespace) -> bool {
        actor.user().is_some_and(|user| user.is_admin || user.name == *namespace)
    }

    /// The repositories that `actor` may read.
    #[must_use]
    pub fn visible(&self, actor: &Actor) -> Visible {
        self.reach(actor, true)
    }

    /// The repositories that `actor` administers: those whose jobs and events it sees.
    #[must_use]
    pub fn administered(&self, actor: &Actor) -> Visible {
        self.reach(actor, false)
    }

    fn reach(&self, actor: &Actor, public: bool) -> Visible {
        match actor.user() {
            Some(user) if user.is_admin => Visible::Everything,
            user => {
                Visible::Of { public, namespaces: user.map(|user| user.name.clone()).into_iter().collect() }
            }
        }
    }
}
