//! Attacks on the site from browsers and with hand-written requests: open redirects, requests from other sites,
//! malformed input; and security headers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use longshore_testkit::{ADMIN_PASSWORD, Longshore, TestCa, corpus};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};
use serde_json::json;

use crate::support::{longshore, organization};

fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

fn sign_in(server: &Longshore, next: &str) -> RequestBuilder {
    let form = [("username", "admin"), ("password", ADMIN_PASSWORD), ("next", next)];
    let body = form.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
    client()
        .post(format!("{}/fn/sign_in", server.url()))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "text/html")
        .header("sec-fetch-site", "same-origin")
        .body(body)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_never_redirects_to_another_site_or_fails_because_of_the_target() {
    let server = longshore().await;
    let led_to = async |next: &str| {
        let answer = sign_in(&server, next).send().await.expect("answered");
        assert!(answer.status().is_redirection(), "{next:?}: {}", answer.status());
        assert!(answer.headers().contains_key(header::SET_COOKIE), "{next:?}");
        answer.headers()[header::LOCATION].to_str().expect("text").to_owned()
    };
    assert_eq!(led_to("/jobs?status=errored").await, "/jobs?status=errored");
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/\\evil.example",
        "\\\\evil.example",
        "/\u{0}",
        "/\u{1b}[0m",
        "/\u{7f}",
        "/ü",
        "javascript:alert(1)",
        "/.//evil.example",
    ] {
        assert_eq!(led_to(next).await, "/repositories", "{next:?}");
    }
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_change_anything_with_credentials_that_a_browser_stores() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let attempts = [
        (Method::POST, "/api/v0/repositories/dev"),
        (Method::PUT, "/api/v0/accounts/admin"),
        (Method::PATCH, "/api/v0/repositories/dev/web"),
        (Method::DELETE, "/api/v0/repositories/dev/web"),
        (Method::POST, "/fn/system_info"),
        (Method::POST, "/fn/sign_in"),
        (Method::POST, "/v2/dev/web/blobs/uploads/"),
        (Method::DELETE, "/v2/dev/web/manifests/1"),
    ];
    for (method, path) in attempts {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let request = client()
                .request(method.clone(), format!("{}{path}", server.url()))
                .basic_auth("admin", Some(ADMIN_PASSWORD))
                .header(name, value)
                // Media types that a form of another site can send without a preflight request.
                .header(header::CONTENT_TYPE, "text/plain")
                .body(r#"{"name":"web"}"#);
            let answer = request.send().await.expect("answered");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path} {name}: {value}");
        }
    }
    assert_eq!(server.rest().get("/repositories/dev").await.body["repositories"], json!([]));
    // Scripts send neither header, and our own pages send the right one.
    let made = server.rest().post("/repositories/dev", json!({"name": "web"})).await;
    assert_eq!(made.status, 201);
    let own = client()
        .post(format!("{}/api/v0/repositories/dev", server.url()))
        .basic_auth("admin", Some(ADMIN_PASSWORD))
        .header("origin", server.url())
        .json(&json!({"name": "other"}));
    assert_eq!(own.send().await.expect("answered").status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_rejected_without_internal_errors() {
    let server = longshore().await;
    let url = server.url();
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [(&str, Vec<u8>); 12] = [
        (json, b"{".to_vec()),
        (json, b"".to_vec()),
        (json, b"null".to_vec()),
        (json, b"[]".to_vec()),
        (json, b"{\"username\": 7}".to_vec()),
        (json, b"{\"id\": 123456789012345678901234567890}".to_vec()),
        (json, b"\xff\xfe".to_vec()),
        (json, nested.into_bytes()),
        (form, b"%".to_vec()),
        (form, b"username=%FF%00&password=\xff".to_vec()),
        (form, b"a[b][c][d][e][f][g][h][i]=1".to_vec()),
        ("multipart/form-data; boundary=x", b"--x\r\n".to_vec()),
    ];
    let functions = [
        "sign_in",
        "sign_out",
        "whoami",
        "system_info",
        "jobs",
        "connect",
        "remote_tags",
        "create_repository",
        "no_such_function",
        "%FF",
        "%00",
    ];
    for function in functions {
        for (kind, body) in &bodies {
            for accept in ["*/*", "text/html"] {
                let request = client()
                    .post(format!("{url}/fn/{function}"))
                    .header(header::CONTENT_TYPE, *kind)
                    .header(header::ACCEPT, accept)
                    .header(header::REFERER, "no page at all")
                    .body(body.clone());
                let answer = request.send().await.expect("answered");
                let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
                assert!(!answer.status().is_server_error(), "{function} {kind} {shown}: {}", answer.status());
            }
        }
    }
    let paths = [
        "/ca",
        "/pkg/nothing",
        "/pkg/",
        "/pkg/%FF",
        "/healthz/x",
        "/metrics/x",
        "/fn/",
        "/events?after=x",
        "/events?since=%FF",
        "/auth/token?scope=%FF&service=%00",
        "/auth/token?scope=repository:a/b:pull&scope=%",
        "/v2/token?scope=&scope=:::::&service=x",
        "/v2/%FF/manifests/1",
        "/v2/a/b/manifests/%00",
        "/v2/a/b/tags/list?n=99999999999999999999",
        "/v2/a/b/tags/list?n=-1&last=%FF",
        "/v2/_catalog?n=1e9",
        "/api/v0/repositories/%FF",
        "/api/v0/repositories/a/%00",
        "/api/v0/repositories/a%2Fb%2F..%2Fc/tags",
        "/api/v0/jobs?pageSize=99999999999999999999",
        "/api/v0/jobs?pageStart=-1&action=%FF",
        "/api/v0/jobs/00000000",
        "/api/v0/remotes/%00",
        "/api/v0/remotes?pageSize=18446744073709551616",
        "/repositories/%FF",
        "/repositories/%00?tab=%FF",
        "/repositories/%3C%2Ftitle%3E",
        "/sign-in?next=%FF%00%0A",
        "/jobs?page=99999999999999999999999",
        "/%",
        "/?%=%",
    ];
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS] {
            for signed_in in [false, true] {
                let mut request = client().request(method.clone(), format!("{url}{path}"));
                if signed_in {
                    request = request.basic_auth("admin", Some(ADMIN_PASSWORD));
                }
                // A successful event stream does not end.
                let answer = request.send().await.expect("answered");
                assert!(!answer.status().is_server_error(), "{method} {path}: {}", answer.status());
            }
        }
    }
    let without = client().get(format!("{url}/ca")).send().await.expect("answered");
    assert_eq!(without.status(), StatusCode::NOT_FOUND);
    assert!(without.text().await.expect("a body").contains("certificate authority"));
    let log = server.log();
    assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_transport_security_is_sent_over_https() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let (ca, place) = (TestCa::new(), |name: &str| folder.path().join(name));
    let issued = ca.issue_for_loopback();
    std::fs::write(place("tls.crt"), &issued.certificate).expect("written");
    std::fs::write(place("tls.key"), &issued.key).expect("written");
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .tls_files(&place("tls.crt"), &place("tls.key"), ca.pem())
        .start()
        .await;
    let trusting = Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
    let trusting = trusting.build().expect("a client");
    let told = async |host: &str| {
        let request = trusting.get(format!("{}/sign-in", server.url())).header(header::HOST, host);
        let answer = request.send().await.expect("answered");
        let value = answer.headers().get(header::STRICT_TRANSPORT_SECURITY);
        value.map(|value| value.to_str().expect("text").to_owned())
    };
    assert_eq!(told("registry.example").await.as_deref(), Some("max-age=31536000"));
    assert_eq!(told("localhost:8443").await, None);

    let plain = longshore().await;
    let answer = client().get(format!("{}/sign-in", plain.url())).send().await.expect("answered");
    assert!(!answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_transport_security_is_sent_for_https_at_a_trusted_proxy() {
    let start = async |proxies: &str, seconds: &str| {
        let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
        let builder = builder.variable("LONGSHORE_TRUSTED_PROXIES", proxies);
        builder.argument("--hsts-seconds").argument(seconds).start().await
    };
    let told = async |server: &Longshore, path: &str, headers: &[(&str, &str)]| {
        let request =
            client().get(format!("{}{path}", server.url())).header(header::HOST, "registry.example");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.expect("answered");
        let value = answer.headers().get(header::STRICT_TRANSPORT_SECURITY);
        value.map(|value| value.to_str().expect("text").to_owned())
    };
    let https = [("x-forwarded-proto", "https")];
    let http = [("x-forwarded-proto", "http")];

    let trusting = start("127.0.0.0/8", "600").await;
    for path in ["/sign-in", "/v2/", "/api/v0/repositories", "/no/such/page"] {
        assert_eq!(told(&trusting, path, &https).await.as_deref(), Some("max-age=600"), "{path}");
        assert_eq!(told(&trusting, path, &http).await, None, "{path}");
        assert_eq!(told(&trusting, path, &[]).await, None, "{path}");
    }
    // Under the host name that the browser uses, which the proxy forwards in a header.
    let local = [("x-forwarded-proto", "https"), ("x-forwarded-host", "localhost:8443")];
    assert_eq!(told(&trusting, "/sign-in", &local).await, None);

    let elsewhere = start("192.0.2.0/24", "600").await;
    assert_eq!(told(&elsewhere, "/sign-in", &https).await, None);
    // Browsers forget an earlier header.
    let forgetting = start("127.0.0.1", "0").await;
    assert_eq!(told(&forgetting, "/sign-in", &https).await.as_deref(), Some("max-age=0"));
}

/// The entries of a folder, and the folder itself, that other users of the machine can access.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let found = std::fs::symlink_metadata(&path).expect("the path exists");
        if found.mode() & 0o077 != 0 {
            open.push(format!("{} {:o}", path.display(), found.mode() & 0o777));
        }
        if found.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_of_the_machine_cannot_read_databases_blobs_keys_and_backups() {
    let server = longshore().await;
    organization(&server.rest(), "dev").await;
    let registry = server.registry();
    registry.push(&corpus::image(1, 2, 300_000), "dev/web", Some("1")).await;
    let upload = registry.begin_upload("dev/web").await.expect("an upload");
    assert!(!upload.is_empty());
    let remote = json!({"url": "https://registry.example", "username": "bot", "password": "secret"});
    server.rest().post("/remotes", remote).await.expect(201);
    let backup = server.data().with_file_name("backup");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"))
        .arg("backup")
        .arg("--to")
        .arg(&backup)
        .arg("--data")
        .arg(server.data())
        .output()
        .await
        .expect("the task ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let beside = std::fs::read_dir(server.data().parent().expect("a folder")).expect("readable");
    let named: Vec<_> = beside.map(|entry| entry.expect("an entry").path()).collect();
    let ours = named.iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("data") || name.starts_with("backup")
    });
    let open: Vec<String> = ours.flat_map(|path| open_to_others(path)).collect();
    assert!(open.is_empty(), "{open:#?}");
    assert!(backup.join("longshore.db").exists());
}
