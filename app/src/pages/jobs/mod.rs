//! Jobs: the list that moves by itself, and the page of one with its log.

mod calls;
mod describe;
mod detail;
mod facts;
mod filter;
mod list;
mod log;
mod moving;
mod progress;
mod table;

pub(super) use describe::{action_label, describe};
pub use detail::JobPage;
pub use list::Jobs;
