//! What happens to every request before and after its handler: it gets a number and a line in the
//! log, its actor is found out, requests of other sites are refused, and answers get the headers
//! that keep browsers safe. Pages and JSON are compressed.

mod actor;
mod compress;
mod headers;
mod origin;
mod record;
mod route;

pub(crate) use actor::{Gatekeeper, identify};
pub(crate) use compress::compress;
pub(crate) use headers::{StrictTransport, panicked, protect};
pub(crate) use record::record;
