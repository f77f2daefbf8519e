//! A database with the accounts of the tests, and a manual clock.

use longshore_access::{Access, AccessSettings};
use longshore_metadata::{Database, Error, Priority, Vault, accounts, work};
use longshore_model::{Account, Clock, ManualClock, Timestamp};
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const ABROAD: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

pub(crate) struct Scene {
    pub(crate) access: Access,
    pub(crate) clock: ManualClock,
    db: Database,
    folder: TempDir,
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap());
        let path = folder.path().join("access.db");
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let access = Access::new(db.clone(), Arc::new(clock.clone()), AccessSettings::default());
        Self { access, clock, db, folder }
    }

    /// A user with a password, or an organization without.
    pub(crate) async fn account(&self, name: &str, password: Option<&str>, is_admin: bool) -> Account {
        let hash = match password {
            Some(password) => Some(self.access.hash_password(&secret(password)).await.unwrap()),
            None => None,
        };
        let (name, now) = (name.parse().unwrap(), self.clock.now());
        let is_org = hash.is_none();
        let made = self.db.write::<_, Error, _>(
            Priority::Normal,
            work!(|tx| accounts::create(tx, &name, is_org, is_admin, hash.as_deref(), now).await),
        );
        made.await.unwrap()
    }

    /// Another process on the same file, whose changes are not announced here.
    pub(crate) async fn beside(&self) -> Access {
        let path = self.folder.path().join("access.db");
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        Access::new(db, Arc::new(self.clock.clone()), AccessSettings::default())
    }

    /// The server after a restart, on the same database.
    pub(crate) fn restarted(&self) -> Access {
        Access::new(self.db.clone(), Arc::new(self.clock.clone()), AccessSettings::default())
    }
}
