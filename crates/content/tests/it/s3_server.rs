//! A real S3 server over a folder, in this process: it writes down what it is asked, and refuses
//! what a test tells it to.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use longshore_content::{S3Settings, S3Store};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const BUCKET: &str = "images";

pub(crate) struct S3Server {
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
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("longshore", "well kept"));
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

    pub(crate) fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: BUCKET.into(),
            endpoint: Some(format!("http://{}", self.address).parse().unwrap()),
            region: "us-east-1".into(),
            access_key: "longshore".into(),
            secret_key: "well kept".into(),
            prefix: String::new(),
            virtual_host: false,
            allow_http: true,
        }
    }

    /// A store in the bucket, as one of several servers has it.
    pub(crate) fn store(&self) -> S3Store {
        S3Store::open(&self.settings()).unwrap()
    }

    /// The keys of the objects, and `part` for each part of an upload that was not put together.
    pub(crate) fn objects(&self) -> Vec<String> {
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

    /// Waits for what is removed in the background.
    pub(crate) async fn becomes_empty(&self) {
        for _ in 0..1_000 {
            if self.objects().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("left behind: {:?}", self.objects());
    }

    /// What was asked since the last time, such as `PUT /blobs/x`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap().requests)
    }

    /// Refuses requests by method and the end of the path from now on.
    pub(crate) fn refuse(&self, what: Option<(Method, &'static str)>) {
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
