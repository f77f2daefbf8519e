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

/// Keeps a value in the place of another, or of none; false when another one is kept by now.
pub async fn swap(tx: &mut Tx, key: &str, old: Option<&str>, new: &str) -> Result<bool, Error> {
    let swapped = match old {
        Some(old) => {
            let sql = "UPDATE settings SET value = $3 WHERE key = $1 AND value = $2";
            change!(tx.conn, sql, key, old, new)?
        }
        None => {
            let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
            change!(tx.conn, sql, key, new)?
        }
    };
    Ok(swapped > 0)
}

/// Forgets a value.
pub async fn remove(tx: &mut Tx, key: &str) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM settings WHERE key = $1", key)?;
    Ok(())
}

/// Keeps a value where none is kept yet, and answers the one that is kept then: that of whoever came first.
pub async fn put_new(tx: &mut Tx, key: &str, value: &str) -> Result<String, Error> {
    let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    change!(tx.conn, sql, key, value)?;
    Ok(get(tx, key).await?.unwrap_or_else(|| value.to_owned()))
}
