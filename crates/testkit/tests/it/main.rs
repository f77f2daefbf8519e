//! Checks the test support against Debian's `docker-registry`, skopeo and buildah: what it pushes can be read, and
//! what it considers equal is equal.

use std::time::Duration;

use longshore_testkit::{Buildah, DockerRegistry, Package, Skopeo, TestCa, corpus, eventually};

fn oci_packages() -> [(&'static str, Package); 3] {
    [
        ("image", corpus::image(1, 3, 10_000)),
        ("index", corpus::index(2, &["linux/amd64", "linux/arm64", "linux/arm/v7"], true)),
        ("chart", corpus::helm_chart(3)),
    ]
}

#[tokio::test]
async fn skopeo_reads_the_same_digests_that_the_client_pushed() {
    let registry = DockerRegistry::plain().await;
    let (client, skopeo) = (registry.client(), Skopeo::new());
    for (name, package) in oci_packages() {
        client.push(&package, name, Some("1.0")).await;
        client.verify(&package, name).await;
        assert_eq!(skopeo.digest(&format!("{}/{name}:1.0", registry.host())).await, Ok(package.root.clone()));
        assert_eq!(client.digest_of(name, "1.0").await, Some(package.root));
    }
    assert_eq!(client.tags("index").await, ["1.0"]);
    assert!(client.tags("nothing").await.is_empty());
}

#[tokio::test]
async fn the_client_reads_the_same_digests_that_skopeo_pushed() {
    let registry = DockerRegistry::plain().await;
    let skopeo = Skopeo::new();
    for (name, package) in oci_packages() {
        let image = format!("{}/{name}:1.0", registry.host());
        assert_eq!(skopeo.push(&package, &image).await, Ok(package.root.clone()), "{name}");
        registry.client().verify(&package, name).await;
    }
}

#[tokio::test]
async fn docker_schema_2_and_cosign_tags_can_be_pushed() {
    let registry = DockerRegistry::plain().await;
    let client = registry.client();
    let list = corpus::docker_list(4, &["linux/amd64", "linux/arm64"]);
    client.push(&list, "legacy", Some("1.0")).await;
    client.verify(&list, "legacy").await;
    let (tag, signature) = corpus::cosign_signature(&list);
    client.push(&signature, "legacy", Some(tag.as_str())).await;
    assert_eq!(client.digest_of("legacy", tag.as_str()).await, Some(signature.root));
    let sbom = corpus::sbom(&list);
    client.push(&sbom, "legacy", None).await;
    client.verify(&sbom, "legacy").await;
    assert_eq!(client.referrers("legacy", &list.root).await, None, "this registry has no referrers API");
}

#[tokio::test]
async fn a_registry_with_an_account_admits_only_that_account() {
    let registry = DockerRegistry::with_account("dev", "s3cret").await;
    let package = corpus::image(5, 1, 100);
    registry.client().push(&package, "website", Some("1.0")).await;
    assert_eq!(registry.client().anonymous().head_manifest("website", "1.0").await.status, 401);
    let wrong = registry.client().with_credentials("dev", "wrong");
    assert_eq!(wrong.get_manifest("website", "1.0").await.error_code(), "UNAUTHORIZED");

    let image = format!("{}/website:2.0", registry.host());
    assert!(Skopeo::new().push(&package, &image).await.is_err());
    let skopeo = Skopeo::new().login(&registry.host(), "dev", "s3cret");
    assert_eq!(skopeo.push(&package, &image).await, Ok(package.root));
}

#[tokio::test]
async fn a_registry_with_tls_is_reachable_for_clients_that_trust_its_authority() {
    let ca = TestCa::new();
    let registry = DockerRegistry::with_tls(&ca).await;
    let package = corpus::image(6, 1, 100);
    registry.client().push(&package, "website", Some("1.0")).await;

    let image = format!("{}/website:1.0", registry.host());
    let skopeo = Skopeo::new().trust(&registry.host(), ca.pem());
    assert_eq!(skopeo.digest(&image).await, Ok(package.root));
    let stranger = Skopeo::new().trust(&registry.host(), TestCa::new().pem());
    assert!(stranger.digest(&image).await.is_err_and(|complaint| complaint.contains("x509")));
}

#[tokio::test]
async fn differences_are_found_and_requests_are_logged() {
    let registry = DockerRegistry::plain().await;
    let client = registry.client();
    let (here, absent) = (corpus::image(7, 1, 100), corpus::image(8, 1, 100));
    client.push(&here, "website", Some("1.0")).await;
    let difference = client.difference(&absent, "website").await.unwrap();
    assert!(difference.contains(absent.root.as_str()) && difference.contains("404"), "{difference}");

    client.head_manifest("website", "1.0").await;
    let seen = eventually("the request is logged", Duration::from_secs(10), async || {
        registry
            .requests()
            .into_iter()
            .find(|request| request.method == "HEAD" && request.uri.ends_with("/1.0"))
    });
    assert_eq!(seen.await.status, 200);
    assert_eq!(client.delete_manifest("website", here.root.as_str()).await.status, 202);
    assert_eq!(client.digest_of("website", "1.0").await, None);
}

#[tokio::test]
async fn a_registry_restarts_on_the_same_port_with_its_content() {
    let mut registry = DockerRegistry::plain().await;
    let package = corpus::image(9, 1, 100);
    registry.client().push(&package, "website", Some("1.0")).await;
    let host = registry.host();
    registry.stop();
    assert!(Skopeo::new().digest(&format!("{host}/website:1.0")).await.is_err());
    registry.restart().await;
    assert_eq!(registry.host(), host);
    registry.client().verify(&package, "website").await;
}

#[tokio::test]
async fn buildah_builds_and_pushes_without_a_daemon() {
    let registry = DockerRegistry::with_account("dev", "s3cret").await;
    let buildah = Buildah::new().login(&registry.host(), "dev", "s3cret");
    let image = format!("{}/built:1.0", registry.host());
    assert_eq!(buildah.build_and_push("hello", &image).await, Ok(()));
    assert!(registry.client().digest_of("built", "1.0").await.is_some());
}

#[tokio::test]
#[should_panic(expected = "the moon: not within 20ms; last seen: \"a cloud\"")]
async fn a_timeout_reports_the_last_state() {
    eventually("the moon", Duration::from_millis(20), async || Err::<(), _>("a cloud")).await;
}
