//! A real S3 server on a folder, in this process. It records its requests and rejects those that a test chooses.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::eventually::eventually;

/// The maximum wait for something that takes no time on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The only bucket.
pub const BUCKET: &str = "images";
/// The access key of the bucket.
pub const ACCESS_KEY: &str = "longshore";
/// The secret of the access key.
pub const SECRET_KEY: &str = "well kept";

/// The server, which ends when it is dropped with its runtime.
pub struct S3Server {
    folder: TempDir,
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
}

#[derive(Default)]
struct Asked {
    requests: Vec<String>,
    refused: Option<(Method, &'static str)>,
}

impl S3Server {
    /// Starts the server on a free port, with one empty bucket.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Asked>>::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, log) = (service.clone(), log.clone());
                tokio::spawn(async move {
                    let answer = service_fn(|request| answer(&service, &log, request));
                    let _ = Builder::new().serve_connection(TokioIo::new(socket), answer).await;
                });
            }
        });
        Self { folder, address, asked }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The keys of the objects, and `part` for each part of an incomplete upload.
    pub fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.folder.path().join(BUCKET), "", &mut found);
        let beside = fs::read_dir(self.folder.path()).unwrap();
        let parts = beside.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".upload")
        });
        found.extend(parts.map(|_| "part".to_owned()));
        found.sort();
        found
    }

    /// Waits until everything has been removed in the background.
    pub async fn becomes_empty(&self) {
        eventually("the bucket is empty", PATIENCE, async || match self.objects() {
            objects if objects.is_empty() => Ok(()),
            objects => Err(format!("{objects:?}")),
        })
        .await;
    }

    /// Waits for any request.
    pub async fn is_asked(&self) {
        eventually("a request arrives", PATIENCE, async || {
            let asked = !self.asked.lock().unwrap().requests.is_empty();
            if asked { Ok(()) } else { Err("none arrived") }
        })
        .await;
    }

    /// The requests since the last call, such as `PUT /blobs/x`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap().requests)
    }

    /// Replaces the bytes of an object without a request to the server.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(BUCKET).join(key), bytes).unwrap();
    }

    /// Removes an object without a request to the server.
    pub fn remove(&self, key: &str) {
        fs::remove_file(self.folder.path().join(BUCKET).join(key)).unwrap();
    }

    /// Rejects requests with this method and end of the path from now on.
    pub fn refuse(&self, what: Option<(Method, &'static str)>) {
        self.asked.lock().unwrap().refused = what;
    }
}

fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let key = format!("{prefix}{}", name.to_string_lossy());
        match path.is_dir() {
            true => list(&path, &format!("{key}/"), found),
            false => found.push(key),
        }
    }
}

async fn answer(
    service: &S3Service,
    log: &Mutex<Asked>,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    let path = request.uri().path().trim_start_matches(&format!("/{BUCKET}")).to_owned();
    let refused = {
        let mut asked = log.lock().unwrap();
        asked.requests.push(format!("{} {path}", request.method()));
        asked.refused.as_ref().is_some_and(|(method, end)| method == request.method() && path.ends_with(end))
    };
    if refused {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = StatusCode::FORBIDDEN;
        return Ok(response);
    }
    service.call(request.map(s3s::Body::from)).await
}
