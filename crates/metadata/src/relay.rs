//! Announces the changes of one server to the others on a PostgreSQL database, by LISTEN and NOTIFY, together with the
//! commit.

use crate::{Change, Conn, Error, changes::Changes, conn::change};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

const CHANNEL: &str = "longshore";
/// The number of changes in one notification; PostgreSQL accepts 8,000 bytes, which leaves ample room.
const AT_ONCE: usize = 64;
/// The pause before the database is tried again after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// Announced if changes may have been missed: everything that must not wait.
const ANYTHING: [Change; 4] =
    [Change::JobsWaiting(None), Change::Pauses, Change::Settings, Change::Account(None)];

/// One server's end of the connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Relay {
    /// Distinguishes the server's own notifications, which it receives as well, from those of others.
    me: Uuid,
    changes: Changes,
}

#[derive(Serialize, Deserialize)]
struct Notification {
    from: Uuid,
    changes: Vec<Change>,
}

impl Relay {
    pub(crate) fn new(changes: Changes) -> Self {
        Self { me: Uuid::now_v7(), changes }
    }

    /// Notifies the other servers of changes when the transaction of `conn` commits.
    pub(crate) async fn notify(&self, conn: &mut Conn, changes: &[Change]) -> Result<(), Error> {
        for some in changes.chunks(AT_ONCE) {
            let notification = Notification { from: self.me, changes: some.to_vec() };
            let text = serde_json::to_string(&notification).unwrap_or_default();
            change!(conn, "SELECT pg_notify($1, $2)", CHANNEL, text)?;
        }
        Ok(())
    }

    /// Announces changes to the listeners in this process, after the commit.
    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        self.changes.announce(changes);
    }

    /// Passes on the notifications of other servers, forever.
    pub(crate) async fn listen(self, mut listener: PgListener) {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => self.pass_on(notification.payload()),
                // The connection was lost and restored; notifications may have been missed.
                Ok(None) => self.changes.announce(ANYTHING),
                Err(error) => {
                    tracing::warn!(%error, "notifications of other servers cannot be received; jobs are found by polling");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn pass_on(&self, text: &str) {
        match serde_json::from_str::<Notification>(text) {
            Ok(notification) if notification.from == self.me => {}
            Ok(notification) => self.changes.announce(notification.changes),
            // Another version of Longshore may send changes that this one does not know.
            Err(_) => self.changes.announce(ANYTHING),
        }
    }
}

/// A connection that receives the notifications.
pub(crate) async fn listener(url: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
