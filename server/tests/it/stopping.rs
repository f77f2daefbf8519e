//! Stopping a server: running work is finished or parked, and nothing is lost.

use longshore_testkit::{ADMIN_PASSWORD, Longshore, corpus, eventually};
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{SOON, longshore, remote, repositories, with};

async fn server(arguments: &[&str]) -> Longshore {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
    arguments.iter().fold(builder, |builder, argument| builder.argument(argument)).start().await
}

fn authorization() -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(format!("admin:{ADMIN_PASSWORD}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_aborted_by_the_stop_can_be_resumed_after_the_start() {
    let mut server = server(&["--shutdown-seconds=1"]).await;
    let registry = server.registry();
    let begun = registry.send(registry.request(Method::POST, "/v2/admin/app/blobs/uploads/")).await;
    let upload = begun.headers[header::LOCATION].to_str().expect("text").to_owned();
    let blob: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (host, basic, length) = (server.host(), authorization(), blob.len());
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut client = TcpStream::connect(server.host()).await.expect("a connection");
    client.write_all(head.as_bytes()).await.expect("sent");
    client.write_all(&blob[..100_000]).await.expect("sent");
    client.flush().await.expect("sent");
    // From then on it reads what has been sent, and a stopping server waits for that.
    eventually("the server to accept the upload", SOON, async || {
        let answer = registry.send(registry.request(Method::GET, "/metrics")).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.contains("\nlongshore_uploads_running 1\n").then_some(()).ok_or(text)
    })
    .await;
    assert!(server.terminate().await.success());
    server.restart().await;

    let status = registry.send(registry.request(Method::GET, &upload)).await;
    assert_eq!(status.headers[header::RANGE], "0-99999", "{}", server.log());
    let digest = corpus::digest_of(&blob);
    let rest =
        registry.request(Method::PUT, &format!("{upload}?digest={digest}")).body(blob[100_000..].to_vec());
    assert_eq!(registry.send(rest).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_request_is_finished_while_new_connections_are_refused() {
    let mut server = server(&["--shutdown-seconds=20"]).await;
    let registry = server.registry();
    let blob = vec![3; 30_000_000];
    let digest = corpus::digest_of(&blob);
    let put = format!("/v2/admin/app/blobs/uploads/?digest={digest}");
    registry.send(registry.request(Method::POST, &put).body(blob.clone())).await;

    let mut pull = registry
        .request(Method::GET, &format!("/v2/admin/app/blobs/{digest}"))
        .send()
        .await
        .expect("a response");
    let mut resting = TcpStream::connect(server.host()).await.expect("a connection");
    resting.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let host = server.host();
    let ending = async {
        eventually("new connections to be refused", SOON, async || {
            TcpStream::connect(&host).await.is_err().then_some(())
        })
        .await;
        let mut said = Vec::new();
        resting.read_to_end(&mut said).await.expect("an idle connection is closed");
        let mut length = 0;
        while let Some(chunk) = pull.chunk().await.expect("the pull continues") {
            length += chunk.len();
        }
        length
    };
    let (status, length) = tokio::join!(server.terminate(), ending);
    assert!(status.success());
    assert_eq!(length, blob.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_is_notified_before_connections_are_refused() {
    let mut server = server(&["--shutdown-delay-seconds=3"]).await;
    let url = format!("{}/readyz", server.url());
    let watching = eventually("readyz to report it", SOON, async || {
        let answer = reqwest::Client::new().get(&url).send().await.map_err(|error| error.to_string())?;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(()).ok_or(answer.status().to_string())
    });
    let (status, ()) = tokio::join!(server.terminate(), watching);
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_requeued_before_the_server_stops() {
    let mut server = longshore().await;
    let other = longshore().await;
    repositories(&server.rest(), &["dev/app"]).await;
    let there = remote(&other.url(), "admin/app", "admin", ADMIN_PASSWORD);
    let mirror = with(there, json!({"rules": [], "tagTemplate": "%n"}));
    server.rest().post("/repositories/dev/app/pushMirroringPolicies", mirror).await.expect(201);
    // From now on it never responds.
    other.freeze();
    server.registry().push(&corpus::image(1, 1, 1000), "dev/app", Some("1")).await;
    let job = async |server: &Longshore| {
        server.rest().get("/jobs?action=push_mirror_tag").await.expect(200)["jobs"][0].clone()
    };
    let first = eventually("the job to run", SOON, async || {
        let job = job(&server).await;
        (job["status"] == "running").then_some(job.clone()).ok_or(job)
    })
    .await;
    assert!(server.terminate().await.success());
    server.restart().await;
    let again = eventually("the job to run again", SOON, async || {
        let job = job(&server).await;
        (job["status"] == "running").then_some(job.clone()).ok_or(job)
    })
    .await;
    assert_eq!(again["id"], first["id"]);
    let log = server.rest().get(&format!("/jobs/{}/logs", first["id"].as_str().expect("an id"))).await;
    assert!(log.body.to_string().contains("the server is stopping"), "{:?}", log.body);
}
