//! The collection of garbage as a job: what it says in the end, and when its time has come. What counts as
//! garbage, and how it goes, is `content`'s business.

use crate::{Engine, trouble::Trouble};
use jiff::SignedDuration;
use longshore_content::{Freed, Retention};
use longshore_metadata::{Conn, Error, Tx, jobs, pauses, settings};
use longshore_model::{
    Message, PauseReason, PauseScope, Timestamp,
    job::{Cause, orders},
    message::{self, Upkeep},
    stored::Job,
};

/// Under this key stands when the next collection is due.
const NEXT: &str = "next garbage collection";

/// What an administrator decides about garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GarbageSettings {
    /// How long what nothing needs stays.
    pub retention: Retention,
    /// How often it is collected without being asked; none: never.
    pub every: Option<SignedDuration>,
}

impl Default for GarbageSettings {
    fn default() -> Self {
        Self { retention: Retention::default(), every: Some(SignedDuration::from_hours(24)) }
    }
}

/// Collects, or only tells what would go. While everything is paused, a collection that nobody asked for ends
/// without having collected, and so does one that comes out of a backup: there everything is past its time, and
/// nobody has looked at it yet.
pub(crate) async fn run(engine: &Engine, job: &Job, dry_run: bool) -> Result<Message, Trouble> {
    let pause = pauses::get(&mut engine.db().read().await?, &PauseScope::System).await?;
    let stands_still = pause.is_some_and(|pause| {
        let is_older = pause.reason == PauseReason::Restored && job.created_at < pause.at;
        job.cause == Cause::Schedule || is_older
    });
    if stands_still && !dry_run {
        return Ok(Upkeep::Paused.into());
    }
    let (content, retention) = (engine.content(), &engine.settings().garbage.retention);
    Ok(match dry_run {
        true => Upkeep::WouldCollect { freed: counts(content.find_garbage(retention).await?) },
        false => Upkeep::Collected { freed: counts(content.collect_garbage(retention).await?) },
    }
    .into())
}

fn counts(freed: Freed) -> message::Freed {
    let Freed { repositories, manifests, blobs, bytes, uploads } = freed;
    message::Freed { repositories, manifests, blobs, bytes, uploads }
}

/// Whether a collection is due, or when the next one is has to be noted anew. None begins by itself while
/// everything is paused: what somebody may want to look at stays (semantics 29).
pub(crate) async fn is_due(conn: &mut Conn, every: SignedDuration, now: Timestamp) -> Result<bool, Error> {
    if pauses::get(conn, &PauseScope::System).await?.is_some() {
        return Ok(false);
    }
    let next = instant(settings::get(conn, NEXT).await?);
    Ok(next.is_none_or(|next| next <= now || next > now + every))
}

/// Enqueues a collection that is due, and notes when the next one is.
pub(crate) async fn start_due(tx: &mut Tx, every: SignedDuration, now: Timestamp) -> Result<(), Error> {
    if !is_due(tx, every, now).await? {
        return Ok(());
    }
    let known = settings::get(tx, NEXT).await?;
    // Of several servers that find it due, one notes it.
    if !settings::swap(tx, NEXT, known.as_deref(), &(now + every).to_string()).await? {
        return Ok(());
    }
    // Not at the first start: somebody may just have restored a backup.
    if instant(known).is_some_and(|next| next <= now) {
        jobs::enqueue(tx, orders::collect_garbage(false, Cause::Schedule, now), now).await?;
    }
    Ok(())
}

fn instant(noted: Option<String>) -> Option<Timestamp> {
    noted?.parse().ok()
}
