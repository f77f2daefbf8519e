//! Checks for and fetches blobs of another registry (distribution-spec end-2).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use http::{Method, StatusCode};
use longshore_oci::{ByteRange, Digest, RemoteName, ScopeAction};

use crate::answer::{header, next_piece};
use crate::transport::Call;
use crate::{ContentEncoding, Error, Registry};

/// The bytes of a blob as they arrive. They are not verified; the caller hashes them when it stores them.
pub struct BlobStream {
    /// The offset of the first byte: the requested one, or 0 if the registry does not support ranges and the fetch
    /// starts over.
    pub offset: u64,
    /// The length of the whole blob, if the registry sent it.
    pub size: Option<u64>,
    /// The encoding that the registry claims; it may be wrong.
    pub encoding: Option<ContentEncoding>,
    pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(cx)
    }
}

impl BlobStream {
    /// Decodes the stream if its encoding is supported. It must begin at offset 0.
    ///
    /// # Errors
    /// The stream fails with [`Error::BadAnswer`] if the bytes do not have that encoding.
    #[must_use]
    pub fn decoded(self, host: &str, doing: &str) -> Self {
        let Some(decoder) = self.encoding.as_ref().and_then(ContentEncoding::decoder) else { return self };
        let wrong = self.encoding.as_ref().map(ContentEncoding::remedy).unwrap_or_default();
        let error = Error::BadAnswer { host: host.to_owned(), doing: doing.to_owned(), what: wrong };
        let begin = (self.pieces, decoder, Bytes::new(), Some(error));
        let pieces =
            stream::try_unfold(begin, |(mut pieces, mut decoder, mut piece, mut error)| async move {
                loop {
                    while piece.is_empty() {
                        match pieces.next().await.transpose()? {
                            Some(next) => piece = next,
                            None => return Ok(None),
                        }
                    }
                    match decoder.step(&mut piece) {
                        Ok(plain) if plain.is_empty() => {}
                        Ok(plain) => return Ok(Some((plain, (pieces, decoder, piece, error)))),
                        Err(_) => return error.take().map_or(Ok(None), Err),
                    }
                }
            });
        Self { pieces: pieces.boxed(), size: None, ..self }
    }
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStream")
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Whether a blob exists. If the registry forbids or does not support the request, the result is `false`: the
    /// upload will show (semantics 40).
    pub async fn has_blob(&self, repository: &RemoteName, digest: &Digest) -> Result<bool, Error> {
        let call = self.blob_call(Method::HEAD, repository, digest, "looking at");
        let doing = call.doing.clone();
        let response = match self.send(call).await {
            Ok(response) => response,
            Err(error) if error.may_mean_absent() => return Ok(false),
            Err(error) => return Err(error),
        };
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::FORBIDDEN
            | StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(false),
            _ => Err(self.refused(response, &doing).await),
        }
    }

    /// Fetches a blob from an offset on. If the connection breaks or stalls, the stream ends with an error; it never
    /// ends cleanly before the end of the blob.
    pub async fn get_blob(
        &self,
        repository: &RemoteName,
        digest: &Digest,
        from_offset: u64,
    ) -> Result<BlobStream, Error> {
        let mut call = self.blob_call(Method::GET, repository, digest, "fetching");
        if from_offset > 0 {
            let range = ByteRange::From(from_offset).to_string();
            call.headers.insert(RANGE, HeaderValue::from_str(&range).expect("digits and ASCII words"));
        }
        let doing = call.doing.clone();
        let response = self.expect(call, &[StatusCode::OK, StatusCode::PARTIAL_CONTENT]).await?;
        let (offset, size) = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(response.headers(), &CONTENT_RANGE).and_then(parse_content_range);
                let range = range.filter(|(first, _)| *first == from_offset);
                range.ok_or_else(|| self.bad_answer(&doing, "another range than was asked for"))?
            }
            _ => (0, length_of(response.headers())),
        };
        let encoding = ContentEncoding::of(response.headers());
        let host = self.host().to_owned();
        let pieces = stream::try_unfold((response, host, doing), |(mut response, host, doing)| async move {
            let piece = next_piece(&mut response, &host, &doing).await?;
            Ok(piece.map(|piece| (piece, (response, host, doing))))
        });
        Ok(BlobStream { offset, size, encoding, pieces: pieces.boxed() })
    }

    fn blob_call(&self, method: Method, repository: &RemoteName, digest: &Digest, doing: &str) -> Call {
        let url = self.repository_url(repository, &format!("blobs/{digest}"));
        let doing = format!("{doing} blob {} of {repository}", digest.short());
        Call::new(method, url, vec![self.scope(repository, &[ScopeAction::Pull])], doing)
            .content_addressed(true)
    }
}

/// The `Content-Length` header itself: for HEAD, the HTTP client reports the length of the body, which is 0.
fn length_of(headers: &HeaderMap) -> Option<u64> {
    header(headers, &CONTENT_LENGTH)?.parse().ok()
}

/// `bytes first-last/total`: the first offset, and the total unless it is `*`.
fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(parse_content_range("bytes */10"), None);
        assert_eq!(parse_content_range(""), None);
    }
}
