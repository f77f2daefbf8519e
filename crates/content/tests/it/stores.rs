//! Behaviours that all stores share, on disk and in a bucket.

use crate::fixture::{Bucket, filled, piece, read, sha256};
use bytes::Bytes;
use futures::TryStreamExt;
use longshore_content::{DiskStore, Store, StoreError};
use longshore_model::UploadId;
use longshore_oci::Span;
use longshore_testkit::S3Server;

/// Runs each behaviour over each store.
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod on_disk {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(&super::DiskStore::open(folder.path()).unwrap()).await;
                assert_eq!(crate::fixture::files_below(folder.path()), 0);
            })*
        }

        mod in_a_bucket {
            $(#[tokio::test]
            async fn $name() {
                let server = super::S3Server::start().await;
                super::$name(&super::Bucket::store(&server)).await;
                assert_eq!(server.objects(), Vec::<String>::new());
            })*
        }
    };
}

behaviours! {
    a_blob_is_written_stored_read_in_parts_and_removed,
    an_upload_resumes_after_the_saved_bytes_and_discards_the_rest,
    reading_beyond_the_end_of_a_blob_fails,
    an_empty_upload_becomes_an_empty_blob,
    an_upload_that_never_existed_cannot_be_resumed_or_committed,
}

async fn a_blob_is_written_stored_read_in_parts_and_removed(store: &dyn Store) {
    let upload = UploadId::new();
    let bytes = filled(1_200_000, 1);
    let mut writer = store.begin(upload).await.unwrap();
    let frames = bytes.chunks(65_537).map(Bytes::copy_from_slice).collect();
    writer.append(frames).await.unwrap();
    writer.save().await.unwrap();
    assert_eq!(store.uploads().await.unwrap(), [upload]);

    let location = store.commit(upload, &sha256(&bytes)).await.unwrap();
    assert_eq!(store.uploads().await.unwrap(), []);
    for (start, length) in [(0, bytes.len()), (0, 1), (262_143, 2), (1_199_999, 1), (5, 700_000)] {
        let span = Span { start: start as u64, length: length as u64 };
        let got = read(store.read(&location, span).await.unwrap()).await;
        assert!(got == bytes[start..start + length], "{start}+{length}");
    }
    store.remove(&location).await.unwrap();
    store.remove(&location).await.unwrap();
}

async fn an_upload_resumes_after_the_saved_bytes_and_discards_the_rest(store: &dyn Store) {
    let upload = UploadId::new();
    let mut writer = store.begin(upload).await.unwrap();
    writer.append(piece(b"saved")).await.unwrap();
    writer.save().await.unwrap();
    writer.append(piece(b"not counted")).await.unwrap();
    writer.save().await.unwrap();
    writer.append(piece(b"not saved")).await.unwrap();
    let mark = writer.bookmark();
    drop(writer);
    let mut writer = store.resume(upload, 5, mark.as_deref()).await.unwrap();
    writer.append(piece(b" more")).await.unwrap();
    writer.save().await.unwrap();
    writer.counted().await;
    let mark = writer.bookmark();
    drop(writer);
    assert_eq!(read(store.read_back(upload, 10, mark.as_deref()).await.unwrap()).await, b"saved more");

    let mut writer = store.resume(upload, 5, mark.as_deref()).await.unwrap();
    writer.save().await.unwrap();
    writer.counted().await;
    let mark = writer.bookmark();
    let mark = mark.as_deref();
    assert!(matches!(store.resume(upload, 99, mark).await, Err(StoreError::UploadLost { .. })));
    store.abort(upload, mark).await.unwrap();
    store.abort(upload, mark).await.unwrap();
    assert!(matches!(store.resume(upload, 5, mark).await, Err(StoreError::UploadLost { .. })));
}

async fn reading_beyond_the_end_of_a_blob_fails(store: &dyn Store) {
    let upload = UploadId::new();
    let mut writer = store.begin(upload).await.unwrap();
    writer.append(piece(b"who")).await.unwrap();
    writer.save().await.unwrap();
    let location = store.commit(upload, &sha256(b"who")).await.unwrap();
    let short = store.read(&location, Span { start: 0, length: 5 }).await.unwrap();
    let error = short.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let behind = match store.read(&location, Span { start: 4, length: 1 }).await {
        Ok(stream) => stream.try_collect::<Vec<_>>().await.is_err(),
        Err(_) => true,
    };
    assert!(behind);
    store.remove(&location).await.unwrap();
}

async fn an_empty_upload_becomes_an_empty_blob(store: &dyn Store) {
    let upload = UploadId::new();
    let mut writer = store.begin(upload).await.unwrap();
    writer.append(Vec::new()).await.unwrap();
    writer.save().await.unwrap();
    let location = store.commit(upload, &sha256(b"")).await.unwrap();
    assert_eq!(read(store.read(&location, Span { start: 0, length: 0 }).await.unwrap()).await, b"");
    store.remove(&location).await.unwrap();
}

async fn an_upload_that_never_existed_cannot_be_resumed_or_committed(store: &dyn Store) {
    let upload = UploadId::new();
    assert!(matches!(store.resume(upload, 5, None).await, Err(StoreError::UploadLost { .. })));
    assert!(matches!(store.resume(upload, 50_000_000, None).await, Err(StoreError::UploadLost { .. })));
    assert!(store.commit(upload, &sha256(b"x")).await.is_err());
    store.abort(upload, None).await.unwrap();
    assert_eq!(store.uploads().await.unwrap(), []);
}
