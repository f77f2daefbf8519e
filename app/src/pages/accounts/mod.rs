//! Users and organizations: who there is, and whose namespace is whose.

mod calls;
mod list;
mod new;
mod password;
mod storage;

pub use list::{Organizations, Users};
pub use new::{NewOrganization, NewUser};
pub use password::ChangePassword;
pub use storage::{OrganizationStorage, UserStorage};

use leptos::prelude::*;

/// Users or organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Organization,
}

impl Kind {
    fn is_org(self) -> bool {
        self == Self::Organization
    }

    fn path(self) -> &'static str {
        match self {
            Self::User => "/users",
            Self::Organization => "/organizations",
        }
    }
}

/// Grows with each change of an account, so that the list behind a dialog is read anew.
#[derive(Clone, Copy)]
struct Changes(RwSignal<usize>);

impl Changes {
    fn changed(self) {
        self.0.update(|changes| *changes += 1);
    }
}

/// The changes of the list around.
fn use_changes() -> Changes {
    use_context().expect("a list of accounts is around its dialogs")
}
