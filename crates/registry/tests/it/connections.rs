//! Broken connections, on either side, over real sockets.

use crate::fixture::{House, sha256};
use http::{Method, StatusCode};
use std::fs;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(house: &House, user: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = house.app(user);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_client_that_disconnects_during_a_chunk_can_resume_after_the_stored_bytes() {
    let house = House::new().await;
    let address = serve(&house, "ann").await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&[7; 1_300_000]).await.unwrap();
    drop(connection);
    // The offset does not change until the server has noticed.
    loop {
        match ann.get(&location).await.header("range") {
            "0-0" => tokio::task::yield_now().await,
            range => break assert_eq!(range, "0-1299999"),
        }
    }
    let end = format!("{location}?digest={}", sha256(&[7; 5_000_000]));
    let (range, rest) = ([("content-range", "1300000-4999999")], vec![7; 3_700_000]);
    let put = ann.send(Method::PUT, &end, &range, rest).await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
}

/// Sends raw bytes, and returns everything that arrives until the server closes the connection.
async fn speak(address: SocketAddr, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_truncated_body_is_not_stored_even_if_it_looks_complete() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let address = serve(&house, "ann").await;
    let (blob, manifest) = (sha256(b"hello"), manifest.to_string());
    for (request, body) in [
        ("PUT /v2/ann/web/manifests/v2?tag=v3".to_owned(), manifest.as_str()),
        (format!("POST /v2/ann/web/blobs/uploads/?digest={blob}"), "hello"),
    ] {
        let announced = body.len() + 1;
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: {announced}\r\n\r\n{body}");
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = String::new();
        // The server may still respond, but not with a success.
        let _ = connection.read_to_string(&mut answer).await;
        assert!(!answer.contains("201 Created"), "{answer}");
    }
    let ann = house.by("ann");
    assert_eq!(ann.get("/v2/ann/web/tags/list").await.json()["tags"], serde_json::json!(["v1"]));
    assert_eq!(ann.head(&format!("/v2/ann/web/manifests/{digest}")).await.status, StatusCode::OK);
    assert_eq!(ann.head(&format!("/v2/ann/web/blobs/{blob}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it() {
    let house = House::new().await;
    let address = serve(&house, "ann").await;
    let location = house.by("ann").post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("range: 0-4\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_expects_100_continue_is_rejected_before_it_sends_the_body() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let address = serve(&house, "bob").await;
    let head = "PUT /v2/ann/web/manifests/v1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4000000\r\nconnection: close\r\n\r\n";
    let answer = speak(address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_streamed_body_without_a_length_is_read_to_the_end() {
    let house = House::new().await;
    let address = serve(&house, "ann").await;
    let location = house.by("ann").post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let request = format!(
        "PATCH {location} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
         5\r\nhello\r\n1\r\n,\r\n0\r\n\r\n"
    );
    let answer = speak(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("range: 0-5\r\n"), "{answer}");
}

#[tokio::test]
async fn a_response_without_content_announces_none() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"0123456789").await;
    let address = serve(&house, "ann").await;
    let location = house.by("ann").post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let request = format!("GET {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let status = speak(address, request.as_bytes()).await;
    assert!(status.starts_with("HTTP/1.1 204") && !status.contains("content-length"), "{status}");
    let request = format!(
        "GET /v2/ann/web/blobs/{digest} HTTP/1.1\r\nhost: x\r\nif-none-match: \"{digest}\"\r\nconnection: close\r\n\r\n"
    );
    let cached = speak(address, request.as_bytes()).await;
    assert!(cached.starts_with("HTTP/1.1 304") && cached.ends_with("\r\n\r\n"), "{cached}");
    assert!(!cached.contains("content-length: 0"), "{cached}");
}

#[tokio::test]
async fn the_response_to_a_head_has_the_length_of_a_get_and_no_body() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let address = serve(&house, "ann").await;
    for path in ["/v2/ann/web/manifests/v1", "/v2/ann/web/manifests/none", "/v2/ann/web/tags/list", "/v2/"] {
        let ask = async |method: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = speak(address, request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let told: Vec<String> =
                head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
            (told, body.to_owned())
        };
        let ((head, nothing), (get, _)) = (ask("HEAD").await, ask("GET").await);
        assert_eq!((head, nothing.as_str()), (get, ""), "{path}");
    }
}

#[tokio::test]
async fn reading_a_damaged_blob_ends_in_a_broken_connection() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"this blob will lose its end").await;
    let stored = house.folder.path().join(format!("blobs/sha256/{}/{}", &digest.hex()[..2], digest.hex()));
    fs::write(stored, b"this blob").unwrap();
    let mut connection = TcpStream::connect(serve(&house, "ann").await).await.unwrap();
    let request = format!("GET /v2/ann/web/blobs/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The end of the stream or a reset, but never the announced length.
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.contains("content-length: 27\r\n"), "{answer}");
    assert!(!answer.ends_with("its end"), "{answer}");
}
