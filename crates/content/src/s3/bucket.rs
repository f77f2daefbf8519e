//! The client of a bucket: the names of its objects, the requests that the store makes, and errors that say which
//! object of which bucket failed and what to do. It does not know what the objects mean.

use super::settings::S3Settings;
use crate::store::{ByteStream, Kept, StoreError};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use longshore_model::{Timestamp, UploadId};
use longshore_oci::Span;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// The last part of the key of an upload's state object.
const STATE: &str = "state";
/// The folder of blobs, and of uploads that become blobs without being copied.
const BLOBS: &str = "blobs";

/// The client of one bucket, limited to one prefix.
#[derive(Debug)]
pub(super) struct Bucket {
    client: AmazonS3,
    name: String,
    prefix: Path,
}

/// The unique name of one writer of an upload. It is the bookmark of a small upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WriterName(String);

impl WriterName {
    pub(super) fn new() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }

    pub(super) fn from_bookmark(bookmark: &str) -> Self {
        Self(bookmark.to_owned())
    }

    pub(super) fn into_bookmark(self) -> String {
        self.0
    }
}

impl fmt::Display for WriterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Bucket {
    pub(super) fn open(settings: &S3Settings) -> Result<Self, StoreError> {
        let prefix = Path::from(settings.prefix.as_str());
        Ok(Self { client: settings.client()?, name: settings.bucket.clone(), prefix })
    }

    /// The object with this key below the prefix; the rest of the registry calls the key a location.
    pub(super) fn at(&self, location: &str) -> Path {
        let parts = Path::from(location);
        self.prefix.parts().chain(parts.parts()).collect()
    }

    /// The location of an upload that fits into one part.
    pub(super) fn small(upload: UploadId, by: &WriterName) -> String {
        format!("{BLOBS}/{upload}-{by}")
    }

    /// The location of an upload that does not fit into one part. It differs from that of a small one, so that dropping
    /// the leftovers of one never affects the other.
    pub(super) fn big(upload: UploadId) -> String {
        format!("{BLOBS}/{upload}-parts")
    }

    pub(super) fn state(&self, upload: UploadId) -> Path {
        self.at(&format!("uploads/{upload}/{STATE}"))
    }

    pub(super) fn tail(&self, upload: UploadId, number: u32) -> Path {
        self.at(&format!("uploads/{upload}/tail-{number}"))
    }

    /// The error for a response of the storage about an object.
    pub(super) fn failed(
        &self,
        action: &'static str,
        key: &Path,
    ) -> impl Fn(Error) -> StoreError + Send + use<> {
        let (key, bucket) = (key.to_string(), self.name.clone());
        move |error| {
            let (key, bucket) = (key.clone(), bucket.clone());
            let (cause, advice) = explain(&error);
            let is_short = code_of(&error).as_deref() == Some("InvalidRange");
            let missing = is_short || matches!(found(Err::<(), _>(error)), Ok(None));
            StoreError::Bucket { action, key, bucket, cause, advice, missing }
        }
    }

    /// The error for a problem on this side.
    pub(super) fn refused(
        &self,
        action: &'static str,
        key: &Path,
        cause: &str,
        advice: &'static str,
    ) -> StoreError {
        let (key, bucket, cause) = (key.to_string(), self.name.clone(), cause.to_owned());
        StoreError::Bucket { action, key, bucket, cause, advice, missing: false }
    }

    pub(super) async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), StoreError> {
        self.client.put(key, bytes.into()).await.map(drop).map_err(self.failed("store", key))
    }

    /// A whole object, or its first `length` bytes; `None` if it does not exist.
    pub(super) async fn get(&self, key: &Path, length: Option<u64>) -> Result<Option<Bytes>, StoreError> {
        if length == Some(0) {
            return Ok(Some(Bytes::new()));
        }
        let range = length.map(|length| GetRange::Bounded(0..length));
        let options = GetOptions { range, ..GetOptions::default() };
        let got = async { self.client.get_opts(key, options).await?.bytes().await };
        found(got.await).map_err(self.failed("read", key))
    }

    /// The length of an object; `None` if it does not exist.
    pub(super) async fn length(&self, key: &Path) -> Result<Option<u64>, StoreError> {
        let head = found(self.client.head(key).await).map_err(self.failed("look at", key))?;
        Ok(head.map(|head| head.size))
    }

    /// Deletes an object. It is no error if it does not exist.
    pub(super) async fn delete(&self, key: &Path) -> Result<(), StoreError> {
        found(self.client.delete(key).await).map(drop).map_err(self.failed("remove", key))
    }

    /// Reads a part of an object. The stream fails if the object ends before the span does.
    pub(super) async fn stream(&self, key: &Path, span: Span) -> Result<ByteStream, StoreError> {
        if span.length == 0 {
            return Ok(futures::stream::empty().boxed());
        }
        let range = GetRange::Bounded(span.start..span.start + span.length);
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let got = self.client.get_opts(key, options).await.map_err(self.failed("read", key))?;
        let bytes = got.into_stream().map_err(io::Error::from).boxed();
        let whole = futures::stream::unfold((bytes, span.length), |(mut bytes, missing)| async move {
            match bytes.next().await {
                Some(Ok(chunk)) => {
                    let missing = missing.saturating_sub(chunk.len() as u64);
                    Some((Ok(chunk), (bytes, missing)))
                }
                Some(Err(error)) => Some((Err(error), (futures::stream::empty().boxed(), 0))),
                None if missing > 0 => {
                    let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                    Some((Err(short), (bytes, 0)))
                }
                None => None,
            }
        });
        Ok(whole.boxed())
    }

    /// The uploads that have a state object.
    pub(super) async fn states(&self) -> Result<Vec<UploadId>, StoreError> {
        let folder = self.at("uploads");
        let listed: Vec<_> =
            self.client.list(Some(&folder)).try_collect().await.map_err(self.failed("list", &folder))?;
        let uploads = listed.iter().filter_map(|object| {
            let mut below = object.location.prefix_match(&folder)?;
            let upload = below.next()?.as_ref().parse().ok()?;
            below.next().filter(|name| name.as_ref() == STATE).map(|_| upload)
        });
        Ok(uploads.collect())
    }

    /// The blobs, including small uploads.
    pub(super) fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>> {
        let folder = self.at(BLOBS);
        let listed = self.client.list(Some(&folder)).map_err(self.failed("list", &folder));
        let blobs = listed.map_ok(|object| {
            let name = object.location.filename().unwrap_or_default();
            let modified = Timestamp::from_microsecond(object.last_modified.timestamp_micros());
            Kept {
                location: format!("{BLOBS}/{name}"),
                size: object.size,
                modified: modified.unwrap_or(Timestamp::MAX),
            }
        });
        blobs.boxed()
    }

    /// Makes a cheap request to check that the bucket exists and can be accessed.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let folder = self.at("uploads");
        let first = self.client.list(Some(&folder)).try_next().await;
        first.map(drop).map_err(self.failed("list", &folder))
    }

    pub(super) async fn begin_parts(&self, key: &Path) -> Result<String, StoreError> {
        self.client.create_multipart(key).await.map_err(self.failed("begin to store", key))
    }

    /// Stores a part; returns its entity tag.
    pub(super) async fn put_part(
        &self,
        key: &Path,
        multipart: &str,
        index: usize,
        bytes: Bytes,
    ) -> Result<String, StoreError> {
        let payload = PutPayload::from(bytes);
        let stored = self.client.put_part(key, &multipart.to_owned(), index, payload).await;
        stored.map(|part| part.content_id).map_err(self.failed("store a part of", key))
    }

    pub(super) async fn complete_parts(
        &self,
        key: &Path,
        multipart: &str,
        etags: Vec<String>,
    ) -> Result<(), StoreError> {
        let parts = etags.into_iter().map(|content_id| object_store::multipart::PartId { content_id });
        let completed = self.client.complete_multipart(key, &multipart.to_owned(), parts.collect()).await;
        completed.map(drop).map_err(self.failed("put together the parts of", key))
    }

    /// Aborts a multipart upload. It is no error if it does not exist (any more).
    pub(super) async fn abort_parts(&self, key: &Path, multipart: &str) -> Result<(), StoreError> {
        let aborted = self.client.abort_multipart(key, &multipart.to_owned()).await;
        found(aborted).map(drop).map_err(self.failed("drop the parts of", key))
    }

    pub(super) async fn sign(&self, key: &Path, ttl: Duration) -> Result<Url, StoreError> {
        let signed = self.client.signed_url(http::Method::GET, key, ttl).await;
        signed.map_err(self.failed("sign an address for", key))
    }
}

/// Distinguishes a missing object (`None`) from a missing bucket (an error).
fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error @ Error::NotFound { .. }) if code_of(&error).as_deref() == Some("NoSuchBucket") => {
            Err(error)
        }
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of an XML element in a response that the client quotes in its error.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(value, _)| value)
}

fn code_of(error: &Error) -> Option<String> {
    element(&error.to_string(), "Code").map(str::to_owned)
}

/// A short cause of an error, and advice. The storage's own message is in an XML document that the client quotes in
/// full; a network error is at the end of the chain of sources.
fn explain(error: &Error) -> (String, &'static str) {
    let text = error.to_string();
    let code = element(&text, "Code");
    let cause = match (code, element(&text, "Message")) {
        (Some(code), Some(message)) if !message.is_empty() => {
            format!("{code}, {}", message.trim_end_matches('.'))
        }
        (Some(code), _) => code.to_owned(),
        (None, _) => {
            let deepest = std::iter::successors(error.source(), |error| (*error).source()).last();
            let deepest = deepest.map(ToString::to_string).filter(|deepest| !text.contains(deepest));
            deepest.map_or(text.clone(), |deepest| format!("{text}: {deepest}"))
        }
    };
    let advice = match (error, code) {
        (_, Some("NoSuchBucket")) => "create the bucket, or correct its name and region in the settings",
        (_, Some("SignatureDoesNotMatch" | "InvalidAccessKeyId"))
        | (Error::Unauthenticated { .. } | Error::PermissionDenied { .. }, _) => {
            "check the access key and the secret key, and what they may do in this bucket"
        }
        (Error::NotFound { .. }, _) => "it was removed by something else; restore it, or push it again",
        _ => "check that the storage is reachable and healthy, then try again",
    };
    (cause, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_of_the_storage_becomes_one_sentence() {
        let body = "403 Forbidden: <Error><Code>AccessDenied</Code><Message>Not yours.</Message></Error>";
        let error = Error::PermissionDenied { path: "blobs/x".into(), source: body.into() };
        let (cause, advice) = explain(&error);
        assert_eq!(cause, "AccessDenied, Not yours");
        assert!(advice.contains("secret key"), "{advice}");
    }
}
