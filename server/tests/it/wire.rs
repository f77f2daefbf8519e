//! The REST interface on the wire: headers, unreadable bodies, sessions, and other sites.

use longshore_testkit::{ADMIN_PASSWORD, Longshore, corpus};
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect};
use serde_json::{Value, json};

use crate::support::{ends_with, longshore, promotion, repositories};

fn client() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().expect("a client")
}

async fn error(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("the server responds");
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("an error is JSON");
    (status, body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_requests_get_a_json_error() {
    let server = longshore().await;
    let at = |path: &str| format!("{}{path}", server.url());
    let admin = |request: RequestBuilder| request.basic_auth("admin", Some(ADMIN_PASSWORD));
    let http = client();
    let accounts = at("/api/v0/accounts");
    let json_body = |text: &'static str| {
        admin(http.post(&accounts)).header(header::CONTENT_TYPE, "application/json").body(text)
    };

    assert_eq!(error(json_body("{\"name\": ")).await, (400, "INVALID_REQUEST".to_owned()));
    assert_eq!(error(json_body("{\"isOrg\": \"yes\"}")).await, (400, "INVALID_REQUEST".to_owned()));
    let form = admin(http.post(&accounts)).header(header::CONTENT_TYPE, "text/plain").body("{}");
    assert_eq!(error(form).await, (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()));
    let large = admin(http.post(&accounts)).json(&json!({"name": "a".repeat(1024 * 1024)}));
    assert_eq!(error(large).await, (413, "REQUEST_TOO_LARGE".to_owned()));
    assert_eq!(error(admin(http.get(at("/api/v0/nothing")))).await, (404, "NO_SUCH_PATH".to_owned()));
    assert_eq!(error(admin(http.put(&accounts))).await, (405, "METHOD_NOT_ALLOWED".to_owned()));
    let query = admin(http.get(at("/api/v0/accounts?pageSize=many")));
    assert_eq!(error(query).await, (400, "INVALID_REQUEST".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_has_a_challenge_for_scripts_but_not_for_pages() {
    let server = longshore().await;
    let jobs = format!("{}/api/v0/jobs", server.url());
    let script = client().get(&jobs).send().await.expect("a response");
    assert_eq!(script.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(script.headers()[header::WWW_AUTHENTICATE], "Basic realm=\"Longshore\", charset=\"UTF-8\"");
    let page = client().get(&jobs).header("sec-fetch-mode", "cors").send().await.expect("a response");
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    assert!(!page.headers().contains_key(header::WWW_AUTHENTICATE));
    let wrong = client().get(&jobs).basic_auth("admin", Some("wrong"));
    assert_eq!(error(wrong).await, (401, "WRONG_CREDENTIALS".to_owned()));
}

/// The curl call of the manual with credentials; without them it is a 401.
#[tokio::test(flavor = "multi_thread")]
async fn the_curl_call_of_the_manual_works_as_printed() {
    let server = longshore().await;
    let curl = async |credentials: &[&str]| {
        let output = tokio::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(credentials)
            .args(["-X", "POST", &format!("{}/api/v0/jobs", server.url())])
            .args(["-H", "accept: application/json", "-H", "content-type: application/json"])
            .args(["-d", "{ \"action\": \"poll_mirror\"}"])
            .output()
            .await
            .expect("curl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let credentials = format!("admin:{ADMIN_PASSWORD}");
    assert_eq!(curl(&["-u", &credentials]).await, "202");
    assert_eq!(curl(&[]).await, "401");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_with_dtrs_headers() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/a", "dev/b", "dev/c"]).await;
    let first = rest.get("/repositories/dev?pageSize=2&count=true").await;
    assert_eq!(first.headers["x-resource-count"], "3");
    let next = first.headers["x-next-page-start"].to_str().expect("text").to_owned();
    assert_eq!(first.expect(200)["repositories"].as_array().map(Vec::len), Some(2));
    let last = rest.get(&format!("/repositories/dev?pageSize=2&pageStart={next}")).await;
    assert!(!last.headers.contains_key("x-next-page-start"));
    assert_eq!(last.expect(200)["repositories"][0]["name"], "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_found_by_name_and_by_digest_and_is_not_cached() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let package = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    server.registry().push(&package, "dev/website", Some("1.0")).await;
    for reference in ["1.0", package.root.as_str()] {
        let answer = rest.get(&format!("/repositories/dev/website/tags/{reference}")).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let platforms = answer.expect(200);
        let architectures: Vec<_> = platforms
            .as_array()
            .expect("a list")
            .iter()
            .map(|tag| tag["manifest"]["architecture"].clone())
            .collect();
        assert_eq!(architectures, ["amd64", "arm64"], "{reference}");
        assert_eq!(platforms[0]["digest"], package.root.as_str());
    }
    let one = rest.get("/repositories/dev/website/tags/1.0?arch=arm64").await.expect(200);
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    let missing = format!("/repositories/dev/website/tags/sha256:{}", "0".repeat(64));
    assert_eq!(rest.get(&missing).await.expect_error(404), "NO_SUCH_TAG");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_also_served_at_dtrs_paths() {
    let server = longshore().await;
    let http = client();
    let url = format!("{}/enzi/v0/accounts", server.url());
    let made =
        http.post(&url).basic_auth("admin", Some(ADMIN_PASSWORD)).json(&json!({"name": "qa", "isOrg": true}));
    assert_eq!(made.send().await.expect("a response").status(), StatusCode::CREATED);
    let listed = http.get(format!("{url}?filter=orgs")).basic_auth("admin", Some(ADMIN_PASSWORD));
    let listed: Value = listed.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(listed["accounts"][0]["name"], "qa");
    assert_eq!(listed["accounts"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_changes_only_the_fields_that_it_contains() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website"]).await;
    let policy = promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n-qa").await;
    let path =
        format!("/repositories/dev/website/promotionPolicies/{}", policy["id"].as_str().expect("an id"));
    let disabled = rest.put(&path, json!({"enabled": false})).await.expect(200);
    assert_eq!(disabled["enabled"], false);
    let renamed = rest.put(&path, json!({"tagTemplate": "%n-x"})).await.expect(200);
    assert_eq!((&renamed["tagTemplate"], &renamed["enabled"]), (&json!("%n-x"), &json!(false)));
    assert_eq!(renamed["rules"], policy["rules"]);
    let conflict =
        rest.put(&format!("{path}?initialEvaluation=true"), json!({"initialEvaluation": false})).await;
    assert_eq!(conflict.expect_error(400), "CONFLICTING_PARAMETERS");
    rest.delete(&path).await.expect(204);
    assert_eq!(rest.get(&path).await.expect_error(404), "NO_SUCH_PROMOTION_POLICY");
}

/// Signs in with a plain form, and returns the session's cookie.
async fn sign_in(server: &Longshore) -> String {
    let response = client()
        .post(format!("{}/fn/sign_in", server.url()))
        .header(header::ACCEPT, "text/html")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(credentials())
        .send()
        .await
        .expect("a response");
    let cookie = response.headers().get(header::SET_COOKIE).expect("a cookie").to_str().expect("text");
    for attribute in ["longshore_session=", "Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "the request was plain HTTP: {cookie}");
    cookie.split(';').next().expect("a value").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_works_for_the_rest_interface_and_not_for_other_sites() {
    let server = longshore().await;
    let cookie = sign_in(&server).await;
    let http = client();
    let url = format!("{}/api/v0/accounts", server.url());
    let read = http.get(&url).header(header::COOKIE, &cookie).send().await.expect("a response");
    assert_eq!(read.status(), StatusCode::OK);

    let make = |name: &str| {
        http.post(&url).header(header::COOKIE, &cookie).json(&json!({"name": name, "isOrg": true}))
    };
    let own = make("own").header(header::ORIGIN, server.url()).send().await.expect("a response");
    assert_eq!(own.status(), StatusCode::CREATED);
    let foreign = make("foreign").header(header::ORIGIN, "https://evil.example");
    assert_eq!(error(foreign).await, (403, "FOREIGN_ORIGIN".to_owned()));
    let foreign = make("foreign").header("sec-fetch-site", "cross-site");
    assert_eq!(error(foreign).await, (403, "FOREIGN_ORIGIN".to_owned()));
    assert_eq!(error(make("silent")).await, (403, "FOREIGN_ORIGIN".to_owned()));
    let signing_in = client()
        .post(format!("{}/fn/sign_in", server.url()))
        .header(header::ORIGIN, "https://evil.example")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(credentials());
    assert_eq!(error(signing_in).await, (403, "FOREIGN_ORIGIN".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_31_the_cookie_is_secure_if_a_trusted_proxy_uses_https() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .argument("--trusted-proxies=127.0.0.0/8")
        .start()
        .await;
    let response = client()
        .post(format!("{}/fn/sign_in", server.url()))
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "registry.example.com")
        .header(header::ORIGIN, "https://registry.example.com")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(credentials())
        .send()
        .await
        .expect("a response");
    let cookie = response.headers().get(header::SET_COOKIE).expect("a cookie").to_str().expect("text");
    assert!(cookie.contains("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_an_id_and_security_headers() {
    let server = longshore().await;
    for path in ["/healthz", "/v2/", "/api/v0/meta/features", "/api/docs/", "/repositories"] {
        let response = client().get(format!("{}{path}", server.url())).send().await.expect("a response");
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
        assert!(headers.contains_key("x-request-id"), "{path}");
    }
    let ready = client().get(format!("{}/readyz", server.url())).send().await.expect("a response");
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_never_logged() {
    let server =
        Longshore::builder(env!("CARGO_BIN_EXE_longshore")).variable("LONGSHORE_LOG", "debug").start().await;
    let cookie = sign_in(&server).await;
    server.rest().get("/accounts").await.expect(200);
    server.rest().post("/accounts", json!({"name": "dev", "password": "geheim und lang"})).await.expect(201);
    let log = server.log();
    let (_, token) = cookie.split_once('=').expect("name and value");
    for secret in [ADMIN_PASSWORD, "geheim und lang", token] {
        assert!(!log.contains(secret), "the log has a secret");
    }
}

/// The sign-in form as sent by a browser without script.
fn credentials() -> String {
    format!("username=admin&password={}", ADMIN_PASSWORD.replace(' ', "+"))
}
