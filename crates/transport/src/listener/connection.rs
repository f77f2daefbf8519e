//! One connection, from the TLS handshake to its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::body::{Paced, Watched};
use super::leftover::Leftover;
use super::pulse::{Pulse, Verdict};
use super::stream::Metered;
use super::{Ending, Server};
use crate::limits::{Admitted, Limit, LimitSettings};
use crate::tls::Acceptor;

/// How often a connection is checked for an idle or slow client.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The first byte of a TLS handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// The response to plain HTTP on a port for HTTPS.
const NO_TLS: &str = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
                      This port is for HTTPS; use https://.\n";

/// The connection of a request; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct Connected {
    /// The other end of the connection: the client, or a proxy.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl Server {
    /// Serves a connection to its end.
    pub(super) async fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        protocol: &Builder<TokioExecutor>,
        ending: &Ending,
    ) {
        let Some(tls) = &self.tls else {
            let pulse = Pulse::new(&self.limits, false, Instant::now());
            return self.speak(stream, Connected { peer, tls: false }, pulse, protocol, ending).await;
        };
        let handshake = timeout(self.limits.head_seconds, handshake(tls, stream));
        match ending.drain.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let pulse = Pulse::new(&self.limits, http2, Instant::now());
                self.speak(stream, Connected { peer, tls: true }, pulse, protocol, ending).await;
            }
            Some(Ok(Err(error))) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
            Some(Err(_)) => {
                Limit::SlowHandshake.refused();
                tracing::info!(%peer, "a TLS handshake took too long");
            }
            None => {}
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connected: Connected,
        pulse: Arc<Pulse>,
        protocol: &Builder<TokioExecutor>,
        ending: &Ending,
    ) {
        let (server, watched) = (self.clone(), pulse.clone());
        let service = service_fn(move |request| server.clone().answer(request, connected, watched.clone()));
        let stream = TokioIo::new(Metered::new(stream, pulse.clone()));
        let mut connection = pin!(protocol.serve_connection(stream, service));
        let mut draining = false;
        let mut looks = interval_at((Instant::now() + LOOK_EVERY).into(), LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %connected.peer, %error, "a connection broke");
                        let error = error.downcast_ref::<hyper::Error>();
                        if error.is_some_and(hyper::Error::is_parse_too_large) {
                            let by_bytes = pulse.unfinished() > u64::from(self.limits.header_bytes);
                            if by_bytes { Limit::HeaderBytes } else { Limit::Headers }.refused();
                        }
                    }
                    return;
                }
                _ = looks.tick() => {
                    let limit = match pulse.look(Instant::now()) {
                        Verdict::Fine => continue,
                        // Try a graceful shutdown first, which notifies HTTP/2 clients.
                        Verdict::Idle if !draining => {
                            draining = true;
                            connection.as_mut().graceful_shutdown();
                            continue;
                        }
                        Verdict::Idle => return,
                        Verdict::SlowHead => Limit::SlowHead,
                        Verdict::SlowResponse => Limit::SlowResponse,
                    };
                    limit.refused();
                    tracing::info!(peer = %connected.peer, ?limit, "a client is too slow; its connection is closed");
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

impl Server {
    async fn answer(
        mut self,
        request: Request<Incoming>,
        connected: Connected,
        pulse: Arc<Pulse>,
    ) -> Result<Response<Watched>, Infallible> {
        pulse.begin(request.version() == Version::HTTP_2);
        let limits = &self.limits;
        let mut answer = if let Some((limit, said)) = too_large_head(request.headers(), request.uri(), limits)
        {
            limit.refused();
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, said).into_response()
        } else {
            // HTTP/2 ends single requests, and clients that expect 100-continue do not send the body yet.
            let may_linger =
                request.version() < Version::HTTP_2 && !request.headers().contains_key(header::EXPECT);
            let request = request.map(|body| {
                let body = match limits.slow() {
                    Some(slow) if !body.is_end_stream() => Body::new(Paced::new(body, slow)),
                    _ => Body::new(body),
                };
                match may_linger && !body.is_end_stream() {
                    true => Body::new(Leftover::new(body, pulse.clone())),
                    false => body,
                }
            });
            self.router.call(arrived(request, connected)).await?
        };
        let admitted = answer.extensions_mut().remove::<Admitted>();
        Ok(answer.map(|body| Watched::new(body, pulse, admitted)))
    }
}

/// The limit that a request's head exceeds, if any.
fn too_large_head(headers: &HeaderMap, uri: &Uri, limits: &LimitSettings) -> Option<(Limit, String)> {
    if headers.len() > limits.headers {
        let said = format!("The request has more than {} headers.\n", limits.headers);
        return Some((Limit::Headers, said));
    }
    let address = uri.path().len() + uri.query().map_or(0, str::len);
    let bytes =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() + address;
    (bytes > limits.header_bytes as usize).then(|| {
        let said =
            format!("The URL and headers of the request have more than {} bytes.\n", limits.header_bytes);
        (Limit::HeaderBytes, said)
    })
}

/// Adds the extensions and headers that handlers expect.
fn arrived(mut request: Request<Body>, connected: Connected) -> Request<Body> {
    // In HTTP/2 only the URI contains the host (RFC 9113 §8.3.1).
    if !request.headers().contains_key(header::HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request.extensions_mut().insert(connected);
    request
}

async fn handshake(tls: &Acceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0] != HANDSHAKE_RECORD {
        stream.write_all(NO_TLS.as_bytes()).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    tls.accept(stream).await
}
