//! Common clients: skopeo, buildah and podman log in, push and pull; everyone may pull public images. Docker has its
//! own module.

use longshore_oci::media_type;
use longshore_testkit::{ADMIN_PASSWORD, Buildah, Podman, RegistryClient, Skopeo, corpus};
use serde_json::json;

use crate::support::{longshore, organization, user};

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pushes_and_pulls_every_kind_of_package() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let skopeo = Skopeo::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let packages = [
        corpus::image(1, 3, 50_000),
        corpus::index(3, &["linux/amd64", "linux/arm/v7"], false),
        corpus::helm_chart(5),
    ];
    for (number, package) in packages.iter().enumerate() {
        // The first push creates the repository.
        let image = format!("{}/dev/deep/er/and/deep-{number}:v_1.0-RC", server.host());
        skopeo.push(package, &image).await.expect("skopeo pushes");
        assert_eq!(skopeo.digest(&image).await.expect("skopeo inspects"), package.root);
        let folder = tempfile::tempdir().expect("a folder");
        skopeo.pull(&image, folder.path()).await.expect("skopeo pulls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_reads_docker_formats_unchanged() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let skopeo = Skopeo::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let packages =
        [corpus::docker_image(2, 1, 1000), corpus::docker_list(4, &["linux/amd64", "linux/arm64"])];
    for (number, package) in packages.iter().enumerate() {
        // Its layouts support only OCI formats, so skopeo copies what another client pushed.
        let (from, to) = (format!("dev/from-{number}"), format!("{}/dev/to-{number}:1", server.host()));
        server.registry().push(package, &from, Some("1")).await;
        let from = format!("docker://{}/{from}:1", server.host());
        skopeo.copy(&from, &format!("docker://{to}")).await.expect("skopeo copies");
        assert_eq!(skopeo.digest(&to).await.expect("skopeo inspects"), package.root);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buildah_builds_and_pushes() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let buildah = Buildah::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let image = format!("{}/dev/built:1", server.host());
    buildah.build_and_push("hello", &image).await.expect("buildah pushes");
    assert!(server.registry().digest_of("dev/built", "1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pushes_and_pulls_unusual_tags_and_names_five_levels_deep() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let podman = Podman::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let longest = "x".repeat(128);
    for tag in ["_", "v1..0-RC_--", &longest] {
        let (name, image) = ("dev/a/b/c/d", format!("{}/dev/a/b/c/d:{tag}", server.host()));
        podman.build_and_push(tag, &image).await.expect("podman pushes");
        let pushed = server.registry().digest_of(name, tag).await.expect("the tag exists");
        assert_eq!(podman.pull(&image).await.expect("podman pulls"), pushed.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pushes_an_index_of_several_platforms_and_pulls_its_own() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let podman = Podman::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let image = format!("{}/dev/many:1", server.host());
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    podman.build_and_push_index("hello", &platforms, &image).await.expect("podman pushes");
    let index = server.registry().get_manifest("dev/many", "1").await.expect(200);
    assert!(media_type::is_index(index.header("content-type").expect("a type")), "{index:?}");
    assert_eq!(index.json()["manifests"].as_array().map(Vec::len), Some(3));
    podman.pull(&image).await.expect("podman pulls");
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_finds_repositories_that_its_user_may_read() {
    let server = longshore().await;
    let rest = server.rest();
    organization(&rest, "dev").await;
    for (name, visibility) in [("open", "public"), ("closed", "private")] {
        rest.post("/repositories/dev", json!({"name": name, "visibility": visibility})).await.expect(201);
    }
    let (open, closed) = (format!("{}/dev/open", server.host()), format!("{}/dev/closed", server.host()));
    let term = format!("{}/dev", server.host());
    let admin = Podman::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    assert_eq!(admin.search(&term).await.expect("podman searches"), [closed, open.clone()]);
    assert_eq!(Podman::new().search(&term).await.expect("podman searches"), [open]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_can_push_only_to_their_own_namespace() {
    let server = longshore().await;
    let rest = server.rest();
    organization(&rest, "dev").await;
    user(&rest, "dev1").await;
    let skopeo = Skopeo::new().login(&server.host(), "dev1", "dev1 has a password");
    let image = corpus::image(1, 1, 1000);
    skopeo.push(&image, &format!("{}/dev1/mine:1", server.host())).await.expect("their own namespace");
    skopeo.push(&image, &format!("{}/dev/theirs:1", server.host())).await.expect_err("not one's own");
    assert!(server.registry().tags("dev/theirs").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_users_can_pull_public_but_not_private_images() {
    let server = longshore().await;
    let rest = server.rest();
    organization(&rest, "dev").await;
    for (name, visibility) in [("open", "public"), ("closed", "private")] {
        rest.post("/repositories/dev", json!({"name": name, "visibility": visibility})).await.expect(201);
        server.registry().push(&corpus::image(1, 1, 100), &format!("dev/{name}"), Some("1")).await;
    }
    let nobody = Skopeo::new();
    let folder = tempfile::tempdir().expect("a folder");
    nobody.pull(&format!("{}/dev/open:1", server.host()), &folder.path().join("open")).await.expect("public");
    nobody
        .pull(&format!("{}/dev/closed:1", server.host()), &folder.path().join("closed"))
        .await
        .expect_err("private");
    // Without a token, the registry says where to get one.
    let answer = RegistryClient::new(&server.url()).get_manifest("dev/closed", "1").await.expect(401);
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    assert_eq!(answer.error_code(), "UNAUTHORIZED");
}
