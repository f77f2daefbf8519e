//! Docker with its own daemon: it logs in, pushes and pulls, and shows users why something is denied.

use longshore_oci::{Digest, Manifest};
use longshore_testkit::{ADMIN_PASSWORD, Docker, Longshore, Package, corpus};

use crate::support::{longshore, organization, user};

const PASSWORD: &str = "dev1 has a password";

/// A server with an organization `dev` and a user `dev1`, and a Docker daemon that is not logged in.
async fn scene() -> (Longshore, Docker) {
    let (server, docker) = tokio::join!(longshore(), Docker::start());
    organization(&server.rest(), "dev").await;
    user(&server.rest(), "dev1").await;
    (server, docker)
}

/// The digest of the config of the manifest at `index`, which is Docker's id of the image.
fn config(package: &Package, index: usize) -> Digest {
    let manifest = Manifest::parse(&package.manifests[index].bytes, None).expect("a valid manifest");
    let config = manifest.references().next().expect("the config comes first");
    config.descriptor.digest.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_logs_in_only_with_the_correct_password() {
    let (server, docker) = scene().await;
    let wrong = docker.login(&server.host(), "dev1", "wrong").await.expect_err("a wrong password");
    assert!(wrong.contains("incorrect username or password"), "{wrong}");
    docker.login(&server.host(), "dev1", PASSWORD).await.expect("the correct password");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pulls_what_it_pushed_by_tag_and_by_digest() {
    let (server, docker) = scene().await;
    docker.login(&server.host(), "dev1", PASSWORD).await.expect("docker logs in");
    let image = format!("{}/dev1/web:1.0", server.host());
    let package = corpus::docker_image(1, 2, 50_000);
    docker.load(&package, &image).await.expect("docker loads");
    docker.run(&["push", &image]).await.expect("docker pushes");
    let pushed = server.registry().digest_of("dev1/web", "1.0").await.expect("the tag exists");
    assert_eq!(docker.digest(&image).await.as_ref(), Ok(&pushed));

    let by_digest = format!("{}/dev1/web@{pushed}", server.host());
    for name in [&image, &by_digest] {
        docker.pull(name, "linux/amd64").await.expect("docker pulls");
        assert_eq!(docker.digest(name).await.as_ref(), Ok(&pushed));
        assert_eq!(docker.inspect(name, "{{.Id}}").await, Ok(config(&package, 0).to_string()));
        docker.run(&["rmi", "--force", name]).await.expect("docker forgets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pushes_no_layer_twice() {
    let (server, docker) = scene().await;
    docker.login(&server.host(), "dev1", PASSWORD).await.expect("docker logs in");
    let image = |name: &str| format!("{}/dev1/{name}", server.host());
    docker.load(&corpus::docker_image(1, 2, 50_000), &image("web:1")).await.expect("docker loads");
    for name in ["web:2", "other:1"] {
        docker.run(&["tag", &image("web:1"), &image(name)]).await.expect("docker tags");
    }
    let pushed = async |name: &str| docker.run(&["push", &image(name)]).await.expect("docker pushes");
    assert_eq!(pushed("web:1").await.matches(": Pushed").count(), 2);
    assert_eq!(pushed("web:2").await.matches(": Layer already exists").count(), 2);
    assert_eq!(pushed("other:1").await.matches(": Mounted from dev1/web").count(), 2);
    let registry = server.registry();
    let first = registry.digest_of("dev1/web", "1").await.expect("the tag exists");
    assert_eq!(registry.digest_of("dev1/web", "2").await.as_ref(), Some(&first));
    assert_eq!(registry.digest_of("dev1/other", "1").await.as_ref(), Some(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_pulls_its_platform_from_an_index_and_from_a_manifest_list() {
    let (server, docker) = scene().await;
    docker.login(&server.host(), "admin", ADMIN_PASSWORD).await.expect("docker logs in");
    let platforms = ["linux/amd64", "linux/arm64"];
    // An attestation comes before its image.
    let packages = [
        ("index", corpus::index(1, &platforms, true), [1, 3]),
        ("list", corpus::docker_list(2, &platforms), [0, 1]),
    ];
    for (name, package, manifests) in &packages {
        server.registry().push(package, &format!("dev/{name}"), Some("1")).await;
        let image = format!("{}/dev/{name}:1", server.host());
        for (platform, manifest) in platforms.iter().zip(manifests) {
            docker.pull(&image, platform).await.expect("docker pulls");
            let id = docker.inspect(&image, "{{.Os}}/{{.Architecture}} {{.Id}}").await;
            assert_eq!(id, Ok(format!("{platform} {}", config(package, *manifest))), "{name}");
            assert_eq!(docker.digest(&image).await.as_ref(), Ok(&package.root), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_creates_a_manifest_list_of_existing_images() {
    let (server, docker) = scene().await;
    docker.login(&server.host(), "admin", ADMIN_PASSWORD).await.expect("docker logs in");
    let registry = server.registry();
    let image = |tag: &str| format!("{}/dev/many:{tag}", server.host());
    registry.push(&corpus::docker_list(1, &["linux/amd64", "linux/arm64"]), "dev/many", Some("both")).await;
    let both = registry.get_manifest("dev/many", "both").await.expect(200).json();
    let children: Vec<String> = both["manifests"]
        .as_array()
        .expect("children")
        .iter()
        .map(|child| format!("{}/dev/many@{}", server.host(), child["digest"].as_str().expect("a digest")))
        .collect();
    docker
        .run(&["manifest", "create", "--insecure", &image("list"), &children[0], &children[1]])
        .await
        .expect("docker creates a list");
    let digest = docker
        .run(&["manifest", "push", "--insecure", &image("list")])
        .await
        .expect("docker pushes the list");
    let there = registry.get_manifest("dev/many", "list").await.expect(200);
    assert!(digest.contains(corpus::digest_of(&there.body).as_str()), "{digest}");
    assert_eq!(there.json()["manifests"].as_array().map(Vec::len), Some(2));
    docker.pull(&image("list"), "linux/arm64").await.expect("docker pulls");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_shows_users_why_something_is_denied() {
    let (server, docker) = scene().await;
    let image = |name: &str| format!("{}/{name}", server.host());
    let stranger = docker.pull(&image("dev1/web:1"), "linux/amd64").await.expect_err("nobody is signed in");
    assert!(stranger.contains("sign in to see whether you may use dev1/web"), "{stranger}");

    docker.login(&server.host(), "dev1", PASSWORD).await.expect("docker logs in");
    docker.load(&corpus::docker_image(1, 1, 1000), &image("dev/web:1")).await.expect("docker loads");
    let theirs = docker.run(&["push", &image("dev/web:1")]).await.expect_err("another's repository");
    assert!(theirs.contains("dev1 may not push to dev/web; use a repository of your own"), "{theirs}");
    assert!(server.registry().tags("dev/web").await.is_empty());

    docker.run(&["tag", &image("dev/web:1"), &image("dev1/web:1")]).await.expect("docker tags");
    docker.run(&["push", &image("dev1/web:1")]).await.expect("docker pushes");
    let absent = docker.pull(&image("dev1/web:2"), "linux/amd64").await.expect_err("no such tag");
    assert!(absent.contains("dev1/web has no manifest 2"), "{absent}");
    let unknown = docker.pull(&image("dev/web:1"), "linux/amd64").await.expect_err("no such repository");
    assert!(unknown.contains("there is no repository dev/web, or you may not see it"), "{unknown}");
}
