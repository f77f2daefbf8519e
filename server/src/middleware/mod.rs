//! What happens to every request before and after its handler: it gets an id and a log line, is authenticated, and is
//! rejected if another site sent it; responses get security headers. Pages and JSON are compressed.

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
