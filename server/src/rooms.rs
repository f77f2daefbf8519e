//! Builds the rooms from the settings, and the router over them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Router, response::IntoResponse};
use http::StatusCode;
use leptos::prelude::provide_context;
use longshore_access::{Access, AccessSettings};
use longshore_admin::{Admin, AdminParts, AdminSettings};
use longshore_api::Api;
use longshore_app::host::RegistryHost;
use longshore_content::Content;
use longshore_engine::{Engine, EngineParts, EngineSettings};
use longshore_metadata::{Database, Priority, Vault, accounts, moving, settings, work};
use longshore_model::{Clock, SystemClock};
use longshore_registry::{Registry, RegistryParts, RegistrySettings};
use longshore_transport::{Limits, Tls, tls};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use url::Url;

use crate::backup;
use crate::config::{KeySource, Settings};
use crate::epoch::{Epoch, Mark};
use crate::metrics::Metrics;
use crate::middleware::{Gatekeeper, StrictTransport, compress, identify, panicked, protect, record};
use crate::site::{self, Assets};
use crate::storage::Storage;

/// How long a readiness check waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// All rooms, over one database and one store.
pub(crate) struct Rooms {
    pub(crate) admin: Admin,
    pub(crate) engine: Engine,
    db: Database,
    access: Access,
    content: Content,
    clock: Arc<dyn Clock>,
}

/// Opens the database of these settings.
pub(crate) async fn open_database(settings: &Settings) -> anyhow::Result<Database> {
    Ok(Database::open(&settings.database, vault(settings)?).await?)
}

/// Opens the database of these settings for reading, beside the server that uses it.
pub(crate) async fn open_database_as_it_is(settings: &Settings) -> anyhow::Result<Database> {
    Ok(Database::open_as_it_is(&settings.database, vault(settings)?).await?)
}

/// Checks that a backup in the place of the data folder is used with its own rows: another database would contain older
/// or newer rows than its blobs.
fn check_restored(settings: &Settings) -> anyhow::Result<()> {
    let data = settings.server.data.display();
    if settings.server.data.join(backup::WORKING).exists() && !settings.is_database_in_data() {
        bail!(
            "{data} is a backup, but the setting `database` is not its longshore.db: put \
             that file in the place of the database, or move the backup there with `longshore migrate-storage`"
        );
    }
    Ok(())
}

fn vault(settings: &Settings) -> anyhow::Result<Vault> {
    Ok(match &settings.key {
        KeySource::File(path) => Vault::load_or_create(path)?,
        KeySource::Given(key) => Vault::from_key(**key),
    })
}

/// Warns if the encryption key is not the one of the last start: a lost key file is silently created anew, and then no
/// mirror can sign in.
async fn tell_other_key(db: &Database, key: &KeySource) -> anyhow::Result<()> {
    const PLACE: &str = "id of the encryption key";
    let ours = hex::encode(&db.vault().derive("id of the encryption key in the database")[..8]);
    let before = settings::get(&mut db.read().await?, PLACE).await?;
    if before.as_ref() == Some(&ours) {
        return Ok(());
    }
    if before.is_some() {
        tracing::warn!(
            "the encryption key {key} is another one than before: passwords of remotes must be entered again, and \
             all users must sign in again; if you still have the old key, restore it and restart the server"
        );
    }
    db.write(Priority::Normal, work!(|tx| settings::put(tx, PLACE, &ours).await)).await?;
    Ok(())
}

impl Rooms {
    /// Opens the data, for a server that listens on `address`.
    pub(crate) async fn open(settings: &Settings, address: SocketAddr) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        check_restored(settings)?;
        let db = open_database(settings).await?;
        if moving::is_unfinished(&mut db.read().await?).await? {
            bail!("a registry is being moved into this database; finish `longshore migrate-storage` first");
        }
        tell_other_key(&db, &settings.key).await?;
        let content = Content::new(db.clone(), settings.storage.open().await?, clock.clone())
            .accepting(settings.server.sparse());
        let content = match settings.server.lease() {
            Some(lease) => content.holding(lease),
            None => content,
        };
        content.own_store().await?;
        content.drop_stray_uploads().await.context("files of an earlier run cannot be cleaned up")?;
        let password_checks = settings.limits.password_checks;
        let access_settings = AccessSettings { password_checks, ..AccessSettings::default() };
        let access = Access::new(db.clone(), clock.clone(), access_settings);
        let usual = EngineSettings::default();
        let engine = Engine::new(EngineParts {
            db: db.clone(),
            content: content.clone(),
            clock: clock.clone(),
            settings: EngineSettings {
                workers: settings.server.workers,
                retry_for: settings.server.retry_for(),
                zone: settings.server.zone.clone(),
                private_remotes: settings.server.private_remotes(),
                budget: settings.server.listing_budget(),
                self_urls: own_urls(settings, address),
                server_name: server_name(settings, address),
                garbage: settings.server.garbage(),
                history: settings.history,
                lease: settings.server.lease().unwrap_or(usual.lease),
                ..usual
            },
        });
        let admin = Admin::new(AdminParts {
            db: db.clone(),
            content: content.clone(),
            access: access.clone(),
            engine: engine.clone(),
            clock: clock.clone(),
            settings: AdminSettings {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: server_name(settings, address),
                started_at: clock.now(),
            },
        });
        admin.tidy_authorities().await.context("the certificate authorities of remotes cannot be read")?;
        Ok(Self { admin, engine, db, access, content, clock })
    }

    /// Checks whether the data were restored to an older state; if so, or if `told`, everything is paused.
    pub(crate) async fn epoch(&self, settings: &Settings, told: bool) -> anyhow::Result<Epoch> {
        let mark = match settings.storage {
            Storage::Disk(_) => {
                let (path, registry) = (settings.epoch_file.clone(), self.content.name_of_store().await?);
                Mark::File { path, registry }
            }
            Storage::Bucket { .. } => Mark::Store(self.content.clone()),
        };
        let epoch = Epoch::begin(self.db.clone(), mark, self.clock.clone(), told).await?;
        // The next backup must not mistake the content of a folder in use for what it left there.
        match std::fs::remove_file(settings.server.data.join(backup::WORKING)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(epoch),
        }
    }

    /// Waits until work that outlives its request has been written.
    pub(crate) async fn settled(&self) {
        self.content.settled().await;
    }

    /// The metrics recorded so far, and those from the database.
    pub(crate) fn metrics(&self, settings: &Settings, counted: PrometheusHandle) -> Metrics {
        Metrics::new(counted, self.db.clone(), self.clock.clone(), settings.metrics.clone())
    }

    /// The TLS configuration; `None` for plain HTTP.
    pub(crate) async fn tls(&self, settings: &Settings, address: SocketAddr) -> anyhow::Result<Option<Tls>> {
        let Some(source) = &settings.tls else { return Ok(None) };
        let names = tls::names(settings.server.external_url.as_ref(), address);
        Tls::open(source, names, &self.db, self.clock.clone()).await.map(Some)
    }

    /// All routes, including those in `operating`. Event streams end when `shutdown` is cancelled.
    pub(crate) fn router(
        &self,
        settings: &Settings,
        operating: Router,
        assets: Assets,
        shutdown: CancellationToken,
    ) -> Router {
        let registry = Registry::new(RegistryParts {
            db: self.db.clone(),
            content: self.content.clone(),
            access: self.access.clone(),
            clock: self.clock.clone(),
            settings: RegistrySettings {
                external_url: settings.server.external_url.clone(),
                service: AccessSettings::default().service,
                redirects: settings.storage.redirects(),
            },
        });
        let admin = self.admin.clone();
        let host = settings.server.external_url.as_ref().and_then(host_of).map(RegistryHost);
        let site = site::router(assets, self.clock.clone(), move || {
            provide_context(admin.clone());
            if let Some(host) = host.clone() {
                provide_context(host);
            }
        });
        let keeper = Gatekeeper {
            access: self.access.clone(),
            limits: Limits::new(&settings.limits),
            trusted_proxies: settings.server.trusted_proxies.clone(),
            external_origin: settings
                .server
                .external_url
                .as_ref()
                .map(|url| url.origin().ascii_serialization()),
        };
        let strict = StrictTransport {
            trusted_proxies: settings.server.trusted_proxies.clone(),
            seconds: settings.server.hsts_seconds,
        };
        let api = Api::new(self.admin.clone(), settings.limits.body_bytes, shutdown.clone());
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready).with_state((self.db.clone(), shutdown.clone())))
            .merge(operating)
            .merge(registry.router())
            .merge(longshore_api::router(api).layer(compress()))
            .merge(site.layer(compress()).layer(RequestBodyLimitLayer::new(settings.limits.body_bytes)))
            .layer(from_fn_with_state(keeper, identify))
            .layer(from_fn_with_state(strict, protect))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn_with_state(settings.server.trusted_proxies.clone(), record))
    }
}

/// Readiness: the database responds, and the server is not about to stop.
async fn ready(State((db, shutdown)): State<(Database, CancellationToken)>) -> impl IntoResponse {
    if shutdown.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
    }
    match db.read_within(PATIENCE, accounts::count).await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the database does not respond");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not respond\n")
        }
    }
}

/// The host and port of this registry as they appear in image names.
fn server_name(settings: &Settings, address: SocketAddr) -> String {
    settings.server.external_url.as_ref().and_then(host_of).unwrap_or_else(|| address.to_string())
}

fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// The URLs of this server, as far as it knows them.
fn own_urls(settings: &Settings, address: SocketAddr) -> Vec<Url> {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let bound = format!("{scheme}://{address}").parse().ok();
    settings.server.external_url.clone().into_iter().chain(bound).collect()
}
