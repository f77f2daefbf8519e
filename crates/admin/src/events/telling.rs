//! The task that informs followers of changes, which runs while there are any. Changes are collected and loaded once,
//! however many followers there are; what has no followers is not loaded.

use super::hub::{Hub, Subject};
use super::showing::Batch;
use crate::Admin;
use longshore_access::Credential;
use longshore_metadata::{Change, accounts};
use longshore_model::{AccountId, Actor, Problem};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, sleep_until};

/// The minimum time between two events about the same subject.
const PACE: Duration = Duration::from_millis(250);

pub(super) struct Telling {
    pub(super) admin: Admin,
    /// When each changed subject is announced.
    due: HashMap<Subject, Instant>,
    told: HashMap<Subject, Instant>,
    /// The number of credential changes at the last check.
    epochs: Option<i64>,
    /// Whether the task ended because there are no followers.
    is_over: bool,
}

impl Drop for Telling {
    /// If the task panicked, followers would otherwise wait for ever without noticing.
    fn drop(&mut self) {
        if !self.is_over {
            self.hub().end_all();
        }
    }
}

impl Telling {
    pub(super) fn new(admin: &Admin) -> Self {
        let (due, told) = (HashMap::new(), HashMap::new());
        Self { admin: admin.clone(), due, told, epochs: None, is_over: false }
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.admin.1
    }

    pub(super) async fn run(mut self, mut changes: Receiver<Change>) {
        let hub = self.hub().clone();
        while !hub.is_over() {
            let next_due = self.due.values().min().copied();
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(Change::Account(account)) => self.check_credentials(account).await,
                    Ok(change) => {
                        if let Some(subject) = hub.wants(&change) {
                            self.want(subject);
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        hub.all_miss();
                        self.check_credentials(None).await;
                    }
                    // The database was closed, so there is nothing left to announce.
                    Err(RecvError::Closed) => return,
                },
                () = until(next_due) => if let Err(problem) = self.tell().await {
                    tracing::warn!(%problem, "event streams were closed because credentials could not be checked");
                    return;
                },
                () = hub.left() => {}
            }
        }
        self.is_over = true;
    }

    pub(super) fn want(&mut self, subject: Subject) {
        let now = Instant::now();
        let at = self.told.get(&subject).map_or(now, |told| (*told + PACE).max(now));
        self.due.entry(subject).or_insert(at);
    }

    /// Announces everything that is due. A subject that cannot be loaded is announced when it changes again.
    ///
    /// # Errors
    /// It cannot be checked whose credentials are still valid.
    async fn tell(&mut self) -> Result<(), Problem> {
        self.notice_new_passwords().await?;
        let now = Instant::now();
        self.told.retain(|_, told| *told + PACE > now);
        let due: Vec<Subject> = self.due.iter().filter(|(_, at)| **at <= now).map(|(s, _)| *s).collect();
        let mut batch = Batch::default();
        for subject in due {
            self.due.remove(&subject);
            self.told.insert(subject, now);
            match subject {
                Subject::Job(job) => batch.jobs.push(job),
                Subject::Log(job) => batch.logs.push(job),
                Subject::Tags(repository) => batch.tags.push(repository),
                Subject::Pauses => batch.pauses = true,
                Subject::Settings => batch.settings = true,
            }
        }
        self.show(batch).await;
        Ok(())
    }

    /// A password may have been changed by a process whose notifications do not arrive here.
    async fn notice_new_passwords(&mut self) -> Result<(), Problem> {
        let epochs = accounts::credential_changes(&mut self.admin.read().await?).await?;
        if self.epochs.replace(epochs) != Some(epochs) {
            self.check_credentials(None).await;
        }
        Ok(())
    }

    /// Ends the streams whose credentials are no longer valid, and updates the actors of the others.
    async fn check_credentials(&self, account: Option<AccountId>) {
        let hub = self.hub();
        let mut known: HashMap<Credential, Option<Actor>> = HashMap::new();
        for (number, credential) in hub.credentials(account) {
            let holds = match known.get(&credential) {
                Some(holds) => holds.clone(),
                None => {
                    let held = self.admin.0.access.still_holds(&credential).await;
                    let held = held.inspect_err(|error| tracing::warn!(%error, "an event stream was closed"));
                    let holds = held.ok().flatten().map(|held| Actor::User(held.actor));
                    known.insert(credential, holds.clone());
                    holds
                }
            };
            hub.holds(number, holds);
        }
    }
}

/// Waits until `at`; for ever if it is `None`.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
