//! Users and organizations.

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{containing, id, instant, micros, parse},
    page::{self, COUNTED, Reading, counted, pages},
};
use longshore_model::{Account, AccountId, Page, PageRequest, Timestamp};
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};

from_row! {
    struct AccountRow {
        id: String,
        name: String,
        is_org: bool,
        is_admin: bool,
        created_at: i64,
    }
}

/// Selects whole accounts; what follows `FROM accounts` is given.
macro_rules! select {
    (and $more:literal, $($rest:tt)*) => {
        concat!("SELECT ", $more, "id, name, is_org, is_admin, created_at FROM accounts ", $($rest)*)
    };
    ($($rest:tt)*) => { select!(and "", $($rest)*) };
}

from_row! {
    struct WithEpoch {
        credential_epoch: i64,
    } and account: AccountRow
}

from_row! {
    struct WithPassword {
        password_hash: String,
        credential_epoch: i64,
    } and account: AccountRow
}

/// How often the credentials of an account were changed. Sessions and tokens issued under another epoch than the
/// account's current one are invalid (semantics 45).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialEpoch(i64);

/// An account, with the epoch of its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub account: Account,
    pub epoch: CredentialEpoch,
}

/// A user with the hash to compare a password with.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub standing: Standing,
    pub password_hash: String,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;
    fn try_from(row: AccountRow) -> Result<Self, Error> {
        Ok(Self {
            id: id(AccountId, &row.id)?,
            name: parse("account name", &row.name)?,
            is_org: row.is_org,
            is_admin: row.is_admin,
            created_at: instant(row.created_at)?,
        })
    }
}

/// Creates a user or an organization.
///
/// # Errors
/// [`Error::Exists`]
pub async fn create(
    tx: &mut Tx,
    name: &Namespace,
    is_org: bool,
    is_admin: bool,
    password_hash: Option<&str>,
    now: Timestamp,
) -> Result<Account, Error> {
    if find(tx, name).await?.is_some() {
        return Err(Error::Exists { what: "the account", name: name.to_string() });
    }
    let account = Account { id: AccountId::new(), name: name.clone(), is_org, is_admin, created_at: now };
    change!(
        tx.conn,
        "INSERT INTO accounts (id, name, is_org, is_admin, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        account.id.to_string(),
        name.as_str(),
        is_org,
        is_admin,
        password_hash,
        micros(now)
    )?;
    Ok(account)
}

/// The account with this name.
pub async fn find(conn: &mut Conn, name: &Namespace) -> Result<Option<Account>, Error> {
    let sql = select!("WHERE name = $1");
    row!(conn, AccountRow, sql, name.as_str())?.map(Account::try_from).transpose()
}

/// The account with this ID.
pub async fn get(conn: &mut Conn, account: AccountId) -> Result<Option<Account>, Error> {
    let sql = select!("WHERE id = $1");
    row!(conn, AccountRow, sql, account.to_string())?.map(Account::try_from).transpose()
}

/// The account with this ID, and the epoch of its credentials.
pub async fn standing(conn: &mut Conn, account: AccountId) -> Result<Option<Standing>, Error> {
    let sql = select!(and "credential_epoch, ", "WHERE id = $1");
    let found = row!(conn, WithEpoch, sql, account.to_string())?;
    found
        .map(|row| {
            Ok(Standing { account: row.account.try_into()?, epoch: CredentialEpoch(row.credential_epoch) })
        })
        .transpose()
}

/// The user with this name and the hash of the password; `None` for organizations, which have no password.
pub async fn find_with_password(conn: &mut Conn, name: &Namespace) -> Result<Option<Candidate>, Error> {
    let sql =
        select!(and "credential_epoch, password_hash, ", "WHERE name = $1 AND password_hash IS NOT NULL");
    let found = row!(conn, WithPassword, sql, name.as_str())?;
    found
        .map(|row| {
            let epoch = CredentialEpoch(row.credential_epoch);
            let standing = Standing { account: row.account.try_into()?, epoch };
            Ok(Candidate { standing, password_hash: row.password_hash })
        })
        .transpose()
}

/// Sets the hash of a user's password. Sessions and tokens issued before are invalid from now on.
pub async fn set_password(tx: &mut Tx, account: AccountId, hash: &str) -> Result<(), Error> {
    let sql = "UPDATE accounts SET password_hash = $2, credential_epoch = credential_epoch + 1 WHERE id = $1";
    change!(tx.conn, sql, account.to_string(), hash)?;
    tx.announce(Change::Account(Some(account)));
    Ok(())
}

/// The sum of the credential epochs of all accounts. It grows whenever one of them changes.
pub async fn credential_changes(conn: &mut Conn) -> Result<i64, Error> {
    let sql = "SELECT CAST(COALESCE(SUM(credential_epoch), 0) AS BIGINT) FROM accounts";
    Ok(value!(conn, i64, sql)?)
}

/// Accounts by name; `orgs` selects only organizations or only users.
pub async fn list(
    conn: &mut Conn,
    search: Option<&str>,
    orgs: Option<bool>,
    page: &PageRequest,
) -> Result<Page<Account>, Error> {
    let reading = Reading::of(page, String::new())?;
    let search = search.map(containing);
    let number = value!(
        conn,
        i64,
        r"SELECT COUNT(*) FROM (
              SELECT 1 FROM accounts
              WHERE ($1 IS NULL OR name LIKE $1 ESCAPE '\') AND ($2 IS NULL OR is_org = $2) LIMIT $3) AS counted",
        search.as_deref(),
        orgs,
        COUNTED
    )?;
    let sql = reading.choose(pages!({
        select!(r"WHERE ($1 IS NULL OR name LIKE $1 ESCAPE '\') AND ($2 IS NULL OR is_org = $2)")
    } up ["name"], key "$3", limit "$4"));
    let found = rows!(conn, AccountRow, sql, search.as_deref(), orgs, reading.key.as_str(), reading.limit())?;
    let page = reading.page(found, |row| row.name.clone(), counted(number));
    Ok(page::read("account", page, |row| row.name.clone()))
}

/// The number of accounts.
pub async fn count(conn: &mut Conn) -> Result<u64, Error> {
    Ok(value!(conn, i64, "SELECT COUNT(*) FROM accounts")?.unsigned_abs())
}
