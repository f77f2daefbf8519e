//! A registry with three accounts: the users `ann` and `bob`, and the administrator `root`.

use axum::body::{Body, Bytes};
use axum::{Extension, Router};
use futures::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use longshore_access::{Access, AccessSettings, Credential, Proven, RequestActor, Via};
use longshore_content::{Content, DiskStore, Sparse};
use longshore_metadata::{Database, Priority, Vault, accounts, repositories};
use longshore_model::repository::{NewRepository, RepositoryChange};
use longshore_model::{Actor, Author, Clock, ManualClock, Repository};
use longshore_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use longshore_oci::{Algorithm, Digest, ErrorBody, ErrorCode, Scope};
use longshore_registry::{Registry, RegistryParts, RegistrySettings};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const NOBODY: &str = "";
pub(crate) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) db: Database,
    pub(crate) content: Content,
    pub(crate) access: Access,
    users: HashMap<&'static str, Proven>,
    app: Router,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::accepting(Sparse::Refused).await
    }

    /// A registry that accepts sparse manifests.
    pub(crate) async fn accepting(sparse: Sparse) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("longshore.db");
        Self::over(path.to_str().unwrap(), folder, sparse).await
    }

    /// A registry on PostgreSQL, where transactions run concurrently.
    pub(crate) async fn on_postgres() -> Self {
        let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
        Self::over(&url, tempfile::tempdir().unwrap(), Sparse::Refused).await
    }

    async fn over(database: &str, folder: TempDir, sparse: Sparse) -> Self {
        let db = Database::open(database, Vault::from_key([7; 32])).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
        let store = DiskStore::open(folder.path()).unwrap();
        let content = Content::new(db.clone(), Arc::new(store), clock.clone()).accepting(sparse);
        let access = Access::new(db.clone(), clock.clone(), AccessSettings::default());
        let mut users = HashMap::new();
        for (name, is_admin) in [("ann", false), ("bob", false), ("root", true)] {
            let hash = access.hash_password(&password_of(name).into()).await.unwrap();
            let account = db.write(Priority::Normal, move |tx| {
                async move {
                    let name = name.parse().unwrap();
                    accounts::create(tx, &name, false, is_admin, Some(&hash), now()).await
                }
                .boxed()
            });
            let account = account.await.unwrap();
            users.insert(name, access.vouched(account.id).await.unwrap().unwrap());
        }
        let settings = RegistrySettings { external_url: None, service: "longshore".into(), redirects: false };
        let (parts_content, parts_access) = (content.clone(), access.clone());
        let registry = Registry::new(RegistryParts {
            db: db.clone(),
            content: parts_content,
            access: parts_access,
            clock,
            settings,
        });
        Self { folder, db, content, access, users, app: registry.router() }
    }

    pub(crate) fn actor(&self, user: &str) -> Actor {
        self.users.get(user).map_or(Actor::Anonymous, |proven| Actor::User(proven.actor.clone()))
    }

    pub(crate) fn credential(&self, user: &str) -> Option<Credential> {
        self.users.get(user).map(|proven| proven.credential.clone())
    }

    fn request_of(&self, user: &str, via: Via) -> RequestActor {
        RequestActor { actor: self.actor(user), peer: PEER, via, credential: self.credential(user) }
    }

    /// The registry for requests of this user.
    pub(crate) fn app(&self, user: &'static str) -> Router {
        self.app.clone().layer(Extension(self.by(user).who))
    }

    pub(crate) async fn create(&self, name: &str, change: RepositoryChange) {
        let new = NewRepository::default();
        self.content.create_repository(&name.parse().unwrap(), &new, &Author::System).await.unwrap();
        self.change(name, change).await;
    }

    pub(crate) async fn change(&self, name: &str, change: RepositoryChange) {
        let id = self.repository(name).await.unwrap().id;
        let update = self.db.write(Priority::Normal, move |tx| {
            async move { repositories::update(tx, id, &change, now()).await }.boxed()
        });
        update.await.unwrap();
    }

    pub(crate) async fn repository(&self, name: &str) -> Option<Repository> {
        let mut conn = self.db.read().await.unwrap();
        repositories::find(&mut conn, &name.parse().unwrap()).await.unwrap()
    }

    /// A client that authenticates as this user; anonymous for an unknown one.
    pub(crate) fn by(&self, user: &'static str) -> Client<'_> {
        let via = if user == NOBODY { Via::None } else { Via::Basic };
        Client { house: self, who: self.request_of(user, via) }
    }

    /// A client that sends the session cookie of this user.
    pub(crate) fn in_a_browser(&self, user: &'static str) -> Client<'_> {
        let via = Via::Session { csrf: "token".to_owned() };
        Client { house: self, who: self.request_of(user, via) }
    }

    /// A client that sends a token.
    pub(crate) async fn bearing(&self, token: &str) -> Client<'_> {
        let (actor, via, credential) = match self.access.verify_token(token).await {
            Ok(claims) => (claims.actor, Via::Bearer { scopes: claims.scopes }, claims.credential),
            Err(refused) => (Actor::Anonymous, Via::Refused { why: refused.to_string() }, None),
        };
        Client { house: self, who: RequestActor { actor, peer: PEER, via, credential } }
    }

    /// A client that sends a token of this user for these scopes.
    pub(crate) async fn bearing_for(&self, user: &str, scopes: &[&str]) -> Client<'_> {
        let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        self.bearing(&self.access.issue_token(self.credential(user).as_ref(), &scopes).0).await
    }

    /// Pushes a blob as the owner of the repository.
    pub(crate) async fn blob(&self, name: &str, bytes: &'static [u8]) -> Digest {
        self.blob_as(name, &sha256(bytes), bytes).await;
        sha256(bytes)
    }

    /// Pushes a blob under this digest.
    pub(crate) async fn blob_as(&self, name: &str, digest: &Digest, bytes: &'static [u8]) {
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let pushed = self.by("root").send(Method::POST, &path, &[], bytes).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    }

    /// Pushes an image under a tag as the owner of the repository.
    pub(crate) async fn image(&self, name: &str, tag: &str) -> (Digest, Value) {
        let manifest = image(&self.blob(name, b"{}").await);
        let path = format!("/v2/{name}/manifests/{tag}");
        let pushed = self.by("root").put_json(&path, OCI_MANIFEST, &manifest).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        (sha256(manifest.to_string().as_bytes()), manifest)
    }
}

pub(crate) struct Client<'a> {
    house: &'a House,
    who: RequestActor,
}

impl Client<'_> {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "registry.test:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let app = self.house.app.clone().layer(Extension(self.who.clone()));
        let response = app.oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["docker-distribution-api-version"], "registry/2.0");
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send(Method::HEAD, path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(Method::POST, path, &[], Body::empty()).await
    }

    pub(crate) async fn put_json(&self, path: &str, media_type: &str, value: &Value) -> Answer {
        self.send(Method::PUT, path, &[("content-type", media_type)], value.to_string()).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.bytes))
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The status, and the first error of the body.
    pub(crate) fn error(&self) -> (StatusCode, ErrorCode, String) {
        let body: ErrorBody = serde_json::from_slice(&self.bytes).unwrap();
        let first = body.errors.into_iter().next().unwrap();
        (self.status, first.code, first.message)
    }

    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: ErrorCode) -> String {
        let (found, found_code, message) = self.error();
        assert_eq!((found.as_u16(), found_code), (status, code), "{message}");
        assert!(!message.is_empty());
        message
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub(crate) fn password_of(user: &str) -> String {
    format!("the password of {user}")
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(sha2::Sha256::digest(bytes).into())
}

pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    Digest::from_hash(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
}

pub(crate) fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

pub(crate) fn index(children: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children })
}

pub(crate) fn image(config: &Digest) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
            "config": descriptor(OCI_CONFIG, config, 2) })
}
