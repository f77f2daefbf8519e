//! Blobs in an S3 bucket, with the real binary.

use longshore_oci::Algorithm;
use longshore_testkit::s3_server::{ACCESS_KEY, SECRET_KEY};
use longshore_testkit::{ADMIN_PASSWORD, Longshore, LongshoreBuilder, S3Server, Skopeo, corpus};
use reqwest::Method;

use crate::support::{organization, repository};

/// A server whose blobs are in the bucket.
pub(crate) fn over(bucket: &S3Server) -> LongshoreBuilder {
    Longshore::builder(env!("CARGO_BIN_EXE_longshore")).in_bucket(bucket)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_stored_in_the_bucket_and_returned_unchanged() {
    let bucket = S3Server::start().await;
    let server = over(&bucket).start().await;
    organization(&server.rest(), "dev").await;
    repository(&server.rest(), "dev/web").await;
    let package = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    server.registry().push(&package, "dev/web", Some("v1")).await;
    server.registry().verify(&package, "dev/web").await;
    assert!(!bucket.objects().is_empty());
    assert!(!server.data().join("content").exists(), "nothing is on disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_into_the_bucket_is_resumed_at_its_offset_after_a_kill() {
    let bucket = S3Server::start().await;
    let mut server = over(&bucket).start().await;
    organization(&server.rest(), "dev").await;
    repository(&server.rest(), "dev/web").await;
    let bytes: Vec<u8> = (0..20_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let digest = corpus::digest_of(&bytes);
    assert_eq!(digest.algorithm(), Algorithm::Sha256);
    let at = server.registry().begin_upload("dev/web").await.expect("an upload begins");
    let registry = server.registry();
    let patch = registry.request(Method::PATCH, &at).body(bytes[..9_000_000].to_vec());
    registry.send(patch).await.expect(202);
    server.restart().await;
    let registry = server.registry();
    let status = registry.send(registry.request(Method::GET, &at)).await.expect(204);
    assert_eq!(status.header("range"), Some("0-8999999"));
    let put = registry
        .request(Method::PUT, &format!("{at}?digest={digest}"))
        .header("content-range", "9000000-19999999")
        .body(bytes[9_000_000..].to_vec());
    registry.send(put).await.expect(201);
    let pulled = registry.get_blob("dev/web", &digest).await.expect(200);
    assert!(pulled.body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_redirected_to_the_bucket_only_if_configured() {
    let bucket = S3Server::start().await;
    let server = over(&bucket).argument("--s3-redirects=true").start().await;
    organization(&server.rest(), "dev").await;
    repository(&server.rest(), "dev/web").await;
    let package = corpus::image(1, 2, 100_000);
    server.registry().push(&package, "dev/web", Some("v1")).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let layer = package.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let url = format!("{}/v2/dev/web/blobs/{}", server.url(), layer.0);
    let asked = |range: Option<&'static str>| {
        let request = client.get(&url).basic_auth("admin", Some(ADMIN_PASSWORD));
        match range {
            Some(range) => request.header("range", range),
            None => request,
        }
    };
    let sent = asked(None).send().await.unwrap();
    assert_eq!(sent.status(), 307);
    let there = sent.headers()["location"].to_str().unwrap().to_owned();
    assert!(there.starts_with(&bucket.url()), "{there}");
    // A redirected client needs only the URL.
    let pulled = client.get(&there).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(corpus::digest_of(&pulled), layer.0);
    assert_eq!(asked(Some("bytes=0-9")).send().await.unwrap().status(), 206);
    let stranger = client.get(&url).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    let skopeo = Skopeo::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let folder = tempfile::tempdir().unwrap();
    skopeo.pull(&format!("{}/dev/web:v1", server.host()), folder.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_bucket_is_reported_at_the_start() {
    let bucket = S3Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["serve", "--listen", "127.0.0.1:0", "--s3-bucket", "pictures", "--s3-allow-http=true"])
        .args(["--s3-endpoint", &bucket.url(), "--data"])
        .arg(folder.path().join("data"))
        .env("LONGSHORE_S3_ACCESS_KEY", ACCESS_KEY)
        .env("LONGSHORE_S3_SECRET_KEY", SECRET_KEY)
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the bucket pictures") && told.contains("create the bucket"), "{told}");
    assert!(!told.contains(SECRET_KEY), "{told}");
}
