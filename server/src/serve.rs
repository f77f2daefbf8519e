//! The life cycle of the server: lock the data folder, bind, open the data, serve, and stop when asked to.

use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use longshore_transport::{Ending, Server, Tls};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Settings};
use crate::files;
use crate::lock::DataLock;
use crate::logging;
use crate::memory;
use crate::metrics;
use crate::rooms::Rooms;
use crate::site::{Assets, Carried};

/// How long the state of aborted work may take to be written.
const PARK: Duration = Duration::from_secs(2);
/// How long blocking tasks may still run after that.
const ABANDON: Duration = Duration::from_secs(1);

/// Serves until SIGINT or SIGTERM. With `restored`, everything is paused first.
pub(crate) fn run(settings: Settings, restored: bool, carried: Option<Carried>) -> anyhow::Result<()> {
    logging::begin(&settings)?;
    for name in config::unknown_variables() {
        tracing::warn!("the environment variable {name} is not a setting of Longshore; check the spelling");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of the server cannot be started")?;
    let served = runtime.block_on(serve(settings, restored, carried));
    runtime.shutdown_timeout(ABANDON);
    served
}

async fn serve(settings: Settings, restored: bool, carried: Option<Carried>) -> anyhow::Result<()> {
    let _lock = DataLock::take(&settings.server.data)?;
    files::tighten(&settings);
    let stop = stop_when_asked()?;
    let counted = metrics::begin()?;
    let listener = TcpListener::bind(settings.server.listen).await.with_context(|| {
        format!("cannot listen on {}; choose another address with --listen", settings.server.listen)
    })?;
    let address = listener.local_addr()?;
    let rooms = tokio::select! {
        rooms = Rooms::open(&settings, address) => rooms?,
        // It may be waiting for the database.
        () = stop.cancelled() => return Ok(()),
    };
    let epoch = rooms.epoch(&settings, restored).await?;
    let generated = rooms.admin.ensure_first_admin(settings.admin_password.clone()).await?;
    if let Some(password) = generated {
        announce_admin(password.expose_secret())?;
    }

    let tls = rooms.tls(&settings, address).await?;
    let metrics = rooms.metrics(&settings, counted);
    let operating = metrics.routes().merge(Tls::routes(tls.as_ref()));
    let router = rooms.router(&settings, operating, Assets::find(carried), stop.clone());
    tokio::spawn(metrics.keep_tidy(stop.clone()));
    let limits = settings.limits.clone();
    let door = Server { router, tls: tls.as_ref().map(Tls::acceptor), limits };
    let ending = Ending::default();
    let engine = tokio::spawn({
        let (engine, stop) = (rooms.engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let epoch = tokio::spawn(epoch.keep(stop.clone()));
    memory::keep_freed();
    let server = tokio::spawn(door.run(listener, ending.clone()));
    // The process that started the server reads the port from this line.
    let scheme = if tls.is_some() { "https" } else { "http" };
    print_now(&format!("listening on {scheme}://{address}\n"))?;
    if let Some(tls) = tls {
        tokio::spawn(tls.keep_fresh(stop.clone()));
    }

    stop.cancelled().await;
    tracing::info!("stopping: running requests get {} s to end", settings.server.shutdown_seconds.as_secs());
    tokio::time::sleep(settings.server.shutdown_delay_seconds).await;
    ending.drain.cancel();
    let mut running = pin!(async { tokio::join!(server, engine) });
    let ended = timeout(settings.server.shutdown_seconds, running.as_mut()).await.ok();
    let in_time = ended.is_some();
    let parked = async {
        let (server, engine) = match ended {
            Some(ended) => ended,
            None => {
                ending.abandon.cancel();
                running.await
            }
        };
        // The received parts of aborted uploads are kept.
        rooms.settled().await;
        epoch.await.context("the task that updates the epoch failed")?.follow().await;
        server.context("the server failed")?;
        engine.context("the engine failed")
    };
    match timeout(PARK, parked).await {
        Ok(parked) => parked?,
        // Interrupted jobs are resumed at the next start.
        Err(_) => tracing::warn!("stopped before everything was written"),
    }
    if in_time {
        tracing::info!("stopped");
    } else {
        tracing::warn!("stopped; running requests were aborted, and uploads can be resumed");
    }
    Ok(())
}

/// A token that is cancelled by SIGINT or SIGTERM; a second signal exits immediately.
fn stop_when_asked() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                tracing::warn!("second signal: exiting immediately");
                std::process::exit(1);
            }
            token.cancel();
        }
    });
    Ok(stop)
}

fn announce_admin(password: &str) -> anyhow::Result<()> {
    print_now(&format!(
        "\nThe first administrator was created:\n\n    user      admin\n    password  {password}\n\n\
         This password is shown only once. Sign in and change it, or set another one with\n\
         `longshore user passwd admin`.\n\n"
    ))
}

/// Flushes, because the standard output may be a pipe.
fn print_now(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the standard output is closed")
}
