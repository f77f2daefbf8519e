//! Settings, each declared once. A declaration is a field of a struct that derives [`clap::Args`]; its name, type,
//! default and doc comment make it an option, a variable, a key of the configuration file, a line of `check-config`
//! and a row of the documentation. ADR 0008 says why.
//!
//! ```text
//! #[derive(clap::Args)]
//! pub struct LimitSettings {
//!     /// How many connections may be open; `0` means no limit
//!     #[arg(value_name = "NUMBER", default_value_t = 10_000)]
//!     pub connections: usize,
//! }
//!
//! impl Group for LimitSettings {
//!     const TABLE: &'static str = "limit";
//!     const HEADING: &'static str = "Limits";
//! }
//! ```
//!
//! This one is `--limit-connections`, `LONGSHORE_LIMIT_CONNECTIONS`, and `connections` in the table `[limit]`. A doc
//! comment may end with `[default: …]`, for a default that is not a value. It may contain links, of which `--help`
//! shows the text.

mod catalogue;
mod file;
mod page;
pub mod parse;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod values;

pub use catalogue::{Catalogue, Group, Secret, Setting};
pub use file::read_file;
pub use page::fill_in;
pub use values::{Error, Values};
