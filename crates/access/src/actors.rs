//! Accounts as they stand now: whoever shows a token or a session is looked up again, so that a new
//! password, a lost right or a deleted account counts at once.
//!
//! An account is read once and then known until a commit says that it changed; that is one lookup in
//! memory per request, where reading the row each time would cost a registry a tenth of its pulls. A
//! process that shares the database and cannot be heard (`longshore user` beside a server on SQLite)
//! waits for [`MEMORY`] after a change instead.

use crate::Access;
use crate::credential::{Credential, Held, Proven};
use jiff::{SignedDuration, Timestamp};
use longshore_metadata::accounts::{self, Standing};
use longshore_metadata::{Change, Database, Error, sessions};
use longshore_model::{AccountId, UserActor};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// How stale an account may be whose change nobody announced here.
pub(crate) const MEMORY: SignedDuration = SignedDuration::from_secs(1);
/// More accounts than this are not kept at once.
const MAX_ENTRIES: usize = 10_000;

/// The accounts seen within the last second.
pub(crate) struct Actors(Mutex<Seen>);

struct Seen {
    changes: Receiver<Change>,
    known: HashMap<AccountId, (Standing, Timestamp)>,
    /// How often something was forgotten: what was read before that may be outdated.
    forgotten: u64,
}

impl Seen {
    /// Forgets what has changed since this was asked last.
    fn catch_up(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(Change::Account(Some(id))) => {
                    self.known.remove(&id);
                }
                Ok(Change::Account(None)) | Err(TryRecvError::Lagged(_)) => self.known.clear(),
                Ok(_) => continue,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
            self.forgotten += 1;
        }
    }
}

impl Actors {
    pub(crate) fn new(db: &Database) -> Self {
        Self(Mutex::new(Seen { changes: db.changes(), known: HashMap::new(), forgotten: 0 }))
    }

    /// The account, if it is known; else the mark to [`Actors::remember`] it with.
    fn recent(&self, id: AccountId, now: Timestamp) -> Result<Standing, u64> {
        let mut seen = self.seen();
        seen.catch_up();
        match seen.known.get(&id) {
            Some((standing, at)) if now.duration_since(*at) < MEMORY => Ok(standing.clone()),
            _ => Err(seen.forgotten),
        }
    }

    /// Keeps what was read after `mark` was given, unless something has changed meanwhile.
    fn remember(&self, standing: Standing, mark: u64, now: Timestamp) {
        let mut seen = self.seen();
        seen.catch_up();
        if seen.forgotten != mark {
            return;
        }
        if seen.known.len() >= MAX_ENTRIES {
            seen.known.clear();
        }
        seen.known.insert(standing.account.id, (standing, now));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock()
    }
}

fn actor_of(standing: &Standing) -> UserActor {
    let account = &standing.account;
    UserActor { id: account.id, name: account.name.clone(), is_admin: account.is_admin }
}

/// Who has proved to be the user behind an account; by a session where its token's hash is given.
pub(crate) fn proven(standing: &Standing, session: Option<[u8; 32]>) -> Proven {
    let credential = Credential { account: standing.account.id, epoch: standing.epoch, session };
    Proven { actor: actor_of(standing), credential }
}

impl Access {
    /// The account with this identifier as it stands now; none when it is gone.
    pub(crate) async fn standing(&self, id: AccountId) -> Result<Option<Standing>, Error> {
        let now = self.0.clock.now();
        let mark = match self.0.actors.recent(id, now) {
            Ok(standing) => return Ok(Some(standing)),
            Err(mark) => mark,
        };
        let Some(standing) = accounts::standing(&mut self.0.db.read().await?, id).await? else {
            return Ok(None);
        };
        self.0.actors.remember(standing.clone(), mark, now);
        Ok(Some(standing))
    }

    /// The user with this identifier, for whom the caller vouches instead of a password: nobody else is
    /// asked whether it is them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn vouched(&self, id: AccountId) -> Result<Option<Proven>, Error> {
        let standing = self.standing(id).await?;
        Ok(standing.filter(|standing| !standing.account.is_org).map(|standing| proven(&standing, None)))
    }

    /// Whether a credential still holds: the account is there, its password is the same, and the
    /// session, where it was one, has not ended. Asking does not prolong a session.
    ///
    /// # Errors
    /// The database failed.
    pub async fn still_holds(&self, credential: &Credential) -> Result<Option<Held>, Error> {
        let standing = self.standing(credential.account).await?;
        let Some(standing) = standing.filter(|standing| standing.epoch == credential.epoch) else {
            return Ok(None);
        };
        let until = match &credential.session {
            None => None,
            Some(hash) => {
                let now = self.0.clock.now();
                match sessions::find(&mut self.0.db.read().await?, hash, now).await? {
                    Some(session) => Some(session.expires_at),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Held { actor: actor_of(&standing), until }))
    }
}
