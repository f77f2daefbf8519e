//! Server-sent events for open pages. Changes that `metadata` announces are loaded once for all followers (`telling`,
//! `hub`), shown to each as far as it may see them (`showing`), and limited to four a second per thing. A stream ends
//! with the session or the password that opened it, and with the permission to see what it follows (semantics 45).

mod hub;
mod showing;
mod telling;

pub(crate) use hub::Hub;

use crate::Admin;
use crate::guard::user;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hub::{Following, Newcomer, Topic};
use longshore_access::{Credential, Permission};
use longshore_metadata::jobs;
use longshore_model::job::Event;
use longshore_model::{Actor, Code, JobId, Problem, Timestamp};
use longshore_oci::RepositoryName;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::sleep;

/// The events that a page subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// A job and its log.
    pub job: Option<JobId>,
    /// The last line of that log that the page already has.
    pub log_after: i64,
    /// All jobs that the actor may see.
    pub jobs: bool,
    /// Changes of the tags of a repository, and the jobs about it.
    pub repository: Option<RepositoryName>,
}

/// An item of an event stream.
#[derive(Debug, Clone)]
pub enum News {
    Event(Arc<SharedEvent>),
    /// The follower missed events and has to reload what it shows.
    Reload,
}

/// An event that is shared by many followers; loaded and serialised once.
#[derive(Debug)]
pub struct SharedEvent {
    pub event: Event,
    /// For lines of a log: the line after which they begin.
    pub log_after: Option<i64>,
    json: OnceLock<String>,
}

impl SharedEvent {
    fn new(event: Event, log_after: Option<i64>) -> Arc<Self> {
        Arc::new(Self { event, log_after, json: OnceLock::new() })
    }

    /// The event as JSON.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| serde_json::to_string(&self.event).unwrap_or_default())
    }
}

/// The events, until the server stops or the permission to see them ends.
pub type EventStream = BoxStream<'static, News>;

impl Admin {
    /// Subscribes a page to events for as long as `credential`, the one that the actor authenticated with, is valid; it
    /// is `None` for an anonymous actor. The stream may lack what was announced before this returns, so load the
    /// current state afterwards.
    ///
    /// # Errors
    /// The job or repository in the filter does not exist or may not be seen; an anonymous actor asks for jobs; the
    /// credential is no longer valid.
    pub async fn events(
        &self,
        actor: &Actor,
        credential: Option<Credential>,
        filter: EventFilter,
    ) -> Result<EventStream, Problem> {
        let mut topics = Vec::new();
        if filter.jobs {
            user(actor)?;
            topics.push(Topic::Jobs);
        }
        let mut log_after = 0;
        if let Some(job) = filter.job {
            self.job(actor, job).await?;
            topics.push(Topic::Job(job));
            // A topic continues where its first follower began, so no follower may skip lines that others wait for.
            log_after = filter.log_after.min(jobs::last_line(&mut self.read().await?, job).await?);
        }
        if let Some(name) = &filter.repository {
            let repository = self.repository_for(actor, Permission::Read, name).await?;
            topics.push(Topic::Repository(repository.id, repository.name));
        }
        let newcomer = Newcomer { actor: actor.clone(), credential: credential.clone(), topics, log_after };
        let following = self.1.join(self, newcomer);
        // Only now, so that no revocation after this check is missed.
        let until = match &credential {
            Some(credential) => match self.0.access.still_holds(credential).await? {
                Some(held) => held.until,
                None => return Err(ended()),
            },
            None => None,
        };
        let follower = Follower { admin: self.clone(), credential, until, following };
        let news = stream::unfold(follower, |mut follower| async move {
            let news = follower.next().await?;
            Some((news, follower))
        });
        Ok(news.boxed())
    }
}

fn ended() -> Problem {
    Problem::new(Code::NotAuthenticated, "Your session ended. Sign in again.")
}

struct Follower {
    admin: Admin,
    credential: Option<Credential>,
    /// When the session ends if it is not used until then.
    until: Option<Timestamp>,
    following: Following,
}

impl Follower {
    async fn next(&mut self) -> Option<News> {
        loop {
            if self.following.has_missed() {
                return Some(News::Reload);
            }
            let left = self.until.map(|until| until.duration_since(self.admin.now()));
            let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
            let over = self.following.over();
            tokio::select! {
                biased;
                () = over.cancelled() => return None,
                () = after(left) => self.look_again().await?,
                event = self.following.next() => return event.map(News::Event),
            }
        }
    }

    /// The session has expired, unless it was used in the meantime.
    async fn look_again(&mut self) -> Option<()> {
        let credential = self.credential.as_ref()?;
        match self.admin.0.access.still_holds(credential).await {
            Ok(held) => self.until = held?.until,
            Err(error) => {
                tracing::warn!(%error, "an event stream was closed because its session could not be looked up");
                return None;
            }
        }
        Some(())
    }
}

/// Waits for a duration; for ever if it is `None`.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
