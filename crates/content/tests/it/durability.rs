//! The order in which things become durable (semantics 26).

use crate::fixture::{House, sha256, whole};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use longshore_content::{ByteStream, DiskStore, Error, Kept, Note, Store, StoreError, Writer};
use longshore_model::UploadId;
use longshore_oci::media_type::{OCI_CONFIG, OCI_MANIFEST};
use longshore_oci::{Digest, Span};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The calls to the store, in order.
type Events = Arc<Mutex<Vec<&'static str>>>;

/// A disk store that records its calls and waits for a permit before each commit.
struct Recording {
    disk: DiskStore,
    events: Events,
    commits: Arc<Semaphore>,
}

struct RecordingWriter(Box<dyn Writer>, Events);

impl Writer for RecordingWriter {
    fn append(&mut self, frames: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.1.lock().unwrap().push("append");
        self.0.append(frames)
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.0.save().await?;
            self.1.lock().unwrap().push("saved");
            Ok(())
        }
        .boxed()
    }
}

impl Store for Recording {
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        self.disk.note(note)
    }

    fn set_note(&self, note: Note, text: String) -> BoxFuture<'_, Result<(), StoreError>> {
        self.disk.set_note(note, text)
    }

    fn is_shared(&self) -> bool {
        self.disk.is_shared()
    }

    fn begin(&self, upload: UploadId) -> BoxFuture<'_, Result<Box<dyn Writer>, StoreError>> {
        async move {
            let writer = self.disk.begin(upload).await?;
            Ok(Box::new(RecordingWriter(writer, self.events.clone())) as Box<dyn Writer>)
        }
        .boxed()
    }

    fn resume<'s>(
        &'s self,
        upload: UploadId,
        offset: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<Box<dyn Writer>, StoreError>> {
        self.disk.resume(upload, offset, bookmark)
    }

    fn read_back<'s>(
        &'s self,
        upload: UploadId,
        length: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<ByteStream, StoreError>> {
        self.disk.read_back(upload, length, bookmark)
    }

    fn commit(&self, upload: UploadId, digest: &Digest) -> BoxFuture<'_, Result<String, StoreError>> {
        let digest = digest.clone();
        async move {
            self.events.lock().unwrap().push("commit");
            self.commits.acquire().await.unwrap().forget();
            self.disk.commit(upload, &digest).await
        }
        .boxed()
    }

    fn abort<'s>(
        &'s self,
        upload: UploadId,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        self.disk.abort(upload, bookmark)
    }

    fn uploads(&self) -> BoxFuture<'_, Result<Vec<UploadId>, StoreError>> {
        self.disk.uploads()
    }

    fn read(&self, location: &str, span: Span) -> BoxFuture<'_, Result<ByteStream, StoreError>> {
        self.disk.read(location, span)
    }

    fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>> {
        self.disk.blobs()
    }

    fn remove(&self, location: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        self.disk.remove(location)
    }
}

#[tokio::test]
async fn semantics_26_a_manifest_is_accepted_only_after_its_blobs_are_durable() {
    let (events, commits) = (Events::default(), Arc::new(Semaphore::new(0)));
    let store = |disk| Recording { disk, events: events.clone(), commits: commits.clone() };
    let house = House::with(store).await;
    let config = sha256(b"{}");
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
                           "config": { "mediaType": OCI_CONFIG, "digest": config, "size": 2 } });

    let mut push = Box::pin(house.content.put_blob(&house.web, &config, None, whole(b"{}")));
    while !events.lock().unwrap().contains(&"commit") {
        assert!(push.as_mut().now_or_never().is_none(), "the commit is not allowed yet");
        tokio::task::yield_now().await;
    }
    assert_eq!(*events.lock().unwrap(), ["append", "saved", "commit"]);
    let early = house.put_manifest(&manifest, &["v1"]).await.unwrap_err();
    assert!(matches!(early, Error::ManifestBlobUnknown { .. }), "{early}");

    commits.add_permits(1);
    push.await.unwrap();
    house.put_manifest(&manifest, &["v1"]).await.unwrap();
}
