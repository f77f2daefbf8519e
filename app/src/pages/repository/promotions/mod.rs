//! The Promotions tab: the policies that lead from a repository or to it, and the dialogs that make and change one.

mod calls;
mod dialogs;
mod form;
mod list;
mod row;

pub use dialogs::{EditPromotion, NewPromotion};
pub use list::Promotions;
