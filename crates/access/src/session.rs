//! Sessions of people at the site: a random token in a cookie, its SHA-256 in the database, and a
//! second token that proves that a form came from our own page.

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

/// An account has no more sessions at once: those end first that were not used for longest.
const MOST_SESSIONS: i64 = 256;

/// A session that has just begun.
pub struct Session {
    /// The cookie's value; it is stored nowhere.
    pub token: SecretString,
    /// What forms of this session carry.
    pub csrf: String,
    /// Who signed in.
    pub actor: UserActor,
    /// When the session ends, unless it is used before.
    pub expires_at: Timestamp,
}

/// Who is behind a session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionActor {
    /// The user, as the account stands now, and what that rests on.
    pub proven: Proven,
    /// What forms of this session carry.
    pub csrf: String,
    /// When the session ends, unless it is used before.
    pub expires_at: Timestamp,
}

// The token of the forms stays out of logs, as the session's own does.
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
    /// Signs somebody in.
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

    /// Who is behind a cookie; none when the session has ended. Using a session prolongs it.
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
        // A write per request would be too much; one per twelfth of the time (an hour) is enough.
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

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, token: &SecretString) -> Result<(), Error> {
        let token_hash = hash(token);
        let write = self.0.db.write(Priority::Normal, work!(|tx| sessions::delete(tx, &token_hash).await));
        write.await
    }
}
