//! Small values that the server keeps for itself.

use crate::{
    Conn, Error, Tx,
    conn::{change, row},
};

/// A value, if it was ever kept.
pub async fn get(conn: &mut Conn, key: &str) -> Result<Option<String>, Error> {
    let found: Option<(String,)> = row!(conn, (String,), "SELECT value FROM settings WHERE key = $1", key)?;
    Ok(found.map(|(value,)| value))
}

/// Keeps a value.
pub async fn put(tx: &mut Tx, key: &str, value: &str) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value
    )?;
    Ok(())
}

/// Forgets a value.
pub async fn remove(tx: &mut Tx, key: &str) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM settings WHERE key = $1", key)?;
    Ok(())
}
