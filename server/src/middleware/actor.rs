//! Authenticates each request once, and passes the actor on in extensions.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use axum_extra::extract::CookieJar;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ipnet::IpNet;
use longshore_access::{Access, Proven, RequestActor, TokenClaims, TokenError, Via};
use longshore_admin::auth_problem;
use longshore_app::server::{RequestSession, SESSION_COOKIE};
use longshore_model::{Actor, Code, Problem};
use longshore_oci::{Credentials, ErrorBody, ErrorCode, Route};
use longshore_registry::{Address, Origin};
use longshore_transport::{Admitted, Connected, Limits, Upload};
use secrecy::{ExposeSecret, SecretString};

use super::origin;
use crate::network::Arrival;

/// The path of event streams.
const EVENTS: &str = "/events";

/// The parts that are needed to authenticate and admit requests.
#[derive(Clone)]
pub(crate) struct Gatekeeper {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The scheme, host and port of the configured external URL.
    pub(crate) external_origin: Option<String>,
}

/// The kind of client that a response is for, according to the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Clients of the registry.
    Registry,
    /// Scripts, and pages that use `fetch`.
    Rest,
    /// The site.
    Site,
    /// Files that are the same for everyone.
    File,
}

impl Audience {
    fn of(path: &str) -> Self {
        let below = |folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match path {
            _ if below("/v2") || path == "/auth/token" => Self::Registry,
            _ if below("/api") || below("/enzi") || below("/events") => Self::Rest,
            _ if below("/pkg") || matches!(path, "/healthz" | "/readyz" | "/metrics" | "/ca") => Self::File,
            _ => Self::Site,
        }
    }
}

/// Authenticates the request, and rejects requests that are not admitted.
pub(crate) async fn identify(
    State(keeper): State<Gatekeeper>,
    Extension(connected): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    let audience = Audience::of(request.uri().path());
    if audience == Audience::File {
        return next.run(request).await;
    }
    let Connected { peer, tls } = connected;
    let (mut head, body) = request.into_parts();
    let arrival = Arrival::new(peer.ip(), tls, &head.headers, &keeper.trusted_proxies);
    let origin = keeper.external_origin.clone().or_else(|| arrival.origin());
    let session = session_token(&head.headers);
    let mut seen =
        RequestActor { actor: Actor::Anonymous, peer: arrival.peer, via: Via::None, credential: None };
    let admitted = keeper.admit(audience, session.as_deref(), origin.as_deref(), &head, &mut seen).await;
    let mut response = match admitted {
        // Held until the response: by then the bytes of the upload have been received.
        Ok((_upload, admitted)) => {
            let secure =
                arrival.https || origin.as_deref().is_some_and(|origin| origin.starts_with("https://"));
            if let Some(origin) = origin {
                head.extensions.insert(Origin(origin));
            }
            head.extensions.insert(RequestSession { token: session, secure });
            head.extensions.insert(seen.clone());
            let mut response = next.run(Request::from_parts(head, body)).await;
            // Released by the listener when the whole response has been sent.
            response.extensions_mut().insert(admitted);
            response
        }
        Err(refused) => refuse(audience, refused, &head.headers),
    };
    // For the log line.
    response.extensions_mut().insert(seen);
    response
}

impl Gatekeeper {
    /// Admits a request, or returns the reason for rejecting it. Sets the actor in `seen` in both cases.
    async fn admit(
        &self,
        audience: Audience,
        session: Option<&str>,
        origin: Option<&str>,
        head: &Parts,
        seen: &mut RequestActor,
    ) -> Result<(Option<Upload>, Admitted), Problem> {
        // Before anything expensive.
        self.limits.by_address(seen.peer)?;
        let arrived = self.limits.arrived(seen.peer)?;
        *seen = self.actor(audience, seen.peer, &head.headers, session).await?;
        self.limits.by_actor(&seen.actor)?;
        let follows = head.uri.path() == EVENTS;
        let admitted = self.limits.admitted(arrived, &seen.actor, seen.peer, follows)?;
        let upload = sends_blob(head).then(|| self.limits.upload(&seen.actor)).transpose()?;
        // Regardless of the credentials: a browser stores those of Basic and adds them to requests from other sites.
        // Signing in is protected as well: another site must not sign a browser in as its own user.
        if !origin::is_own(&head.method, &head.headers, origin, &seen.via) {
            let message = "This request comes from another site; open Longshore and try again there.";
            return Err(Problem::new(Code::ForeignOrigin, message));
        }
        Ok((upload, admitted))
    }

    async fn actor(
        &self,
        audience: Audience,
        peer: IpAddr,
        headers: &HeaderMap,
        session: Option<&str>,
    ) -> Result<RequestActor, Problem> {
        let known = |proven: Proven, via| RequestActor {
            actor: Actor::User(proven.actor),
            peer,
            via,
            credential: Some(proven.credential),
        };
        let nobody = RequestActor { actor: Actor::Anonymous, peer, via: Via::None, credential: None };
        let credentials = match audience {
            Audience::Registry | Audience::Rest => headers.get(header::AUTHORIZATION),
            // A proxy in front of the site may use this header for its own credentials.
            Audience::Site | Audience::File => None,
        };
        if let Some(credentials) = credentials {
            return match credentials.to_str().ok().and_then(Credentials::parse) {
                Some(Credentials::Basic { user, password }) => {
                    let proven = self.access.authenticate(&user, &password, peer).await;
                    Ok(known(proven.map_err(auth_problem)?, Via::Basic))
                }
                Some(Credentials::Bearer(token)) if audience == Audience::Registry => {
                    Ok(match self.access.verify_token(token.expose_secret()).await {
                        Ok(TokenClaims { actor, credential, scopes }) => {
                            RequestActor { actor, peer, via: Via::Bearer { scopes }, credential }
                        }
                        Err(TokenError::Metadata(error)) => {
                            tracing::error!(
                                error = &error as &dyn std::error::Error,
                                "a token could not be looked up"
                            );
                            let message = "The token could not be checked; try again.";
                            return Err(Problem::new(Code::Internal, message));
                        }
                        // The registry's challenge says where to get a new one.
                        Err(refused) => {
                            RequestActor { via: Via::Refused { why: refused.to_string() }, ..nobody }
                        }
                    })
                }
                Some(Credentials::Bearer(_)) => Err(Problem::new(
                    Code::NotAuthenticated,
                    "Registry tokens are valid only for /v2; send a username and password.",
                )),
                None => Err(Problem::new(
                    Code::NotAuthenticated,
                    "The header Authorization is invalid; use “Basic” with username and password.",
                )),
            };
        }
        let session = match session {
            Some(token) => self.access.session(&SecretString::from(token)).await.map_err(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, "a session could not be looked up");
                Problem::new(Code::Internal, "The session could not be checked; try again.")
            })?,
            None => None,
        };
        Ok(match session {
            Some(session) => known(session.proven, Via::Session { csrf: session.csrf }),
            None => nobody,
        })
    }
}

fn session_token(headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    jar.get(SESSION_COOKIE).map(|cookie| cookie.value().to_owned()).filter(|token| !token.is_empty())
}

/// Whether the request may contain a part of a blob.
fn sends_blob(head: &Parts) -> bool {
    // Parsed when the request was recorded.
    let route = head.extensions.get::<Address>().and_then(|address| address.route().ok());
    matches!(head.method, Method::POST | Method::PUT | Method::PATCH)
        && matches!(route, Some(Route::UploadStart { .. } | Route::Upload { .. }))
}

/// The rejection in the format of the audience.
fn refuse(audience: Audience, problem: Problem, request: &HeaderMap) -> Response {
    match audience {
        Audience::Registry => {
            let status =
                StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let code = match status {
                StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
                StatusCode::FORBIDDEN => ErrorCode::Denied,
                StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
                _ => ErrorCode::Unknown,
            };
            let mut response = (status, Json(ErrorBody::one(code, problem.message))).into_response();
            if let Some(seconds) = problem.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            if status == StatusCode::UNAUTHORIZED {
                let basic = HeaderValue::from_static("Basic realm=\"Longshore\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
            }
            response
        }
        Audience::Rest | Audience::Site | Audience::File => longshore_api::refuse(problem, request),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_determined_by_the_path() {
        for (path, audience) in [
            ("/v2/", Audience::Registry),
            ("/auth/token", Audience::Registry),
            ("/api/v0/jobs", Audience::Rest),
            ("/events", Audience::Rest),
            ("/fn/sign_in", Audience::Site),
            ("/repositories/v2/api", Audience::Site),
            ("/v2x", Audience::Site),
            ("/pkg/abc/longshore.js", Audience::File),
        ] {
            assert_eq!(Audience::of(path), audience, "{path}");
        }
    }
}
