//! Reading requests: who asks, what the path names, and bodies and queries whose mistakes are said
//! with their place.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use longshore_access::{Credential, RequestActor};
use longshore_model::{Actor, Code, Problem};
use longshore_oci::{Namespace, Reference, RepositoryName, Tag};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::error::{ApiError, invalid_request, too_large, unsupported_media_type};

/// The largest body that is read, in bytes; an extension of each request.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// Who asks. The server's middleware has found it out; a request without is nobody's.
pub(crate) struct Who(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let actor = parts.extensions.get::<RequestActor>().map(|request| request.actor.clone());
        Ok(Self(actor.unwrap_or(Actor::Anonymous)))
    }
}

/// What the proof of who asks rests on; none where that is nobody in particular.
pub(crate) struct Proof(pub(crate) Option<Credential>);

impl<S: Sync> FromRequestParts<S> for Proof {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let request = parts.extensions.get::<RequestActor>();
        Ok(Self(request.and_then(|request| request.credential.clone())))
    }
}

/// From which address somebody asks.
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let request = parts.extensions.get::<RequestActor>();
        let unknown = || Problem::new(Code::Internal, "The server does not know where this request is from.");
        Ok(request.map(|request| Self(request.peer)).ok_or_else(unknown)?)
    }
}

/// A type that is read from a body.
pub(crate) trait Wire: DeserializeOwned {
    /// The code of a mistake inside a member named `rules`: there, tolerance for what is unknown
    /// ends (semantics 10), and the policy as a whole is invalid.
    const INVALID_RULE: Code = Code::InvalidRequest;
}

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Wire, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        require_json(request.headers())?;
        let limit = request.extensions().get::<BodyLimit>().map_or(0, |limit| limit.0);
        let limited = Bytes::from_request(request, &()).await;
        let bytes = limited.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(limit),
            _ => invalid_request(None, format!("The body broke off: {}.", rejection.body_text()))
                .into_response(),
        })?;
        parse(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Response> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(unsupported_media_type(given))
}

fn parse<T: Wire>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let field = (path != "." && path != "?").then_some(path);
        let inner = error.into_inner();
        if !inner.is_data() {
            return invalid_request(None, format!("The body is no JSON: {inner}."));
        }
        match field {
            Some(field) if field.starts_with("rules") => ApiError(Problem::field(
                T::INVALID_RULE,
                field,
                format!("The rules cannot be read: {inner}."),
            )),
            field => invalid_request(field, format!("The body cannot be read: {inner}.")),
        }
    })?;
    json.end().map_err(|error| invalid_request(None, format!("The body is no JSON: {error}.")))?;
    Ok(parsed)
}

/// The part of the address behind `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Self(query)).map_err(
            |error| invalid_request(None, format!("The query cannot be read: {}.", error.body_text())),
        )
    }
}

/// A namespace in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct NamespacePath {
    /// A user or an organization.
    #[param(example = "dev")]
    pub(crate) namespace: String,
}

impl NamespacePath {
    /// The namespace; one that cannot exist does not.
    pub(crate) fn namespace(&self) -> Result<Namespace, Problem> {
        self.namespace.parse().map_err(|_| {
            Problem::new(
                Code::NoSuchAccount,
                format!("There is no user or organization “{}”.", self.namespace),
            )
        })
    }
}

/// A repository in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RepositoryPath {
    /// The first part of the repository's name: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The rest of the repository's name, each `/` in it written `%2F`.
    #[param(example = "website")]
    reponame: String,
}

/// A tag in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TagPath {
    /// The first part of the repository's name: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The rest of the repository's name, each `/` in it written `%2F`.
    #[param(example = "website")]
    reponame: String,
    /// The tag's name; where something is only read, a digest as well.
    #[param(example = "1.0-stable")]
    pub(crate) tag: String,
}

/// A policy or mirror of a repository in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PolicyPath {
    /// The first part of the repository's name: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The rest of the repository's name, each `/` in it written `%2F`.
    #[param(example = "website")]
    reponame: String,
    /// The policy's identifier.
    #[param(format = Uuid)]
    id: String,
}

/// Something that is named by its identifier alone.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct IdPath {
    /// Its identifier.
    #[param(format = Uuid)]
    id: String,
}

impl RepositoryPath {
    pub(crate) fn repository(&self) -> Result<RepositoryName, Problem> {
        repository(&self.namespace, &self.reponame)
    }
}

impl TagPath {
    pub(crate) fn repository(&self) -> Result<RepositoryName, Problem> {
        repository(&self.namespace, &self.reponame)
    }

    /// The tag; one that cannot exist does not.
    pub(crate) fn tag(&self) -> Result<Tag, Problem> {
        self.parse()
    }

    /// The tag or digest; one that cannot exist does not.
    pub(crate) fn reference(&self) -> Result<Reference, Problem> {
        self.parse()
    }

    fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, Problem> {
        self.tag
            .parse()
            .map_err(|error| Problem::new(Code::NoSuchTag, format!("There is no such tag: {error}.")))
    }
}

impl PolicyPath {
    pub(crate) fn repository(&self) -> Result<RepositoryName, Problem> {
        repository(&self.namespace, &self.reponame)
    }

    /// The identifier; `missing` is the code when it is none.
    pub(crate) fn id<T: FromStr>(&self, missing: Code) -> Result<T, Problem> {
        id(&self.id, missing)
    }
}

impl IdPath {
    /// The identifier; `missing` is the code when it is none.
    pub(crate) fn id<T: FromStr>(&self, missing: Code) -> Result<T, Problem> {
        id(&self.id, missing)
    }
}

fn id<T: FromStr>(text: &str, missing: Code) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(missing, format!("“{text}” is the identifier of nothing here.")))
}

fn repository(namespace: &str, name: &str) -> Result<RepositoryName, Problem> {
    format!("{namespace}/{name}").parse().map_err(|_| {
        Problem::new(Code::NoSuchRepository, format!("There is no repository “{namespace}/{name}”."))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default)]
        rules: Vec<longshore_policy::RawRule>,
        #[allow(dead_code)]
        enabled: bool,
    }

    impl Wire for Sample {
        const INVALID_RULE: Code = Code::InvalidPromotionPolicy;
    }

    fn refusal(body: &str) -> Problem {
        parse::<Sample>(body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn a_mistake_in_a_body_is_said_with_its_place() {
        let syntax = refusal("{\"enabled\": tru");
        assert_eq!(syntax.code, Code::InvalidRequest);
        assert!(syntax.message.contains("line 1"), "{syntax}");
        let kind = refusal("{\"enabled\": \"yes\"}");
        assert!(kind.about("enabled").is_some(), "{kind:?}");
        assert!(refusal("{} trailing").message.contains("cannot be read"));
        assert!(refusal("").message.contains("no JSON"));
        assert!(refusal("{\"enabled\": true} x").message.contains("trailing"));
    }

    #[test]
    fn semantics_10_unknown_members_are_tolerated_outside_rules_and_refused_inside() {
        let tolerated: Sample = parse(br#"{"enabled": true, "techSupport": 1}"#).unwrap();
        assert!(tolerated.rules.is_empty());
        let refused = refusal(
            r#"{"enabled":true,"rules":[{"field":"tag","operator":"ew","values":["x"],"negate":true}]}"#,
        );
        assert_eq!(refused.code, Code::InvalidPromotionPolicy);
        assert!(refused.about("rules[0].negate").is_some_and(|why| why.contains("negate")), "{refused:?}");
    }

    #[test]
    fn a_name_with_slashes_is_one_segment_of_the_path() {
        let path = RepositoryPath { namespace: "dev".to_owned(), reponame: "a/b/c/d/e".to_owned() };
        assert_eq!(path.repository().unwrap().to_string(), "dev/a/b/c/d/e");
        let bad = RepositoryPath { namespace: "dev".to_owned(), reponame: "A B".to_owned() };
        assert_eq!(bad.repository().unwrap_err().code, Code::NoSuchRepository);
    }
}
