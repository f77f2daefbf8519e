//! What the server counts, as Prometheus reads it at `/metrics`. Rooms count where things happen, by the
//! macros of the crate `metrics`; here stand the names with their meaning, what is looked up when
//! somebody asks, and who may ask.

mod access;
mod names;
mod process;
mod stock;

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;
use longshore_metadata::Database;
use longshore_model::Clock;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) use access::{MetricsAccess, NEARBY};

use process::Process;
use stock::Stocktaker;

/// The text format that is answered.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Histograms collect what was seen until they are read or tidied up, and somebody may never read them.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    counted: PrometheusHandle,
    process: Process,
    stock: Stocktaker,
    access: MetricsAccess,
}

/// Begins to count. Before, counting goes nowhere.
pub(crate) fn begin() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in names::BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    let recorder = builder.build_recorder();
    let counted = recorder.handle();
    metrics::set_global_recorder(recorder).ok().context("something else counts already")?;
    names::describe();
    Ok(counted)
}

impl Metrics {
    /// What was `counted` since [`begin`], and what `db` tells.
    pub(crate) fn new(
        counted: PrometheusHandle,
        db: Database,
        clock: Arc<dyn Clock>,
        access: MetricsAccess,
    ) -> Self {
        let process = Process::new(clock.now());
        Self(Arc::new(Inner { counted, process, stock: Stocktaker::new(db, clock), access }))
    }

    /// `/metrics`.
    pub(crate) fn routes(&self) -> Router {
        Router::new().route("/metrics", get(answer)).with_state(self.clone())
    }

    /// Keeps what is collected small, until `stop`.
    pub(crate) async fn keep_tidy(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(TIDY_EVERY)).await.is_some() {
            self.0.counted.run_upkeep();
        }
    }

    async fn text(&self) -> String {
        self.0.process.measure();
        self.0.stock.take().await;
        self.0.counted.render()
    }
}

async fn answer(State(metrics): State<Metrics>, request: Request) -> Response {
    if let Err(refusal) = metrics.0.access.check(&request) {
        return refusal.into_response();
    }
    ([(header::CONTENT_TYPE, TEXT)], metrics.text().await).into_response()
}
