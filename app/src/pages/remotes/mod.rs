//! Remotes: saved connections to other registries, used by many mirrors and changed in one place.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

pub use dialogs::{EditRemote, NewRemote};
pub use list::Remotes;

use leptos::prelude::*;

/// Grows with each change of a remote, so that the list behind a dialog is read anew.
#[derive(Clone, Copy)]
struct Changes(RwSignal<usize>);

impl Changes {
    fn changed(self) {
        self.0.update(|changes| *changes += 1);
    }
}

/// The changes of the list around.
fn use_changes() -> Changes {
    use_context().expect("the list of remotes is around its dialogs")
}
