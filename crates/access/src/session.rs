//! Sessions of the site: a random token in a cookie, whose SHA-256 is stored in the database, and a second token that
//! proves that a form came from the site itself.

use crate::actors::proven;
use crate::{Access, AuthError, Proven};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use longshore_metadata::{Error, Priority, sessions, work};
use longshore_model::{Timestamp, UserActor};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::IpAddr;

/// The maximum number of sessions per account; those that were not used for longest end first.
const MOST_SESSIONS: i64 = 256;

/// A new session.
pub struct Session {
    /// The value of the cookie; it is not stored.
    pub token: SecretString,
    /// The anti-forgery token of the session, which forms must contain.
    pub csrf: String,
    pub actor: UserActor,
    /// When the session ends if it is not used until then.
    pub expires_at: Timestamp,
}

/// The user of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionActor {
    /// The user with the current state of the account, and the credential.
    pub proven: Proven,
    /// The anti-forgery token of the session, which forms must contain.
    pub csrf: String,
    /// When the session ends if it is not used until then.
    pub expires_at: Timestamp,
}

// Keeps both tokens out of logs.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("actor", &self.actor).finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionActor").field("actor", &self.proven.actor).finish_non_exhaustive()
    }
}

fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn hash(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret().as_bytes()).into()
}

impl Access {
    /// Creates a session.
    ///
    /// # Errors
    /// As [`Access::authenticate`].
    pub async fn sign_in(
        &self,
        user: &str,
        password: &SecretString,
        peer: IpAddr,
    ) -> Result<Session, AuthError> {
        let actor = self.authenticate(user, password, peer).await?.actor;
        let (token, csrf) = (SecretString::from(random_token()), random_token());
        let now = self.0.clock.now();
        let expires_at = now + self.0.settings.session_ttl;
        let (token_hash, account, stored_csrf) = (hash(&token), actor.id, csrf.clone());
        let write = self.0.db.write::<_, Error, _>(
            Priority::Normal,
            work!(|tx| {
                sessions::delete_expired(tx, now).await?;
                sessions::create(tx, &token_hash, account, &stored_csrf, now, expires_at).await?;
                sessions::delete_beyond(tx, account, MOST_SESSIONS).await
            }),
        );
        write.await?;
        Ok(Session { token, csrf, actor, expires_at })
    }

    /// The user of a session; `None` if the session has ended. Using a session prolongs it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn session(&self, token: &SecretString) -> Result<Option<SessionActor>, Error> {
        let now = self.0.clock.now();
        let token_hash = hash(token);
        let found = {
            let mut conn = self.0.db.read().await?;
            sessions::find(&mut conn, &token_hash, now).await?
        };
        let Some(found) = found else { return Ok(None) };
        let ttl = self.0.settings.session_ttl;
        let mut expires_at = found.expires_at;
        // Prolonging it with each request would be too many writes; once per twelfth of its lifetime (an hour) is
        // enough.
        if expires_at.duration_since(now) < ttl - ttl / 12 {
            expires_at = now + ttl;
            let prolong = self.0.db.write::<_, Error, _>(
                Priority::Normal,
                work!(|tx| sessions::prolong(tx, &token_hash, expires_at).await),
            );
            prolong.await?;
        }
        let proven = proven(&found.standing, Some(token_hash));
        Ok(Some(SessionActor { proven, csrf: found.csrf, expires_at }))
    }

    /// Ends a session. A session that has already ended is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, token: &SecretString) -> Result<(), Error> {
        let token_hash = hash(token);
        let write = self.0.db.write(Priority::Normal, work!(|tx| sessions::delete(tx, &token_hash).await));
        write.await
    }
}
