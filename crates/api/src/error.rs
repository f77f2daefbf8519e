//! Error responses: `{"errors":[{"code","message","detail"}]}`. The codes of use cases are defined in `model`, those of
//! HTTP itself here.

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use longshore_model::{Code, Problem};
use serde::Serialize;
use utoipa::ToSchema;

/// An error response.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Errors {
    /// The errors; one entry per invalid field, otherwise a single entry.
    errors: Vec<ErrorEntry>,
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEntry {
    /// The kind of error, for programs.
    #[schema(example = "INVALID_PROMOTION_POLICY")]
    code: String,
    /// What is wrong, why, and how to fix it; for people.
    message: String,
    /// The location of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<ErrorDetail>,
}

/// The location of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// The invalid field.
    #[schema(example = "rules[0].values")]
    field: String,
}

impl Errors {
    fn of(code: &str, message: impl Into<String>) -> Self {
        Self { errors: vec![ErrorEntry { code: code.to_owned(), message: message.into(), detail: None }] }
    }
}

impl From<Problem> for Errors {
    fn from(problem: Problem) -> Self {
        let code = problem.code.as_str();
        if problem.fields.is_empty() {
            return Self::of(code, problem.message);
        }
        let entry = |field: longshore_model::FieldError| ErrorEntry {
            code: code.to_owned(),
            message: field.message,
            detail: Some(ErrorDetail { field: field.field }),
        };
        Self { errors: problem.fields.into_iter().map(entry).collect() }
    }
}

/// The error of a handler.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = problem.retry_after;
        let mut response = (status, Json(Errors::from(problem))).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The response to a request that is rejected before it reaches a handler, such as one with wrong credentials. The
/// headers of the request decide whether a 401 contains a challenge.
#[must_use]
pub fn refuse(problem: Problem, request: &HeaderMap) -> Response {
    let mut response = ApiError(problem).into_response();
    challenge(request, &mut response);
    response
}

/// Adds a challenge to a 401, so that clients send their credentials. Omitted for requests made by scripts in a
/// browser, since the browser would open its own password dialog over the page.
pub(crate) fn challenge(request: &HeaderMap, response: &mut Response) {
    let by_script = request.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    if response.status() == StatusCode::UNAUTHORIZED && !by_script {
        let basic = HeaderValue::from_static("Basic realm=\"Longshore\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    }
}

/// A body or query that cannot be read.
pub(crate) fn invalid_request(field: Option<String>, message: impl Into<String>) -> ApiError {
    ApiError(match field {
        Some(field) => Problem::field(Code::InvalidRequest, field, message),
        None => Problem::new(Code::InvalidRequest, message),
    })
}

/// 404 for a path that does not exist.
pub(crate) async fn no_such_path(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let message = format!(
        "There is no endpoint {method} {}; see /api/docs. Write a / in a repository's name as %2F.",
        uri.path()
    );
    (StatusCode::NOT_FOUND, Json(Errors::of("NO_SUCH_PATH", message))).into_response()
}

/// 405 for a path that does not support the method.
pub(crate) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let message = format!("{} does not support {method}; see the header Allow.", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(Errors::of("METHOD_NOT_ALLOWED", message))).into_response()
}

/// 415 for a body that is not declared as JSON.
pub(crate) fn unsupported_media_type(given: &str) -> Response {
    let message = format!("The body must be JSON with “Content-Type: application/json”, not “{given}”.");
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, Json(Errors::of("UNSUPPORTED_MEDIA_TYPE", message))).into_response()
}

/// 413 for a body that is too large.
pub(crate) fn too_large(limit: usize) -> Response {
    let message = format!("The body is larger than {limit} bytes.");
    (StatusCode::PAYLOAD_TOO_LARGE, Json(Errors::of("REQUEST_TOO_LARGE", message))).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_invalid_field_has_its_own_entry() {
        let field = |field: &str, message: &str| longshore_model::FieldError {
            field: field.to_owned(),
            message: message.to_owned(),
        };
        let problem = Problem::fields(
            Code::InvalidPromotionPolicy,
            vec![field("tagTemplate", "a lone %"), field("rules[0].values", "no value")],
        );
        let json = serde_json::to_value(Errors::from(problem.unwrap())).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"errors": [
                {"code": "INVALID_PROMOTION_POLICY", "message": "a lone %", "detail": {"field": "tagTemplate"}},
                {"code": "INVALID_PROMOTION_POLICY", "message": "no value", "detail": {"field": "rules[0].values"}},
            ]})
        );
    }

    #[test]
    fn a_script_in_a_browser_gets_no_password_dialog() {
        let refused = |mode: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(mode) = mode {
                headers.insert("sec-fetch-mode", mode.parse().unwrap());
            }
            refuse(Problem::new(Code::NotAuthenticated, "sign in"), &headers)
        };
        assert!(refused(None).headers().contains_key(header::WWW_AUTHENTICATE));
        assert!(refused(Some("navigate")).headers().contains_key(header::WWW_AUTHENTICATE));
        assert!(!refused(Some("cors")).headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
