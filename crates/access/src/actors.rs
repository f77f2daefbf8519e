//! Current accounts. The account behind a token or session is looked up for each request, so that a new password, a
//! lost permission or a deleted account takes effect at once.
//!
//! An account is read once and then cached until a commit announces that it changed; reading its row for each request
//! would cost a registry a tenth of its pulls. Changes by a process that shares the database but cannot announce them
//! (`longshore user` beside a server on SQLite) take effect after [`MEMORY`].

use crate::Access;
use crate::credential::{Credential, Held, Proven};
use jiff::{SignedDuration, Timestamp};
use longshore_metadata::accounts::{self, Standing};
use longshore_metadata::{Change, Database, Error, sessions};
use longshore_model::{AccountId, UserActor};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// How long an account is cached, in case nobody announces its changes.
pub(crate) const MEMORY: SignedDuration = SignedDuration::from_secs(1);
/// The maximum number of cached accounts.
const MAX_ENTRIES: usize = 10_000;

/// The cached accounts.
pub(crate) struct Actors(Mutex<Seen>);

struct Seen {
    changes: Receiver<Change>,
    known: HashMap<AccountId, (Standing, Timestamp)>,
    /// The number of invalidations; an account that was read before the last one may be outdated.
    forgotten: u64,
}

impl Seen {
    /// Removes the accounts that have changed since the last call.
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

    /// The cached account; otherwise the mark to pass to [`Actors::remember`].
    fn recent(&self, id: AccountId, now: Timestamp) -> Result<Standing, u64> {
        let mut seen = self.seen();
        seen.catch_up();
        match seen.known.get(&id) {
            Some((standing, at)) if now.duration_since(*at) < MEMORY => Ok(standing.clone()),
            _ => Err(seen.forgotten),
        }
    }

    /// Caches an account that was read after `mark` was taken, unless something has changed in the meantime.
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

/// The proof for the user of an account; by a session if the hash of its token is given.
pub(crate) fn proven(standing: &Standing, session: Option<[u8; 32]>) -> Proven {
    let credential = Credential { account: standing.account.id, epoch: standing.epoch, session };
    Proven { actor: actor_of(standing), credential }
}

impl Access {
    /// The current state of an account; `None` if it does not exist.
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

    /// The user with this identifier. The caller vouches for the identity; no password is checked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn vouched(&self, id: AccountId) -> Result<Option<Proven>, Error> {
        let standing = self.standing(id).await?;
        Ok(standing.filter(|standing| !standing.account.is_org).map(|standing| proven(&standing, None)))
    }

    /// Whether a credential is still valid: the account exists, its password is the same, and the session, if it was
    /// one, has not ended. Does not prolong a session.
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
