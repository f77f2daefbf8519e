//! The job *poll_mirror*: what a pull mirror's remote has is compared with what stands here, and what is new or
//! has moved is brought in. How content moves is in `transfer`.

mod carry;
mod families;
mod foresee;
mod plan;
mod survey;

use crate::{
    Engine,
    journal::Journal,
    trouble::Trouble,
    worker::{Finished, NET},
};
use carry::Carrier;
pub use foresee::ForeseeError;
use longshore_metadata::{
    Change, Error, Priority, Tx,
    jobs::{self, Claim},
    policies, pull_mirrors, remotes, repositories,
};
use longshore_model::{
    JobId, Message, PolicyId, PolicyKind, Repository, Timestamp,
    job::Status,
    message::{JobMessage, PollMessage, RepositoryRef, Trouble as Said},
    policy::{Baseline, RunCode},
    stored::{Job, LastRun, PullMirror},
};
use longshore_policy::Patterns;
use plan::Tally;
use survey::Survey;
use tokio::{sync::broadcast, time::timeout};

/// Runs the poll of one mirror. Its own last transaction ends the job.
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
    if !mirror.common.enabled || mirror.common.paused.is_some() {
        return Ok(Finished::Outcome(PollMessage::Disabled.into()));
    }
    journal.speaks_to(survey::remote(&mirror));
    let target = repositories::get(&mut conn, mirror.repository).await?.ok_or_else(|| {
        let repository = RepositoryRef::new(mirror.repository, mirror.repository_name.clone());
        Trouble::Final(Said::Deleted { repository }.into())
    })?;
    drop(conn);
    longshore_content::may_write_tags(&target, &survey::provenance(&mirror, None))?;
    begin(engine, claim, policy).await?;
    let outcome = poll(engine, claim, &mirror, target, journal).await;
    tell_remote(engine, &mirror, outcome.as_ref().err()).await?;
    let outcome = outcome?;
    journal.flush(engine.db(), engine.now()).await?;
    end(engine, claim, &mirror, outcome).await?;
    Ok(Finished::Recorded)
}

async fn begin(engine: &Engine, claim: &Claim, policy: PolicyId) -> Result<(), Error> {
    let (job, epoch, now) = (claim.job.id, claim.epoch, engine.now());
    let write = engine.db().write(Priority::Normal, move |tx| {
        Box::pin(async move {
            jobs::fence(tx, job, epoch).await?;
            record(tx, policy, RunCode::Running, PollMessage::Running.into(), job, now).await
        })
    });
    write.await
}

/// What a poll achieved.
struct Polled {
    tally: Tally,
    said: Message,
}

async fn poll(
    engine: &Engine,
    claim: &Claim,
    mirror: &PullMirror,
    target: Repository,
    journal: &Journal,
) -> Result<Polled, Trouble> {
    let patterns = Patterns::parse(&mirror.patterns)
        .map_err(|error| Trouble::Final(PollMessage::Patterns { error: error.to_string() }.into()))?;
    let registry = engine.registry(mirror.remote).await?;
    let survey = Survey::make(&registry, mirror, &patterns, journal).await?;
    if mirror.baseline == Baseline::Pending {
        return record_baseline(engine, claim, mirror, survey).await;
    }
    let carrier = Carrier::new(engine, claim, mirror, target, registry, journal).await?;
    let tally = carrier.carry_out(survey).await?;
    Ok(Polled { said: PollMessage::Ended { counts: tally }.into(), tally })
}

/// The first job of a mirror that was only saved: what is there now is not taken (semantics 3).
async fn record_baseline(
    engine: &Engine,
    claim: &Claim,
    mirror: &PullMirror,
    survey: Survey,
) -> Result<Polled, Trouble> {
    if let Some(why) = &survey.incomplete {
        // Until a complete baseline exists nothing is copied.
        let incomplete = PollMessage::Incomplete { place: survey::place(mirror), why: why.clone() };
        return Err(Trouble::Passing(incomplete.into()));
    }
    if let Some((_, trouble)) = survey.unread.into_iter().next() {
        return Err(trouble);
    }
    let (job, epoch, policy, tags) = (claim.job.id, claim.epoch, mirror.common.id, survey.tags);
    let known = tags.len();
    let write = engine.db().write(Priority::Normal, move |tx| {
        Box::pin(async move {
            jobs::fence(tx, job, epoch).await?;
            pull_mirrors::set_baseline(tx, policy, &tags).await
        })
    });
    write.await?;
    let said = PollMessage::Baseline { known: known as u64 }.into();
    Ok(Polled { tally: Tally::default(), said })
}

/// The remote's page shows when it last answered.
async fn tell_remote(engine: &Engine, mirror: &PullMirror, trouble: Option<&Trouble>) -> Result<(), Error> {
    let error = match trouble {
        Some(Trouble::Remote(error)) => Some(error.to_string()),
        Some(_) => return Ok(()),
        None => None,
    };
    let (remote, now) = (mirror.remote, engine.now());
    engine
        .db()
        .write(Priority::Normal, move |tx| {
            Box::pin(async move { remotes::record_contact(tx, remote, now, error.as_deref()).await })
        })
        .await
}

async fn end(engine: &Engine, claim: &Claim, mirror: &PullMirror, polled: Polled) -> Result<(), Error> {
    let (job, epoch, policy, now) = (claim.job.id, claim.epoch, mirror.common.id, engine.now());
    engine
        .db()
        .write(Priority::Normal, move |tx| {
            Box::pin(async move {
                jobs::fence(tx, job, epoch).await?;
                record(tx, policy, RunCode::Success, polled.said.clone(), job, now).await?;
                if polled.tally.copied > 0 {
                    pull_mirrors::mark_mirrored(tx, policy, now).await?;
                }
                jobs::finish(tx, job, epoch, Status::Done, Some(&polled.said), None, now).await
            })
        })
        .await
}

/// What the mirror shows of its last run.
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

/// The parent of several polls: ends when its children have, and not well if one of them did not
/// (semantics 19).
pub(crate) async fn wait_for_children(engine: &Engine, parent: JobId) -> Result<Finished, Trouble> {
    let mut changes = engine.db().changes();
    loop {
        let children = jobs::children(&mut engine.db().read().await?, parent).await?;
        if children.iter().all(|child| child.status.is_final()) {
            return sum_up(&children);
        }
        let ids: Vec<JobId> = children.iter().map(|child| child.id).collect();
        // Announcements may come from another server; the net catches what was missed.
        let _ = timeout(NET, one_of(&ids, &mut changes)).await;
    }
}

async fn one_of(jobs: &[JobId], changes: &mut broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Job(job)) if jobs.contains(&job) => return,
            Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            Ok(_) => {}
        }
    }
}

fn sum_up(children: &[Job]) -> Result<Finished, Trouble> {
    let failed: Vec<&Job> = children.iter().filter(|child| child.status != Status::Done).collect();
    let Some(first) = failed.first() else {
        return Ok(Finished::Outcome(PollMessage::All { count: children.len() as u64 }.into()));
    };
    let repository = first.repository.zip(first.repository_name.clone());
    let not_all = PollMessage::NotAll {
        failed: failed.len() as u64,
        count: children.len() as u64,
        first: repository.map(|(id, name)| RepositoryRef::new(id, name)),
        why: Box::new(
            first.error.clone().or_else(|| first.outcome.clone()).unwrap_or(JobMessage::Canceled.into()),
        ),
    };
    Err(Trouble::Final(not_all.into()))
}
