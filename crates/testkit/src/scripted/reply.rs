//! Responses, as complete or incomplete as a test wants.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use http::{Method, Response, StatusCode};
use longshore_oci::ErrorBody;
use tokio::sync::Semaphore;

/// The pieces of a body that is streamed.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// A response.
#[derive(Clone)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Body,
    has_length: bool,
}

#[derive(Clone)]
enum Body {
    Whole(Bytes),
    /// This number of bytes, then the connection breaks.
    Broken(Bytes, usize),
    /// Half of the bytes, and the rest when the gate is opened.
    Gated(Bytes, Arc<Semaphore>),
    Pieces(Arc<dyn Fn() -> Pieces + Send + Sync>),
}

/// A response with only a status and the length of its (empty) body.
pub fn reply(status: u16) -> Reply {
    let status = StatusCode::from_u16(status).expect("a status");
    Reply { status, headers: HeaderMap::new(), body: Body::Whole(Bytes::new()), has_length: true }
}

impl Reply {
    /// Adds a header, even if there is one with the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.headers.append(name.parse::<HeaderName>().expect("a header's name"), value);
        self
    }

    /// Adds a `Retry-After` header.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER.as_str(), seconds.to_string())
    }

    /// Sets a body without a content type.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// Sets a body with a content type.
    #[must_use]
    pub fn typed(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.remove(CONTENT_TYPE);
        self.header(CONTENT_TYPE.as_str(), content_type).body(body)
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.typed("application/json", value.to_string())
    }

    /// Sets an error body as in the distribution specification.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Self {
        let body = ErrorBody::one(code.into(), message);
        self.typed("application/json", serde_json::to_vec(&body).expect("it is plain"))
    }

    /// Sets a streamed body without a length, created again for each request.
    #[must_use]
    pub fn stream<S>(mut self, pieces: impl Fn() -> S + Send + Sync + 'static) -> Self
    where
        S: futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        self.body = Body::Pieces(Arc::new(move || pieces().boxed()));
        self.without_length()
    }

    /// Removes `Content-Length`: the body is chunked, and a HEAD does not return its length.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.has_length = false;
        self
    }

    /// Breaks the body off after this number of bytes.
    pub(super) fn broken(mut self, after: usize) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Broken(bytes, after);
        }
        self
    }

    /// Replaces the body by other bytes of the same length.
    pub(super) fn spoiled(mut self) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Whole(vec![b' '; bytes.len()].into());
        }
        self
    }

    /// Compresses the body and sets its encoding.
    pub(super) fn gzipped(mut self) -> Self {
        if let Body::Whole(bytes) = &self.body {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).expect("memory takes it");
            self.body = Body::Whole(encoder.finish().expect("memory takes it").into());
            self.headers.remove(CONTENT_LENGTH);
            self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self
    }

    pub(super) fn gated(mut self, gate: Arc<Semaphore>) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Gated(bytes, gate);
        }
        self
    }

    /// The HTTP response. For a HEAD, the length of the body is sent without the body.
    pub(super) fn into_response(self, method: &Method) -> Response<reqwest::Body> {
        let length = match &self.body {
            Body::Whole(bytes) | Body::Broken(bytes, _) | Body::Gated(bytes, _) => Some(bytes.len()),
            Body::Pieces(_) => None,
        };
        let mut response = Response::new(reqwest::Body::default());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(length) = length.filter(|_| self.has_length) {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        }
        if *method != Method::HEAD {
            *response.body_mut() = self.body.into_http(self.has_length);
        }
        response
    }
}

impl Body {
    fn into_http(self, has_length: bool) -> reqwest::Body {
        let pieces = match self {
            Body::Whole(bytes) if has_length => return bytes.into(),
            Body::Whole(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Body::Broken(mut bytes, after) => {
                let first = bytes.split_to(after.min(bytes.len()));
                // The error must follow after the bytes have been sent, or they are lost with the connection.
                let cut = stream::once(async {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    Err(std::io::Error::other("cut"))
                });
                stream::iter([Ok(first)]).chain(cut).boxed()
            }
            Body::Gated(mut bytes, gate) => {
                let first = bytes.split_to(bytes.len() / 2);
                let rest = stream::once(async move {
                    // An error means that it was opened permanently.
                    let _ = gate.acquire().await;
                    Ok(bytes)
                });
                stream::iter([Ok(first)]).chain(rest).boxed()
            }
            Body::Pieces(make) => make(),
        };
        reqwest::Body::wrap_stream(pieces)
    }
}
