//! Nothing that a registry or its settings name makes this server connect where it must not (semantics 44).
//! `inner` is a service that nobody asked for; it notes whoever comes.

use bytes::Bytes;
use longshore_model::connect::Direction;
use longshore_remote::{Endpoint, Error, PrivateRemotes, Registry, connect};

use crate::fake::{Fake, Seen, answer, basic, ok_json, reference, repo, signed_in};

async fn inner() -> Fake {
    Fake::start(|_| answer(200, &[("content-type", "text/plain")], "inner words")).await
}

/// The registry is where it may be, and everything else that is private is out of reach.
fn narrow(fake: &Fake) -> Endpoint {
    let network = PrivateRemotes::Administrators.policy(false);
    Endpoint { network, is_this_server: true, ..fake.endpoint() }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::AddressRefused(_)), "{error}");
    assert!(!error.is_transient());
}

fn digest() -> longshore_oci::Digest {
    longshore_oci::Digest::sha256([1; 32])
}

fn named(inner: &Fake, path: &str) -> [String; 2] {
    let port = inner.url.port().unwrap();
    [format!("http://127.0.0.1:{port}{path}"), format!("http://localhost:{port}{path}")]
}

#[tokio::test]
async fn semantics_44_a_registry_at_a_refused_address_is_not_connected_to() {
    let inner = inner().await;
    for url in named(&inner, "") {
        let network = PrivateRemotes::Administrators.policy(false);
        let endpoint = Endpoint { url: url.parse().unwrap(), network, ..inner.endpoint() };
        refused(Registry::connect_to(endpoint).unwrap().list_tags(&repo(), 10).await);
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn semantics_44_a_refused_address_says_the_same_whether_or_not_anything_listens_there() {
    let inner = inner().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut said = Vec::new();
    for url in [inner.url.to_string(), format!("http://{free}/")] {
        let network = PrivateRemotes::Nobody.policy(true);
        let endpoint = Endpoint { url: url.parse().unwrap(), network, ..inner.endpoint() };
        let port = endpoint.url.port().unwrap().to_string();
        let report = connect(endpoint, &repo(), Direction::Pull).await;
        said.push(report.failure().unwrap().message.replace(&port, ""));
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn semantics_44_a_proxy_is_checked_by_number_and_by_name() {
    let inner = inner().await;
    for (proxy, network) in named(&inner, "").into_iter().flat_map(|proxy| {
        [PrivateRemotes::Administrators.policy(false), PrivateRemotes::Nobody.policy(true)]
            .map(|network| (proxy.clone(), network))
    }) {
        for url in ["http://1.1.1.1", "https://1.1.1.1"] {
            let endpoint = Endpoint {
                url: url.parse().unwrap(),
                proxy: Some(proxy.parse().unwrap()),
                network,
                // A proxy is never this server itself.
                is_this_server: true,
                ..inner.endpoint()
            };
            let outcome = match Registry::connect_to(endpoint) {
                Ok(registry) => registry.list_tags(&repo(), 10).await,
                Err(error) => Err(error),
            };
            refused(outcome);
        }
    }
    assert!(inner.seen().is_empty());
    for proxy in ["http://169.254.169.254", "http://[fd00:ec2::254]:80", "http://[::ffff:0:0]", "http://0"] {
        let endpoint = Endpoint { proxy: Some(proxy.parse().unwrap()), ..inner.endpoint() };
        refused(Registry::connect_to(endpoint));
    }
}

#[tokio::test]
async fn semantics_44_a_proxy_does_not_lead_to_what_is_refused() {
    let proxy = inner().await;
    for url in ["http://169.254.169.254", "http://metadata.google.internal", "http://[64:ff9b::a9fe:a9fe]"] {
        let url = url.parse().unwrap();
        let endpoint = Endpoint { url, proxy: Some(proxy.url.clone()), ..proxy.endpoint() };
        refused(Registry::connect_to(endpoint).unwrap().list_tags(&repo(), 10).await);
    }
    assert!(proxy.seen().is_empty());
    let endpoint = Endpoint {
        url: "http://registry.invalid".parse().unwrap(),
        proxy: Some(proxy.url.clone()),
        ..proxy.endpoint()
    };
    // What only the proxy knows is asked of the proxy, which an administrator may have in a private network.
    let _ = Registry::connect_to(endpoint).unwrap().list_tags(&repo(), 10).await;
    assert!(!proxy.seen().is_empty());
}

#[tokio::test]
async fn semantics_44_redirects_are_checked() {
    let inner = inner().await;
    for target in named(&inner, "/secret") {
        let fake = Fake::start(move |_| answer(307, &[("location", &target)], "")).await;
        let registry = Registry::connect_to(narrow(&fake)).unwrap();
        refused(registry.list_tags(&repo(), 10).await);
        refused(registry.get_manifest(&repo(), &reference("v1")).await);
        refused(registry.has_blob(&repo(), &digest()).await);
        refused(registry.get_blob(&repo(), &digest(), 0).await);
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn semantics_44_token_realms_are_checked() {
    let inner = inner().await;
    for target in named(&inner, "/token") {
        let challenge = format!("Bearer realm=\"{target}\"");
        let fake = Fake::start(move |_| answer(401, &[("www-authenticate", &challenge)], "")).await;
        let registry = Registry::connect_to(signed_in(narrow(&fake), "me", "secret")).unwrap();
        refused(registry.list_tags(&repo(), 10).await);
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn semantics_44_the_next_page_is_not_at_another_service() {
    let inner = inner().await;
    for target in named(&inner, "/v2/dev/web/tags/list?last=v1") {
        let link = format!("<{target}>; rel=\"next\"");
        let fake = Fake::start(move |_| {
            let mut page = ok_json(r#"{"name":"dev/web","tags":["v1"]}"#);
            page.headers_mut().insert("link", link.parse().unwrap());
            page
        })
        .await;
        // Refused, or read as incomplete: either way nobody comes.
        let _ = Registry::connect_to(narrow(&fake)).unwrap().list_tags(&repo(), 10).await;
    }
    assert!(inner.seen().is_empty());
}

/// A registry that begins every upload at `target`.
async fn with_uploads_at(target: String) -> Fake {
    Fake::start(move |seen: &Seen| match seen.authorization() {
        None => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) if seen.method == "POST" => answer(202, &[("location", &target)], ""),
        Some(_) => ok_json("{}"),
    })
    .await
}

#[tokio::test]
async fn semantics_44_an_upload_address_leads_to_no_inner_service_even_for_an_administrator() {
    let inner = inner().await;
    for target in named(&inner, "/admin/delete-everything") {
        let fake = with_uploads_at(target).await;
        let registry = fake.registry_as("me", "secret");
        refused(registry.push_blob(&repo(), &digest(), &Bytes::from("0123"), None).await);
        if let Ok(upload) = registry.start_upload(&repo()).await {
            let _ = registry.cancel_upload(&repo(), upload).await;
        }
        // Connect begins and cancels an upload as well.
        let _ = connect(signed_in(fake.endpoint(), "me", "secret"), &repo(), Direction::Push).await;
    }
    assert!(inner.seen().is_empty(), "{:?}", inner.lines());
}

#[tokio::test]
async fn semantics_44_what_changes_something_is_not_redirected_elsewhere() {
    let inner = inner().await;
    for status in [301, 302, 303, 307, 308] {
        let target = inner.url.join("/v2/dev/web/manifests/v1").unwrap().to_string();
        let fake = Fake::start(move |_| answer(status, &[("location", &target)], "")).await;
        let registry = fake.registry();
        let manifest = Bytes::from_static(b"{}");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        assert!(registry.put_manifest(&repo(), &reference("v1"), kind, manifest, &[]).await.is_err());
        assert!(registry.delete_manifest(&repo(), &reference("v1")).await.is_err());
        assert!(registry.start_upload(&repo()).await.is_err());
    }
    assert!(inner.seen().is_empty(), "{:?}", inner.lines());
}

#[tokio::test]
async fn semantics_15_credentials_stay_at_the_registry_wherever_an_answer_leads() {
    let storage = Fake::start(|_| answer(200, &[("content-length", "2")], "ok")).await;
    let target = storage.url.join("/blob").unwrap().to_string();
    let fake = Fake::start(move |seen: &Seen| match seen.authorization() {
        None => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) if seen.path == "/v2/" => ok_json("{}"),
        Some(_) => answer(307, &[("location", &target)], ""),
    })
    .await;
    let registry = fake.registry_as("me", "secret");
    assert!(registry.get_blob(&repo(), &digest(), 0).await.is_ok());
    assert!(fake.seen().iter().any(|seen| seen.authorization() == Some(&basic("me", "secret"))));
    assert!(storage.seen().iter().all(|seen| seen.authorization().is_none()));
}

#[tokio::test]
async fn semantics_44_the_words_of_what_is_no_registry_are_not_repeated() {
    for (kind, body) in [
        ("text/plain", "inner words"),
        ("text/html", "<title>inner words</title>"),
        ("application/json", r#"{"message":"inner words","details":"inner words"}"#),
        ("application/json", r#"{"errors":[{"message":"inner words"}]}"#),
    ] {
        for status in [200, 400, 403, 404, 500] {
            let fake = Fake::start(move |_| answer(status, &[("content-type", kind)], body)).await;
            let report = connect(fake.endpoint(), &repo(), Direction::Push).await;
            let said = format!("{report:?}");
            assert!(!said.contains("inner words"), "{status} {kind}: {said}");
            if let Err(error) = fake.registry().list_tags(&repo(), 10).await {
                assert!(!error.to_string().contains("inner words"), "{status} {kind}: {error}");
            }
        }
    }
}
