//! A connection to another registry: the form fields and the results of Connect, shared by mirrors and saved remotes.

mod fields;
mod findings;
mod input;

pub(super) use fields::{AccessFields, ConnectionFields};
pub(super) use findings::Findings;
pub(super) use input::{ConnectionInput, FieldErrors};
