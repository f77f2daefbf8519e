//! Error codes and the error body of the distribution API (distribution-spec, "Error Codes").

use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $wire:literal, $status:literal, $message:literal;)*) => {
        /// An error code.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A code of another registry that is not in the specification.
            Other(String),
        }

        impl ErrorCode {
            /// All codes that this registry returns. For client errors, the specification allows no others.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The code as sent.
            pub fn as_str(&self) -> &str {
                match self {
                    $(ErrorCode::$variant => $wire,)*
                    ErrorCode::Other(code) => code,
                }
            }

            /// The usual HTTP status of the code.
            pub fn status(&self) -> u16 {
                match self {
                    $(ErrorCode::$variant => $status,)*
                    ErrorCode::Other(_) => 500,
                }
            }

            /// The message of the specification, used if there is no more precise one.
            pub fn message(&self) -> &str {
                match self {
                    $(ErrorCode::$variant => $message,)*
                    ErrorCode::Other(_) => "unknown error",
                }
            }
        }

        impl From<&str> for ErrorCode {
            fn from(code: &str) -> Self {
                match code {
                    $($wire => ErrorCode::$variant,)*
                    other => ErrorCode::Other(other.to_owned()),
                }
            }
        }
    };
}

error_codes! {
    /// code-1
    BlobUnknown = "BLOB_UNKNOWN", 404, "blob unknown to registry";
    /// code-2
    BlobUploadInvalid = "BLOB_UPLOAD_INVALID", 400, "blob upload invalid";
    /// code-3
    BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry";
    /// code-4
    DigestInvalid = "DIGEST_INVALID", 400, "provided digest did not match uploaded content";
    /// code-5
    ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN", 400, "manifest references a manifest or blob unknown to registry";
    /// code-6
    ManifestInvalid = "MANIFEST_INVALID", 400, "manifest invalid";
    /// code-7
    ManifestUnknown = "MANIFEST_UNKNOWN", 404, "manifest unknown to registry";
    /// code-8
    NameInvalid = "NAME_INVALID", 400, "invalid repository name";
    /// code-9
    NameUnknown = "NAME_UNKNOWN", 404, "repository name not known to registry";
    /// code-10
    SizeInvalid = "SIZE_INVALID", 400, "provided length did not match content length";
    /// code-11
    Unauthorized = "UNAUTHORIZED", 401, "authentication required";
    /// code-12
    Denied = "DENIED", 403, "requested access to the resource is denied";
    /// code-13
    Unsupported = "UNSUPPORTED", 405, "the operation is unsupported";
    /// code-14
    TooManyRequests = "TOOMANYREQUESTS", 429, "too many requests";
    /// The server failed. In common use, but not in the specification.
    Unknown = "UNKNOWN", 500, "unknown error";
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.as_str().into())
    }
}

/// The body of an error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Has at least one entry.
    pub errors: Vec<ErrorEntry>,
}

/// One error of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// For clients.
    pub code: ErrorCode,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Additional data.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl ErrorBody {
    /// A body with one error.
    pub fn one(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ErrorEntry { code, message: message.into(), detail: Value::Null }] }
    }

    /// A body with one error and its detail.
    pub fn with_detail(code: ErrorCode, message: impl Into<String>, detail: Value) -> Self {
        Self { errors: vec![ErrorEntry { code, message: message.into(), detail }] }
    }
}

impl From<ErrorCode> for ErrorBody {
    fn from(code: ErrorCode) -> Self {
        let message = code.message().to_owned();
        Self::one(code, message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_as_it_is_written() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(&ErrorBody::from(code.clone())).unwrap();
            assert_eq!(&serde_json::from_str::<ErrorBody>(&json).unwrap().errors[0].code, code);
        }
    }

    #[test]
    fn errors_of_other_registries_may_have_unknown_codes_and_lack_members() {
        let body: ErrorBody = serde_json::from_str(r#"{"errors":[{"code":"QUOTA"}]}"#).unwrap();
        assert_eq!(body.errors[0].code, ErrorCode::Other("QUOTA".into()));
        assert_eq!(body.errors[0].message, "");
    }
}
