//! Accounts as they stand now: whoever shows a token or cached credentials is looked up again, so
//! that a lost administrator's right or a deleted account counts within seconds.

use crate::Access;
use jiff::{SignedDuration, Timestamp};
use longshore_metadata::{Error, accounts};
use longshore_model::{Account, AccountId, UserActor};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How stale an account may be. A client sends dozens of requests while it pushes one image.
const MEMORY: SignedDuration = SignedDuration::from_secs(5);
/// More accounts than this are not kept at once.
const MAX_ENTRIES: usize = 10_000;

/// The accounts seen within the last seconds.
#[derive(Default)]
pub(crate) struct Actors(Mutex<HashMap<AccountId, (UserActor, Timestamp)>>);

impl Actors {
    fn recent(&self, id: AccountId, now: Timestamp) -> Option<UserActor> {
        let seen = self.seen();
        let (actor, at) = seen.get(&id)?;
        (now.duration_since(*at) < MEMORY).then(|| actor.clone())
    }

    fn remember(&self, actor: UserActor, now: Timestamp) {
        let mut seen = self.seen();
        if seen.len() >= MAX_ENTRIES {
            seen.clear();
        }
        seen.insert(actor.id, (actor, now));
    }

    pub(crate) fn forget(&self, id: AccountId) {
        self.seen().remove(&id);
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, (UserActor, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn actor_of(account: &Account) -> UserActor {
    UserActor { id: account.id, name: account.name.clone(), is_admin: account.is_admin }
}

impl Access {
    /// The user with this identifier, as it stood within the last seconds; none when it is gone.
    pub(crate) async fn actor(&self, id: AccountId) -> Result<Option<UserActor>, Error> {
        let now = self.0.clock.now();
        if let Some(actor) = self.0.actors.recent(id, now) {
            return Ok(Some(actor));
        }
        let mut conn = self.0.db.read().await?;
        let Some(account) = accounts::get(&mut conn, id).await? else { return Ok(None) };
        if account.is_org {
            return Ok(None);
        }
        let actor = actor_of(&account);
        self.0.actors.remember(actor.clone(), now);
        Ok(Some(actor))
    }
}
