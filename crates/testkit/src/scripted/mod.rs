//! A registry in memory that does as it is told.
//!
//! It keeps images, lists them in pages, takes uploads and logs every request with its instant. What it does
//! differently from a good registry stands in a table of [`Rule`]s, read from the top: the first that fits a
//! request answers it, and what fits none goes to the registry itself.
//!
//! ```text
//! let registry = ScriptedRegistry::start().await;
//! registry.script([
//!     on(Method::HEAD, "*/manifests/*").status(403),
//!     on(Method::GET, "*/tags/list").nth(2).answer(reply(429).retry_after(30)),
//!     any("*/blobs/*").times(1).break_after(1_000),
//!     on(Method::GET, "/v2/up/slow/*").hang(),
//! ]);
//! ```
//!
//! [`ScriptedRegistry::require_tokens`] puts a token service before it, which checks the scope of each request.

mod content;
mod reply;
mod rule;
mod serving;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method};
use longshore_oci::{Digest, Tag};
use tokio::sync::Semaphore;

use crate::Package;

pub use reply::{Reply, reply};
pub use rule::{Rule, any, on};
pub use tokens::{Denied, Tokens};

/// A request as it came.
#[derive(Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// The path, as it was sent.
    pub path: String,
    /// The query, without its question mark; empty where there is none.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// When its headers had come.
    pub at: Instant,
    body: OnceLock<Bytes>,
}

impl Asked {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a client's header is text"))
    }

    /// The `Authorization` header.
    pub fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The body; empty where it was not read (yet).
    pub fn body(&self) -> Bytes {
        self.body.get().cloned().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// `GET /v2/?query`, for comparing.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target())
    }
}

/// How the list of tags is cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// By `n`, at most so many, each but the last with a `Link`.
    Linked(usize),
    /// By `n`, at most so many, continued by `last`, and without `Link`.
    Silent(usize),
    /// Everything at once, whatever is asked.
    Whole,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, (String, Bytes)>,
    tags: BTreeMap<Tag, Digest>,
    /// Listed, and no tags.
    odd_names: Vec<String>,
}

struct State {
    repositories: HashMap<String, Repository>,
    uploads: HashMap<String, Vec<u8>>,
    begun: u64,
    log: Vec<Arc<Asked>>,
    rules: Vec<Rule>,
    gates: HashMap<String, Arc<Semaphore>>,
    tokens: Option<Arc<Tokens>>,
    has_referrers: bool,
    takes_all: bool,
    pages: Pages,
}

/// The registry; clones are the same one.
#[derive(Clone)]
pub struct ScriptedRegistry {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl std::fmt::Debug for ScriptedRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ScriptedRegistry").field(&self.address).finish()
    }
}

impl ScriptedRegistry {
    /// One that listens on a free port of 127.0.0.1, with the referrers API and no rules.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let state = State {
            repositories: HashMap::new(),
            uploads: HashMap::new(),
            begun: 0,
            log: Vec::new(),
            rules: Vec::new(),
            gates: HashMap::new(),
            tokens: None,
            has_referrers: true,
            takes_all: false,
            pages: Pages::Linked(1_000),
        };
        let address = listener.local_addr().expect("a listener has an address");
        let registry = Self { state: Arc::new(Mutex::new(state)), address };
        tokio::spawn(serving::serve(listener, registry.clone()));
        registry
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Takes the referrers API away.
    pub fn without_referrers(self) -> Self {
        self.with(|state| state.has_referrers = false);
        self
    }

    /// Takes manifests whose parts are not there, too.
    pub fn taking_everything(self) -> Self {
        self.with(|state| state.takes_all = true);
        self
    }

    /// Cuts lists of tags so.
    pub fn paging(self, pages: Pages) -> Self {
        self.with(|state| state.pages = pages);
        self
    }

    /// Adds rules behind those that are there.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        self.with(|state| state.rules.extend(rules));
    }

    /// Drops all rules: a good registry from now on.
    pub fn forget_rules(&self) {
        self.with(|state| state.rules.clear());
    }

    /// Asks for a token of its own service, at `/token`, from now on.
    pub fn require_tokens(&self, tokens: Tokens) {
        self.with(|state| state.tokens = Some(Arc::new(tokens)));
    }

    /// Takes none of the tokens given so far any more.
    pub fn kill_tokens(&self) {
        if let Some(tokens) = self.tokens() {
            tokens.kill();
        }
    }

    /// The scopes of each request for a token, in the order of the requests.
    pub fn scopes_asked(&self) -> Vec<Vec<String>> {
        self.tokens().map(|tokens| tokens.asked()).unwrap_or_default()
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.with(|state| state.tokens.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("no test panics in here"))
    }

    /// Puts a package under a tag, or by digest alone.
    pub fn hold(&self, repository: &str, tag: Option<&str>, package: &Package) {
        self.with(|state| {
            let here = state.repositories.entry(repository.to_owned()).or_default();
            here.blobs.extend(package.blobs.iter().cloned());
        });
        for manifest in &package.manifests {
            self.hold_manifest(repository, None, &manifest.media_type, manifest.bytes.clone());
        }
        if let Some(tag) = tag {
            self.point(repository, tag, &package.root);
        }
    }

    /// Puts any bytes as a manifest, served with this content type, under a tag or by digest alone.
    pub fn hold_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        content_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = crate::corpus::digest_of(&bytes);
        self.with(|state| {
            let here = state.repositories.entry(repository.to_owned()).or_default();
            here.manifests.insert(digest.clone(), (content_type.to_owned(), bytes));
        });
        if let Some(tag) = tag {
            self.point(repository, tag, &digest);
        }
        digest
    }

    /// Points a tag to a digest, whether that is there or not.
    pub fn point(&self, repository: &str, tag: &str, to: &Digest) {
        let tag: Tag = tag.parse().expect("a tag");
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().tags.insert(tag, to.clone());
        });
    }

    /// Lists a name that is no tag, before the tags.
    pub fn list_also(&self, repository: &str, name: &str) {
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().odd_names.push(name.to_owned());
        });
    }

    /// Takes a tag away; its manifest stays.
    pub fn untag(&self, repository: &str, tag: &str) {
        let tag: Tag = tag.parse().expect("a tag");
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().tags.remove(&tag);
        });
    }

    /// Loses a blob or a manifest.
    pub fn lose(&self, repository: &str, digest: &Digest) {
        self.with(|state| {
            let here = state.repositories.entry(repository.to_owned()).or_default();
            here.blobs.remove(digest);
            here.manifests.remove(digest);
        });
    }

    /// What a tag points to.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        let tag: Tag = tag.parse().expect("a tag");
        self.with(|state| state.repositories.get(repository)?.tags.get(&tag).cloned())
    }

    /// The tags, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.with(|state| {
            let here = state.repositories.get(repository);
            here.map(|here| here.tags.keys().map(ToString::to_string).collect()).unwrap_or_default()
        })
    }

    /// Whether every manifest and blob of the package is there.
    pub fn has(&self, repository: &str, package: &Package) -> bool {
        self.with(|state| {
            state.repositories.get(repository).is_some_and(|here| {
                let manifests = package.manifests.iter();
                let mut manifests =
                    manifests.map(|m| here.manifests.get(&m.digest).is_some_and(|(_, b)| *b == m.bytes));
                let mut blobs =
                    package.blobs.iter().map(|(digest, bytes)| here.blobs.get(digest) == Some(bytes));
                manifests.all(|there| there) && blobs.all(|there| there)
            })
        })
    }

    /// A manifest's bytes.
    pub fn manifest(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.with(|state| {
            state.repositories.get(repository)?.manifests.get(digest).map(|(_, bytes)| bytes.clone())
        })
    }

    /// GETs of this blob send half of it and wait for [`Self::open`].
    pub fn gate(&self, digest: &Digest) {
        self.with(|state| state.gates.insert(digest.to_string(), Arc::new(Semaphore::new(0))));
    }

    /// Lets what waits at the gate through, and all that comes later.
    pub fn open(&self, digest: &Digest) {
        if let Some(gate) = self.with(|state| state.gates.remove(digest.as_str())) {
            gate.close();
        }
    }

    /// All requests so far, requests for tokens included.
    pub fn log(&self) -> Vec<Arc<Asked>> {
        self.with(|state| state.log.clone())
    }

    /// `METHOD path?query` of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.log().iter().map(|asked| asked.line()).collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.with(|state| state.log.clear());
    }

    /// The values of a header in all requests that had it.
    pub fn headers_seen(&self, name: &str) -> Vec<String> {
        self.log().iter().filter_map(|asked| asked.header(name).map(ToOwned::to_owned)).collect()
    }

    /// How many requests were of this method and had this in path or query.
    pub fn count(&self, method: Method, part: &str) -> usize {
        self.log().iter().filter(|asked| asked.method == method && asked.target().contains(part)).count()
    }
}
