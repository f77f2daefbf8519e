//! What the list of tags and its rows share: what can be done with tags.

use std::collections::BTreeSet;

use leptos::prelude::*;

use crate::components::Call;

/// What one can do with the tags of a list; context of its rows.
#[derive(Clone, Copy)]
pub(super) struct TagActions {
    /// Tags that are ticked.
    pub(super) chosen: RwSignal<BTreeSet<String>>,
    /// Deletes tags.
    pub(super) delete: Call<Vec<String>, Deletion>,
}

/// Tags that were deleted.
#[derive(Clone)]
pub(super) struct Deletion {
    pub(super) repository: String,
    pub(super) names: Vec<String>,
    /// Whether they can be brought back.
    pub(super) undoable: bool,
}

/// What the reader may do with the tags, so that nothing else is offered.
#[derive(Clone, Copy)]
pub(super) struct TagRights {
    /// Promote and push them by hand.
    pub(super) act: bool,
    /// Delete them.
    pub(super) delete: bool,
}
