//! The Tags tab, and the page of the deleted ones, which can be restored.

mod calls;
mod deleted;
mod list;
mod restore;
mod row;

pub use deleted::{DeletedTags, RestoreDeletedTag};
pub use list::Tags;
pub(super) use restore::RestoreDialog;
pub(super) use row::{by, what};
