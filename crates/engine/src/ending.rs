//! Ends jobs that succeeded, failed or were stopped, and records the result at their policy and verdict in the same
//! transaction.

use crate::{
    Engine,
    finished::Failure,
    journal::Journal,
    retry::delay,
    running::Stop,
    sorts,
    stopping::{StoppedPolicy, stop},
    trouble::{Fate, Trouble},
};
use longshore_metadata::{
    Error, Priority, Tx,
    jobs::{self, Claim},
    work,
};
use longshore_model::{
    Message, Timestamp,
    job::Status,
    message::{JobMessage, TroubleMessage},
    remote::BackOff,
    tag::AnswerResult,
};
use metrics::counter;

/// What happens next to a job that failed or was stopped.
#[derive(Debug, Clone)]
enum Next {
    End(Status),
    Retry(Timestamp),
    /// It waits for the back-off of its remote to end (semantics 39).
    Wait(BackOff),
}

impl Next {
    /// The time of the next attempt; `None` if the job ends.
    fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Retry(at) | Self::Wait(BackOff { until: at, .. }) => Some(*at),
            Self::End(_) => None,
        }
    }
}

impl Engine {
    /// Ends a job that succeeded.
    pub(crate) async fn end_done(
        &self,
        claim: &Claim,
        journal: &Journal,
        outcome: Message,
    ) -> Result<(), Error> {
        journal.flush(self.db(), self.now()).await?;
        let (job, epoch, now) = (claim.job.id, claim.epoch, self.now());
        self.db()
            .write(
                Priority::Normal,
                work!(|tx| {
                    jobs::fence(tx, job, epoch).await?;
                    jobs::finish(tx, job, epoch, Status::Done, Some(&outcome), None, now).await
                }),
            )
            .await
    }

    /// Schedules another attempt if the cause may pass; otherwise ends the job. Returns the time of the next attempt.
    pub(crate) async fn end_in_trouble(
        &self,
        claim: &Claim,
        journal: &Journal,
        trouble: &Trouble,
    ) -> Result<Option<Timestamp>, Error> {
        let message = journal.told(trouble);
        let next = match trouble.fate() {
            Fate::Lost => return Ok(None),
            Fate::Superseded => Next::End(Status::Superseded),
            Fate::Canceled => Next::End(Status::Canceled),
            Fate::Errored => Next::End(Status::Errored),
            Fate::Retry(_) if self.has_failed_too_long(claim) => Next::End(Status::Errored),
            Fate::Retry(asked) => {
                counter!("longshore_job_retries_total", "action" => claim.job.action.as_str()).increment(1);
                match self.remote_waits(claim).await {
                    Some(back_off) => Next::Wait(back_off),
                    None => {
                        let wait = delay(claim.job.attempt, asked, self.settings().jitter.draw());
                        let wait = trouble.longest_wait().map_or(wait, |longest| wait.min(longest));
                        Next::Retry(self.now() + wait)
                    }
                }
            }
        };
        match &next {
            Next::End(Status::Superseded | Status::Canceled) => journal.info(message.clone()),
            Next::End(_) => journal.error(message.clone()),
            Next::Retry(at) => journal.warn(later(&message, *at)),
            Next::Wait(back_off) => {
                journal.warn(message.clone());
                journal.warn(waits(back_off));
            }
        }
        self.write_end(claim, journal, next, message, trouble.stops_policy()).await
    }

    /// Whether a job has been failing for at least `retry_for`.
    fn has_failed_too_long(&self, claim: &Claim) -> bool {
        claim.failing_since.is_some_and(|since| self.now().duration_since(since) >= self.settings().retry_for)
    }

    /// Ends a job that was stopped, or returns it to the queue. Returns the time of the next attempt, if it is known.
    pub(crate) async fn end_stopped(
        &self,
        claim: &Claim,
        journal: &Journal,
        stop: Stop,
    ) -> Result<Option<Timestamp>, Error> {
        match stop {
            Stop::LeaseLost => {
                tracing::warn!(job = %claim.job.id, "the lease of a running job was lost");
                Ok(None)
            }
            // Whoever took the job has already stored its new state.
            Stop::Taken => {
                tracing::info!(job = %claim.job.id, "a running job was taken away from its worker");
                Ok(None)
            }
            Stop::Canceled => {
                let message = Message::from(JobMessage::Canceled);
                journal.warn(message.clone());
                self.write_end(claim, journal, Next::End(Status::Canceled), message, false).await
            }
            Stop::RemoteWaits(back_off) if self.has_failed_too_long(claim) => {
                let message = Message::from(JobMessage::RemoteTriedTooLong { back_off });
                journal.error(message.clone());
                self.write_end(claim, journal, Next::End(Status::Errored), message, false).await
            }
            Stop::RemoteWaits(back_off) => {
                let message = waits(&back_off);
                journal.warn(message.clone());
                self.write_end(claim, journal, Next::Wait(back_off), message, false).await
            }
            Stop::Parked => {
                journal.info(JobMessage::Parked);
                journal.flush(self.db(), self.now()).await?;
                let (job, epoch, now) = (claim.job.id, claim.epoch, self.now());
                self.db()
                    .write(Priority::Normal, work!(|tx| jobs::release(tx, job, epoch, now).await))
                    .await
                    .map(|()| None)
            }
        }
    }

    async fn write_end(
        &self,
        claim: &Claim,
        journal: &Journal,
        next: Next,
        message: Message,
        stops_policy: bool,
    ) -> Result<Option<Timestamp>, Error> {
        journal.flush(self.db(), self.now()).await?;
        let due = next.due();
        let (claim, asked, now) = (claim.clone(), journal.asked().is_some(), self.now());
        self.db()
            .write(
                Priority::Normal,
                work!(|tx| {
                    let (job, epoch) = (claim.job.id, claim.epoch);
                    let policy = StoppedPolicy::behind(&claim.job.parameters, claim.job.repository);
                    let policy = policy.filter(|_| stops_policy);
                    if policy.is_some() {
                        jobs::lock_endings(tx).await?;
                    }
                    jobs::fence(tx, job, epoch).await?;
                    aftermath(tx, &claim, &next, &message, asked, now).await?;
                    if let Some(policy) = policy {
                        stop(tx, policy, &message, job, now).await?;
                    }
                    match next {
                        Next::Retry(at) | Next::Wait(BackOff { until: at, .. }) => {
                            jobs::retry_later(tx, job, epoch, at, &message, now).await
                        }
                        Next::End(status @ Status::Superseded) => {
                            jobs::finish(tx, job, epoch, status, Some(&message), None, now).await
                        }
                        Next::End(status) => {
                            jobs::finish(tx, job, epoch, status, None, Some(&message), now).await
                        }
                    }
                }),
            )
            .await
            .map(|()| due)
    }
}

/// Records a failed attempt at the job's policy and verdict.
async fn aftermath(
    tx: &mut Tx,
    claim: &Claim,
    next: &Next,
    message: &Message,
    asked: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let asked = asked && !matches!(next, Next::End(Status::Canceled));
    let (result, why) = match next {
        Next::End(Status::Superseded) => (AnswerResult::Superseded, message.clone()),
        Next::End(_) => (AnswerResult::Failed, message.clone()),
        Next::Retry(at) => (AnswerResult::Running, later(message, *at)),
        Next::Wait(back_off) => (AnswerResult::Running, later(message, back_off.until)),
    };
    sorts::failed(tx, claim, Failure { result, why, asked }, now).await
}

fn later(why: &Message, at: Timestamp) -> Message {
    TroubleMessage::Later { why: Box::new(why.clone()), at }.into()
}

/// The log line of a job that waits for its remote.
fn waits(back_off: &BackOff) -> Message {
    JobMessage::RemoteWaits { back_off: back_off.clone() }.into()
}
