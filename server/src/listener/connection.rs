//! One connection, from the TLS handshake to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::{Ending, Server};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many bytes are encrypted before they are handed to the kernel together.
const TLS_BUFFER: usize = 256 * 1024;
/// The first byte of a TLS handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// For who speaks HTTP where HTTPS is spoken.
const NO_TLS: &str = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
                      This server speaks HTTPS here; ask again with https://.\n";

/// On which connection a request came; an extension of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    /// Who holds the connection: the client, or a proxy.
    pub(crate) peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
}

impl Server {
    /// Serves one connection to its end.
    pub(super) async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        protocol: &Builder<TokioExecutor>,
        ending: &Ending,
    ) {
        let Some(tls) = &self.tls else {
            return self.speak(stream, Connected { peer, tls: false }, protocol, ending).await;
        };
        let handshake = timeout(HANDSHAKE, handshake(tls, stream));
        match ending.drain.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => self.speak(stream, Connected { peer, tls: true }, protocol, ending).await,
            Some(Ok(Err(error))) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
            Some(Err(_)) => tracing::debug!(%peer, "a TLS handshake took too long"),
            None => {}
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connected: Connected,
        protocol: &Builder<TokioExecutor>,
        ending: &Ending,
    ) {
        let service = service_fn(|request: Request<Incoming>| {
            let mut router = self.router.clone();
            async move { router.call(arrived(request.map(Body::new), connected)).await }
        });
        let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
        let mut draining = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %connected.peer, %error, "a connection broke");
                    }
                    return;
                }
                () = ending.drain.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = ending.abandon.cancelled() => return,
            }
        }
    }
}

/// The request as all rooms expect it.
fn arrived(mut request: Request<Body>, connected: Connected) -> Request<Body> {
    // HTTP/2 names the host in the address alone (RFC 9113 §8.3.1).
    if !request.headers().contains_key(header::HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request.extensions_mut().insert(connected);
    request
}

async fn handshake(tls: &TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0] != HANDSHAKE_RECORD {
        stream.write_all(NO_TLS.as_bytes()).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    tls.accept_with(stream, |session| session.set_buffer_limit(Some(TLS_BUFFER))).await
}
