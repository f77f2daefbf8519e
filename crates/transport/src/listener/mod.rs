//! The front door: accepts connections, makes TLS of them where that is set, speaks HTTP/1.1 or HTTP/2
//! on each, and ends them when the server stops. What is answered is the router's.

mod body;
mod connection;
mod leftover;
mod pulse;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use metrics::{counter, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use connection::Connected;

use crate::InFlight;
use crate::limits::{Limit, LimitSettings};
use crate::tls::Acceptor;

/// Bytes that a client may send ahead on one HTTP/2 stream: what a gigabit line carries in 30 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// And on all streams of a connection together.
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// How large the frames of a client that uploads may be; each costs a few bytes and a few steps.
const FRAME: u32 = 256 * 1024;
/// How many headers hyper takes by itself, and without allocating.
const USUAL_HEADERS: usize = 100;
/// How long to wait when no connection can be accepted, for example because too many files are open.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What serves connections.
#[derive(Clone)]
pub struct Server {
    /// Answers the requests.
    pub router: Router,
    /// Makes TLS of connections; without it the server speaks plain HTTP.
    pub tls: Option<Acceptor>,
    /// The limits of each connection, and on their number.
    pub limits: LimitSettings,
}

/// The two ways to end connections.
#[derive(Clone, Default)]
pub struct Ending {
    /// No new connections; on those that are open, running requests are the last.
    pub drain: CancellationToken,
    /// Connections break.
    pub abandon: CancellationToken,
}

impl Server {
    /// Serves connections until they have all ended after `ending.drain`.
    pub async fn run(self, listener: TcpListener, ending: Ending) {
        let protocol = protocol(&self.limits);
        let open = TaskTracker::new();
        while let Some(accepted) = ending.drain.run_until_cancelled(accept(&listener)).await {
            counter!("longshore_connections_total").increment(1);
            if self.limits.is_full(open.len()) {
                // Dropped, and so closed.
                Limit::Connections.refused();
                continue;
            }
            let (stream, peer) = accepted;
            let (server, protocol, ending) = (self.clone(), protocol.clone(), ending.clone());
            open.spawn(async move {
                let _open = InFlight::begin(gauge!("longshore_connections_open"));
                server.connection(stream, peer, &protocol, &ending).await;
            });
        }
        // From now on others may listen here, and clients are refused.
        drop(listener);
        open.close();
        open.wait().await;
    }
}

fn protocol(limits: &LimitSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(limits.streams)
        // Twice of what is let through, so that what is between is refused with an explanation.
        .max_header_list_size(limits.header_bytes.saturating_mul(2));
    if limits.headers != USUAL_HEADERS {
        builder.http1().max_headers(limits.headers);
    }
    builder
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers would wait for the next one otherwise.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                return (stream, peer);
            }
            // It ended before it began.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
