//! Permissions, and the responses to actors who lack them.

use crate::fixture::{House, NOBODY, image, sha256};
use http::{Method, StatusCode};
use longshore_model::repository::RepositoryChange;
use longshore_model::{RepositoryState, Visibility};
use longshore_oci::media_type::OCI_MANIFEST;
use longshore_oci::{Challenge, Digest, ErrorCode, parse_challenges};

#[tokio::test]
async fn the_base_challenges_unauthenticated_clients() {
    let house = House::new().await;
    let refused = house.by(NOBODY).get("/v2/").await;
    refused.fails(401, ErrorCode::Unauthorized);
    assert_eq!(
        refused.header("www-authenticate"),
        r#"Bearer realm="http://registry.test:8080/v2/token",service="longshore""#
    );
    assert_eq!(house.by("ann").get("/v2/").await.status, StatusCode::OK);
    assert_eq!(house.by("ann").get("/v2").await.status, StatusCode::OK);
    let token = house.by(NOBODY).get("/v2/token").await.json();
    let anonymous = house.bearing(token["token"].as_str().unwrap()).await;
    assert_eq!(anonymous.get("/v2/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unreadable_repository_looks_as_if_it_did_not_exist() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    for path in [
        "manifests/v1",
        "tags/list",
        &format!("blobs/{}", sha256(b"{}")),
        &format!("referrers/{}", sha256(b"x")),
    ] {
        for name in ["ann/web", "ann/none"] {
            let path = format!("/v2/{name}/{path}");
            house.by("bob").get(&path).await.fails(404, ErrorCode::NameUnknown);
            let refused = house.by(NOBODY).get(&path).await;
            refused.fails(401, ErrorCode::Unauthorized);
            let challenge = parse_challenges(refused.header("www-authenticate"));
            assert!(matches!(&challenge[..], [Challenge::Bearer { scope: Some(scope), .. }]
                if *scope == format!("repository:{name}:pull")));
        }
    }
    let private = house.by("bob").delete("/v2/ann/web/manifests/v1").await;
    private.fails(404, ErrorCode::NameUnknown);
    // A push does not reveal whether it exists either.
    for name in ["ann/web", "ann/none"] {
        let refused = house.by("bob").post(&format!("/v2/{name}/blobs/uploads/")).await;
        let message = refused.fails(403, ErrorCode::Denied);
        assert!(message.contains("bob/…"), "{message}");
        let asked = house.by(NOBODY).post(&format!("/v2/{name}/blobs/uploads/")).await;
        asked.fails(401, ErrorCode::Unauthorized);
        assert!(asked.header("www-authenticate").contains(&format!("repository:{name}:pull,push")));
    }
}

#[tokio::test]
async fn guessing_a_digest_of_unreadable_content_finds_nothing_anywhere() {
    let house = House::new().await;
    let (manifest, _) = house.image("ann/secret", "v1").await;
    let blob = house.blob("ann/secret", b"a secret").await;
    house.blob("bob/own", b"bob's").await;
    let bob = house.by("bob");
    for (kind, there, nowhere) in [
        ("manifests", &manifest, sha256(b"no such manifest")),
        ("blobs", &blob, sha256(b"no such blob")),
        ("referrers", &manifest, sha256(b"no such subject")),
    ] {
        for name in ["ann/secret", "bob/own"] {
            for method in [Method::GET, Method::HEAD, Method::DELETE] {
                let ask = async |digest: &Digest| {
                    let headers = [("range", "bytes=0-3"), ("if-none-match", "*")];
                    let path = format!("/v2/{name}/{kind}/{digest}");
                    let answer = bob.send(method.clone(), &path, &headers, "").await;
                    let text = String::from_utf8_lossy(&answer.bytes).replace(digest.as_str(), "DIGEST");
                    (answer.status, answer.headers, text)
                };
                assert_eq!(ask(there).await, ask(&nowhere).await, "{method} {name}/{kind}");
            }
        }
    }
    // A manifest that references it does not help either.
    let named = bob.put_json("/v2/bob/own/manifests/v1", OCI_MANIFEST, &image(&blob)).await;
    named.fails(400, ErrorCode::ManifestBlobUnknown);
}

#[tokio::test]
async fn a_challenge_names_the_scopes_that_the_request_needs() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let blob = format!("blobs/{}", sha256(b"{}"));
    for name in ["ann/web", "ann/none"] {
        for (method, path, actions) in [
            (Method::GET, "manifests/v1", "pull"),
            (Method::HEAD, &*blob, "pull"),
            (Method::POST, "blobs/uploads/", "pull,push"),
            (Method::PUT, "manifests/v1", "pull,push"),
            (Method::PATCH, "blobs/uploads/0", "pull,push"),
            (Method::DELETE, "manifests/v1", "delete"),
            (Method::DELETE, &*blob, "delete"),
        ] {
            let refused = house.by(NOBODY).send(method, &format!("/v2/{name}/{path}"), &[], "").await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
            let expected = format!(r#"scope="repository:{name}:{actions}""#);
            assert!(refused.header("www-authenticate").contains(&expected), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn everyone_pulls_from_a_public_repository_and_only_its_owner_pushes() {
    let house = House::new().await;
    let public = RepositoryChange { visibility: Some(Visibility::Public), ..Default::default() };
    house.create("ann/web", public).await;
    let (_, manifest) = house.image("ann/web", "v1").await;
    for user in [NOBODY, "bob", "ann"] {
        let client = house.by(user);
        assert_eq!(client.get("/v2/ann/web/manifests/v1").await.status, StatusCode::OK, "{user}");
        let blob = format!("/v2/ann/web/blobs/{}", sha256(b"{}"));
        assert_eq!(client.get(&blob).await.bytes, "{}", "{user}");
    }
    let path = "/v2/ann/web/manifests/v2";
    house.by("bob").put_json(path, OCI_MANIFEST, &manifest).await.fails(403, ErrorCode::Denied);
    house.by("bob").delete("/v2/ann/web/manifests/v1").await.fails(403, ErrorCode::Denied);
    house.by(NOBODY).delete("/v2/ann/web/manifests/v1").await.fails(401, ErrorCode::Unauthorized);
    assert_eq!(house.by("ann").put_json(path, OCI_MANIFEST, &manifest).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_first_push_creates_a_private_repository_if_permitted() {
    let house = House::new().await;
    assert_eq!(house.by("ann").post("/v2/ann/new/blobs/uploads/").await.status, StatusCode::ACCEPTED);
    let made = house.repository("ann/new").await.unwrap();
    assert_eq!((made.visibility, made.state), (Visibility::Private, RepositoryState::Normal));
    assert_eq!(house.by("root").post("/v2/bob/new/blobs/uploads/").await.status, StatusCode::ACCEPTED);
    let nowhere = house.by("root").post("/v2/nobody/new/blobs/uploads/").await;
    let message = nowhere.fails(404, ErrorCode::NameUnknown);
    assert!(message.contains("no user or organization nobody"), "{message}");
    // Several concurrent first requests of one push.
    let ann = house.by("ann");
    let starts = (0..8).map(|_| ann.post("/v2/ann/busy/blobs/uploads/"));
    for started in futures::future::join_all(starts).await {
        assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
    }
}

#[tokio::test]
async fn semantics_18_pushes_to_a_mirror_or_a_read_only_repository_are_rejected() {
    let house = House::new().await;
    for (name, state) in [("ann/mirror", RepositoryState::Mirror), ("ann/locked", RepositoryState::ReadOnly)]
    {
        house.image(name, "v1").await;
        house.change(name, RepositoryChange { state: Some(state), ..Default::default() }).await;
        for user in ["ann", "root"] {
            let client = house.by(user);
            client.post(&format!("/v2/{name}/blobs/uploads/")).await.fails(403, ErrorCode::Denied);
            let path = format!("/v2/{name}/manifests/v1");
            let manifest = image(&sha256(b"{}"));
            client.put_json(&path, OCI_MANIFEST, &manifest).await.fails(403, ErrorCode::Denied);
            client.delete(&path).await.fails(403, ErrorCode::Denied);
            let blob = format!("/v2/{name}/blobs/{}", sha256(b"{}"));
            client.delete(&blob).await.fails(403, ErrorCode::Denied);
            assert_eq!(client.get(&path).await.status, StatusCode::OK, "it can still be read");
        }
    }
}

#[tokio::test]
async fn an_invalid_host_header_is_not_echoed() {
    let house = House::new().await;
    let odd = [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.test")];
    let refused = house.by(NOBODY).send(Method::GET, "/v2/", &odd, "").await;
    assert!(refused.header("www-authenticate").contains("http://registry.test:8080/"));
}

#[tokio::test]
async fn responses_to_requests_with_a_cookie_are_not_shared_by_caches() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let paths = ["/v2/", "/v2/_catalog", "/v2/ann/web/manifests/v1", "/v2/ann/web/manifests/none"];
    for path in paths {
        assert_eq!(house.in_a_browser("ann").get(path).await.header("cache-control"), "private", "{path}");
        assert_eq!(house.by("ann").get(path).await.header("cache-control"), "", "{path}");
    }
}
