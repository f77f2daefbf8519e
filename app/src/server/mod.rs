//! The server functions: parse, call one use case, present. They live at `/fn/<name>`; who calls
//! is known from the request's session, and every use case checks for itself what that one may do.

#![allow(
    missing_docs,
    reason = "the macro makes of each function's arguments a struct, with fields of the same names"
)]

mod accounts;
mod activity;
mod jobs;
mod mirrors;
mod pauses;
mod promotions;
mod remotes;
mod repositories;
mod session;
mod system;
mod tags;
mod undo;

pub use accounts::*;
pub use activity::*;
pub use jobs::*;
pub use mirrors::*;
pub use pauses::*;
pub use promotions::*;
pub use remotes::*;
pub use repositories::*;
pub use session::*;
pub use system::*;
pub use tags::*;
pub use undo::*;

use crate::error::AppError;

/// What every server function answers.
pub type Answer<T> = Result<T, AppError>;

/// A list's page: how many rows, unless the address says otherwise.
pub const PAGE_SIZE: u32 = 25;

/// The use cases, and the one who asks for them.
#[cfg(feature = "ssr")]
async fn asked() -> Answer<(longshore_admin::Admin, longshore_model::Actor)> {
    Ok((leptos::prelude::expect_context(), request_actor().await?.actor))
}

/// The address that the request came from, which wrong guesses are counted against.
#[cfg(feature = "ssr")]
async fn peer() -> Answer<std::net::IpAddr> {
    Ok(request_actor().await?.peer)
}

#[cfg(feature = "ssr")]
async fn request_actor() -> Answer<longshore_access::RequestActor> {
    let axum::Extension(actor) = leptos_axum::extract().await.map_err(internal)?;
    Ok(actor)
}

/// A refusal that waiting helps against, with the status and the header that say so to programs. A form that came
/// without script is led back to its page instead.
#[cfg(feature = "ssr")]
async fn refused(problem: longshore_model::Problem) -> AppError {
    use http::{HeaderMap, StatusCode, header};

    let headers: HeaderMap = leptos_axum::extract().await.unwrap_or_default();
    let by_form = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
    if let (Some(seconds), false) = (problem.retry_after, by_form) {
        let response: leptos_axum::ResponseOptions = leptos::prelude::expect_context();
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
fn repository(name: &str) -> Answer<longshore_oci::RepositoryName> {
    use longshore_model::{Code, Problem};
    name.parse()
        .map_err(|_| Problem::new(Code::NoSuchRepository, format!("There is no repository {name}.")).into())
}

/// A tag out of an address or a form.
#[cfg(feature = "ssr")]
fn tag(name: &str) -> Answer<longshore_oci::Tag> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| Problem::new(Code::NoSuchTag, format!("There is no tag {name}.")).into())
}

/// A user or organization out of an address or a form.
#[cfg(feature = "ssr")]
fn namespace(name: &str) -> Answer<longshore_oci::Namespace> {
    use longshore_model::{Code, Problem};
    name.parse().map_err(|_| {
        Problem::new(Code::NoSuchAccount, format!("There is no user or organization {name}.")).into()
    })
}
