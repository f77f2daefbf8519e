//! The S3 server of the tests as a program: it prints the settings with which a Longshore stores its blobs there, and
//! runs until it is ended.

use longshore_testkit::S3Server;
use longshore_testkit::s3_server::{ACCESS_KEY, BUCKET, SECRET_KEY};

#[tokio::main]
async fn main() {
    let server = S3Server::start().await;
    for (name, value) in [
        ("ENDPOINT", server.url().as_str()),
        ("BUCKET", BUCKET),
        ("ACCESS_KEY", ACCESS_KEY),
        ("SECRET_KEY", SECRET_KEY),
        ("ALLOW_HTTP", "true"),
    ] {
        println!("LONGSHORE_S3_{name}={value}");
    }
    println!("ready");
    std::future::pending().await
}
