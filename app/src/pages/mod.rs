//! The pages, one file each.

mod not_found;
mod system;

pub use not_found::NotFound;
pub use system::System;
