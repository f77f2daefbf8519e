//! What happens when a connection breaks, on either side, over real sockets.

use crate::fixture::House;
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
async fn a_client_that_vanishes_in_mid_part_finds_its_bytes_again() {
    let house = House::new().await;
    let address = serve(&house, "ann").await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&[7; 1_300_000]).await.unwrap();
    drop(connection);
    // Until the server has noticed, the upload stands where it stood.
    loop {
        match ann.get(&location).await.header("range") {
            "0-0" => tokio::task::yield_now().await,
            range => break assert_eq!(range, "0-1299999"),
        }
    }
}

#[tokio::test]
async fn a_blob_that_turns_out_damaged_ends_in_a_broken_connection() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"this blob will lose its end").await;
    let stored = house.folder.path().join(format!("blobs/sha256/{}/{}", &digest.hex()[..2], digest.hex()));
    fs::write(stored, b"this blob").unwrap();
    let mut connection = TcpStream::connect(serve(&house, "ann").await).await.unwrap();
    let request = format!("GET /v2/ann/web/blobs/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The end of the stream or a reset; in no case all that was announced.
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.contains("content-length: 27\r\n"), "{answer}");
    assert!(!answer.ends_with("its end"), "{answer}");
}
