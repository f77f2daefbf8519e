//! User name and password in, actor out.

use crate::actors::actor_of;
use crate::{Access, PasswordError};
use longshore_metadata::{Error, Priority, accounts, sessions};
use longshore_model::{Account, AccountId, UserActor};
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
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

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
    ) -> Result<UserActor, AuthError> {
        let inner = &*self.0;
        let candidate = self.candidate(user).await?;
        let stored = candidate.as_ref().map(|(_, hash)| hash.as_str());
        let fingerprint = inner.recent.fingerprint(user, password, stored);
        // Before the throttle: who proved to know the password is not locked out by who guesses at it.
        if let Some(id) = inner.recent.account(fingerprint, inner.clock.now()) {
            return self.actor(id).await?.ok_or(AuthError::WrongCredentials);
        }
        self.throttled(user, peer)?;
        let slot = inner.hasher.slot().await;
        // While this one waited for its turn, another request may have proved the same, or guessed wrong.
        if let Some(id) = inner.recent.account(fingerprint, inner.clock.now()) {
            return self.actor(id).await?.ok_or(AuthError::WrongCredentials);
        }
        self.throttled(user, peer)?;

        let right = inner.hasher.verify(&slot, password, stored).await;
        match candidate {
            Some((account, _)) if right => {
                inner.throttle.succeeded(user, peer);
                inner.recent.remember(fingerprint, account.id, inner.clock.now());
                Ok(actor_of(&account))
            }
            _ => {
                inner.throttle.failed(user, peer, inner.clock.now());
                tracing::info!(user = %user.escape_debug(), %peer, "wrong user name or password");
                Err(AuthError::WrongCredentials)
            }
        }
    }

    fn throttled(&self, user: &str, peer: IpAddr) -> Result<(), AuthError> {
        match self.0.throttle.wait(user, peer, self.0.clock.now()) {
            Some(retry_after) => {
                metrics::counter!("longshore_limit_refusals_total", "limit" => "sign_in").increment(1);
                Err(AuthError::Throttled { retry_after })
            }
            None => Ok(()),
        }
    }

    /// The account of that name with its password's hash, where it has one.
    async fn candidate(&self, user: &str) -> Result<Option<(Account, String)>, Error> {
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
    /// from this moment on, and all sessions of the account end.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_password(&self, account: AccountId, hash: String) -> Result<(), Error> {
        let write = self.0.db.write(Priority::Normal, move |tx| {
            Box::pin(async move {
                accounts::set_password(tx, account, &hash).await?;
                sessions::delete_of(tx, account).await
            })
        });
        write.await?;
        self.0.recent.forget(account);
        self.0.actors.forget(account);
        Ok(())
    }
}
