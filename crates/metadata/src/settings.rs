//! Small values that the server stores for itself.

use crate::{
    Conn, Error, Tx,
    conn::{change, row},
};

/// The value of a key, if it was ever stored.
pub async fn get(conn: &mut Conn, key: &str) -> Result<Option<String>, Error> {
    let found: Option<(String,)> = row!(conn, (String,), "SELECT value FROM settings WHERE key = $1", key)?;
    Ok(found.map(|(value,)| value))
}

/// Stores a value.
pub async fn put(tx: &mut Tx, key: &str, value: &str) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value
    )?;
    Ok(())
}

/// Stores a value if the current one is `old`; returns false if it is not.
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

/// Removes a value.
pub async fn remove(tx: &mut Tx, key: &str) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM settings WHERE key = $1", key)?;
    Ok(())
}

/// Stores a value if there is none yet; returns the stored one, which may be that of another caller.
pub async fn put_new(tx: &mut Tx, key: &str, value: &str) -> Result<String, Error> {
    let sql = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
    change!(tx.conn, sql, key, value)?;
    Ok(get(tx, key).await?.unwrap_or_else(|| value.to_owned()))
}
