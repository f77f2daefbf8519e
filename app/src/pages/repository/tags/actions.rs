//! The actions that the list of tags and its rows share.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::components::Call;

/// The actions on tags of a list, provided as context to its rows.
#[derive(Clone, Copy)]
pub(super) struct TagActions {
    /// The selected tags.
    pub(super) chosen: RwSignal<BTreeSet<String>>,
    pub(super) delete: Call<Vec<String>, Deletion>,
}

/// The result of deleting tags.
#[derive(Clone)]
pub(super) struct Deletion {
    pub(super) repository: String,
    pub(super) names: Vec<String>,
    /// Whether they can be restored.
    pub(super) undoable: bool,
}

/// What the user may do with the tags; other actions are not shown.
#[derive(Clone, Copy)]
pub(super) struct TagRights {
    /// Promote and push tags manually.
    pub(super) act: bool,
    pub(super) delete: bool,
}
