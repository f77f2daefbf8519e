//! Users and organizations.

mod calls;
mod list;
mod new;
mod password;
mod storage;

use leptos::prelude::*;

use crate::routes::{Reader, Route, Section};

/// The list of organizations, with its dialogs.
pub(super) const ORGANIZATIONS: Section = Section {
    label: "Organizations",
    reader: Reader::User,
    key: None,
    page: Route::new("/organizations", || list::Organizations().into_any())
        .with_dialogs(&[new::NEW_ORGANIZATION, storage::OF_ORGANIZATION]),
    more: &[],
};

/// The list of users, with its dialogs.
pub(super) const USERS: Section = Section {
    label: "Users",
    reader: Reader::User,
    key: None,
    page: Route::new("/users", || list::Users().into_any()).with_dialogs(&[
        new::NEW_USER,
        password::PAGE,
        storage::OF_USER,
    ]),
    more: &[],
};

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

    fn section(self) -> Section {
        match self {
            Self::User => USERS,
            Self::Organization => ORGANIZATIONS,
        }
    }

    fn path(self) -> &'static str {
        self.section().page.path()
    }
}
