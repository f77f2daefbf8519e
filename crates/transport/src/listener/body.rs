//! Bodies of requests and responses that detect clients that send or receive almost nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body as Answer, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::pulse::Pulse;
use crate::limits::{Admitted, Limit, Slow};

/// A request body. If it arrives too slowly, it ends in an error, as if the connection had broken.
pub(super) struct Paced<B> {
    body: B,
    slow: Slow,
    waiting_since: Option<Instant>,
    waited: Duration,
    moved: u64,
    /// The timer that checks a body that does not move at all.
    look: Option<Pin<Box<Sleep>>>,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, slow: Slow) -> Self {
        Self { body, slow, waiting_since: None, waited: Duration::ZERO, moved: 0, look: None }
    }

    /// Checks the speed of the client, once it was waited for long enough.
    fn judge(&mut self, now: Instant) -> io::Result<()> {
        let waited = self.waited + self.waiting_since.map_or(Duration::ZERO, |since| now - since);
        if waited < self.slow.after {
            return Ok(());
        }
        if self.slow.is_too_slow(waited, self.moved) {
            Limit::SlowRequest.refused();
            let said = format!("the body arrived at less than {} bytes per second", self.slow.rate);
            return Err(io::Error::new(io::ErrorKind::TimedOut, said));
        }
        self.waited = Duration::ZERO;
        self.moved = 0;
        self.waiting_since = self.waiting_since.map(|_| now);
        Ok(())
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(since) = this.waiting_since.take() {
                    this.waited += since.elapsed();
                }
                this.moved += frame.data_ref().map_or(0, Bytes::len) as u64;
                Poll::Ready(Some(this.judge(Instant::now()).map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(ended) => Poll::Ready(ended.map(|error| error.map_err(Into::into))),
            Poll::Pending => {
                let now = Instant::now();
                this.waiting_since.get_or_insert(now);
                // A timer that has fired is reset, until one is pending.
                loop {
                    let after = this.slow.after;
                    let look = this.look.get_or_insert_with(|| Box::pin(sleep(after)));
                    if look.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let now = Instant::now();
                    if let Err(error) = this.judge(now) {
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    let waited = this.waited + this.waiting_since.map_or(Duration::ZERO, |since| now - since);
                    if let Some(look) = &mut this.look {
                        look.as_mut().reset((now + (after - waited)).into());
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body that reports when the client has received the available data. When it ends, the request ends.
pub(super) struct Watched {
    body: Answer,
    pulse: Arc<Pulse>,
    owing: bool,
    _admitted: Option<Admitted>,
}

impl Watched {
    pub(super) fn new(body: Answer, pulse: Arc<Pulse>, admitted: Option<Admitted>) -> Self {
        pulse.owe(Instant::now());
        Self { body, pulse, owing: true, _admitted: admitted }
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.owing) {
            self.pulse.settle(Instant::now());
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Being polled means that the client has received the previous data.
        self.settle();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.owing = true;
            self.pulse.owe(Instant::now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.settle();
        self.pulse.end(Instant::now());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::body::Body as Sent;
    use futures::StreamExt;

    /// A body of `times` chunks of `size` bytes, one every few milliseconds.
    fn dripping(size: usize, milliseconds: u64, times: usize) -> Paced<Sent> {
        let drops = futures::stream::iter(0..times).then(move |_| async move {
            sleep(Duration::from_millis(milliseconds)).await;
            Ok::<_, io::Error>(Bytes::from(vec![0; size]))
        });
        Paced::new(
            Sent::from_stream(drops),
            Slow { after: Duration::from_millis(200), rate: std::num::NonZeroU32::new(1000).unwrap() },
        )
    }

    async fn length(body: Paced<Sent>) -> Result<usize, axum::Error> {
        axum::body::to_bytes(Sent::new(body), usize::MAX).await.map(|bytes| bytes.len())
    }

    #[tokio::test]
    async fn a_slow_push_continues_and_one_that_only_occupies_the_connection_is_ended() {
        assert_eq!(length(dripping(500, 20, 30)).await.unwrap(), 15_000);
        assert_eq!(length(dripping(50_000, 150, 4)).await.unwrap(), 200_000);
        let begun = Instant::now();
        assert!(length(dripping(1, 20, 1_000_000)).await.is_err());
        assert!(length(dripping(1_000_000, 3_600_000, 2)).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
