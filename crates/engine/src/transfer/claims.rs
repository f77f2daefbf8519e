//! Makes each digest move only once in a run: the first task moves the content, and the others wait. If it fails, one
//! of the waiting tasks takes over at once.

use longshore_oci::Digest;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The digests that a run has moved or is moving.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<bool>>>>);

impl Claims {
    /// Runs `work` unless it has already succeeded for `digest` in this run. Returns whether it ran. Dropping the
    /// future passes the claim to the next task in line.
    pub(crate) async fn once<E>(
        &self,
        digest: &Digest,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<bool, E> {
        let claim = {
            let mut claims = self.0.lock();
            claims.entry(digest.clone()).or_default().clone()
        };
        let mut moved = claim.lock().await;
        if *moved {
            return Ok(false);
        }
        work.await?;
        *moved = true;
        Ok(true)
    }

    /// Forgets all digests.
    pub(crate) fn forget_all(&self) {
        self.0.lock().clear();
    }

    /// Forgets that `digest` was moved, because it has turned out to be missing.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.0.lock().remove(digest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[tokio::test]
    async fn each_digest_is_moved_once_however_many_tasks_need_it() {
        let (claims, moved) = (Claims::default(), AtomicU32::new(0));
        let digest = Digest::sha256([1; 32]);
        let one = || {
            claims.once(&digest, async {
                tokio::task::yield_now().await;
                moved.fetch_add(1, Relaxed);
                Ok::<_, ()>(())
            })
        };
        let ran = futures::future::join_all((0..8).map(|_| one())).await;
        assert_eq!(ran.into_iter().filter(|ran| ran.unwrap()).count(), 1);
        assert_eq!(moved.load(Relaxed), 1);
        claims.forget(&digest);
        assert!(one().await.unwrap());
    }

    #[tokio::test]
    async fn when_the_leader_fails_a_follower_takes_over() {
        let claims = Claims::default();
        let digest = Digest::sha256([2; 32]);
        let leader = claims.once(&digest, async {
            tokio::task::yield_now().await;
            Err("broken")
        });
        let follower = claims.once(&digest, async { Ok::<_, &str>(()) });
        assert_eq!(tokio::join!(leader, follower), (Err("broken"), Ok(true)));
    }
}
