//! A registry in memory that does as it is told: it counts what it is asked, breaks connections, refuses, waits.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use futures::{StreamExt, stream};
use longshore_oci::{Digest, Manifest, Tag};
use longshore_testkit::{Package, corpus::digest_of};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::Semaphore};

/// What goes wrong with the next requests to some address.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The status, with a `Retry-After` in seconds if there is one.
    Status(u16, Option<u64>),
    /// The body breaks off after so many bytes.
    BreakAfter(usize),
    /// Other bytes of the same length.
    WrongBytes,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, (String, Bytes)>,
    tags: BTreeMap<Tag, Digest>,
}

#[derive(Default)]
struct Content {
    repositories: HashMap<String, Repository>,
    /// Method, path, and the lineage header where there is one.
    requests: Vec<(Method, String, Option<String>)>,
    faults: Vec<(Method, String, usize, Fault)>,
    uploads: HashSet<String>,
    gates: HashMap<String, Arc<Semaphore>>,
    has_referrers: bool,
    ranges: Vec<u64>,
}

/// The registry; clones are the same one.
#[derive(Clone)]
pub(crate) struct ScriptedRegistry {
    content: Arc<Mutex<Content>>,
    address: std::net::SocketAddr,
}

impl ScriptedRegistry {
    /// One that listens on a free port, with the referrers API.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(Content { has_referrers: true, ..Content::default() }));
        let registry = Self { content, address };
        let router = Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        registry
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Takes the referrers API away.
    pub(crate) fn without_referrers(self) -> Self {
        self.with(|content| content.has_referrers = false);
        self
    }

    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> T {
        act(&mut self.content.lock().unwrap())
    }

    /// Puts a package under a tag, or by digest alone.
    pub(crate) fn hold(&self, repository: &str, tag: Option<&str>, package: &Package) {
        self.with(|content| {
            let here = content.repositories.entry(repository.to_owned()).or_default();
            here.blobs.extend(package.blobs.iter().cloned());
            for manifest in &package.manifests {
                let stored = (manifest.media_type.clone(), manifest.bytes.clone());
                here.manifests.insert(manifest.digest.clone(), stored);
            }
            if let Some(tag) = tag {
                here.tags.insert(tag.parse().unwrap(), package.root.clone());
            }
        });
    }

    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        let tag: Tag = tag.parse().unwrap();
        self.with(|content| content.repositories.get(repository)?.tags.get(&tag).cloned())
    }

    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.with(|content| {
            let here = content.repositories.get(repository);
            here.map(|here| here.tags.keys().map(ToString::to_string).collect()).unwrap_or_default()
        })
    }

    /// Whether every manifest and blob of the package is there.
    pub(crate) fn has(&self, repository: &str, package: &Package) -> bool {
        self.with(|content| {
            content.repositories.get(repository).is_some_and(|here| {
                package
                    .manifests
                    .iter()
                    .all(|m| here.manifests.get(&m.digest).is_some_and(|(_, b)| *b == m.bytes))
                    && package.blobs.iter().all(|(digest, bytes)| here.blobs.get(digest) == Some(bytes))
            })
        })
    }

    pub(crate) fn manifest(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.with(|content| {
            content.repositories.get(repository)?.manifests.get(digest).map(|(_, bytes)| bytes.clone())
        })
    }

    /// The next `times` requests of this method whose path ends so go wrong.
    pub(crate) fn fail(&self, method: Method, path_ends: impl Into<String>, times: usize, fault: Fault) {
        let path_ends = path_ends.into();
        self.with(|content| content.faults.push((method, path_ends, times, fault)));
    }

    /// GETs of this blob send half of it and wait for [`Self::open`].
    pub(crate) fn gate(&self, digest: &Digest) {
        self.with(|content| content.gates.insert(digest.to_string(), Arc::new(Semaphore::new(0))));
    }

    /// Lets what waits at the gate through, and all that comes later.
    pub(crate) fn open(&self, digest: &Digest) {
        if let Some(gate) = self.with(|content| content.gates.remove(digest.as_str())) {
            gate.add_permits(1_000);
        }
    }

    /// `METHOD path` of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.with(|content| {
            content.requests.iter().map(|(method, path, _)| format!("{method} {path}")).collect()
        })
    }

    /// Forgets the requests so far.
    pub(crate) fn forget_requests(&self) {
        self.with(|content| {
            content.requests.clear();
            content.ranges.clear();
        });
    }

    /// How many requests were of this method and had this in their path.
    pub(crate) fn count(&self, method: Method, part: &str) -> usize {
        self.with(|content| {
            content.requests.iter().filter(|(m, path, _)| *m == method && path.contains(part)).count()
        })
    }

    /// Where GETs by Range began.
    pub(crate) fn ranges(&self) -> Vec<u64> {
        self.with(|content| content.ranges.clone())
    }

    /// The lineage headers that came with manifests.
    pub(crate) fn lineages(&self) -> Vec<String> {
        self.with(|content| content.requests.iter().filter_map(|(_, _, lineage)| lineage.clone()).collect())
    }

    fn fault(&self, method: &Method, path: &str) -> Option<Fault> {
        self.with(|content| {
            let found = content
                .faults
                .iter_mut()
                .find(|(m, ends, times, _)| m == method && path.ends_with(ends.as_str()) && *times > 0)?;
            found.2 -= 1;
            Some(found.3.clone())
        })
    }
}

async fn answer(State(registry): State<ScriptedRegistry>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let shown = head.uri.path_and_query().unwrap().to_string();
    let lineage = head.headers.get("longshore-lineage").map(|value| value.to_str().unwrap().to_owned());
    registry.with(|content| content.requests.push((head.method.clone(), shown, lineage)));
    let fault = registry.fault(&head.method, &path);
    if let Some(Fault::Status(status, after)) = &fault {
        let _ = axum::body::to_bytes(body, usize::MAX).await;
        let mut answer = Response::builder().status(*status);
        if let Some(after) = after {
            answer = answer.header(header::RETRY_AFTER, after.to_string());
        }
        return answer.body(Body::empty()).unwrap();
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return plain(StatusCode::NOT_FOUND) };
    if rest.is_empty() {
        return plain(StatusCode::OK);
    }
    let asked =
        Asked { registry: &registry, method: head.method, query: head.uri.query().unwrap_or("").to_owned() };
    let parts: Vec<&str> = rest.split('/').collect();
    let at = |word: &str| parts.iter().rposition(|part| *part == word);
    if let Some(at) = at("uploads") {
        let name = parts[..at - 1].join("/");
        return asked.upload(&name, body).await;
    }
    if let Some(at) = at("manifests") {
        return asked.manifest(&parts[..at].join("/"), parts[at + 1], &head.headers, body, fault).await;
    }
    if let Some(at) = at("blobs") {
        return asked.blob(&parts[..at].join("/"), parts[at + 1], &head.headers, fault).await;
    }
    if let Some(at) = at("referrers") {
        return asked.referrers(&parts[..at].join("/"), parts[at + 1]);
    }
    match at("tags") {
        Some(at) => asked.list(&parts[..at].join("/")),
        None => plain(StatusCode::NOT_FOUND),
    }
}

struct Asked<'a> {
    registry: &'a ScriptedRegistry,
    method: Method,
    query: String,
}

impl Asked<'_> {
    fn query(&self, key: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(name, _)| *name == key)?;
        Some(found.1.replace("%3A", ":").replace("%2F", "/"))
    }

    fn list(&self, name: &str) -> Response {
        let tags = self.registry.tags(name);
        let body = serde_json::json!({"name": name, "tags": tags}).to_string();
        Response::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
    }

    async fn upload(&self, name: &str, body: Body) -> Response {
        if self.method == Method::POST {
            if let (Some(digest), Some(from)) = (self.query("mount"), self.query("from")) {
                let digest: Digest = digest.parse().unwrap();
                let mounted = self.registry.with(|content| {
                    let bytes = content.repositories.get(&from)?.blobs.get(&digest)?.clone();
                    content.repositories.entry(name.to_owned()).or_default().blobs.insert(digest, bytes);
                    Some(())
                });
                if mounted.is_some() {
                    return plain(StatusCode::CREATED);
                }
            }
            let id = uuid::Uuid::now_v7().to_string();
            let location = format!("/v2/{name}/blobs/uploads/{id}");
            self.registry.with(|content| content.uploads.insert(id));
            let answer = Response::builder().status(StatusCode::ACCEPTED).header(header::LOCATION, location);
            return answer.body(Body::empty()).unwrap();
        }
        let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
            return plain(StatusCode::BAD_REQUEST);
        };
        let digest: Digest = self.query("digest").unwrap().parse().unwrap();
        if digest_of(&bytes) != digest {
            return error(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
        }
        self.registry.with(|content| {
            content.repositories.entry(name.to_owned()).or_default().blobs.insert(digest, bytes);
        });
        plain(StatusCode::CREATED)
    }

    async fn manifest(
        &self,
        name: &str,
        reference: &str,
        headers: &HeaderMap,
        body: Body,
        fault: Option<Fault>,
    ) -> Response {
        if self.method == Method::PUT {
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let kind = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            return self.put(name, reference, kind, bytes);
        }
        let found = self.registry.with(|content| {
            let here = content.repositories.get(name)?;
            let digest = match reference.parse::<Digest>() {
                Ok(digest) => digest,
                Err(_) => here.tags.get(reference)?.clone(),
            };
            let (kind, bytes) = here.manifests.get(&digest)?.clone();
            Some((digest, kind, bytes))
        });
        let Some((digest, kind, mut bytes)) = found else {
            return error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN");
        };
        if matches!(fault, Some(Fault::WrongBytes)) {
            bytes = Bytes::from(vec![b' '; bytes.len()]);
        }
        let answer = Response::builder()
            .header(header::CONTENT_TYPE, kind)
            .header(header::CONTENT_LENGTH, bytes.len())
            .header("docker-content-digest", digest.as_str());
        let body = if self.method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
        answer.body(body).unwrap()
    }

    fn put(&self, name: &str, reference: &str, kind: String, bytes: Bytes) -> Response {
        let manifest = Manifest::parse(&bytes, Some(&kind)).unwrap();
        let digest = digest_of(&bytes);
        let complete = self.registry.with(|content| {
            let here = content.repositories.entry(name.to_owned()).or_default();
            let complete = manifest.references().filter(|part| !part.absent_ok).all(|part| {
                let named = &part.descriptor.digest;
                here.blobs.contains_key(named) || here.manifests.contains_key(named)
            });
            if complete {
                here.manifests.insert(digest.clone(), (kind, bytes));
                if let Ok(tag) = reference.parse::<Tag>() {
                    here.tags.insert(tag, digest.clone());
                }
            }
            complete
        });
        if !complete {
            return error(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN");
        }
        let mut answer =
            Response::builder().status(StatusCode::CREATED).header("docker-content-digest", digest.as_str());
        if let Some(subject) =
            manifest.subject().filter(|_| self.registry.with(|content| content.has_referrers))
        {
            answer = answer.header("oci-subject", subject.digest.as_str());
        }
        answer.body(Body::empty()).unwrap()
    }

    async fn blob(&self, name: &str, digest: &str, headers: &HeaderMap, fault: Option<Fault>) -> Response {
        let parsed: Digest = digest.parse().unwrap();
        let found = self
            .registry
            .with(|content| content.repositories.get(name).and_then(|here| here.blobs.get(&parsed).cloned()));
        let Some(mut bytes) = found else { return error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN") };
        let whole = bytes.len();
        if self.method == Method::HEAD {
            return Response::builder().header(header::CONTENT_LENGTH, whole).body(Body::empty()).unwrap();
        }
        if matches!(fault, Some(Fault::WrongBytes)) {
            bytes = Bytes::from(vec![0; whole]);
        }
        let mut answer = Response::builder();
        let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
        if let Some(start) =
            range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        {
            self.registry.with(|content| content.ranges.push(start));
            bytes = bytes.split_off(usize::try_from(start).unwrap());
            let content_range = format!("bytes {start}-{}/{whole}", whole - 1);
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, content_range);
        }
        let answer = answer.header(header::CONTENT_LENGTH, bytes.len());
        if let Some(Fault::BreakAfter(count)) = fault {
            let broken =
                stream::iter([Ok(bytes.split_to(count.min(bytes.len()))), Err(std::io::Error::other("cut"))]);
            return answer.body(Body::from_stream(slowly(broken))).unwrap();
        }
        let gate = self.registry.with(|content| content.gates.get(digest).cloned());
        if let Some(gate) = gate {
            let first = bytes.split_to(bytes.len() / 2);
            let second = stream::once(async move {
                let _open = gate.acquire().await.unwrap();
                Ok::<_, std::io::Error>(bytes)
            });
            return answer.body(Body::from_stream(stream::iter([Ok(first)]).chain(second))).unwrap();
        }
        answer.body(Body::from(bytes)).unwrap()
    }

    fn referrers(&self, name: &str, subject: &str) -> Response {
        if !self.registry.with(|content| content.has_referrers) {
            return plain(StatusCode::NOT_FOUND);
        }
        let subject: Digest = subject.parse().unwrap();
        let found: Vec<serde_json::Value> = self.registry.with(|content| {
            let Some(here) = content.repositories.get(name) else { return Vec::new() };
            let refers = |(_, (kind, bytes)): &(&Digest, &(String, Bytes))| {
                let manifest = Manifest::parse(bytes, Some(kind)).unwrap();
                manifest.subject().is_some_and(|found| found.digest == subject)
            };
            let entry = |(digest, (kind, bytes)): (&Digest, &(String, Bytes))| {
                serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
            };
            here.manifests.iter().filter(refers).map(entry).collect()
        });
        let kind = longshore_oci::media_type::OCI_INDEX;
        let body = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": found}).to_string();
        Response::builder().header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap()
    }
}

/// The error must come after the bytes have gone out, or they are lost with the connection.
fn slowly(
    pieces: impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    pieces.then(|piece| async move {
        if piece.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        piece
    })
}

fn plain(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn error(status: StatusCode, code: &str) -> Response {
    let body = serde_json::json!({"errors": [{"code": code, "message": code}]}).to_string();
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap()
}
