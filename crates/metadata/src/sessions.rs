//! Sessions of people on the site. Only the hashes of tokens are stored.

use crate::{
    Change, Conn, Error, Tx,
    accounts::{self, Standing},
    conn::{change, row},
    convert::{id, instant, micros},
};
use longshore_model::{AccountId, Timestamp};

/// A session that has not expired.
#[derive(Debug, Clone)]
pub struct FoundSession {
    pub standing: Standing,
    /// The CSRF token of its forms.
    pub csrf: String,
    /// When it expires unless it is extended.
    pub expires_at: Timestamp,
}

/// Begins a session.
pub async fn create(
    tx: &mut Tx,
    token_hash: &[u8],
    account: AccountId,
    csrf: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO sessions (token_hash, account, csrf, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        token_hash,
        account.to_string(),
        csrf,
        micros(now),
        micros(expires_at)
    )?;
    Ok(())
}

/// The session of a token, unless it has expired at `now`.
pub async fn find(conn: &mut Conn, token_hash: &[u8], now: Timestamp) -> Result<Option<FoundSession>, Error> {
    let found: Option<(String, String, i64)> = row!(
        conn,
        (String, String, i64),
        "SELECT account, csrf, expires_at FROM sessions WHERE token_hash = $1 AND expires_at > $2",
        token_hash,
        micros(now)
    )?;
    let Some((account, csrf, expires_at)) = found else { return Ok(None) };
    let standing = accounts::standing(conn, id(AccountId, &account)?).await?;
    let expires_at = instant(expires_at)?;
    Ok(standing.map(|standing| FoundSession { standing, csrf, expires_at }))
}

/// Extends a session.
pub async fn prolong(tx: &mut Tx, token_hash: &[u8], expires_at: Timestamp) -> Result<(), Error> {
    change!(
        tx.conn,
        "UPDATE sessions SET expires_at = $2 WHERE token_hash = $1",
        token_hash,
        micros(expires_at)
    )?;
    Ok(())
}

/// Ends a session.
pub async fn delete(tx: &mut Tx, token_hash: &[u8]) -> Result<(), Error> {
    let sql = "DELETE FROM sessions WHERE token_hash = $1 RETURNING account";
    if let Some((account,)) = row!(tx.conn, (String,), sql, token_hash)? {
        tx.announce(Change::Account(Some(id(AccountId, &account)?)));
    }
    Ok(())
}

/// Ends all sessions of an account.
pub async fn delete_of(tx: &mut Tx, account: AccountId) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM sessions WHERE account = $1", account.to_string())?;
    tx.announce(Change::Account(Some(account)));
    Ok(())
}

/// Ends the sessions of an account beyond the `most` most recently used ones.
pub async fn delete_beyond(tx: &mut Tx, account: AccountId, most: i64) -> Result<(), Error> {
    let sql = "DELETE FROM sessions WHERE token_hash IN (
                   SELECT token_hash FROM sessions WHERE account = $1
                   ORDER BY expires_at DESC, created_at DESC LIMIT 1000 OFFSET $2)";
    if change!(tx.conn, sql, account.to_string(), most)? > 0 {
        tx.announce(Change::Account(Some(account)));
    }
    Ok(())
}

/// Removes expired sessions.
pub async fn delete_expired(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM sessions WHERE expires_at <= $1", micros(now))?;
    Ok(())
}
