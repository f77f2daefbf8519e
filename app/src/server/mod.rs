//! Server functions: each parses its input, calls one use case and returns the result. They are served at `/fn/<name>`.
//! The session of the request identifies the caller, and every use case checks the caller's permissions.

mod activity;
mod pauses;
mod remotes;
mod repositories;
mod session;
mod tags;

pub use activity::*;
pub use pauses::*;
pub use remotes::*;
pub use repositories::*;
pub use session::*;
pub use tags::*;

use crate::error::AppError;

/// The result of every server function.
pub type Answer<T> = Result<T, AppError>;

/// The number of rows on a page of a list, unless the address sets another.
pub const PAGE_SIZE: u32 = 25;

/// The use cases, and the caller.
#[cfg(feature = "ssr")]
pub(crate) fn asked() -> Answer<(longshore_admin::Admin, longshore_model::Actor)> {
    Ok((context()?, request_actor()?.actor))
}

/// A part of the request. Fails once the request was dropped because its browser disconnected: work still in progress
/// for the page then ends, and nobody reads the result.
#[cfg(feature = "ssr")]
fn context<T: Clone + 'static>() -> Answer<T> {
    leptos::prelude::use_context().ok_or_else(|| {
        tracing::debug!("a request was dropped");
        longshore_model::Problem::new(longshore_model::Code::Internal, "The request was dropped.").into()
    })
}

/// The client's address, against which failed sign-ins are counted.
#[cfg(feature = "ssr")]
pub(crate) fn peer() -> Answer<std::net::IpAddr> {
    Ok(request_actor()?.peer)
}

#[cfg(feature = "ssr")]
fn request_actor() -> Answer<longshore_access::RequestActor> {
    extension()
}

/// Data that the server's middleware attached to the request.
#[cfg(feature = "ssr")]
fn extension<T: Clone + Send + Sync + 'static>() -> Answer<T> {
    let parts: http::request::Parts = context()?;
    parts.extensions.get().cloned().ok_or_else(|| internal("the middleware did not see the request"))
}

/// An error that waiting resolves, with the status and header that tell programs so. A form sent without script is
/// redirected back to its page instead.
#[cfg(feature = "ssr")]
pub(crate) fn refused(problem: longshore_model::Problem) -> AppError {
    use http::{HeaderMap, StatusCode, header};

    let headers = context::<http::request::Parts>().map_or_else(|_| HeaderMap::new(), |parts| parts.headers);
    let by_form = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
    if let (Some(seconds), false) = (problem.retry_after, by_form)
        && let Ok(response) = context::<leptos_axum::ResponseOptions>()
    {
        response.insert_header(header::RETRY_AFTER, seconds.into());
        response
            .set_status(StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::TOO_MANY_REQUESTS));
    }
    problem.into()
}

/// An internal error; the log has the details.
#[cfg(feature = "ssr")]
fn internal(error: impl std::fmt::Display) -> AppError {
    tracing::error!(%error, "a server function failed");
    longshore_model::Problem::new(
        longshore_model::Code::Internal,
        "Internal server error. The server's log has the details.",
    )
    .into()
}

/// Parses a repository name from an address or form; an invalid name is reported as not found.
#[cfg(feature = "ssr")]
pub(crate) fn repository(name: &str) -> Answer<longshore_oci::RepositoryName> {
    use longshore_model::{Code, Problem};
    name.parse()
        .map_err(|_| Problem::new(Code::NoSuchRepository, format!("There is no repository {name}.")).into())
}

/// Parses a tag from an address or form.
#[cfg(feature = "ssr")]
pub(crate) fn tag(name: &str) -> Answer<longshore_oci::Tag> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| Problem::new(Code::NoSuchTag, format!("There is no tag {name}.")).into())
}

/// Parses the name of a user or organization from an address or form.
#[cfg(feature = "ssr")]
pub(crate) fn namespace(name: &str) -> Answer<longshore_oci::Namespace> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| {
        Problem::new(Code::NoSuchAccount, format!("There is no user or organization {name}.")).into()
    })
}
