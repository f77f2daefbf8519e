//! Blobs in both directions.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use longshore_model::RemoteKind;
use longshore_oci::{Digest, Span};
use longshore_remote::{Endpoint, Error, Mount, Registry, Source, SourceError, SourceStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Fake, answer, repo};

fn digest() -> Digest {
    Digest::sha256([6; 32])
}

#[tokio::test]
async fn an_interrupted_fetch_is_resumed() {
    let fake = Fake::start(|seen| match seen.header("range") {
        None => answer(200, &[], "0123456789"),
        Some("bytes=4-") => answer(206, &[("content-range", "bytes 4-9/10")], "456789"),
        Some(other) => panic!("{other}"),
    })
    .await;
    let whole = fake.registry().get_blob(&repo(), &digest(), 0).await.unwrap();
    assert_eq!((whole.offset, whole.size), (0, Some(10)));
    let rest = fake.registry().get_blob(&repo(), &digest(), 4).await.unwrap();
    assert_eq!((rest.offset, rest.size), (4, Some(10)));
    let bytes: Vec<Bytes> = rest.try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"456789");
}

#[tokio::test]
async fn a_registry_without_ranges_begins_anew_and_a_wrong_range_is_an_error() {
    let fake = Fake::start(|_| answer(200, &[], "0123456789")).await;
    assert_eq!(fake.registry().get_blob(&repo(), &digest(), 4).await.unwrap().offset, 0);
    let fake = Fake::start(|_| answer(206, &[("content-range", "bytes 5-9/10")], "56789")).await;
    let error = fake.registry().get_blob(&repo(), &digest(), 4).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_in_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123").await.unwrap();
    });
    let registry = Registry::connect_to(Endpoint::new(url, RemoteKind::Other)).unwrap();
    let mut blob = registry.get_blob(&repo(), &digest(), 0).await.unwrap();
    let mut last = None;
    while let Some(piece) = blob.next().await {
        last = Some(piece);
    }
    let error = last.unwrap().unwrap_err();
    assert!(matches!(error, Error::Network { .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn an_upload_is_one_post_and_one_put_at_the_place_it_was_told() {
    let fake = Fake::with_own_address(|url| {
        move |seen: &crate::fake::Seen| match seen.method.as_str() {
            // Behind a proxy that ends TLS, registries write the wrong scheme.
            "POST" => {
                let wrong = format!("https://127.0.0.1:{}/upload/7?state=x%2Fy", url.port().unwrap());
                answer(202, &[("location", &wrong)], "")
            }
            _ => answer(201, &[], ""),
        }
    })
    .await;
    fake.registry().push_blob(&repo(), &digest(), &Bytes::from("0123456789"), None).await.unwrap();
    let put = &fake.seen()[1];
    assert_eq!(fake.lines(), ["POST /v2/dev/web/blobs/uploads/", "PUT /upload/7"]);
    assert_eq!(put.query, format!("state=x%2Fy&digest={}", digest().to_string().replace(':', "%3A")));
    assert_eq!(put.header("content-length"), Some("10"));
    assert_eq!(put.header("transfer-encoding"), None);
    assert_eq!(&put.body[..], b"0123456789");
}

/// Claims to have ten bytes and has four; then it fails, or just ends.
struct Failing(bool);

impl Source for Failing {
    fn size(&self) -> u64 {
        10
    }

    fn open(&self, _: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>> {
        let end = self.0.then(|| Err(SourceError::from("disk on fire")));
        let pieces = std::iter::once(Ok(Bytes::from("0123"))).chain(end);
        Box::pin(async move { Ok(stream::iter(pieces.collect::<Vec<_>>()).boxed()) })
    }
}

#[tokio::test]
async fn a_source_that_fails_is_not_blamed_on_the_registry() {
    let upload = |_: &crate::fake::Seen| answer(202, &[("location", "/upload")], "");
    let fake = Fake::start(upload).await;
    let error = fake.registry().push_blob(&repo(), &digest(), &Failing(true), None).await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }) && error.to_string().contains("disk on fire"), "{error}");
    let error = fake.registry().push_blob(&repo(), &digest(), &Failing(false), None).await.unwrap_err();
    assert!(error.to_string().contains("4 of 10"), "{error}");
}

#[tokio::test]
async fn a_blob_is_mounted_or_uploaded_instead() {
    let fake = Fake::start(|seen| {
        let known = seen.query.contains("from=dev%2Fbase");
        if known { answer(201, &[], "") } else { answer(202, &[("location", "/upload?s=1")], "") }
    })
    .await;
    let registry = fake.registry();
    let mounted = registry.mount_blob(&repo(), &digest(), &"dev/base".parse().unwrap()).await.unwrap();
    assert!(matches!(mounted, Mount::Mounted));
    let Mount::Upload(upload) =
        registry.mount_blob(&repo(), &digest(), &"dev/no".parse().unwrap()).await.unwrap()
    else {
        panic!("not mounted")
    };
    registry.cancel_upload(&repo(), upload).await.unwrap();
    assert_eq!(fake.lines()[2], "DELETE /upload");
}

#[tokio::test]
async fn an_empty_blob_is_uploaded() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "POST" => answer(202, &[("location", "/upload")], ""),
        _ => answer(201, &[], ""),
    })
    .await;
    fake.registry().push_blob(&repo(), &digest(), &Bytes::new(), None).await.unwrap();
    assert_eq!(fake.seen()[1].header("content-length"), Some("0"));
}
