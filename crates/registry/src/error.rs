//! Error responses: the error body of the specification ("Error Codes"), with messages that tell users how to fix the
//! problem.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use longshore_content::{CreateError, Error, StoreError};
use longshore_metadata::storage::QuotaExceeded;
use longshore_oci::{ErrorBody, ErrorCode, ErrorEntry, ManifestError, RouteError};
use serde_json::{Value, json};

/// The maximum number of missing parts of a manifest that an error names; a manifest of 4 MiB may lack thousands.
const MAX_NAMED_PARTS: usize = 100;

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    body: ErrorBody,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::detailed(code, message, Value::Null)
    }

    pub(crate) fn detailed(code: ErrorCode, message: impl Into<String>, detail: Value) -> Self {
        let status = StatusCode::from_u16(code.status()).expect("every code has a valid status");
        Self { status, body: ErrorBody::with_detail(code, message, detail), headers: Vec::new() }
    }

    /// The same failure with another status than that of its code.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same failure with an additional header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A failure of the server itself. The cause is logged and not sent to the client.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "a registry request failed");
        Self::new(ErrorCode::Unknown, "an internal error occurred; see the server's log, or try again later")
    }
}

/// An error with its causes. A cause that is already part of the text is not repeated.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body).expect("strings and JSON values can be written as JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error {
            RouteError::NotFound => failure.status(StatusCode::NOT_FOUND),
            RouteError::Name(_) | RouteError::Digest(_) | RouteError::Reference(_) => failure,
        }
    }
}

impl From<longshore_metadata::Error> for Failure {
    fn from(error: longshore_metadata::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        let message = error.to_string();
        match error {
            CreateError::NoSuchNamespace(_) => Self::new(ErrorCode::NameUnknown, message),
            CreateError::Exists(_) | CreateError::Reserved(_) => Self::new(ErrorCode::Denied, message),
            CreateError::Metadata(error) => error.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::BlobUnknown { digest, .. } => {
                Self::detailed(ErrorCode::BlobUnknown, message, json!({ "digest": digest }))
            }
            Error::ManifestUnknown { reference, .. } => {
                Self::detailed(ErrorCode::ManifestUnknown, message, json!({ "reference": reference }))
            }
            Error::ManifestBlobUnknown { digests, repository } => {
                let entry = |digest| ErrorEntry {
                    code: ErrorCode::ManifestBlobUnknown,
                    message: format!(
                        "the manifest references {digest}, which {repository} does not have; push that first"
                    ),
                    detail: json!({ "digest": digest }),
                };
                let named = digests.into_iter().take(MAX_NAMED_PARTS);
                let body = ErrorBody { errors: named.map(entry).collect() };
                Self { body, ..Self::new(ErrorCode::ManifestBlobUnknown, "") }
            }
            Error::DigestMismatch { expected, actual } => {
                let detail = json!({ "expected": expected, "actual": actual });
                Self::detailed(ErrorCode::DigestInvalid, message, detail)
            }
            Error::SizeMismatch { expected, actual } => {
                let detail = json!({ "expected": expected, "actual": actual });
                Self::detailed(ErrorCode::SizeInvalid, message, detail)
            }
            Error::UploadUnknown { .. } => Self::new(ErrorCode::BlobUploadUnknown, message),
            Error::RangeNotSatisfiable { offset } | Error::UploadBusy { offset } => {
                Self::detailed(ErrorCode::BlobUploadInvalid, message, json!({ "offset": offset }))
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
            }
            Error::BrokenOff(_) => Self::new(ErrorCode::BlobUploadInvalid, message),
            Error::ManifestInvalid(ManifestError::TooLarge(_)) => {
                Self::new(ErrorCode::SizeInvalid, message).status(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Error::ManifestInvalid(_) => Self::new(ErrorCode::ManifestInvalid, message),
            Error::TagImmutable { existing, .. } => {
                Self::detailed(ErrorCode::Denied, message, json!({ "existing": existing }))
                    .status(StatusCode::CONFLICT)
            }
            // Clients print the message of `DENIED` and do not retry.
            Error::NotWritable { .. } | Error::NotRestorable { .. } => Self::new(ErrorCode::Denied, message),
            Error::TooManyUploads { .. } => Self::new(ErrorCode::TooManyRequests, message)
                .header(header::RETRY_AFTER, HeaderValue::from_static("60")),
            Error::UploadsExceedQuota { namespace, quota } => {
                Self::detailed(ErrorCode::Denied, message, json!({ "namespace": namespace, "quota": quota }))
            }
            Error::QuotaExceeded(exceeded) => {
                let QuotaExceeded { namespace, quota, used, needed } = exceeded;
                let detail =
                    json!({ "namespace": namespace, "quota": quota, "used": used, "needed": needed });
                Self::detailed(ErrorCode::Denied, message, detail)
            }
            Error::InUse { by, .. } => {
                Self::detailed(ErrorCode::Unsupported, message, json!({ "manifest": by }))
                    .header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            Error::RepositoryGone(_) => Self::new(ErrorCode::NameUnknown, message),
            // Reported as it is: a client that pushes can only wait, but its user should know why.
            Error::Storage(StoreError::Full { .. }) => {
                tracing::error!("{message}");
                Self::new(ErrorCode::Unknown, "the registry's disk is full; notify its administrator")
                    .status(StatusCode::INSUFFICIENT_STORAGE)
            }
            Error::Storage(error) => Self::internal(&error),
            Error::Metadata(error) => Self::internal(&error),
        }
    }
}
