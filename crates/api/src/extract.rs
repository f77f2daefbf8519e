//! Extractors: the actor, names in paths, and bodies and queries whose errors name the place of the mistake.

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

/// The maximum size of a body in bytes; an extension of every request.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// The actor, which the server's middleware determined; anonymous without it.
pub(crate) struct Who(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let actor = parts.extensions.get::<RequestActor>().map(|request| request.actor.clone());
        Ok(Self(actor.unwrap_or(Actor::Anonymous)))
    }
}

/// The credential that the actor authenticated with; `None` for an anonymous actor.
pub(crate) struct Proof(pub(crate) Option<Credential>);

impl<S: Sync> FromRequestParts<S> for Proof {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let request = parts.extensions.get::<RequestActor>();
        Ok(Self(request.and_then(|request| request.credential.clone())))
    }
}

/// The address that the request came from.
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let request = parts.extensions.get::<RequestActor>();
        let unknown = || Problem::new(Code::Internal, "The address of the client is unknown.");
        Ok(request.map(|request| Self(request.peer)).ok_or_else(unknown)?)
    }
}

/// A type that is deserialized from a body.
pub(crate) trait Wire: DeserializeOwned {
    /// The code for a mistake inside the member `rules`. Unknown members are tolerated elsewhere, but not in rules
    /// (semantics 10), where they make the whole policy invalid.
    const INVALID_RULE: Code = Code::InvalidRequest;
}

pub(crate) struct Body<T>(pub(crate) T);

impl<T: Wire, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        require_json(request.headers())?;
        let limit = request.extensions().get::<BodyLimit>().map_or(0, |limit| limit.0);
        let limited = Bytes::from_request(request, &()).await;
        let bytes = limited.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(limit),
            _ => invalid_request(None, format!("The body is incomplete: {}.", rejection.body_text()))
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
            return invalid_request(None, format!("The body is not JSON: {inner}."));
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
    json.end().map_err(|error| invalid_request(None, format!("The body is not JSON: {error}.")))?;
    Ok(parsed)
}

/// The query string.
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
    /// The name of a user or an organization.
    #[param(example = "dev")]
    pub(crate) namespace: String,
}

impl NamespacePath {
    /// The namespace. An invalid name is reported as not found.
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
    /// The namespace: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The name of the repository in its namespace; write a `/` in it as `%2F`.
    #[param(example = "website")]
    reponame: String,
}

/// A tag in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TagPath {
    /// The namespace: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The name of the repository in its namespace; write a `/` in it as `%2F`.
    #[param(example = "website")]
    reponame: String,
    /// The name of the tag; when reading, a digest is possible too.
    #[param(example = "1.0-stable")]
    pub(crate) tag: String,
}

/// A policy or mirror of a repository in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PolicyPath {
    /// The namespace: a user or an organization.
    #[param(example = "dev")]
    namespace: String,
    /// The name of the repository in its namespace; write a `/` in it as `%2F`.
    #[param(example = "website")]
    reponame: String,
    /// The identifier of the policy or mirror.
    #[param(format = Uuid)]
    id: String,
}

/// An object that is addressed by its identifier.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct IdPath {
    /// The identifier.
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

    /// The tag. An invalid name is reported as not found.
    pub(crate) fn tag(&self) -> Result<Tag, Problem> {
        self.parse()
    }

    /// The tag or digest. An invalid one is reported as not found.
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

    /// The identifier. An invalid one is reported with the code `missing`.
    pub(crate) fn id<T: FromStr>(&self, missing: Code) -> Result<T, Problem> {
        id(&self.id, missing)
    }
}

impl IdPath {
    /// The identifier. An invalid one is reported with the code `missing`.
    pub(crate) fn id<T: FromStr>(&self, missing: Code) -> Result<T, Problem> {
        id(&self.id, missing)
    }
}

fn id<T: FromStr>(text: &str, missing: Code) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(missing, format!("“{text}” is not a valid identifier.")))
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
    fn a_mistake_in_a_body_is_reported_with_its_place() {
        let syntax = refusal("{\"enabled\": tru");
        assert_eq!(syntax.code, Code::InvalidRequest);
        assert!(syntax.message.contains("line 1"), "{syntax}");
        let kind = refusal("{\"enabled\": \"yes\"}");
        assert!(kind.about("enabled").is_some(), "{kind:?}");
        assert!(refusal("{} trailing").message.contains("cannot be read"));
        assert!(refusal("").message.contains("not JSON"));
        assert!(refusal("{\"enabled\": true} x").message.contains("trailing"));
    }

    #[test]
    fn semantics_10_unknown_members_are_tolerated_outside_rules_and_rejected_inside() {
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
