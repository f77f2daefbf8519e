//! Reads what a client still sends after its request has been answered. For example, a chunk with a wrong offset or a
//! manifest that is too large is rejected before its body is read. If the connection were closed immediately, the
//! client, which is still writing, would see a broken connection instead of the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body as Request, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pulse::Pulse;

/// How long the rest of a body is read and discarded.
const FOR: Duration = Duration::from_secs(2);
/// The maximum number of bytes to discard; reading more costs more than a new connection.
const MOST: usize = 64 * 1024 * 1024;

/// A request body. If it is dropped before its end, the rest is read for a moment.
pub(super) struct Leftover {
    /// `None` once the body has ended.
    body: Option<Request>,
    pulse: Arc<Pulse>,
}

impl Leftover {
    pub(super) fn new(body: Request, pulse: Arc<Pulse>) -> Self {
        Self { body: Some(body), pulse }
    }
}

impl Body for Leftover {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (body, Handle::try_current()) {
            let pulse = self.pulse.clone();
            runtime.spawn(async move {
                // Until the body ends or the time is over.
                let _ = timeout(FOR, forget(body)).await;
                pulse.swept();
            });
        }
    }
}

async fn forget(mut body: Request) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return;
        }
    }
}
