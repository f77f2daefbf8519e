//! Stops a run at the first error that concerns the registry as a whole. Requests in progress may finish, but no
//! further ones are sent (semantics 39).

use crate::trouble::Trouble;
use longshore_remote::Registry;
use parking_lot::Mutex;
use std::sync::Arc;

/// Whether a run continues; clones belong to the same run.
#[derive(Debug, Clone)]
pub(crate) struct Halt {
    registry: Registry,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    GoingOn,
    Stopped(Option<Trouble>),
}

impl Halt {
    /// A run that sends its requests to this registry.
    pub(crate) fn of(registry: Registry) -> Self {
        Self { registry, state: Arc::default() }
    }

    /// Fails if the run has stopped. Call this before every request.
    pub(crate) fn check(&self) -> Result<(), Trouble> {
        match *self.state.lock() {
            State::GoingOn => Ok(()),
            State::Stopped(_) => Err(Trouble::Halted),
        }
    }

    /// Returns `outcome` unchanged, unless it is an error of the registry as a whole: that stops the run and is kept as
    /// its reason, and the caller gets [`Trouble::Halted`].
    pub(crate) fn heed<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        match outcome {
            Err(trouble) if trouble.is_of_the_whole(&self.registry) => {
                let mut state = self.state.lock();
                if matches!(*state, State::GoingOn) {
                    *state = State::Stopped(Some(trouble));
                }
                Err(Trouble::Halted)
            }
            outcome => outcome,
        }
    }

    /// The reason why the run stopped, if it did. Returned only once.
    pub(crate) fn reason(&self) -> Option<Trouble> {
        match &mut *self.state.lock() {
            State::GoingOn => None,
            State::Stopped(reason) => reason.take(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::RemoteKind;
    use longshore_remote::{Endpoint, Error, Failure, Gate};
    use url::Url;

    fn halt() -> Halt {
        // Nothing listens on this port.
        let url = Url::parse("http://127.0.0.1:1").unwrap();
        Halt::of(Registry::behind(Endpoint::new(url, RemoteKind::Other), Gate::default()).unwrap())
    }

    fn failed(failure: Failure) -> Result<(), Trouble> {
        let (host, doing) = ("registry.example".to_owned(), "fetching a/b:1.0".to_owned());
        Err(Error::Network { host, doing, failure }.into())
    }

    #[tokio::test]
    async fn semantics_39_a_failure_of_the_whole_registry_stops_the_run() {
        let halt = halt();
        let refused = halt.registry.ping().await.map(drop).map_err(Trouble::from);
        assert!(halt.heed(refused).is_err_and(|trouble| matches!(trouble, Trouble::Halted)));
        assert!(halt.check().is_err());
        assert!(halt.heed(failed(Failure::UnknownHost)).is_err());
        let reason = halt.reason().map(|reason| reason.to_string());
        assert!(reason.is_some_and(|reason| reason.contains("refused the connection")));
    }

    #[tokio::test]
    async fn semantics_37_a_failure_of_one_object_does_not_stop_the_run() {
        let halt = halt();
        for failure in [Failure::Broken("reset".to_owned()), Failure::Timeout { seconds: 30 }] {
            assert!(halt.heed(failed(failure)).is_err());
        }
        assert!(halt.heed::<()>(Err(Trouble::Foreign("no manifest".to_owned()))).is_err());
        assert!(halt.check().is_ok() && halt.reason().is_none());
    }
}
