//! An in-memory registry with scripted behaviour.
//!
//! It stores images, lists tags in pages, accepts uploads and logs every request with its time. Deviations from a
//! correct registry are defined by a table of [`Rule`]s. The first rule that fits a request determines the response;
//! without one, the registry responds normally.
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
//! [`ScriptedRegistry::require_tokens`] adds a token service, which checks the scope of each request.

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

/// A request that was received.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    /// The path as sent.
    pub path: String,
    /// The query without its question mark; empty if there is none.
    pub query: String,
    pub headers: HeaderMap,
    /// When the headers had been received.
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

    /// A decoded parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The body; empty if it was not read (yet).
    pub fn body(&self) -> Bytes {
        self.body.get().cloned().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// `GET /v2/?query`, for comparisons.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target())
    }
}

/// How the list of tags is divided into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// At most `n` tags, limited to this number; each page but the last has a `Link`.
    Linked(usize),
    /// At most `n` tags, limited to this number, continued by `last`, without `Link`.
    Silent(usize),
    /// All tags at once, whatever the request.
    Whole,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, (String, Bytes)>,
    tags: BTreeMap<Tag, Digest>,
    /// Names that are listed but are not valid tags.
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

/// The registry; clones share it.
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
    /// Starts a registry on a free port of 127.0.0.1, with the referrers API and without rules.
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

    /// Disables the referrers API.
    pub fn without_referrers(self) -> Self {
        self.with(|state| state.has_referrers = false);
        self
    }

    /// Also accepts manifests whose parts are missing.
    pub fn taking_everything(self) -> Self {
        self.with(|state| state.takes_all = true);
        self
    }

    /// Sets how lists of tags are divided into pages.
    pub fn paging(self, pages: Pages) -> Self {
        self.with(|state| state.pages = pages);
        self
    }

    /// Appends rules to the table.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        self.with(|state| state.rules.extend(rules));
    }

    /// Removes all rules, so that the registry behaves correctly from now on.
    pub fn forget_rules(&self) {
        self.with(|state| state.rules.clear());
    }

    /// Requires tokens of its own service, at `/token`, from now on.
    pub fn require_tokens(&self, tokens: Tokens) {
        self.with(|state| state.tokens = Some(Arc::new(tokens)));
    }

    /// Invalidates all tokens issued so far.
    pub fn kill_tokens(&self) {
        if let Some(tokens) = self.tokens() {
            tokens.kill();
        }
    }

    /// The scopes of each token request, in order.
    pub fn scopes_asked(&self) -> Vec<Vec<String>> {
        self.tokens().map(|tokens| tokens.asked()).unwrap_or_default()
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.with(|state| state.tokens.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().expect("no test panics in here"))
    }

    /// Stores a package under a tag, or by digest only.
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

    /// Stores any bytes as a manifest with this content type, under a tag or by digest only.
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

    /// Points a tag to a digest, whether or not that exists.
    pub fn point(&self, repository: &str, tag: &str, to: &Digest) {
        let tag: Tag = tag.parse().expect("a tag");
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().tags.insert(tag, to.clone());
        });
    }

    /// Lists a name that is not a valid tag before the tags.
    pub fn list_also(&self, repository: &str, name: &str) {
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().odd_names.push(name.to_owned());
        });
    }

    /// Removes a tag but not its manifest.
    pub fn untag(&self, repository: &str, tag: &str) {
        let tag: Tag = tag.parse().expect("a tag");
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().tags.remove(&tag);
        });
    }

    /// Removes a blob or a manifest.
    pub fn lose(&self, repository: &str, digest: &Digest) {
        self.with(|state| {
            let here = state.repositories.entry(repository.to_owned()).or_default();
            here.blobs.remove(digest);
            here.manifests.remove(digest);
        });
    }

    /// The digest that a tag points to.
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

    /// Whether it has every manifest and blob of the package.
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

    /// The bytes of a manifest.
    pub fn manifest(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.with(|state| {
            state.repositories.get(repository)?.manifests.get(digest).map(|(_, bytes)| bytes.clone())
        })
    }

    /// Makes GETs of this blob send half of it and wait for [`Self::open`].
    pub fn gate(&self, digest: &Digest) {
        self.with(|state| state.gates.insert(digest.to_string(), Arc::new(Semaphore::new(0))));
    }

    /// Releases the GETs of this blob that wait, and all later ones.
    pub fn open(&self, digest: &Digest) {
        if let Some(gate) = self.with(|state| state.gates.remove(digest.as_str())) {
            gate.close();
        }
    }

    /// All requests so far, including token requests.
    pub fn log(&self) -> Vec<Arc<Asked>> {
        self.with(|state| state.log.clone())
    }

    /// `METHOD path?query` of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.log().iter().map(|asked| asked.line()).collect()
    }

    /// Clears the list of requests.
    pub fn forget_requests(&self) {
        self.with(|state| state.log.clear());
    }

    /// The values of a header in all requests that had it.
    pub fn headers_seen(&self, name: &str) -> Vec<String> {
        self.log().iter().filter_map(|asked| asked.header(name).map(ToOwned::to_owned)).collect()
    }

    /// The number of requests with this method and with this text in path or query.
    pub fn count(&self, method: Method, part: &str) -> usize {
        self.log().iter().filter(|asked| asked.method == method && asked.target().contains(part)).count()
    }
}
