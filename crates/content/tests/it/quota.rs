//! What counts against a quota: bytes that are arriving, manifests, and unfinished uploads.

use crate::fixture::{House, filled, now, sha256, whole};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use jiff::SignedDuration;
use longshore_content::{ByteStream, Chunk, Content, DiskStore, Error};
use longshore_metadata::{Priority, storage};
use longshore_model::ManualClock;
use longshore_oci::{Algorithm, Digest};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PIECE: usize = 64 * 1024;

async fn limit(house: &House, quota: u64) {
    let set = house.db.write::<_, longshore_metadata::Error, _>(Priority::Normal, move |tx| {
        async move { storage::set_quota(tx, &"dev".parse().unwrap(), Some(quota)).await }.boxed()
    });
    assert!(set.await.unwrap());
}

async fn held(house: &House) -> u64 {
    let mut conn = house.db.read().await.unwrap();
    storage::of_namespace(&mut conn, &"dev".parse().unwrap()).await.unwrap().storage.total
}

/// A body of `count` pieces without a known length, and the number of them that were read.
fn pieces(count: usize) -> (ByteStream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let body = futures::stream::iter(0..count).map(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from(vec![7; PIECE]))
    });
    (body.boxed(), asked)
}

fn chunk(body: ByteStream) -> Chunk {
    Chunk { start: None, body }
}

/// The digest of a blob that does not exist.
fn other() -> Digest {
    sha256(b"something else")
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_at_the_quota_and_leaves_nothing() {
    let house = House::new().await;
    limit(&house, 1024 * 1024).await;
    let (content, web) = (&house.content, &house.web);
    let begin = async || content.begin_upload(web, Algorithm::Sha256).await.unwrap();

    let (body, asked) = pieces(3200);
    let refused = content.put_blob(web, &other(), None, body).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    assert_eq!(asked.load(Ordering::Relaxed), 17, "in one request");

    let (body, asked) = pieces(3200);
    let upload = begin().await;
    let refused = content.append(web, upload, chunk(body)).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    assert_eq!(asked.load(Ordering::Relaxed), 17, "in a part");
    let gone = content.append(web, upload, chunk(whole(b"x"))).await.unwrap_err();
    assert!(matches!(gone, Error::UploadUnknown { .. }), "{gone}");

    let (body, asked) = pieces(3200);
    let upload = begin().await;
    let refused = content.finish_upload(web, upload, &other(), Some(chunk(body))).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    assert_eq!(asked.load(Ordering::Relaxed), 17, "in the last part");
    // The bytes of a dropped request are removed a moment later.
    longshore_testkit::eventually(
        "the uploads are removed",
        std::time::Duration::from_secs(10),
        async || (house.files("uploads") == 0).then_some(()),
    )
    .await;
    // And the whole quota is available again.
    let bytes: &'static [u8] = filled(1024 * 1024, 1).leak();
    content.put_blob(web, &sha256(bytes), None, whole(bytes)).await.unwrap();
    assert_eq!(held(&house).await, 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_arrive_at_once_stay_within_the_quota_together() {
    let house = House::new().await;
    limit(&house, 1024 * 1024).await;
    let mut senders = Vec::new();
    let mut running = Vec::new();
    let asked = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let counted = asked.clone();
        let body: ByteStream = receiver
            .inspect(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            })
            .boxed();
        let (content, web) = (house.content.clone(), house.web.clone());
        running.push(tokio::spawn(async move { content.append(&web, upload, chunk(body)).await }));
        senders.push(sender);
    }
    // Four pieces each would be twice the quota.
    for _ in 0..4 {
        for sender in &senders {
            let _ = sender.unbounded_send(Ok(Bytes::from(vec![7; PIECE])));
        }
    }
    drop(senders);
    let mut kept = 0;
    for answer in futures::future::join_all(running).await {
        match answer.unwrap() {
            Ok(length) => kept += length,
            Err(Error::UploadsExceedQuota { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept <= 1024 * 1024, "{kept} bytes were kept");
    assert!(asked.load(Ordering::Relaxed) < 32, "all of them were written");
}

#[tokio::test]
async fn a_blob_that_the_namespace_has_is_accepted_again_even_if_the_quota_is_used_up() {
    let house = House::new().await;
    let bytes: &'static [u8] = filled(300_000, 1).leak();
    let digest = house.put_blob(bytes).await;
    limit(&house, 300_000).await;
    let (content, web) = (&house.content, &house.other);
    content.put_blob(web, &digest, None, whole(bytes)).await.unwrap();
    let upload = content.begin_upload(web, Algorithm::Sha256).await.unwrap();
    content.finish_upload(web, upload, &digest, Some(chunk(whole(bytes)))).await.unwrap();
    assert_eq!(held(&house).await, 300_000);
}

#[tokio::test]
async fn manifests_count_with_their_own_bytes_whether_tagged_or_not() {
    let house = House::new().await;
    let index = |number: u32, size: usize| {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [],
            "annotations": { "number": number.to_string(), "filler": "x".repeat(size) },
        })
    };
    limit(&house, 1_000_000).await;
    let mut sizes = 0;
    let mut refused = None;
    for number in 0..30 {
        let manifest = index(number, 200_000);
        let tags: &[&str] = if number % 2 == 0 { &["latest"] } else { &[] };
        match house.put_manifest(&manifest, tags).await {
            Ok(_) => sizes += manifest.to_string().len() as u64,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.unwrap();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    assert_eq!(held(&house).await, sizes);
    assert!((800_001..=1_000_000).contains(&sizes), "{sizes}");
    // The same manifest again needs no room and does not count twice.
    house.put_manifest(&index(0, 200_000), &["again"]).await.unwrap();
    assert_eq!(held(&house).await, sizes);
}

#[tokio::test]
async fn an_idle_upload_is_dropped_when_another_needs_its_room() {
    let house = House::new().await;
    limit(&house, 300_000).await;
    let left: &'static [u8] = filled(200_000, 1).leak();
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    house.content.append(&house.web, upload, chunk(whole(left))).await.unwrap();

    let bytes: &'static [u8] = filled(250_000, 2).leak();
    let at = |minutes: i64| {
        let clock = ManualClock::at(now() + SignedDuration::from_mins(minutes));
        let store = DiskStore::open(house.folder.path()).unwrap();
        Content::new(house.db.clone(), Arc::new(store), Arc::new(clock))
    };
    let refused = at(9).put_blob(&house.web, &sha256(bytes), None, whole(bytes)).await.unwrap_err();
    assert!(matches!(refused, Error::UploadsExceedQuota { .. }), "{refused}");
    at(11).put_blob(&house.web, &sha256(bytes), None, whole(bytes)).await.unwrap();
    assert_eq!(held(&house).await, 250_000);
}
