//! Blobs that arrive in one piece, and how repositories share them.

use crate::fixture::{House, broken, read, sha256, whole};
use bytes::Bytes;
use futures::StreamExt;
use longshore_content::Error;
use longshore_oci::Span;

#[tokio::test]
async fn a_blob_is_read_whole_and_in_parts() {
    let house = House::new().await;
    let digest = house.put_blob(b"0123456789").await;
    let part = |start, length| {
        let (content, web, digest) = (house.content.clone(), house.web.clone(), digest.clone());
        async move {
            let (info, stream) =
                content.read_blob(&web, &digest, Some(Span { start, length })).await.unwrap();
            assert_eq!(info.size, 10);
            read(stream).await
        }
    };
    assert_eq!(part(0, 10).await, b"0123456789");
    assert_eq!(part(3, 4).await, b"3456");
    assert_eq!(part(9, 1).await, b"9");
}

#[tokio::test]
async fn a_large_body_in_odd_pieces_is_stored_as_it_was_sent() {
    let house = House::new().await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let digest = sha256(&bytes);
    let pieces: Vec<_> = bytes.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = futures::stream::iter(pieces).boxed();
    let size = bytes.len() as u64;
    house.content.put_blob(&house.web, &digest, Some(size), body).await.unwrap();
    let (_, stream) = house.content.read_blob(&house.web, &digest, None).await.unwrap();
    assert!(read(stream).await == bytes);
}

#[tokio::test]
async fn a_blob_pushed_by_many_clients_at_once_is_stored_once() {
    let house = House::new().await;
    let digest = sha256(b"popular");
    let pushes = (0..8).map(|i| {
        let repository = if i % 2 == 0 { &house.web } else { &house.other };
        house.content.put_blob(repository, &digest, None, whole(b"popular"))
    });
    for pushed in futures::future::join_all(pushes).await {
        assert_eq!(pushed.unwrap().size, 7);
    }
    assert_eq!((house.files("blobs"), house.files("uploads")), (1, 0));
    for repository in [&house.web, &house.other] {
        let (_, stream) = house.content.read_blob(repository, &digest, None).await.unwrap();
        assert_eq!(read(stream).await, b"popular");
    }
}

#[tokio::test]
async fn a_blob_with_the_wrong_digest_or_size_leaves_nothing() {
    let house = House::new().await;
    let digest = sha256(b"wanted");
    let put = |size, body| house.content.put_blob(&house.web, &digest, size, body);
    assert!(matches!(put(None, whole(b"other")).await, Err(Error::DigestMismatch { .. })));
    assert!(matches!(
        put(Some(7), whole(b"wanted")).await,
        Err(Error::SizeMismatch { expected: 7, actual: 6 })
    ));
    assert!(matches!(put(None, broken(b"want")).await, Err(Error::BrokenOff(_))));
    assert_eq!(house.content.stat_blob(&house.web, &digest).await.unwrap(), None);
    assert_eq!(house.files("blobs"), 0);
    // Leftovers are removed in the background; those of a crash, at the next start.
    house.restarted().drop_stray_uploads().await.unwrap();
    assert_eq!(house.files("uploads"), 0);
}

#[tokio::test]
async fn a_blob_can_be_read_only_through_repositories_that_link_it() {
    let house = House::new().await;
    let digest = house.put_blob(b"private").await;
    assert_eq!(house.content.stat_blob(&house.other, &digest).await.unwrap(), None);
    let refused = house.content.read_blob(&house.other, &digest, None).await;
    assert!(matches!(refused, Err(Error::BlobUnknown { .. })));
    // Nor can it be mounted from a repository that does not have it.
    assert_eq!(house.content.mount(&house.other, &house.web, &digest).await.unwrap(), None);

    let mounted = house.content.mount(&house.web, &house.other, &digest).await.unwrap().unwrap();
    assert_eq!(mounted.size, 7);
    assert_eq!(house.files("blobs"), 1);
    house.content.delete_blob(&house.web, &digest).await.unwrap();
    assert!(matches!(house.content.delete_blob(&house.web, &digest).await, Err(Error::BlobUnknown { .. })));
    let (_, stream) = house.content.read_blob(&house.other, &digest, None).await.unwrap();
    assert_eq!(read(stream).await, b"private");
}
