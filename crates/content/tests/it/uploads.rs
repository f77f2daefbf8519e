//! Uploads that arrive in parts.

use crate::fixture::{House, broken, read, sha256, sha512, whole};
use bytes::Bytes;
use futures::StreamExt;
use longshore_content::{ByteStream, Chunk, Error};
use longshore_metadata::{Priority, storage, work};
use longshore_oci::Algorithm;
use std::future::Future;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// An empty body that sends a signal when it is read.
fn signalling(begun: oneshot::Sender<()>) -> ByteStream {
    let signal = async move {
        begun.send(()).unwrap();
        None
    };
    futures::stream::once(signal).filter_map(std::future::ready).boxed()
}

/// A stream of ticks that never ends.
fn ticks_every(pause: Duration) -> impl futures::Stream<Item = ()> + Send {
    let ticks = tokio::time::interval(pause);
    futures::stream::unfold(ticks, async |mut ticks| {
        ticks.tick().await;
        Some(((), ticks))
    })
}

fn part(bytes: &'static [u8]) -> Chunk {
    Chunk { start: None, body: whole(bytes) }
}

#[tokio::test]
async fn an_upload_continues_at_its_offset_after_a_restart() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    assert_eq!(house.content.append(&house.web, upload, part(b"hello ")).await.unwrap(), 6);

    let restarted = house.restarted();
    assert_eq!(restarted.drop_stray_uploads().await.unwrap(), 0);
    assert_eq!(restarted.upload_offset(&house.web, upload).await.unwrap(), 6);
    let digest = sha256(b"hello world");
    let last = Chunk { start: Some(6), body: whole(b"world") };
    let info = restarted.finish_upload(&house.web, upload, &digest, Some(last)).await.unwrap();
    assert_eq!((info.size, info.digest), (11, digest.clone()));
    let (_, stream) = restarted.read_blob(&house.web, &digest, None).await.unwrap();
    assert_eq!(read(stream).await, b"hello world");
    assert!(matches!(restarted.upload_offset(&house.web, upload).await, Err(Error::UploadUnknown { .. })));
    assert_eq!(house.files("uploads"), 0);
}

#[tokio::test]
async fn a_part_that_breaks_off_is_kept_and_the_upload_continues_after_it() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let part_one = Chunk { start: None, body: broken(b"half") };
    let error = house.content.append(&house.web, upload, part_one).await.unwrap_err();
    assert!(matches!(error, Error::BrokenOff(_)), "{error}");
    assert_eq!(house.content.upload_offset(&house.web, upload).await.unwrap(), 4);

    let digest = sha256(b"half and half");
    let broken_end = Chunk { start: None, body: broken(b" and") };
    let error = house.content.finish_upload(&house.web, upload, &digest, Some(broken_end)).await.unwrap_err();
    assert!(matches!(error, Error::BrokenOff(_)), "{error}");
    let info = house.content.finish_upload(&house.web, upload, &digest, Some(part(b" half"))).await.unwrap();
    assert_eq!(info.size, 13);
}

#[tokio::test]
async fn received_bytes_are_kept_when_the_request_was_dropped() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let (send, receive) = futures::channel::mpsc::unbounded::<std::io::Result<Bytes>>();
    let chunk = Chunk { start: None, body: receive.boxed() };
    {
        let mut append = Box::pin(house.content.append(&house.web, upload, chunk));
        let poll = futures::future::poll_fn(|cx| Poll::Ready(append.as_mut().poll(cx).is_pending()));
        assert!(poll.await, "the body has not ended");
    }
    send.unbounded_send(Ok(Bytes::from_static(b"kept"))).unwrap();
    send.unbounded_send(Err(std::io::ErrorKind::ConnectionReset.into())).unwrap();
    drop(send);
    // The append runs on its own task; the upload is claimed until that ends.
    let cancelled = loop {
        match house.content.upload_offset(&house.web, upload).await.unwrap() {
            0 => tokio::task::yield_now().await,
            offset => break offset,
        }
    };
    assert_eq!(cancelled, 4);
}

#[tokio::test]
async fn a_part_out_of_order_is_refused_with_the_offset() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    house.content.append(&house.web, upload, part(b"0123")).await.unwrap();
    for start in [0, 3, 5] {
        let chunk = Chunk { start: Some(start), body: whole(b"x") };
        let error = house.content.append(&house.web, upload, chunk).await.unwrap_err();
        assert!(matches!(error, Error::RangeNotSatisfiable { offset: 4 }), "{start}: {error}");
    }
}

#[tokio::test]
async fn of_two_parts_at_once_the_second_is_refused() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let (begun, under_way) = oneshot::channel::<()>();
    let (refused, stop) = oneshot::channel::<()>();
    // Slow, but making progress.
    let ticks = ticks_every(Duration::from_millis(50)).take_until(stop);
    let body = signalling(begun).chain(ticks.map(|()| Ok(Bytes::from_static(b"x")))).boxed();
    let first = house.content.append(&house.web, upload, Chunk { start: Some(0), body });
    let second = async {
        under_way.await.unwrap();
        let second = house.content.append(&house.web, upload, part(b"second")).await;
        refused.send(()).unwrap();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(second, Err(Error::UploadBusy { offset: 0 })), "{second:?}");
    assert_eq!(house.content.upload_offset(&house.web, upload).await.unwrap(), first.unwrap());
}

#[tokio::test]
async fn a_client_that_stops_sending_gives_way_to_the_next_request_and_its_bytes_are_kept() {
    let house = House::new().await;
    for cancel in [false, true] {
        let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
        let (begun, under_way) = oneshot::channel::<()>();
        let body = whole(b"first").chain(signalling(begun)).chain(futures::stream::pending()).boxed();
        let silent = house.content.append(&house.web, upload, Chunk { start: Some(0), body });
        let next = async {
            under_way.await.unwrap();
            if cancel {
                return house.content.cancel_upload(&house.web, upload).await.map(|()| 0);
            }
            let next = Chunk { start: Some(5), body: whole(b"second") };
            house.content.append(&house.web, upload, next).await
        };
        let (silent, next) = tokio::join!(silent, next);
        assert!(matches!(silent, Err(Error::BrokenOff(_))), "{silent:?}");
        assert_eq!(next.unwrap(), if cancel { 0 } else { 11 });
    }
}

#[tokio::test]
async fn a_part_waits_while_the_previous_one_is_being_saved() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let (send, receive) = futures::channel::mpsc::unbounded::<std::io::Result<Bytes>>();
    let (first, last) = (Chunk { start: Some(0), body: receive.boxed() }, whole(b"last"));
    let first = house.content.append(&house.web, upload, first);
    let second = house.content.append(&house.web, upload, Chunk { start: Some(5), body: last });
    let end = async {
        // Only when both requests are running.
        tokio::task::yield_now().await;
        send.unbounded_send(Ok(Bytes::from_static(b"first"))).unwrap();
        drop(send);
    };
    let (first, second, ()) = tokio::join!(biased; first, second, end);
    assert_eq!((first.unwrap(), second.unwrap()), (5, 9));
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    house.content.append(&house.web, upload, part(b"other")).await.unwrap();
    let wanted = sha256(b"something");
    let error = house.content.finish_upload(&house.web, upload, &wanted, None).await.unwrap_err();
    let Error::DigestMismatch { expected, actual } = error else { panic!("{error}") };
    assert_eq!((expected, actual), (wanted.clone(), sha256(b"other")));
    assert!(matches!(
        house.content.upload_offset(&house.web, upload).await,
        Err(Error::UploadUnknown { .. })
    ));
    assert_eq!(house.content.stat_blob(&house.web, &wanted).await.unwrap(), None);
    assert_eq!((house.files("uploads"), house.files("blobs")), (0, 0));
}

#[tokio::test]
async fn a_sha512_digest_is_verified_whichever_algorithm_the_upload_was_begun_with() {
    let house = House::new().await;
    let digest = sha512(b"in parts");
    for &algorithm in Algorithm::ALL {
        let upload = house.content.begin_upload(&house.web, algorithm).await.unwrap();
        house.content.append(&house.web, upload, part(b"in ")).await.unwrap();
        let last = Some(part(b"parts"));
        let info = house.content.finish_upload(&house.web, upload, &digest, last).await.unwrap();
        assert_eq!(info.size, 8, "{algorithm}");
    }
}

#[tokio::test]
async fn an_empty_blob_can_be_uploaded() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    let digest = sha256(b"");
    let info = house.content.finish_upload(&house.web, upload, &digest, None).await.unwrap();
    assert_eq!(info.size, 0);
    let (_, stream) = house.content.read_blob(&house.web, &digest, None).await.unwrap();
    assert_eq!(read(stream).await, b"");
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_can_be_cancelled() {
    let house = House::new().await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    house.content.append(&house.web, upload, part(b"x")).await.unwrap();
    let elsewhere = house.content.append(&house.other, upload, part(b"x")).await.unwrap_err();
    assert!(matches!(elsewhere, Error::UploadUnknown { .. }), "{elsewhere}");
    house.content.cancel_upload(&house.web, upload).await.unwrap();
    assert_eq!(house.files("uploads"), 0);
    assert!(matches!(
        house.content.cancel_upload(&house.web, upload).await,
        Err(Error::UploadUnknown { .. })
    ));
}

#[tokio::test]
async fn unfinished_uploads_to_a_namespace_stay_within_its_quota() {
    let house = House::new().await;
    let quota = house
        .db
        .write(Priority::Normal, work!(|tx| storage::set_quota(tx, &"dev".parse().unwrap(), Some(10)).await));
    assert!(quota.await.unwrap());
    let begin = || house.content.begin_upload(&house.web, Algorithm::Sha256);
    let (one, two) = (begin().await.unwrap(), begin().await.unwrap());
    assert_eq!(house.content.append(&house.web, one, part(b"1234567")).await.unwrap(), 7);
    let refused = house.content.append(&house.web, two, part(b"8901")).await;
    assert!(matches!(refused, Err(Error::UploadsExceedQuota { quota: 10, .. })), "{refused:?}");
    let all = house.content.finish_upload(&house.web, two, &sha256(b"8901"), Some(part(b"8901"))).await;
    assert!(matches!(all, Err(Error::UploadsExceedQuota { quota: 10, .. })), "{all:?}");
    house.content.cancel_upload(&house.web, one).await.unwrap();
    assert_eq!(house.content.append(&house.web, two, part(b"8901")).await.unwrap(), 4);
}
