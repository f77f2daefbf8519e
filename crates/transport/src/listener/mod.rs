//! Accepts connections, performs TLS handshakes if configured, speaks HTTP/1.1 or HTTP/2, and closes the connections
//! when the server stops. The router handles the requests.

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

/// The number of bytes that a client may send ahead on one HTTP/2 stream: what a gigabit link transfers in 30 ms.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The number of bytes that a client may send ahead on all streams of a connection.
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// The maximum size of frames from clients; each frame has a small overhead.
const FRAME: u32 = 256 * 1024;
/// The maximum number of headers in hyper by default, which it parses without allocating.
const USUAL_HEADERS: usize = 100;
/// How long to wait if no connection can be accepted, for example because too many files are open.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Serves connections.
#[derive(Clone)]
pub struct Server {
    pub router: Router,
    /// Performs TLS handshakes; `None` for plain HTTP.
    pub tls: Option<Acceptor>,
    /// The limits of each connection, and on their number.
    pub limits: LimitSettings,
}

/// The two ways to end connections.
#[derive(Clone, Default)]
pub struct Ending {
    /// Accepts no new connections, and no new requests on open ones.
    pub drain: CancellationToken,
    /// Closes all connections immediately.
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
                // Dropping the connection closes it.
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
        // From now on clients are refused, and another process may listen here.
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
        // Twice the limit, so that requests slightly above it are rejected with an explanation.
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
                // Otherwise small responses would be delayed until the next one.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                return (stream, peer);
            }
            // The connection was closed before it was accepted.
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
