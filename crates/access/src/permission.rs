//! Permissions, which are decided only here: users have all of them in their own namespace, administrators everywhere,
//! and everyone may read public repositories. Whether the *state* of a repository allows writes is not a permission;
//! `content` decides that.

use crate::Access;
use longshore_metadata::Visible;
use longshore_model::{Actor, Repository, Visibility};
use longshore_oci::Namespace;

/// An action on a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See the repository and pull from it.
    Read,
    /// Push to the repository.
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

    /// Whether `actor` may act in a namespace: create repositories and own remotes in it.
    #[must_use]
    pub fn may_in_namespace(&self, actor: &Actor, namespace: &Namespace) -> bool {
        actor.user().is_some_and(|user| user.is_admin || user.name == *namespace)
    }

    /// The repositories that `actor` may read.
    #[must_use]
    pub fn visible(&self, actor: &Actor) -> Visible {
        self.reach(actor, true)
    }

    /// The repositories that `actor` administers, whose jobs and events it may see.
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
