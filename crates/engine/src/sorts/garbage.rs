//! The job that collects garbage, and its schedule. `content` decides what is garbage and deletes it.

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

/// The settings key under which the time of the next collection is stored.
const NEXT: &str = "next garbage collection";

/// The settings of garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GarbageSettings {
    /// How long unreferenced content is kept.
    pub retention: Retention,
    /// How often garbage is collected automatically; `None` means never.
    pub every: Option<SignedDuration>,
}

impl Default for GarbageSettings {
    fn default() -> Self {
        Self { retention: Retention::default(), every: Some(SignedDuration::from_hours(24)) }
    }
}

/// Collects garbage, or only counts it in a dry run. While the system is paused, a scheduled collection ends without
/// collecting anything. So does any collection from a restored backup, in which all garbage is past its retention but
/// nobody has been able to look at it yet.
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

/// Whether a collection is due, or the time of the next one has to be stored again. No collection is started
/// automatically while the system is paused, since someone may still want the content (semantics 29).
pub(crate) async fn is_due(conn: &mut Conn, every: SignedDuration, now: Timestamp) -> Result<bool, Error> {
    if pauses::get(conn, &PauseScope::System).await?.is_some() {
        return Ok(false);
    }
    let next = instant(settings::get(conn, NEXT).await?);
    Ok(next.is_none_or(|next| next <= now || next > now + every))
}

/// Enqueues a collection if it is due, and stores the time of the next one.
pub(crate) async fn start_due(tx: &mut Tx, every: SignedDuration, now: Timestamp) -> Result<(), Error> {
    if !is_due(tx, every, now).await? {
        return Ok(());
    }
    let known = settings::get(tx, NEXT).await?;
    // If several servers find it due, only one of them stores it.
    if !settings::swap(tx, NEXT, known.as_deref(), &(now + every).to_string()).await? {
        return Ok(());
    }
    // Not at the first start, since someone may just have restored a backup.
    if instant(known).is_some_and(|next| next <= now) {
        jobs::enqueue(tx, orders::collect_garbage(false, Cause::Schedule, now), now).await?;
    }
    Ok(())
}

fn instant(noted: Option<String>) -> Option<Timestamp> {
    noted?.parse().ok()
}
