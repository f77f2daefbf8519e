//! Remotes: saved connections to other registries. Secrets are encrypted when they are stored, and only
//! [`get_with_secret`] decrypts them.

use crate::{
    Change, Conn, Error, Tx, accounts, back_offs,
    conn::{change, from_row, row, rows, value},
    convert::{containing, from_json, id, instant, json, maybe_instant, maybe_parse, micros, readable, word},
    jobs,
    page::{self, COUNTED, Reading, counted, pages},
    visible::among,
};
use longshore_model::{
    Code, LastChange, Page, PageRequest, Remote, RemoteId, Timestamp, Version, message::Withdrawal,
};
use longshore_oci::Namespace;
use secrecy::SecretString;

/// Whose remotes a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerFilter {
    /// All, including those of the system.
    All,
    /// Those of some namespaces.
    Namespaces(Vec<Namespace>),
}

/// The change of a stored secret.
#[derive(Debug, Clone)]
pub enum SecretChange {
    Keep,
    Discard,
    Replace(SecretString),
}

from_row! {
    struct Row {
        id: String,
        owner: Option<String>,
        author: Option<String>,
        name: String,
        kind: String,
        url: String,
        username: String,
        has_secret: bool,
        ca_pem: Option<String>,
        skip_tls_verify: bool,
        proxy: Option<String>,
        realm: Option<String>,
        version: i64,
        last_change: Option<String>,
        created_at: i64,
        updated_at: i64,
        last_contact: Option<i64>,
        last_error: Option<String>,
        used_by: i64,
    } and wait: back_offs::Columns
}

from_row! {
    struct Opened {
        secret: Option<Vec<u8>>,
    } and row: Row
}

impl TryFrom<Row> for Remote {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: id(RemoteId, &row.id)?,
            owner: maybe_parse("namespace", row.owner.as_deref())?,
            author: maybe_parse("user", row.author.as_deref())?,
            name: row.name,
            kind: word("kind of remote", &row.kind)?,
            url: row.url,
            username: row.username,
            has_secret: row.has_secret,
            ca_pem: row.ca_pem,
            skip_tls_verify: row.skip_tls_verify,
            proxy: row.proxy,
            realm: row.realm,
            version: Version(row.version),
            last_change: row.last_change.as_deref().map(|text| from_json("change", text)).transpose()?,
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
            last_contact: maybe_instant(row.last_contact)?,
            last_error: row.last_error,
            used_by: u32::try_from(row.used_by).unwrap_or(u32::MAX),
            back_off: row.wait.read()?,
        })
    }
}

macro_rules! select {
    (and $more:literal, $($rest:tt)*) => {
        concat!(
            "SELECT ", $more,
            r#"e.id, e.owner, e.author, e.name, e.kind, e.url, e.username, e.secret IS NOT NULL AS has_secret, e.ca_pem,
                      e.skip_tls_verify, e.proxy, e.realm, e.version, e.last_change, e.created_at, e.updated_at,
                      e.last_contact, e.last_error,
                      (SELECT COUNT(*) FROM policies p WHERE p.remote = e.id) AS used_by, "#,
            back_offs::columns!(),
            " FROM remotes e LEFT JOIN back_offs b ON b.remote = e.id ",
            $($rest)*
        )
    };
    ($($rest:tt)*) => { select!(and "", $($rest)*) };
}

/// The conditions of a [`list`].
macro_rules! listed {
    () => {
        concat!(
            "WHERE ($1 OR ",
            among!("e.owner", "$2"),
            r#") AND ($3 IS NULL OR LOWER(e.name) LIKE $3 ESCAPE '\' OR LOWER(e.url) LIKE $3 ESCAPE '\')"#
        )
    };
}

/// The row that a secret is bound to.
fn place(remote: RemoteId) -> String {
    format!("remote {remote}")
}

/// Remotes with their own certificate authorities, and these.
pub async fn authorities(conn: &mut Conn) -> Result<Vec<(RemoteId, String)>, Error> {
    let sql = "SELECT id, ca_pem FROM remotes WHERE ca_pem IS NOT NULL";
    let found = rows!(conn, (String, String), sql)?;
    let read = |(remote, pem): (String, String)| Ok((id(RemoteId, &remote)?, pem));
    Ok(readable("remote", found, |(remote, _)| remote.clone(), read))
}

/// Replaces a remote's certificate authorities by the same ones in another form, unless they were changed in the
/// meantime.
pub async fn rewrite_authorities(
    tx: &mut Tx,
    remote: RemoteId,
    from: &str,
    to: Option<&str>,
) -> Result<(), Error> {
    let sql = "UPDATE remotes SET ca_pem = $3 WHERE id = $1 AND ca_pem = $2";
    change!(tx.conn, sql, remote.to_string(), from, to)?;
    Ok(())
}

/// The maximum number of remotes of one namespace. Only administrators create those of the system.
const MOST: i64 = 1_000;

/// Writes a new remote. The secret is encrypted with the database's vault.
///
/// # Errors
/// [`Error::LimitReached`] if its namespace has the maximum number. On PostgreSQL, remotes that are created at the same
/// time may exceed it slightly.
pub async fn insert(tx: &mut Tx, remote: &Remote, secret: Option<&SecretString>) -> Result<(), Error> {
    if let Some(owner) = &remote.owner {
        let sql = "SELECT COUNT(*) FROM remotes WHERE owner = $1";
        if value!(tx.conn, i64, sql, owner.as_str())? >= MOST {
            return Err(Error::LimitReached { whose: "a namespace", what: "remotes", most: MOST });
        }
    }
    let sealed = secret.map(|secret| tx.conn.vault().seal(secret, &place(remote.id)));
    change!(
        tx.conn,
        "INSERT INTO remotes (id, owner, name, kind, url, username, secret, ca_pem, skip_tls_verify, proxy, realm,
                              created_at, updated_at, last_contact, last_error, author)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        remote.id.to_string(),
        remote.owner.as_ref().map(Namespace::as_str),
        remote.name.as_str(),
        remote.kind.as_str(),
        remote.url.as_str(),
        remote.username.as_str(),
        sealed,
        remote.ca_pem.as_deref(),
        remote.skip_tls_verify,
        remote.proxy.as_deref(),
        remote.realm.as_deref(),
        micros(remote.created_at),
        micros(remote.updated_at),
        remote.last_contact.map(micros),
        remote.last_error.as_deref(),
        remote.author.as_ref().map(Namespace::as_str)
    )?;
    tx.announce(Change::Settings);
    Ok(())
}

/// Reads a remote that is about to be changed, and locks it until the transaction ends.
pub async fn get_for_change(tx: &mut Tx, remote: RemoteId) -> Result<Option<Remote>, Error> {
    jobs::lock_endings(tx).await?;
    // SQLite has one writer.
    if tx.is_postgres() {
        let sql = "SELECT version FROM remotes WHERE id = $1 FOR UPDATE";
        row!(tx.conn, (i64,), sql, remote.to_string())?;
    }
    get(tx, remote).await
}

/// Writes a changed remote over version `based_on` (semantics 33).
///
/// # Errors
/// [`Error::Stale`] if the row has another version.
pub async fn update(
    tx: &mut Tx,
    based_on: Version,
    mut remote: Remote,
    secret: SecretChange,
    change: LastChange,
) -> Result<Remote, Error> {
    remote.version = based_on.next();
    remote.last_change = Some(change);
    let sealed = match &secret {
        SecretChange::Replace(secret) => Some(tx.conn.vault().seal(secret, &place(remote.id))),
        SecretChange::Keep | SecretChange::Discard => None,
    };
    let written = change!(
        tx.conn,
        "UPDATE remotes SET owner = $2, name = $3, kind = $4, url = $5, username = $6, ca_pem = $7,
            skip_tls_verify = $8, proxy = $9, realm = $10, updated_at = $11,
            secret = CASE WHEN $12 THEN secret ELSE $13 END, author = $14, version = $15, last_change = $16,
            last_error = NULL
         WHERE id = $1 AND version = $17",
        remote.id.to_string(),
        remote.owner.as_ref().map(Namespace::as_str),
        remote.name.as_str(),
        remote.kind.as_str(),
        remote.url.as_str(),
        remote.username.as_str(),
        remote.ca_pem.as_deref(),
        remote.skip_tls_verify,
        remote.proxy.as_deref(),
        remote.realm.as_deref(),
        micros(remote.updated_at),
        matches!(secret, SecretChange::Keep),
        sealed,
        remote.author.as_ref().map(Namespace::as_str),
        remote.version.0,
        remote.last_change.as_ref().map(json),
        based_on.0
    )?;
    if written == 0 {
        return Err(Error::Stale { what: "remote", code: Code::RemoteChanged });
    }
    // Failures with other settings say nothing about these.
    remote.last_error = None;
    back_offs::forget(tx, remote.id, remote.updated_at).await?;
    tx.announce(Change::Settings);
    Ok(remote)
}

/// Whether its author is currently an administrator. Remotes of the system were saved by one.
pub async fn is_by_administrator(conn: &mut Conn, remote: &Remote) -> Result<bool, Error> {
    let Some(author) = &remote.author else { return Ok(true) };
    Ok(accounts::find(conn, author).await?.is_some_and(|account| account.is_admin))
}

/// Deletes a remote that no mirror uses. Jobs of people who push to it are withdrawn.
pub async fn delete(tx: &mut Tx, remote: RemoteId, now: Timestamp) -> Result<(), Error> {
    jobs::withdraw(tx, jobs::Of::Remote(remote), Withdrawal::RemoteDeleted, now).await?;
    change!(tx.conn, "DELETE FROM remotes WHERE id = $1", remote.to_string())?;
    tx.announce(Change::Settings);
    Ok(())
}

/// The remote with this ID.
pub async fn get(conn: &mut Conn, remote: RemoteId) -> Result<Option<Remote>, Error> {
    row!(conn, Row, select!("WHERE e.id = $1"), remote.to_string())?.map(Remote::try_from).transpose()
}

/// Those of several remotes that exist, in no particular order, in one query.
pub async fn get_all(conn: &mut Conn, remotes: &[RemoteId]) -> Result<Vec<Remote>, Error> {
    if remotes.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match conn.is_postgres() {
        false => select!("WHERE e.id IN (SELECT value FROM json_each($1))"),
        true => select!("WHERE e.id IN (SELECT json_array_elements_text($1::json))"),
    };
    let found = rows!(conn, Row, sql, json(&remotes))?;
    Ok(readable("remote", found, |row| row.id.clone(), Remote::try_from))
}

/// Remotes by name.
pub async fn list(
    conn: &mut Conn,
    owners: &OwnerFilter,
    search: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Remote>, Error> {
    let (all, namespaces) = match owners {
        OwnerFilter::All => (true, "[]".to_owned()),
        OwnerFilter::Namespaces(namespaces) => (false, json(namespaces)),
    };
    let search = search.filter(|text| !text.trim().is_empty()).map(containing);
    let reading = Reading::of(page, (String::new(), String::new()))?;
    let number = value!(
        conn,
        i64,
        concat!("SELECT COUNT(*) FROM (SELECT 1 FROM remotes e ", listed!(), " LIMIT $4) AS counted"),
        all,
        namespaces.as_str(),
        search.as_deref(),
        COUNTED
    )?;
    let sql = reading.choose(pages!({
        select!(listed!())
    } up ["e.name", "e.id"], key "$4, $5", limit "$6"));
    let (name, id) = &reading.key;
    let found = rows!(
        conn,
        Row,
        sql,
        all,
        namespaces.as_str(),
        search.as_deref(),
        name.as_str(),
        id.as_str(),
        reading.limit()
    )?;
    let page = reading.page(found, |row| (row.name.clone(), row.id.clone()), counted(number));
    Ok(page::read("remote", page, |row| row.id.clone()))
}

/// The remote with exactly these settings, so that a connection entered twice is saved only once.
pub async fn find_same(
    conn: &mut Conn,
    owner: Option<&Namespace>,
    url: &str,
    username: &str,
    ca_pem: Option<&str>,
    skip_tls_verify: bool,
    proxy: Option<&str>,
) -> Result<Option<Remote>, Error> {
    row!(
        conn,
        Row,
        select!(
            "WHERE COALESCE(e.owner, '') = $1 AND e.url = $2 AND e.username = $3 AND COALESCE(e.ca_pem, '') = $4
               AND e.skip_tls_verify = $5 AND COALESCE(e.proxy, '') = $6 ORDER BY e.id LIMIT 1"
        ),
        owner.map_or("", Namespace::as_str),
        url,
        username,
        ca_pem.unwrap_or_default(),
        skip_tls_verify,
        proxy.unwrap_or_default()
    )?
    .map(Remote::try_from)
    .transpose()
}

/// A remote and its secret, if it has one. Both are read at the same moment: a secret is never sent to an address that
/// it was not saved for (semantics 15).
///
/// # Errors
/// [`Error::SecretUnreadable`]
pub async fn get_with_secret(
    conn: &mut Conn,
    remote: RemoteId,
) -> Result<Option<(Remote, Option<SecretString>)>, Error> {
    let sql = select!(and "e.secret, ", "WHERE e.id = $1");
    let Some(Opened { secret, row }) = row!(conn, Opened, sql, remote.to_string())? else { return Ok(None) };
    let secret = secret.map(|sealed| conn.vault().open(&sealed, &place(remote))).transpose()?;
    Ok(Some((row.try_into()?, secret)))
}

/// Records that the registry answered, or why it did not.
pub async fn record_contact(
    tx: &mut Tx,
    remote: RemoteId,
    now: Timestamp,
    error: Option<&str>,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "UPDATE remotes SET last_contact = CASE WHEN $3 IS NULL THEN $2 ELSE last_contact END, last_error = $3
         WHERE id = $1",
        remote.to_string(),
        micros(now),
        error
    )?;
    Ok(())
}

/// Records why a registry is backed off, unless a more precise error is recorded.
pub async fn record_left_alone(tx: &mut Tx, remote: RemoteId, why: &str) -> Result<(), Error> {
    let sql = "UPDATE remotes SET last_error = $2 WHERE id = $1 AND last_error IS NULL";
    change!(tx.conn, sql, remote.to_string(), why)?;
    Ok(())
}

/// Pins the token realm that the registry named (semantics 15).
pub async fn pin_realm(tx: &mut Tx, remote: RemoteId, realm: &str) -> Result<(), Error> {
    change!(tx.conn, "UPDATE remotes SET realm = $2 WHERE id = $1", remote.to_string(), realm)?;
    Ok(())
}
