//! The error type of server functions.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use longshore_model::{Code, Problem};
use serde::{Deserialize, Serialize};

use crate::sentence::sentence;

/// A [`Problem`] returned to the page, or a transport failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppError(pub Problem);

impl AppError {
    /// The error of one form field.
    #[must_use]
    pub fn about(&self, field: &str) -> Option<String> {
        self.0.about(field).map(sentence)
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sentence(&self.0.message))
    }
}

impl std::error::Error for AppError {}

impl From<Problem> for AppError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self(match error {
            ServerFnErrorErr::Request(_) => Problem::new(
                Code::Internal,
                "The server cannot be reached. Nothing was lost; try again when the connection is back.",
            ),
            ServerFnErrorErr::Args(why) => Problem::new(
                Code::InvalidRequest,
                format!("The form cannot be read: {}. {OLDER}", beginning(&why)),
            ),
            // On the server, the request is unreadable; in the browser, the response.
            #[cfg(feature = "ssr")]
            ServerFnErrorErr::Deserialization(why) => Problem::new(
                Code::InvalidRequest,
                format!("The request cannot be read: {}. {OLDER}", beginning(&why)),
            ),
            ServerFnErrorErr::MissingArg(field) => {
                Problem::field(Code::InvalidRequest, &field, format!("{field} is missing."))
            }
            #[cfg(not(feature = "ssr"))]
            ServerFnErrorErr::Deserialization(_) => Problem::new(
                Code::Internal,
                "The server answered with something that this page cannot read. It may be restarting, or have been \
                 updated since the page was loaded: load the page again.",
            ),
            other => Problem::new(Code::Internal, format!("{other}. Load the page again.")),
        })
    }
}

/// Advice if page and server are of different versions.
const OLDER: &str = "If the server was updated since the page was loaded, load the page again.";

/// The beginning of a reason. It quotes the unreadable data, which may be of any length.
fn beginning(why: &str) -> String {
    const READ: usize = 200;
    match why.char_indices().nth(READ) {
        Some((end, _)) => format!("{}…", &why[..end]),
        None => why.to_owned(),
    }
}
