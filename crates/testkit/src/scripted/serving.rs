//! The HTTP server of a scripted registry.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::rule::{Change, End, judge};
use super::{Asked, Reply, ScriptedRegistry};

/// The connection must be closed without a response.
#[derive(Debug)]
pub(super) struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("disconnected, as scripted")
    }
}

impl std::error::Error for Disconnected {}

pub(super) async fn serve(listener: TcpListener, registry: ScriptedRegistry) {
    while let Ok((socket, _)) = listener.accept().await {
        let registry = registry.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let registry = registry.clone();
                async move { registry.answer(request).await }
            });
            let _ = Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

impl ScriptedRegistry {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<reqwest::Body>, Disconnected> {
        let (head, body) = request.into_parts();
        let asked = Arc::new(Asked {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            at: Instant::now(),
            body: OnceLock::new(),
        });
        self.with(|state| state.log.push(asked.clone()));
        // A client that disconnects in the middle of its body could not receive a response.
        let _ = asked.body.set(read(body).await.ok_or(Disconnected)?);
        let mut changes = Vec::new();
        let reply = match self.scripted(&asked, false, &mut changes).await? {
            Some(reply) => reply,
            None => self.admit(&asked, &mut changes).await?,
        };
        let reply = changes.iter().fold(reply, |reply, change| change.apply(reply));
        Ok(reply.into_response(&asked.method))
    }

    /// Handles a request that has passed the check of its token.
    async fn admit(&self, asked: &Asked, changes: &mut Vec<Change>) -> Result<Reply, Disconnected> {
        if let Some(tokens) = self.tokens() {
            if asked.path == "/token" {
                return Ok(tokens.issue(asked));
            }
            if let Some(refusal) = tokens.refuse(asked, &self.url()) {
                return Ok(refusal);
            }
        }
        match self.scripted(asked, true, changes).await? {
            Some(reply) => Ok(reply),
            None => Ok(self.serve(asked)),
        }
    }

    /// The response that the table determines; `None` if the registry responds.
    async fn scripted(
        &self,
        asked: &Asked,
        checked: bool,
        changes: &mut Vec<Change>,
    ) -> Result<Option<Reply>, Disconnected> {
        let verdict = self.with(|state| judge(&mut state.rules, asked, checked));
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        changes.extend(verdict.changes);
        match verdict.end {
            None => Ok(None),
            Some(End::Answer(reply)) => Ok(Some(reply)),
            Some(End::Disconnect) => Err(Disconnected),
            Some(End::Hang) => std::future::pending().await,
        }
    }
}

/// The whole body; `None` if it breaks off.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    loop {
        match std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
            None => return Some(whole.freeze()),
            Some(Err(_)) => return None,
            Some(Ok(frame)) => whole.extend(frame.into_data().ok()),
        }
    }
}
