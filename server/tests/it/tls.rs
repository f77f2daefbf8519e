//! TLS as clients see it: certificates from files and from the private authority, renewal while the server runs, and
//! errors.

use std::path::{Path, PathBuf};

use longshore_testkit::{ADMIN_PASSWORD, Issued, Longshore, Skopeo, TestCa, corpus, eventually};
use reqwest::{StatusCode, Version, header};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::SOON;

/// A certificate in files.
struct Files {
    folder: TempDir,
    ca: TestCa,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: TempDir::new().expect("a folder"), ca: TestCa::new() };
        files.write(&files.ca.issue_for_loopback());
        files
    }

    fn write(&self, issued: &Issued) {
        std::fs::write(self.certificate(), &issued.certificate).expect("written");
        std::fs::write(self.key(), &issued.key).expect("written");
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    async fn server(&self) -> Longshore {
        Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
            .tls_files(&self.certificate(), &self.key(), self.ca.pem())
            .start()
            .await
    }
}

/// Runs curl with the server's authority. Returns whether it succeeded, and its output.
async fn curl(server: &Longshore, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, server.ca().expect("it speaks TLS")).expect("written");
    let mut command = tokio::process::Command::new("curl");
    let command = command.args(["-sS", "--max-time", "20", "--cacert"]).arg(&ca).args(arguments);
    let output = command.output().await.expect("curl (a Debian package) runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The serial number and names of the certificate that a new connection gets, as openssl shows them.
async fn shown(server: &Longshore) -> String {
    let script = format!(
        "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -serial -ext subjectAltName",
        server.host()
    );
    let output = tokio::process::Command::new("sh").args(["-c", &script]).output().await.expect("sh runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_push_and_pull_over_tls_with_certificate_files() {
    let files = Files::new();
    let server = files.server().await;
    let skopeo =
        Skopeo::new().trust(&server.host(), files.ca.pem()).login(&server.host(), "admin", ADMIN_PASSWORD);
    let image = format!("{}/admin/app:1", server.host());
    let package = corpus::image(1, 2, 300_000);
    skopeo.push(&package, &image).await.expect("skopeo pushes");
    let pulled = TempDir::new().expect("a folder");
    skopeo.pull(&image, pulled.path()).await.expect("skopeo pulls");
    server.registry().verify(&package, "admin/app").await;
    assert!(Skopeo::new().trust(&server.host(), TestCa::new().pem()).digest(&image).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_authority_issues_certificates_for_each_name_of_the_server() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .tls_private_ca()
        .argument("--external-url=https://registry.example.com")
        .argument("--tls-names=mirror.example.com,192.0.2.7")
        .start()
        .await;
    let names = shown(&server).await;
    for name in [
        "DNS:registry.example.com",
        "DNS:mirror.example.com",
        "DNS:localhost",
        "IP Address:127.0.0.1",
        "IP Address:192.0.2.7",
    ] {
        assert!(names.contains(name), "{name} is missing: {names}");
    }
    let folder = TempDir::new().expect("a folder");
    let (host, port) =
        server.host().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a port");
    for name in ["localhost", "registry.example.com"] {
        let resolve = format!("{name}:{port}:{host}");
        let url = format!("https://{name}:{port}/ca");
        let (good, said) = curl(&server, folder.path(), &["--resolve", &resolve, "-i", &url]).await;
        assert!(good && said.contains("application/x-pem-file"), "{said}");
    }
    let package = corpus::image(2, 1, 10_000);
    server.registry().push(&package, "admin/app", Some("1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_authority_survives_a_restart_and_its_key_is_not_in_the_data_folder() {
    let mut server = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).tls_private_ca().start().await;
    let before = shown(&server).await;
    server.restart().await;
    assert_ne!(shown(&server).await, before, "the server's own certificate is new");
    let pem = server.registry().send(server.registry().request(reqwest::Method::GET, "/ca")).await.body;
    assert_eq!(pem, server.ca().expect("it speaks TLS").as_bytes());
    let mut command = tokio::process::Command::new("grep");
    let found = command.args(["-rlaE", "BEGIN (EC )?PRIVATE KEY"]).arg(server.data()).output().await;
    assert_eq!(String::from_utf8_lossy(&found.expect("grep runs").stdout), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_and_http_1_are_chosen_by_the_client() {
    let files = Files::new();
    let server = files.server().await;
    let folder = TempDir::new().expect("a folder");
    let url = format!("{}/v2/", server.url());
    for (option, version, expected) in
        [("--http2", Version::HTTP_2, "HTTP/2 401"), ("--http1.1", Version::HTTP_11, "HTTP/1.1 401")]
    {
        let (_, said) = curl(&server, folder.path(), &["-i", option, &url]).await;
        assert!(said.starts_with(expected), "{version:?}: {said}");
        let realm = format!("realm=\"{}/v2/token\"", server.url());
        assert!(said.contains(&realm), "the realm is an https URL: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fastest_cipher_is_used_and_chacha_for_clients_without_aes() {
    let files = Files::new();
    let server = files.server().await;
    let folder = TempDir::new().expect("a folder");
    let url = format!("{}/healthz", server.url());
    for (preferred, used) in [
        ("TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    ] {
        let (_, said) = curl(&server, folder.path(), &["-v", "--tls13-ciphers", preferred, &url]).await;
        assert!(said.contains(&format!("TLSv1.3 / {used}")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_cookie_is_secure_over_tls() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).tls_private_ca().start().await;
    let registry = server.registry().anonymous();
    let form = registry
        .request(reqwest::Method::POST, "/fn/sign_in")
        .header(header::ACCEPT, "text/html")
        .header(header::ORIGIN, server.url())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("username=admin&password={}", ADMIN_PASSWORD.replace(' ', "+")));
    let answer = registry.send(form).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().expect("text");
    assert!(cookie.contains("longshore_session=") && cookie.contains("; Secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_certificate_is_used_while_connections_stay_open() {
    let files = Files::new();
    let server = files.server().await;
    let registry = server.registry();
    let package = corpus::image(3, 1, 4_000_000);
    registry.push(&package, "admin/app", Some("1")).await;
    let first = shown(&server).await;

    // A pull that starts before the change and ends after it.
    let (blob, bytes) = package.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).expect("it has blobs");
    let pull = registry.request(reqwest::Method::GET, &format!("/v2/admin/app/blobs/{blob}"));
    let mut pull = pull.send().await.expect("a response");
    let begun = pull.chunk().await.expect("bytes").map_or(0, |chunk| chunk.len());

    files.write(&files.ca.issue_for_loopback());
    eventually("the newer certificate to be used", SOON, async || {
        let now = shown(&server).await;
        (now != first && now.contains("serial")).then_some(())
    })
    .await;
    let mut length = begun;
    while let Some(chunk) = pull.chunk().await.expect("the connection stays open") {
        length += chunk.len();
    }
    assert_eq!(length, bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_certificate_is_ignored_and_explained_in_the_log() {
    let files = Files::new();
    let server = files.server().await;
    let first = shown(&server).await;
    std::fs::write(files.key(), TestCa::new().issue_for_loopback().key).expect("written");
    eventually("the log to explain it", SOON, async || {
        let log = server.log();
        log.contains("keeps its current certificate").then_some(()).ok_or(log)
    })
    .await;
    let log = server.log();
    assert!(log.contains("tls.key does not belong to the first certificate of"), "{log}");
    assert_eq!(shown(&server).await, first);
    files.write(&files.ca.issue_for_loopback());
    eventually("a valid one to be used", SOON, async || (shown(&server).await != first).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_handshakes_do_not_block_others_and_plain_http_gets_an_explanation() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).tls_private_ca().start().await;
    let mut hanging = Vec::new();
    for _ in 0..50 {
        hanging.push(TcpStream::connect(server.host()).await.expect("a connection"));
    }
    let answer = server.registry().send(server.registry().request(reqwest::Method::GET, "/v2/")).await;
    assert_eq!(answer.status, StatusCode::OK);

    let mut plain = TcpStream::connect(server.host()).await.expect("a connection");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut said = String::new();
    plain.read_to_string(&mut said).await.expect("a response");
    assert!(said.starts_with("HTTP/1.0 400") && said.contains("https://"), "{said}");
}
