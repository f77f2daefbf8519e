//! The server functions: parse, call one use case, present. They live at `/fn/<name>`; who calls
//! is known from the request's session, and every use case checks for itself what that one may do.

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

/// What every server function answers.
pub type Answer<T> = Result<T, AppError>;

/// A list's page: how many rows, unless the address says otherwise.
pub const PAGE_SIZE: u32 = 25;

/// The use cases, and the one who asks for them.
#[cfg(feature = "ssr")]
pub(crate) fn asked() -> Answer<(longshore_admin::Admin, longshore_model::Actor)> {
    Ok((context()?, request_actor()?.actor))
}

/// What the request brought along. Nothing once it is given up because its browser went away: what is still at work
/// for the page then ends, and nobody reads its answer.
#[cfg(feature = "ssr")]
fn context<T: Clone + 'static>() -> Answer<T> {
    leptos::prelude::use_context().ok_or_else(|| {
        tracing::debug!("a request was given up");
        longshore_model::Problem::new(longshore_model::Code::Internal, "The request was given up.").into()
    })
}

/// The address that the request came from, which wrong guesses are counted against.
#[cfg(feature = "ssr")]
pub(crate) fn peer() -> Answer<std::net::IpAddr> {
    Ok(request_actor()?.peer)
}

#[cfg(feature = "ssr")]
fn request_actor() -> Answer<longshore_access::RequestActor> {
    extension()
}

/// What the server's middleware knows of the request.
#[cfg(feature = "ssr")]
fn extension<T: Clone + Send + Sync + 'static>() -> Answer<T> {
    let parts: http::request::Parts = context()?;
    parts.extensions.get().cloned().ok_or_else(|| internal("the middleware did not see the request"))
}

/// A refusal that waiting helps against, with the status and the header that say so to programs. A form that came
/// without script is led back to its page instead.
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

/// A failure that is the server's own; the log has the rest.
#[cfg(feature = "ssr")]
fn internal(error: impl std::fmt::Display) -> AppError {
    tracing::error!(%error, "a server function failed");
    longshore_model::Problem::new(
        longshore_model::Code::Internal,
        "Something in the server failed; its log says what.",
    )
    .into()
}

/// A name out of an address or a form; what is no name names nothing that exists.
#[cfg(feature = "ssr")]
pub(crate) fn repository(name: &str) -> Answer<longshore_oci::RepositoryName> {
    use longshore_model::{Code, Problem};
    name.parse()
        .map_err(|_| Problem::new(Code::NoSuchRepository, format!("There is no repository {name}.")).into())
}

/// A tag out of an address or a form.
#[cfg(feature = "ssr")]
pub(crate) fn tag(name: &str) -> Answer<longshore_oci::Tag> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| Problem::new(Code::NoSuchTag, format!("There is no tag {name}.")).into())
}

/// A user or organization out of an address or a form.
#[cfg(feature = "ssr")]
pub(crate) fn namespace(name: &str) -> Answer<longshore_oci::Namespace> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| {
        Problem::new(Code::NoSuchAccount, format!("There is no user or organization {name}.")).into()
    })
}
