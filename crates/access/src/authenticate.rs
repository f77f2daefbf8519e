//! User name and password in, actor out.

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

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No such user, or another password; which of both is not told.
    #[error("user name and password do not go together; check both, capital letters count")]
    WrongCredentials,
    /// Too many wrong passwords for this account or from this address.
    #[error(
        "too many wrong passwords for this account or from this address; try again in {} s",
        retry_after.as_secs().max(1)
    )]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// So many passwords are being checked that this one has to come back.
    #[error("the server is checking too many passwords; try again in {} s", retry_after.as_secs().max(1))]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// When to come back who found too many others waiting.
const BUSY: Duration = Duration::from_secs(2);

impl Access {
    /// Finds out who has this name and this password. Costs a hash the first time and next to
    /// nothing within a minute after a success. `peer` is who guesses when it is wrong.
    ///
    /// # Errors
    /// [`AuthError`]; an unknown user looks, and takes time, like a wrong password.
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
            // Before the throttle: who proved to know the password is not locked out by who guesses at it.
            if let Some(candidate) = &candidate
                && inner.recent.account(fingerprint, inner.clock.now()).is_some()
            {
                return Ok(proven(&candidate.standing, None));
            }
            let asker = self.admit(user, peer)?;
            // Whoever waited for another check of the same looks what came of that.
            if let Some(flight) = inner.flights.begin(fingerprint).await {
                break (flight, asker);
            }
        };
        let slot = inner.line.slot(asker).await.map_err(|Full| {
            inner.throttle.sent_away(peer, inner.clock.now());
            refused("password_checks");
            AuthError::Busy { retry_after: BUSY }
        })?;
        // While this one waited for its turn, others may have guessed wrong.
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
                tracing::info!(user = %user.escape_debug(), %peer, "wrong user name or password");
                Err(AuthError::WrongCredentials)
            }
        }
    }

    /// How somebody may join the line, unless wrong guesses came before.
    fn admit(&self, user: &str, peer: IpAddr) -> Result<Asker, AuthError> {
        self.0.throttle.admit(user, peer, self.0.clock.now()).map_err(|retry_after| {
            refused("sign_in");
            AuthError::Throttled { retry_after }
        })
    }

    /// The user of that name with the password's hash.
    async fn candidate(&self, user: &str) -> Result<Option<Candidate>, Error> {
        let Ok(name) = user.parse::<Namespace>() else { return Ok(None) };
        accounts::find_with_password(&mut self.0.db.read().await?, &name).await
    }

    /// The hash to store for a new password.
    ///
    /// # Errors
    /// Too short or too long.
    pub async fn hash_password(&self, password: &SecretString) -> Result<String, PasswordError> {
        self.0.hasher.hash(password).await
    }

    /// Stores a new password's hash (from [`Access::hash_password`]). The old one counts no more
    /// from this moment on: all sessions, tokens and event streams of the account end (semantics 45).
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

    /// Waits until servers that use the same database know of a change made here, also where they cannot
    /// be told of it (SQLite).
    pub async fn known_to_others(&self) {
        tokio::time::sleep(MEMORY.unsigned_abs()).await;
    }
}

fn refused(limit: &'static str) {
    metrics::counter!("longshore_limit_refusals_total", "limit" => limit).increment(1);
}
