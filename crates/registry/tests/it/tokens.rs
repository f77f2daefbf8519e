//! The token service.

use crate::fixture::{House, NOBODY, PEER, password_of, sha256};
use http::{Method, StatusCode};
use longshore_model::repository::RepositoryChange;
use longshore_model::{Actor, Visibility};
use longshore_oci::{Challenge, ErrorCode, Scope, parse_challenges};

fn scopes(list: &[&str]) -> Vec<Scope> {
    list.iter().map(|scope| scope.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_token_contains_the_requested_scopes_that_are_granted() {
    let house = House::new().await;
    let public = RepositoryChange { visibility: Some(Visibility::Public), ..Default::default() };
    house.create("ann/public", public).await;
    house.create("ann/private", RepositoryChange::default()).await;
    let asked = "scope=repository:ann/public:pull,push&scope=repository:ann/private:pull%20repository:bob/new:push,pull\
                 &scope=repository:Not/A-Name:pull&scope=plugin:x:y&service=longshore&account=bob";
    for (user, granted) in [
        (NOBODY, vec!["repository:ann/public:pull"]),
        ("bob", vec!["repository:ann/public:pull", "repository:bob/new:pull,push"]),
        (
            "root",
            vec![
                "repository:ann/public:pull,push",
                "repository:ann/private:pull",
                "repository:bob/new:pull,push",
            ],
        ),
    ] {
        let answer = house.by(user).get(&format!("/v2/token?{asked}")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
        let json = answer.json();
        assert_eq!((&json["expires_in"], &json["issued_at"]), (&900.into(), &"2026-11-20T12:00:00Z".into()));
        assert_eq!(json["token"], json["access_token"]);
        let claims = house.access.verify_token(json["token"].as_str().unwrap()).await.unwrap();
        assert_eq!((claims.actor, claims.scopes), (house.actor(user), scopes(&granted)), "{user}");
    }
}

#[tokio::test]
async fn a_token_can_be_requested_with_a_password_by_post_too() {
    let house = House::new().await;
    let form = |user: &str, password: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "password")
            .append_pair("username", user)
            .append_pair("password", password);
        form.append_pair("service", "longshore").append_pair("client_id", "docker");
        form.append_pair("scope", "repository:ann/web:pull,push").finish()
    };
    let post = |path: &'static str, body: String| {
        let nobody = house.by(NOBODY);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        async move { nobody.send(Method::POST, path, &form, body).await }
    };
    let answer = post("/auth/token", form("ann", &password_of("ann"))).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let claims = house.access.verify_token(&token).await.unwrap();
    assert_eq!(
        (claims.actor, claims.scopes),
        (house.actor("ann"), scopes(&["repository:ann/web:pull,push"]))
    );

    post("/v2/token", form("ann", "wrong")).await.fails(401, ErrorCode::Unauthorized);
    post("/v2/token", "grant_type=refresh_token&refresh_token=x".into())
        .await
        .fails(400, ErrorCode::Unsupported);
    post("/v2/token", "x".repeat(100_000)).await.fails(413, ErrorCode::SizeInvalid);
}

#[tokio::test]
async fn a_token_is_valid_only_for_its_scopes_and_only_while_the_permission_lasts() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let token = |scopes: &[&str], user: &'static str| {
        house.access.issue_token(house.credential(user).as_ref(), &self::scopes(scopes)).0
    };
    let (pull, push) = ("repository:ann/web:pull", "repository:ann/web:pull,push");
    let client = house.bearing(&token(&[pull], "ann")).await;
    assert_eq!(client.get("/v2/ann/web/manifests/v1").await.status, StatusCode::OK);
    for (method, path) in
        [(Method::POST, "/v2/ann/web/blobs/uploads/"), (Method::DELETE, "/v2/ann/web/manifests/v1")]
    {
        let refused = client.send(method, path, &[], "").await;
        refused.fails(401, ErrorCode::Unauthorized);
        assert!(refused.header("www-authenticate").contains(r#"error="insufficient_scope""#));
    }
    client.get("/v2/ann/other/tags/list").await.fails(404, ErrorCode::NameUnknown);
    // A token whose scopes exceed the permissions of its owner grants no more than those.
    let client = house.bearing(&token(&[push], "bob")).await;
    client.post("/v2/ann/web/blobs/uploads/").await.fails(403, ErrorCode::Denied);
    client.get("/v2/ann/web/tags/list").await.fails(404, ErrorCode::NameUnknown);
    // A token cannot be used to get another one.
    let client = house.bearing(&token(&[pull], "ann")).await;
    let bought = client.get(&format!("/v2/token?scope={push}")).await.json();
    let claims = house.access.verify_token(bought["token"].as_str().unwrap()).await.unwrap();
    assert_eq!((claims.actor, claims.scopes), (Actor::Anonymous, vec![]));
}

/// Every kind of request, and the scope that it needs.
fn requests() -> [(Method, String, &'static str); 8] {
    let digest = sha256(b"{}");
    let (pull, push, delete) =
        ("repository:ann/web:pull", "repository:ann/web:pull,push", "repository:ann/web:delete");
    [
        (Method::GET, "/v2/_catalog".to_owned(), "registry:catalog:*"),
        (Method::GET, "/v2/ann/web/tags/list".to_owned(), pull),
        (Method::GET, "/v2/ann/web/manifests/v1".to_owned(), pull),
        (Method::HEAD, format!("/v2/ann/web/blobs/{digest}"), pull),
        (Method::GET, format!("/v2/ann/web/referrers/{digest}"), pull),
        (Method::POST, "/v2/ann/web/blobs/uploads/".to_owned(), push),
        (Method::PUT, "/v2/ann/web/manifests/v2".to_owned(), push),
        (Method::DELETE, "/v2/ann/web/manifests/v1".to_owned(), delete),
    ]
}

#[tokio::test]
async fn an_insufficient_token_is_rejected_with_the_missing_scope_and_the_reason() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let nobodys = house.access.issue_token(None, &[]).0;
    let clients = [
        (house.bearing_for("ann", &[]).await, Some("insufficient_scope")),
        (house.bearing_for("ann", &["repository:ann/other:pull,push"]).await, Some("insufficient_scope")),
        (house.bearing(&nobodys).await, Some("insufficient_scope")),
        (house.bearing("no.token.of.ours").await, Some("invalid_token")),
        (house.by(NOBODY), None),
    ];
    for (client, expected) in clients {
        for (method, path, needed) in requests() {
            let refused = client.send(method.clone(), &path, &[], "").await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            let challenge = parse_challenges(refused.header("www-authenticate"));
            let [Challenge::Bearer { scope, error, .. }] = &challenge[..] else { panic!("{challenge:?}") };
            assert_eq!(
                (scope.as_deref(), error.as_deref()),
                (Some(needed), expected),
                "{method} {path}: {challenge:?}"
            );
        }
    }
    // The message says what is wrong with the token.
    let refused = house.bearing("no.token.of.ours").await.get("/v2/").await;
    let message = refused.fails(401, ErrorCode::Unauthorized);
    assert!(message.contains("not issued by this registry"), "{message}");
    assert!(refused.header("www-authenticate").contains(r#"error="invalid_token""#));
}

#[tokio::test]
async fn too_many_wrong_passwords_are_throttled() {
    let house = House::new().await;
    let guess = "grant_type=password&username=ann&password=guess";
    for _ in 0..50 {
        let answer = house.by(NOBODY).send(Method::POST, "/v2/token", &[], guess).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            answer.fails(429, ErrorCode::TooManyRequests);
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
            return;
        }
        answer.fails(401, ErrorCode::Unauthorized);
    }
    panic!("50 guesses from {PEER} in a row");
}
