//! Metrics in the format of Prometheus at `/metrics`. Rooms count events with the macros of the crate `metrics`; this
//! module contains the names with their meaning, the values that are looked up on request, and access control.

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

/// The text exposition format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Histograms collect samples until they are read or compacted, and they may never be read.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// All metrics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    counted: PrometheusHandle,
    process: Process,
    stock: Stocktaker,
    access: MetricsAccess,
}

/// Installs the recorder. Before that, metrics are discarded.
pub(crate) fn begin() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in names::BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
    }
    let recorder = builder.build_recorder();
    let counted = recorder.handle();
    metrics::set_global_recorder(recorder).ok().context("another metrics recorder is already installed")?;
    names::describe();
    Ok(counted)
}

impl Metrics {
    /// The metrics recorded since [`begin`], and those from the database.
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

    /// Compacts histograms regularly, until `stop`.
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
