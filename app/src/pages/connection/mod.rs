//! A connection to another registry, as one fills it in and as Connect finds it: the same parts in a
//! mirror's form and in that of a saved remote.

mod fields;
mod findings;
mod input;

pub(super) use fields::{AccessFields, ConnectionFields};
pub(super) use findings::Findings;
pub(super) use input::{ConnectionInput, FieldErrors};
