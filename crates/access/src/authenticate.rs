//! Authentication by username and password.

use crate::actors::{MEMORY, proven};
use crate::line::{Asker, Full};
use crate::{Access, PasswordError, Proven};
use longshore_metadata::accounts::{self, Candidate};
use longshore_metadata::{Error, Priority, sessions, work};
use longshore_model::AccountId;
use longshore_oci::Namespace;
use secrecy::SecretString;
use std::net::IpAddr;
use std::time::Duration;

/// Why an authentication failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The user does not exist, or the password is wrong; the error does not say which.
    #[error("incorrect username or password")]
    WrongCredentials,
    /// Too many wrong passwords for this account or from this address.
    #[error(
        "too many wrong passwords for this account or from this address; try again in {} s",
        retry_after.as_secs().max(1)
    )]
    Throttled { retry_after: Duration },
    /// Too many passwords are being checked at the moment.
    #[error("the server is checking too many passwords; try again in {} s", retry_after.as_secs().max(1))]
    Busy { retry_after: Duration },
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// The time after which to retry if the queue is full.
const BUSY: Duration = Duration::from_secs(2);

impl Access {
    /// Authenticates a user by password. Costs a hash the first time, and next to nothing within a minute after a
    /// success. A wrong password is counted against `peer`.
    ///
    /// # Errors
    /// [`AuthError`]; an unknown user cannot be told from a wrong password, not even by timing.
    pub async fn authenticate(
        &self,
        user: &str,
        password: &SecretString,
        peer: IpAddr,
    ) -> Result<Proven, AuthError> {
        let inner = &*self.0;
        let candidate = self.candidate(user).await?;
        let stored = candidate.as_ref().map(|candidate| candidate.password_hash.as_str());
        let fingerprint = inner.recent.fingerprint(user, password, stored);
        let (_flight, asker) = loop {
            // Before the throttle: a user who has recently proved to know the password is not locked out by others who
            // guess.
            if let Some(candidate) = &candidate
                && inner.recent.account(fingerprint, inner.clock.now()).is_some()
            {
                return Ok(proven(&candidate.standing, None));
            }
            let asker = self.admit(user, peer)?;
            // Waited for another check of the same credentials; look at its result.
            if let Some(flight) = inner.flights.begin(fingerprint).await {
                break (flight, asker);
            }
        };
        let slot = inner.line.slot(asker).await.map_err(|Full| {
            inner.throttle.sent_away(peer, inner.clock.now());
            refused("password_checks");
            AuthError::Busy { retry_after: BUSY }
        })?;
        // Other guesses may have failed while this one waited.
        self.admit(user, peer)?;

        let right = inner.hasher.verify(slot, password, stored).await;
        match candidate {
            Some(candidate) if right => {
                let now = inner.clock.now();
                inner.throttle.succeeded(user, peer, now);
                inner.recent.remember(fingerprint, candidate.standing.account.id, now);
                Ok(proven(&candidate.standing, None))
            }
            _ => {
                inner.throttle.failed(user, peer, inner.clock.now());
                tracing::info!(user = %user.escape_debug(), %peer, "incorrect username or password");
                Err(AuthError::WrongCredentials)
            }
        }
    }

    /// Admits an attempt to the queue, unless there were too many wrong guesses.
    fn admit(&self, user: &str, peer: IpAddr) -> Result<Asker, AuthError> {
        self.0.throttle.admit(user, peer, self.0.clock.now()).map_err(|retry_after| {
            refused("sign_in");
            AuthError::Throttled { retry_after }
        })
    }

    /// The user with this name, with the hash of the password.
    async fn candidate(&self, user: &str) -> Result<Option<Candidate>, Error> {
        let Ok(name) = user.parse::<Namespace>() else { return Ok(None) };
        accounts::find_with_password(&mut self.0.db.read().await?, &name).await
    }

    /// The hash of a new password, to be stored.
    ///
    /// # Errors
    /// The password is too short or too long.
    pub async fn hash_password(&self, password: &SecretString) -> Result<String, PasswordError> {
        self.0.hasher.hash(password).await
    }

    /// Stores the hash of a new password (from [`Access::hash_password`]). The old password becomes invalid
    /// immediately: all sessions, tokens and event streams of the account end (semantics 45).
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_password(&self, account: AccountId, hash: String) -> Result<(), Error> {
        let write = self.0.db.write(
            Priority::Normal,
            work!(|tx| {
                accounts::set_password(tx, account, &hash).await?;
                sessions::delete_of(tx, account).await
            }),
        );
        write.await?;
        self.0.recent.forget(account);
        Ok(())
    }

    /// Waits until other servers on the same database know of a change made here, even if they cannot be notified
    /// (SQLite).
    pub async fn known_to_others(&self) {
        tokio::time::sleep(MEMORY.unsigned_abs()).await;
    }
}

fn refused(limit: &'static str) {
    metrics::counter!("longshore_limit_refusals_total", "limit" => limit).increment(1);
}
