//! What only the store in a bucket does: resuming on another server, parts, and few requests.

use crate::fixture::{Bucket, House, filled, now, piece, read, sha256, sha512};
use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use jiff::SignedDuration;
use longshore_content::{
    ByteStream, Chunk, Error, Retention, S3Settings, S3Store, Store, StoreError, Writer,
};
use longshore_metadata::{Priority, uploads, work};
use longshore_model::{BootId, UploadId};
use longshore_oci::{Algorithm, Span};
use longshore_testkit::S3Server;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1024 * 1024;

/// Begins an upload or resumes a multipart one, and saves these bytes.
async fn save(store: &S3Store, upload: UploadId, offset: usize, bytes: &[u8]) -> Box<dyn Writer> {
    save_behind(store, upload, offset, None, bytes).await
}

/// Like [`save`], but a small upload is resumed with this bookmark.
async fn save_behind(
    store: &S3Store,
    upload: UploadId,
    offset: usize,
    bookmark: Option<String>,
    bytes: &[u8],
) -> Box<dyn Writer> {
    let mut writer = match offset {
        0 => store.begin(upload).await.unwrap(),
        offset => store.resume(upload, offset as u64, bookmark.as_deref()).await.unwrap(),
    };
    for frame in bytes.chunks(777_777) {
        writer.append(piece(frame)).await.unwrap();
    }
    writer.save().await.unwrap();
    writer
}

async fn whole(store: &S3Store, location: &str, length: usize) -> Vec<u8> {
    read(store.read(location, Span { start: 0, length: length as u64 }).await.unwrap()).await
}

#[tokio::test]
async fn a_blob_of_several_parts_has_the_right_bytes() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let bytes = filled(26 * MIB + 12_345, 1);
    let writer = save(&store, upload, 0, &bytes).await;
    let location = store.commit(upload, &sha256(&bytes)).await.unwrap();
    drop(writer);
    assert_eq!(server.objects(), [location.clone()]);
    assert!(whole(&store, &location, bytes.len()).await == bytes);
    for (start, length) in [(8 * MIB - 1, 2), (7 * MIB, 12 * MIB), (bytes.len() - 1, 1)] {
        let span = Span { start: start as u64, length: length as u64 };
        let got = read(store.read(&location, span).await.unwrap()).await;
        assert!(got == bytes[start..start + length], "{start}+{length}");
    }
}

#[tokio::test]
async fn an_upload_is_resumed_on_another_server() {
    let server = S3Server::start().await;
    let upload = UploadId::new();
    let bytes = filled(20 * MIB, 2);
    // A small upload, one that grows into parts, one with a tail, and one that ends with a part.
    let (mut offset, mut bookmark) = (0, None);
    for end in [3, 5 * MIB, 9 * MIB, 10 * MIB, 16 * MIB, 20 * MIB] {
        let mut writer = save_behind(&server.store(), upload, offset, bookmark, &bytes[offset..end]).await;
        writer.counted().await;
        (offset, bookmark) = (end, writer.bookmark());
    }
    let store = server.store();
    let location = store.commit(upload, &sha256(&bytes)).await.unwrap();
    assert!(whole(&server.store(), &location, bytes.len()).await == bytes);
    assert_eq!(server.objects(), [location]);
}

#[tokio::test]
async fn a_multipart_upload_can_be_rewound_to_the_save_before_the_last() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let (bytes, others) = (filled(30 * MIB, 3), filled(30 * MIB, 4));
    for (start, end) in [(0, 9 * MIB), (9 * MIB, 19 * MIB), (19 * MIB, 28 * MIB)] {
        save(&store, upload, start, &bytes[start..end]).await;
    }
    let lost = |offset: usize| {
        let store = server.store();
        async move {
            matches!(store.resume(upload, offset as u64, None).await, Err(StoreError::UploadLost { .. }))
        }
    };
    assert!(lost(9 * MIB).await && lost(24 * MIB).await && lost(29 * MIB).await);

    let mixed = [&bytes[..19 * MIB], &others[..10 * MIB]].concat();
    let writer = save(&store, upload, 19 * MIB, &others[..10 * MIB]).await;
    let location = store.commit(upload, &sha256(&mixed)).await.unwrap();
    drop(writer);
    assert!(whole(&store, &location, mixed.len()).await == mixed);
    assert_eq!(server.objects(), [location]);
}

#[tokio::test]
async fn a_dropped_upload_leaves_no_object() {
    let server = S3Server::start().await;
    let (store, bytes) = (server.store(), filled(18 * MIB, 5));
    for length in [3, 8 * MIB, 9 * MIB, 18 * MIB] {
        for other_server in [false, true] {
            let upload = UploadId::new();
            let mut writer = save(&store, upload, 0, &bytes[..length]).await;
            if other_server {
                let bookmark = writer.bookmark();
                drop(writer);
                server.store().abort(upload, bookmark.as_deref()).await.unwrap();
            } else {
                // More is being sent.
                writer.append(piece(&bytes)).await.unwrap();
                store.abort(upload, None).await.unwrap();
                assert!(matches!(writer.append(piece(b"x")).await, Err(StoreError::UploadLost { .. })));
            }
            assert_eq!(server.objects(), Vec::<String>::new(), "{length} {other_server}");
        }
    }
}

#[tokio::test]
async fn parts_that_were_never_saved_are_removed_with_their_writer() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let mut writer = store.begin(upload).await.unwrap();
    writer.append(piece(&filled(17 * MIB, 6))).await.unwrap();
    assert!(server.objects().contains(&"part".to_owned()));
    drop(writer);
    server.becomes_empty().await;
}

#[tokio::test]
async fn uploads_are_listed_by_every_server() {
    let server = S3Server::start().await;
    let (store, bytes) = (server.store(), filled(9 * MIB, 7));
    let mut uploads = [UploadId::new(), UploadId::new(), UploadId::new()];
    uploads.sort_unstable();
    for upload in uploads {
        save(&store, upload, 0, &bytes).await;
    }
    assert_eq!(server.store().uploads().await.unwrap(), uploads);
    store.abort(uploads[1], None).await.unwrap();
    assert_eq!(server.store().uploads().await.unwrap(), [uploads[0], uploads[2]]);
}

#[tokio::test]
async fn a_small_blob_costs_one_request() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let writer = save(&store, upload, 0, b"small").await;
    let location = store.commit(upload, &sha256(b"small")).await.unwrap();
    drop(writer);
    assert_eq!(server.asked(), [format!("PUT /{location}")]);
    assert!(whole(&store, &location, 5).await == b"small");
}

#[tokio::test]
async fn an_object_assembled_before_a_crash_is_found_and_never_taken_for_other_bytes() {
    // An upload that ends with a part, and one that ends with a tail.
    for length in [16 * MIB, 12 * MIB] {
        let server = S3Server::start().await;
        let (store, upload) = (server.store(), UploadId::new());
        let (bytes, others) = (filled(length, 8), filled(length, 9));
        save(&store, upload, 0, &bytes[..9 * MIB]).await;
        let writer = save(&store, upload, 9 * MIB, &bytes[9 * MIB..]).await;
        // A server that can only assemble the parts is as good as one that died.
        server.refuse(Some((Method::DELETE, "")));
        store.commit(upload, &sha256(&bytes)).await.unwrap_err();
        server.refuse(None);

        // A client that sends other bytes now must not get a blob of the existing ones.
        let other = server.store();
        let mut late = other.resume(upload, 9 * MIB as u64, None).await.unwrap();
        let mut refused = late.append(piece(&others[9 * MIB..])).await.is_err();
        refused = refused || late.save().await.is_err();
        assert!(refused || other.commit(upload, &sha256(&others)).await.is_err());
        drop(late);

        let found = server.store().commit(upload, &sha256(&bytes)).await;
        if length % (8 * MIB) == 0 {
            let location = found.unwrap();
            assert!(whole(&store, &location, bytes.len()).await == bytes);
            assert_eq!(server.objects(), [location]);
        } else {
            found.unwrap_err();
            // The server that knows what happened leaves nothing behind.
            store.abort(upload, None).await.unwrap();
            assert_eq!(server.objects(), Vec::<String>::new());
        }
        drop(writer);
    }
}

#[tokio::test]
async fn a_multipart_upload_is_read_back_before_it_ends() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let bytes = filled(9 * MIB, 10);
    let writer = save(&store, upload, 0, &bytes).await;
    let back = store.read_back(upload, bytes.len() as u64, None).await.unwrap();
    assert!(read(back).await == bytes);
    drop(writer);
    // It can no longer grow, but it can be finished, on any server.
    let other = server.store();
    let mut writer = other.resume(upload, bytes.len() as u64, None).await.unwrap();
    assert!(matches!(writer.append(piece(b"x")).await, Err(StoreError::UploadLost { .. })));
    let location = other.commit(upload, &sha512(&bytes)).await.unwrap();
    assert!(whole(&store, &location, bytes.len()).await == bytes);
    assert_eq!(server.objects(), [location]);
}

#[tokio::test]
async fn errors_of_a_bucket_have_its_name_and_advice_and_no_secrets() {
    let server = S3Server::start().await;
    let wrong_key = S3Settings { secret_key: "badly guessed".into(), ..server.settings() };
    let wrong_bucket = S3Settings { bucket: "pictures".into(), ..server.settings() };
    for (settings, name, advice) in
        [(wrong_key, "images", "check the access key"), (wrong_bucket, "pictures", "create the bucket")]
    {
        let store = S3Store::open(&settings).unwrap();
        let mut errors = vec![store.check().await.unwrap_err(), store.uploads().await.unwrap_err()];
        // The server of these tests accepts objects for a bucket that does not exist.
        if name == "images" {
            let mut writer = store.begin(UploadId::new()).await.unwrap();
            writer.append(piece(b"x")).await.unwrap();
            errors.push(writer.save().await.unwrap_err());
            errors.push(store.resume(UploadId::new(), 3, Some("x")).await.err().unwrap());
        }
        for error in errors {
            let error = error.to_string();
            assert!(error.contains(&format!("in the bucket {name}")) && error.contains(advice), "{error}");
            assert!(!error.contains("guessed") && !error.contains('<'), "{error}");
        }
    }
    server.store().check().await.unwrap();
}

#[tokio::test]
async fn all_objects_are_below_the_prefix() {
    let server = S3Server::start().await;
    let settings = S3Settings { prefix: "registry/one".into(), ..server.settings() };
    let (store, upload) = (S3Store::open(&settings).unwrap(), UploadId::new());
    let bytes = filled(9 * MIB, 11);
    save(&store, upload, 0, &bytes).await;
    assert_eq!(store.uploads().await.unwrap(), [upload]);
    assert_eq!(server.store().uploads().await.unwrap(), []);
    let location = store.commit(upload, &sha256(&bytes)).await.unwrap();
    assert!(whole(&store, &location, bytes.len()).await == bytes);
    assert_eq!(server.objects(), [format!("registry/one/{location}")]);
}

#[tokio::test]
async fn anyone_can_read_a_signed_url() {
    let server = S3Server::start().await;
    let (store, upload) = (server.store(), UploadId::new());
    let _writer = save(&store, upload, 0, b"for everybody").await;
    let location = store.commit(upload, &sha256(b"for everybody")).await.unwrap();
    let url = store.presigned(&location, Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(!url.as_str().contains("well"), "{url}");
    let get = |target: String| {
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        async move {
            let mut stream = TcpStream::connect(&host).await.unwrap();
            let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    };
    let signed = get(format!("{}?{}", url.path(), url.query().unwrap())).await;
    assert!(signed.starts_with("HTTP/1.1 200") && signed.ends_with("for everybody"), "{signed}");
    let unsigned = get(url.path().to_owned()).await;
    assert!(unsigned.starts_with("HTTP/1.1 403"), "{unsigned}");
}

fn body(bytes: &[u8]) -> ByteStream {
    let frames: Vec<_> = bytes.chunks(70_001).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
    futures::stream::iter(frames).boxed()
}

#[tokio::test]
async fn a_chunked_upload_survives_restarts_with_a_bucket() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let web = &house.web;
    for (cuts, algorithm) in [
        (vec![3, 1000], Algorithm::Sha256),
        (vec![3 * MIB, 9 * MIB, 12 * MIB], Algorithm::Sha256),
        (vec![9 * MIB, 12 * MIB], Algorithm::Sha512),
    ] {
        let bytes = filled(*cuts.last().unwrap() + 7, cuts.len() as u32);
        let upload = house.content.begin_upload(web, Algorithm::Sha256).await.unwrap();
        let mut offset = 0;
        for end in cuts {
            let content = house.restarted_over(server.store());
            assert_eq!(content.drop_stray_uploads().await.unwrap(), 0);
            let chunk = Chunk { start: Some(offset as u64), body: body(&bytes[offset..end]) };
            assert_eq!(content.append(web, upload, chunk).await.unwrap(), end as u64);
            offset = end;
        }
        let digest = match algorithm {
            Algorithm::Sha256 => sha256(&bytes),
            Algorithm::Sha512 => sha512(&bytes),
        };
        let content = house.restarted_over(server.store());
        let last = Chunk { start: None, body: body(&bytes[offset..]) };
        let info = content.finish_upload(web, upload, &digest, Some(last)).await.unwrap();
        assert_eq!(info.size, bytes.len() as u64);
        let (_, stream) = content.read_blob(web, &digest, None).await.unwrap();
        assert!(read(stream).await == bytes);
    }
    assert_eq!(server.objects().len(), 3);
}

#[tokio::test]
async fn equal_blobs_become_one_object() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let bytes = filled(9 * MIB, 12);
    let digest = sha256(&bytes);
    let pushes = (0..4).map(|i| {
        let repository = if i % 2 == 0 { &house.web } else { &house.other };
        house.content.put_blob(repository, &digest, None, body(&bytes))
    });
    for pushed in futures::future::join_all(pushes).await {
        pushed.unwrap();
    }
    assert_eq!(server.objects().len(), 1);
    for repository in [&house.web, &house.other] {
        let (_, stream) = house.content.read_blob(repository, &digest, None).await.unwrap();
        assert!(read(stream).await == bytes);
    }
}

#[tokio::test]
async fn an_upload_that_one_server_writes_is_refused_by_the_other() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let (one, two) = (&house.content, house.restarted_over(server.store()));
    let (web, bytes) = (&house.web, filled(12 * MIB, 13));
    let upload = one.begin_upload(web, Algorithm::Sha256).await.unwrap();
    let (gate, opened) = tokio::sync::oneshot::channel::<()>();
    // More than a part arrives, then the client sends nothing for a while.
    let rest = bytes[9 * MIB..].to_vec();
    let slow = futures::stream::once(async move {
        opened.await.unwrap();
        Ok(Bytes::from(rest))
    });
    let chunk = Chunk { start: Some(0), body: body(&bytes[..9 * MIB]).chain(slow).boxed() };
    let (appended, ()) = tokio::join!(one.append(web, upload, chunk), async {
        server.is_asked().await;
        let meddling = Chunk { start: Some(0), body: body(&bytes[1..100]) };
        let refused = two.append(web, upload, meddling).await;
        assert!(matches!(refused, Err(Error::UploadBusy { offset: 0 })), "{refused:?}");
        let refused = two.cancel_upload(web, upload).await;
        assert!(matches!(refused, Err(Error::UploadBusy { offset: 0 })), "{refused:?}");
        gate.send(()).unwrap();
    });
    assert_eq!(appended.unwrap(), bytes.len() as u64);
    // The claim is free at once, and on the other server as well.
    two.finish_upload(web, upload, &sha256(&bytes), None).await.unwrap();
    let (_, stream) = one.read_blob(web, &sha256(&bytes), None).await.unwrap();
    assert!(read(stream).await == bytes);
}

/// A server is suspended in the middle of a request; another one takes over the upload and finishes it. What the first
/// one still has in memory when it wakes up is shorter, or has the same length and other bytes.
#[tokio::test]
async fn bytes_that_a_suspended_server_saves_late_change_no_blob() {
    let bytes = b"what counts";
    for (late, breaks_off, first) in [
        (&bytes[..4], true, 0),
        (&b"other bytes"[..], false, 0),
        (&bytes[4..7], true, 4),
        (&b" others"[..], false, 4),
    ] {
        let server = S3Server::start().await;
        let house = House::with(|_| server.store()).await;
        let (one, two) = (&house.content, house.later_over(server.store(), SignedDuration::from_secs(31)));
        let (web, digest) = (&house.web, sha256(bytes));
        let upload = one.begin_upload(web, Algorithm::Sha256).await.unwrap();
        if first > 0 {
            let chunk = Chunk { start: Some(0), body: body(&bytes[..first]) };
            one.append(web, upload, chunk).await.unwrap();
        }
        let (stopped, stops) = tokio::sync::oneshot::channel::<()>();
        let (goes_on, thaw) = tokio::sync::oneshot::channel::<()>();
        let end = futures::stream::once(async move {
            stopped.send(()).unwrap();
            thaw.await.unwrap();
            if breaks_off { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(Bytes::new()) }
        });
        let chunk = Chunk { start: Some(first as u64), body: body(late).chain(end).boxed() };
        let (ended, ()) = tokio::join!(one.append(web, upload, chunk), async {
            stops.await.unwrap();
            let rest = Chunk { start: Some(first as u64), body: body(&bytes[first..]) };
            assert_eq!(two.append(web, upload, rest).await.unwrap(), bytes.len() as u64);
            two.finish_upload(web, upload, &digest, None).await.unwrap();
            goes_on.send(()).unwrap();
        });
        assert!(ended.is_err(), "{ended:?}");
        let (_, stream) = two.read_blob(web, &digest, None).await.unwrap();
        assert!(read(stream).await == bytes, "{late:?} behind {first}");
    }
}

#[tokio::test]
async fn a_small_upload_that_grows_step_by_step_leaves_one_object() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let upload = house.content.begin_upload(&house.web, Algorithm::Sha256).await.unwrap();
    for at in 0..5u8 {
        let chunk = Chunk { start: Some(at.into()), body: body(&[at]) };
        house.restarted_over(server.store()).append(&house.web, upload, chunk).await.unwrap();
        assert_eq!(server.objects().len(), 1);
    }
    let last = Chunk { start: None, body: body(&[5]) };
    let digest = sha256(&[0, 1, 2, 3, 4, 5]);
    house.content.finish_upload(&house.web, upload, &digest, Some(last)).await.unwrap();
    assert_eq!(server.objects().len(), 1);
    let (_, stream) = house.content.read_blob(&house.web, &digest, None).await.unwrap();
    assert_eq!(read(stream).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn the_claims_of_a_server_that_died_expire_after_half_a_minute() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let web = &house.web;
    let upload = house.content.begin_upload(web, Algorithm::Sha256).await.unwrap();
    let dead = BootId::new();
    let until = now() + SignedDuration::from_secs(30);
    house
        .db
        .write(Priority::Normal, work!(|tx| uploads::claim(tx, upload, dead, now(), until).await))
        .await
        .unwrap();
    let chunk = || Chunk { start: Some(0), body: body(b"abc") };
    let found = house.content.append(web, upload, chunk()).await;
    assert!(matches!(found, Err(Error::UploadBusy { offset: 0 })), "{found:?}");
    let later = house.later_over(server.store(), SignedDuration::from_secs(31));
    assert_eq!(later.append(web, upload, chunk()).await.unwrap(), 3);
}

#[tokio::test]
async fn leftovers_that_no_row_names_are_collected_only_after_their_retention() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    save(&server.store(), UploadId::new(), 0, &filled(9 * MIB, 14)).await;
    let content = house.restarted_over(server.store());
    assert_eq!(content.drop_stray_uploads().await.unwrap(), 0);
    content.collect_garbage(&Retention::default()).await.unwrap();
    assert!(!server.objects().is_empty(), "another server may be writing it");
    let later = house.later_over(server.store(), SignedDuration::from_hours(24 * 30));
    later.collect_garbage(&Retention::default()).await.unwrap();
    server.becomes_empty().await;
}
