//! The one place where tests wait: looking again until something is there.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What a look can see: the value waited for, or the state it is in so far.
pub trait Sighting {
    /// What is waited for.
    type Value;

    /// The value, or what was seen instead, for the failure's message.
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

/// Looks every few milliseconds until `look` sees what it looks for: an `Option` when there is nothing to
/// tell about the state before, a `Result` whose error is that state.
///
/// # Panics
/// After `timeout`, with `what` and the state last seen.
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
