//! The only place where tests wait, by polling until a condition holds.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The result of one poll: the expected value, or the current state.
pub trait Sighting {
    /// The expected value.
    type Value;

    /// The value, or the current state for the message of a failure.
    fn seen(self) -> Result<Self::Value, String>;
}

impl<T> Sighting for Option<T> {
    type Value = T;

    fn seen(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, S: Debug> Sighting for Result<T, S> {
    type Value = T;

    fn seen(self) -> Result<T, String> {
        self.map_err(|state| format!("{state:?}"))
    }
}

/// Polls every few milliseconds until `look` returns the value: an `Option` if there is nothing to say about the
/// current state, or a `Result` whose error describes it.
///
/// # Panics
/// After `timeout`, with `what` and the last state.
pub async fn eventually<S: Sighting>(
    what: &str,
    timeout: Duration,
    mut look: impl AsyncFnMut() -> S,
) -> S::Value {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let state = match look().await.seen() {
            Ok(value) => return value,
            Err(state) => state,
        };
        assert!(started.elapsed() < timeout, "{what}: not within {timeout:?}; last seen: {state}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
