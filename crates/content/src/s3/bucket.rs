//! A bucket: the names of the objects in it, the requests that the store makes, and errors that say
//! which object of which bucket failed and what to do. What the objects mean is not known here.

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

/// The end of the name of an upload's state object.
const STATE: &str = "state";
/// The folder of what is a blob, or may become one as it is.
const BLOBS: &str = "blobs";

/// The client of one bucket, below one prefix.
#[derive(Debug)]
pub(super) struct Bucket {
    client: AmazonS3,
    name: String,
    prefix: Path,
}

/// The name of one writer of an upload, which no other has. It is the bookmark of a small upload.
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

    /// An object by its key below the prefix: what the rest of the registry knows as location.
    pub(super) fn at(&self, location: &str) -> Path {
        let parts = Path::from(location);
        self.prefix.parts().chain(parts.parts()).collect()
    }

    /// Where a writer stores an upload that fits into one part.
    pub(super) fn small(upload: UploadId, by: &WriterName) -> String {
        format!("{BLOBS}/{upload}-{by}")
    }

    /// Where an upload is stored that does not. Another key than that of a small one, so that who
    /// drops the leftovers of one can never meet the other.
    pub(super) fn big(upload: UploadId) -> String {
        format!("{BLOBS}/{upload}-parts")
    }

    pub(super) fn state(&self, upload: UploadId) -> Path {
        self.at(&format!("uploads/{upload}/{STATE}"))
    }

    pub(super) fn tail(&self, upload: UploadId, number: u32) -> Path {
        self.at(&format!("uploads/{upload}/tail-{number}"))
    }

    /// The error for what the storage said about an object.
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

    /// The error for something that went wrong on this side.
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

    /// A whole object, or the first `length` bytes of it; nothing, when it is not there.
    pub(super) async fn get(&self, key: &Path, length: Option<u64>) -> Result<Option<Bytes>, StoreError> {
        if length == Some(0) {
            return Ok(Some(Bytes::new()));
        }
        let range = length.map(|length| GetRange::Bounded(0..length));
        let options = GetOptions { range, ..GetOptions::default() };
        let got = async { self.client.get_opts(key, options).await?.bytes().await };
        found(got.await).map_err(self.failed("read", key))
    }

    /// How long an object is; nothing, when it is not there.
    pub(super) async fn length(&self, key: &Path) -> Result<Option<u64>, StoreError> {
        let head = found(self.client.head(key).await).map_err(self.failed("look at", key))?;
        Ok(head.map(|head| head.size))
    }

    /// Removes an object. One that is not there is fine.
    pub(super) async fn delete(&self, key: &Path) -> Result<(), StoreError> {
        found(self.client.delete(key).await).map(drop).map_err(self.failed("remove", key))
    }

    /// Reads a part of an object. The stream fails when the object ends before the span does.
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

    /// The blobs, and the small uploads among them.
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

    /// Asks for something that costs little, to learn whether the bucket is there and open to us.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let folder = self.at("uploads");
        let first = self.client.list(Some(&folder)).try_next().await;
        first.map(drop).map_err(self.failed("list", &folder))
    }

    pub(super) async fn begin_parts(&self, key: &Path) -> Result<String, StoreError> {
        self.client.create_multipart(key).await.map_err(self.failed("begin to store", key))
    }

    /// Stores a part, and answers its entity tag.
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

    /// Drops the parts of a multipart upload. One that is not there (any more) is fine.
    pub(super) async fn abort_parts(&self, key: &Path, multipart: &str) -> Result<(), StoreError> {
        let aborted = self.client.abort_multipart(key, &multipart.to_owned()).await;
        found(aborted).map(drop).map_err(self.failed("drop the parts of", key))
    }

    pub(super) async fn sign(&self, key: &Path, ttl: Duration) -> Result<Url, StoreError> {
        let signed = self.client.signed_url(http::Method::GET, key, ttl).await;
        signed.map_err(self.failed("sign an address for", key))
    }
}

/// Tells an object that is not there from a bucket that is not.
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

/// What an XML element of an answer holds that the client quotes in its error.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(value, _)| value)
}

fn code_of(error: &Error) -> Option<String> {
    element(&error.to_string(), "Code").map(str::to_owned)
}

/// The cause of an error in short, and what to do about it. The storage's own words are in an XML
/// document that the client quotes whole; those of the network, at the very end of the chain.
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
        (Error::NotFound { .. }, _) => "something else removed it; restore it, or push it again",
        _ => "check that the storage can be reached and is well, then try again",
    };
    (cause, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_storage_is_told_in_one_sentence() {
        let body = "403 Forbidden: <Error><Code>AccessDenied</Code><Message>Not yours.</Message></Error>";
        let error = Error::PermissionDenied { path: "blobs/x".into(), source: body.into() };
        let (cause, advice) = explain(&error);
        assert_eq!(cause, "AccessDenied, Not yours");
        assert!(advice.contains("secret key"), "{advice}");
    }
}
