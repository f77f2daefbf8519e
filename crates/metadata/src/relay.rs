//! What one of several servers on a PostgreSQL database changes, the others hear of: announcements
//! travel by LISTEN and NOTIFY, with the commit that they tell of.

use crate::{Change, Conn, Error, changes::Changes, conn::change};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

const CHANNEL: &str = "longshore";
/// So many announcements fit into one notification with room to spare: PostgreSQL takes 8,000 bytes.
const AT_ONCE: usize = 64;
/// How long to wait before the database is asked again that did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What is told where it is not known what was said: look at everything that must not wait.
const ANYTHING: [Change; 4] =
    [Change::JobsWaiting(None), Change::Pauses, Change::Settings, Change::Account(None)];

/// One server's end of the line; cheap to clone.
#[derive(Clone)]
pub(crate) struct Relay {
    /// Tells a server's own notifications, which come back to it, from those of others.
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

    /// Tells the other servers of changes when the transaction that `conn` is in commits.
    pub(crate) async fn notify(&self, conn: &mut Conn, changes: &[Change]) -> Result<(), Error> {
        for some in changes.chunks(AT_ONCE) {
            let notification = Notification { from: self.me, changes: some.to_vec() };
            let text = serde_json::to_string(&notification).unwrap_or_default();
            change!(conn, "SELECT pg_notify($1, $2)", CHANNEL, text)?;
        }
        Ok(())
    }

    /// Tells listeners here of a change after its commit.
    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        self.changes.announce(changes);
    }

    /// Passes on what others tell, for ever.
    pub(crate) async fn listen(self, mut listener: PgListener) {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => self.pass_on(notification.payload()),
                // The line was cut and is there again; who knows what was said meanwhile.
                Ok(None) => self.changes.announce(ANYTHING),
                Err(error) => {
                    tracing::warn!(%error, "other servers cannot be heard; jobs are looked for by the clock");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn pass_on(&self, text: &str) {
        match serde_json::from_str::<Notification>(text) {
            Ok(notification) if notification.from == self.me => {}
            Ok(notification) => self.changes.announce(notification.changes),
            // Another version of Longshore may tell of things that this one does not know.
            Err(_) => self.changes.announce(ANYTHING),
        }
    }
}

/// A connection that hears what servers tell each other.
pub(crate) async fn listener(url: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
