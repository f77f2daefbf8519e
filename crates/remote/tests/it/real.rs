//! The client against the reference registry, Debian's `docker-registry`.

use bytes::Bytes;
use futures::TryStreamExt;
use longshore_model::RemoteKind;
use longshore_model::connect::{CheckKind, CheckStatus, ConnectReport, Direction};
use longshore_oci::{Manifest, Reference, ReferenceRole, RemoteName};
use longshore_remote::{Endpoint, Mount, Registry, connect};
use longshore_testkit::{DockerRegistry, TestCa, corpus};

use crate::fake::{reference, signed_in};

fn name(text: &str) -> RemoteName {
    text.parse().unwrap()
}

fn endpoint(registry: &DockerRegistry) -> Endpoint {
    Endpoint::new(Endpoint::parse_url(RemoteKind::Other, &registry.url()).unwrap(), RemoteKind::Other)
}

/// Copies a manifest with all that it names from one registry to another.
async fn copy(from: &Registry, to: &Registry, source: &RemoteName, target: &RemoteName, what: Reference) {
    let fetched = from.get_manifest(source, &what).await.unwrap();
    let manifest = Manifest::parse(&fetched.bytes, Some(&fetched.media_type)).unwrap();
    for part in manifest.references() {
        let digest = &part.descriptor.digest;
        if part.role == ReferenceRole::Child {
            Box::pin(copy(from, to, source, target, digest.clone().into())).await;
        } else if !to.has_blob(target, digest).await.unwrap() {
            let blob = from.get_blob(source, digest, 0).await.unwrap();
            assert_eq!(blob.size, Some(part.descriptor.size));
            let blob: Vec<Bytes> = blob.try_collect().await.unwrap();
            to.push_blob(target, digest, &Bytes::from(blob.concat()), None).await.unwrap();
        }
    }
    let put = to.put_manifest(target, &what, &fetched.media_type, fetched.bytes, &[]).await.unwrap();
    assert_eq!(put.digest, fetched.digest);
}

#[tokio::test]
async fn an_index_travels_whole_from_a_private_registry_with_its_own_authority_to_another() {
    let ca = TestCa::new();
    let source = DockerRegistry::builder().tls(&ca).account("me", "secret").start().await;
    let target = DockerRegistry::plain().await;
    let package = corpus::index(7, &["linux/amd64", "linux/arm64/v8"], true);
    source.client().push(&package, "dev/web", Some("v1")).await;

    let mut settings = signed_in(endpoint(&source), "me", "secret");
    settings.ca_pem = Some(ca.pem().to_owned());
    let from = Registry::connect_to(settings).unwrap();
    let to = Registry::connect_to(endpoint(&target)).unwrap();
    let listing = from.list_tags(&name("dev/web"), 1).await.unwrap();
    assert!(listing.is_complete());
    assert_eq!(listing.tags, ["v1"]);

    copy(&from, &to, &name("dev/web"), &name("qa/web"), reference("v1")).await;
    target.client().verify(&package, "qa/web").await;
    let head = |registry: Registry, repository: &'static str| async move {
        registry.head_manifest(&name(repository), &reference("v1")).await.unwrap().unwrap().digest
    };
    assert_eq!(head(from, "dev/web").await, head(to, "qa/web").await);
}

#[tokio::test]
async fn a_blob_is_mounted_from_where_it_is_and_a_fetch_resumes_in_its_middle() {
    let server = DockerRegistry::plain().await;
    let package = corpus::image(3, 2, 20_000);
    server.client().push(&package, "dev/web", Some("v1")).await;
    let registry = Registry::connect_to(endpoint(&server)).unwrap();
    let fetched = registry.get_manifest(&name("dev/web"), &reference("v1")).await.unwrap();
    let manifest = Manifest::parse(&fetched.bytes, Some(&fetched.media_type)).unwrap();
    let layer = manifest.layers()[0].clone();

    let mounted = registry.mount_blob(&name("qa/web"), &layer.digest, &name("dev/web")).await.unwrap();
    assert!(matches!(mounted, Mount::Mounted));
    let whole = registry.get_blob(&name("qa/web"), &layer.digest, 0).await.unwrap();
    let whole: Vec<Bytes> = whole.try_collect().await.unwrap();
    let rest = registry.get_blob(&name("qa/web"), &layer.digest, 1_000).await.unwrap();
    assert_eq!((rest.offset, rest.size), (1_000, Some(layer.size)));
    let rest: Vec<Bytes> = rest.try_collect().await.unwrap();
    assert_eq!(rest.concat(), whole.concat()[1_000..]);

    assert!(registry.delete_manifest(&name("dev/web"), &fetched.digest.into()).await.unwrap());
    assert_eq!(registry.head_manifest(&name("dev/web"), &reference("v1")).await.unwrap(), None);
}

#[tokio::test]
async fn connections_that_a_restart_closed_are_not_used_again() {
    let mut server = DockerRegistry::plain().await;
    server.client().push(&corpus::image(4, 1, 1_000), "dev/web", Some("v1")).await;
    let registry = Registry::connect_to(endpoint(&server)).unwrap();
    assert!(registry.head_manifest(&name("dev/web"), &reference("v1")).await.unwrap().is_some());
    server.restart().await;
    assert!(registry.head_manifest(&name("dev/web"), &reference("v1")).await.unwrap().is_some());
}

#[tokio::test]
async fn an_upload_with_the_wrong_digest_is_refused_by_the_registry() {
    let server = DockerRegistry::plain().await;
    let registry = Registry::connect_to(endpoint(&server)).unwrap();
    let wrong = longshore_oci::Digest::sha256([1; 32]);
    let hello = Bytes::from_static(b"hello");
    let error = registry.push_blob(&name("dev/web"), &wrong, &hello, None).await.unwrap_err();
    assert_eq!(error.code(), Some(&longshore_oci::ErrorCode::DigestInvalid), "{error}");
    assert!(!error.is_transient());
}

fn status(report: &ConnectReport, kind: CheckKind) -> CheckStatus {
    report.checks.iter().find(|check| check.kind == kind).unwrap().status
}

#[tokio::test]
async fn semantics_27_connect_tells_the_reference_registry_apart_from_a_wrong_password() {
    let server = DockerRegistry::with_account("me", "secret").await;
    server.client().push(&corpus::image(5, 1, 1_000), "dev/web", Some("v1")).await;
    let right = signed_in(endpoint(&server), "me", "secret");

    let report = connect(right.clone(), &name("dev/web"), Direction::Push).await;
    assert!(report.usable && report.permissions.read && report.permissions.write, "{report:?}");
    assert_eq!(report.registry_type, "Docker registry");
    let report = connect(right.clone(), &name("dev/new"), Direction::Push).await;
    assert!(report.usable, "{report:?}");
    let report = connect(right, &name("dev/new"), Direction::Pull).await;
    assert_eq!(status(&report, CheckKind::Repository), CheckStatus::Failed);

    let report =
        connect(signed_in(endpoint(&server), "me", "wrong"), &name("dev/web"), Direction::Push).await;
    assert_eq!(status(&report, CheckKind::Registry), CheckStatus::Ok);
    assert_eq!(status(&report, CheckKind::Credentials), CheckStatus::Failed);
    assert_eq!(status(&report, CheckKind::Write), CheckStatus::Skipped);
}
