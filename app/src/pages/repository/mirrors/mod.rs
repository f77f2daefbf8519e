//! The Mirrors tab: the mirrors of a repository, and the dialog that makes and changes one.

mod calls;
mod connect;
mod dialogs;
mod form;
mod input;
mod list;
mod pull;
mod push;
mod remote;
mod repository;
mod row;
mod words;

pub use dialogs::{EditMirror, NewMirror};
pub use list::Mirrors;
