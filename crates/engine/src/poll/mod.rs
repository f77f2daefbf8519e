//! The job *poll_mirror*: compares the tags of a pull mirror's remote repository with the local ones, and mirrors those
//! that are new or have moved. The copying itself is in `transfer`.

mod carry;
mod families;
mod foresee;
mod plan;
mod survey;

use crate::{
    Engine, finished::Finished, journal::Journal, listening::NET, memory::Lasting, trouble::Trouble,
};
use carry::Carrier;
pub use foresee::ForeseeError;
use jiff::SignedDuration;
use longshore_metadata::{
    Change, Conn, Error, Priority, Tx,
    jobs::{self, Claim},
    policies,
    pull_mirrors::{self, BaselineTag},
    repositories, work,
};
use longshore_model::{
    JobId, Message, PolicyId, PolicyKind, Repository, Timestamp,
    job::Status,
    message::{JobMessage, PollMessage, Polled, RepositoryRef, TroubleMessage},
    policy::{Baseline, RunCode},
    stored::{Job, LastRun, PullMirror},
};
use longshore_oci::Tag;
use longshore_policy::Patterns;
use plan::BaselineTags;
use survey::Survey;
use tokio::{sync::broadcast, time::timeout};

/// How long a poll may take from its first attempt to the one that has been through all tags.
const ROUND: SignedDuration = SignedDuration::from_hours(24);

/// Polls one mirror. The last transaction of the poll also ends the job.
pub(crate) async fn run(
    engine: &Engine,
    claim: &Claim,
    policy: PolicyId,
    journal: &Journal,
) -> Result<Finished, Trouble> {
    let mut conn = engine.db().read().await?;
    let Some(mirror) = pull_mirrors::get(&mut conn, policy).await? else {
        return Ok(Finished::Outcome(PollMessage::MirrorGone.into()));
    };
    if !mirror.common.enabled || mirror.common.stopped.is_some() {
        return Ok(Finished::Outcome(PollMessage::Disabled.into()));
    }
    journal.speaks_to(survey::remote(&mirror));
    let target = repositories::get(&mut conn, mirror.repository).await?.ok_or_else(|| {
        let repository = RepositoryRef::new(mirror.repository, mirror.repository_name.clone());
        Trouble::Final(TroubleMessage::Deleted { repository }.into())
    })?;
    drop(conn);
    longshore_content::may_write_tags(&target, &survey::provenance(&mirror, None))?;
    let outcome = poll(engine, claim, &mirror, target, journal).await?;
    engine.note_contact(journal, None).await;
    journal.flush(engine.db(), engine.now()).await?;
    end(engine, claim, &mirror, outcome).await?;
    Ok(Finished::Recorded)
}

/// The result of a poll.
struct PollResult {
    counts: Polled,
    said: Message,
}

async fn poll(
    engine: &Engine,
    claim: &Claim,
    mirror: &PullMirror,
    target: Repository,
    journal: &Journal,
) -> Result<PollResult, Trouble> {
    let patterns = Patterns::parse(&mirror.patterns)
        .map_err(|error| Trouble::Final(PollMessage::Patterns { error: error.to_string() }.into()))?;
    let registry = engine.registry(mirror.remote).await?;
    journal.asks(mirror.remote);
    let notes = engine.notes(claim, mirror.remote, &mirror.remote_repository, lasting(mirror)).await?;
    let mut survey = Survey::make(&registry, mirror, &patterns, journal, &notes).await?;
    let mut recorded = None;
    if mirror.baseline == Baseline::Pending {
        recorded = Some(before_the_first(engine, claim, mirror, &mut survey, journal).await?);
        if mirror.known_patterns.is_none() {
            let said = recorded.map_or(Message::Nothing, Message::from);
            return Ok(PollResult { counts: Polled::default(), said });
        }
    }
    let carrier = Carrier::new(engine, claim, mirror, target, registry, journal, notes).await?;
    let counts = carrier.carry_out(survey).await?;
    if let Some(recorded) = recorded {
        journal.info(recorded);
    }
    Ok(PollResult { said: PollMessage::Ended { counts }.into(), counts })
}

/// How long the digests of tags are cached between attempts. A poll that has been through all tags and is retried
/// because some failed notices a moved tag no later than the mirror's next poll would.
fn lasting(mirror: &PullMirror) -> Lasting {
    let after_round = SignedDuration::from_secs(i64::from(mirror.interval_seconds));
    Lasting { within_round: after_round.max(ROUND), after_round }
}

/// The baseline of a mirror; `None` if it mirrors every tag.
async fn known(conn: &mut Conn, mirror: &PullMirror) -> Result<Option<BaselineTags>, Error> {
    match mirror.baseline {
        Baseline::None => Ok(None),
        // While it is pending, this is the baseline of the earlier patterns.
        Baseline::Pending | Baseline::Complete => {
            Ok(Some(pull_mirrors::baseline(conn, mirror.common.id).await?.into_iter().collect()))
        }
    }
}

/// The patterns that already have a baseline while that of the new patterns is pending.
fn decided(mirror: &PullMirror) -> Option<Patterns> {
    mirror.known_patterns.as_deref().and_then(|patterns| Patterns::parse(patterns).ok())
}

/// Records the baseline in the first poll of a mirror, or of its new patterns: existing tags that only the new patterns
/// match are recorded instead of mirrored (semantics 3, 35). Tags that the earlier patterns matched are mirrored as
/// before. Returns a message about the recorded tags.
async fn before_the_first(
    engine: &Engine,
    claim: &Claim,
    mirror: &PullMirror,
    survey: &mut Survey,
    journal: &Journal,
) -> Result<PollMessage, Trouble> {
    let decided = decided(mirror);
    let is_new = |tag: &Tag| decided.as_ref().is_none_or(|decided| !decided.matches(tag));
    if let Some(why) = &survey.incomplete {
        let incomplete = PollMessage::Incomplete { place: survey::place(mirror), why: why.clone() };
        // An incomplete list is no baseline, and without a baseline nothing new is copied.
        if decided.is_none() {
            return Err(Trouble::Passing(incomplete.into()));
        }
        survey.tags.retain(|(tag, _)| !is_new(tag));
        survey.unread.retain(|(tag, _)| !is_new(tag));
        return Ok(PollMessage::BaselineWaits);
    }
    // A tag whose digest cannot be read now is recorded too; the first digest that can be read completes the record.
    let read = survey.tags.iter().map(|(tag, digest)| (tag.clone(), Some(digest.clone())));
    let unread = survey.unread.iter().map(|(tag, _)| (tag.clone(), None));
    let new: Vec<BaselineTag> = read.chain(unread).filter(|(tag, _)| is_new(tag)).collect();
    survey.tags.retain(|(tag, _)| !is_new(tag));
    for (tag, trouble) in survey.unread.extract_if(.., |(tag, _)| is_new(tag)) {
        let why = Box::new(journal.told(&trouble));
        journal.warn(PollMessage::Unread { place: survey::place(mirror).tagged(tag), why });
    }
    let (job, epoch, policy, version) =
        (claim.job.id, claim.epoch, mirror.common.id, mirror.common.rules_version);
    let count = new.len();
    let write = engine.db().write(
        Priority::Normal,
        work!(|tx| {
            jobs::fence(tx, job, epoch).await?;
            // The baseline is valid only for these settings.
            let withdrawn = policies::withdrawn(tx, PolicyKind::PullMirror, policy, Some(version)).await?;
            if withdrawn.is_none() {
                pull_mirrors::record_baseline(tx, policy, &new).await?;
            }
            Ok::<_, Error>(withdrawn)
        }),
    );
    if let Some(why) = write.await? {
        return Err(Trouble::Withdrawn(why));
    }
    Ok(match mirror.known_patterns {
        None => PollMessage::Baseline { known: count as u64 },
        Some(_) => PollMessage::BaselineGrew { known: count as u64 },
    })
}

async fn end(engine: &Engine, claim: &Claim, mirror: &PullMirror, polled: PollResult) -> Result<(), Error> {
    let (job, epoch, policy, now) = (claim.job.id, claim.epoch, mirror.common.id, engine.now());
    engine
        .db()
        .write(
            Priority::Normal,
            work!(|tx| {
                jobs::fence(tx, job, epoch).await?;
                record(tx, policy, RunCode::Success, polled.said.clone(), job, now).await?;
                if polled.counts.copied > 0 {
                    pull_mirrors::mark_mirrored(tx, policy, now).await?;
                }
                jobs::finish(tx, job, epoch, Status::Done, Some(&polled.said), None, now).await
            }),
        )
        .await
}

/// Records the result of the mirror's last run.
pub(crate) async fn record(
    tx: &mut Tx,
    policy: PolicyId,
    code: RunCode,
    detail: Message,
    job: JobId,
    now: Timestamp,
) -> Result<(), Error> {
    let run = LastRun { code, detail, at: Some(now), job: Some(job) };
    policies::record_run(tx, PolicyKind::PullMirror, policy, &run).await
}

/// Waits for the child polls of a parent job, which fails if one of them fails (semantics 19). After each change it
/// reads only the first child that has not ended, not the progress of all, since there may be many parents with many
/// children.
pub(crate) async fn wait_for_children(engine: &Engine, parent: JobId) -> Result<Finished, Trouble> {
    let mut changes = engine.db().changes();
    let mut open = None;
    loop {
        open = jobs::open_part(&mut engine.db().read().await?, parent, open).await?;
        if open.is_none() {
            break;
        }
        // A child that is canceled or withdrawn ends without notifying its parent, hence the timeout.
        let _ = timeout(NET, told(parent, &mut changes)).await;
    }
    let mut conn = engine.db().read().await?;
    let (count, done) = jobs::parts_done(&mut conn, parent).await?;
    if count == done {
        return Ok(Finished::Outcome(PollMessage::All { count }.into()));
    }
    Err(not_all(count, count - done, &jobs::children(&mut conn, parent).await?))
}

async fn told(job: JobId, changes: &mut broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Job(changed)) if changed == job => return,
            Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            Ok(_) => {}
        }
    }
}

/// The error of a parent job, with the first failed part that can be read.
fn not_all(count: u64, failed: u64, parts: &[Job]) -> Trouble {
    let first = parts.iter().find(|part| part.status != Status::Done);
    let repository = first.and_then(|first| first.repository.zip(first.repository_name.clone()));
    let why = first.and_then(|first| first.error.clone().or_else(|| first.outcome.clone()));
    let message = PollMessage::NotAll {
        failed,
        count,
        first: repository.map(|(id, name)| RepositoryRef::new(id, name)),
        why: Box::new(why.unwrap_or(JobMessage::Canceled.into())),
    };
    Trouble::Final(message.into())
}
