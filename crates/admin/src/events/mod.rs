//! What a page that follows something is told while it is open. Changes that `metadata` announces are
//! loaded once (`telling`) for all who follow (`hub`), shown to each as far as it may see them (`showing`), and
//! thinned out to four a second for each thing. A stream ends with the session or the password that it
//! was opened with, and with the right to what it follows (semantics 45).

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

/// What a page wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// One job and its log.
    pub job: Option<JobId>,
    /// The last line of that log which is known already.
    pub log_after: i64,
    /// All jobs that the actor may see.
    pub jobs: bool,
    /// Changes of the tags of one repository, and the jobs about it.
    pub repository: Option<RepositoryName>,
}

/// What a follower is told.
#[derive(Debug, Clone)]
pub enum News {
    /// Something changed.
    Event(Arc<SharedEvent>),
    /// More changed than this follower has taken: what it shows has to be loaded again.
    Reload,
}

/// An event that many followers are told, loaded and written out once.
#[derive(Debug)]
pub struct SharedEvent {
    /// The event.
    pub event: Event,
    /// Of lines of a log: the line behind which they begin.
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

/// News, until the server stops or the right to them ends.
pub type EventStream = BoxStream<'static, News>;

impl Admin {
    /// News for one page, for as long as `credential` holds, with which the actor asks; none, where the
    /// actor is anonymous. What is announced before this returns may be missing; who needs the present
    /// state asks for it afterwards.
    ///
    /// # Errors
    /// The job or repository in the filter cannot be seen; jobs are asked for by nobody; the credential
    /// holds no more.
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
            // Nobody skips lines that others wait for: a topic goes on where its first follower began.
            log_after = filter.log_after.min(jobs::last_line(&mut self.read().await?, job).await?);
        }
        if let Some(name) = &filter.repository {
            let repository = self.repository_for(actor, Permission::Read, name).await?;
            topics.push(Topic::Repository(repository.id, repository.name));
        }
        let newcomer = Newcomer { actor: actor.clone(), credential: credential.clone(), topics, log_after };
        let following = self.1.join(self, newcomer);
        // Only now: what ends it from here on is heard.
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
    /// When the session ends, unless it is used until then.
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

    /// The session's time is over, unless it was used meanwhile.
    async fn look_again(&mut self) -> Option<()> {
        let credential = self.credential.as_ref()?;
        match self.admin.0.access.still_holds(credential).await {
            Ok(held) => self.until = held?.until,
            Err(error) => {
                tracing::warn!(%error, "a stream of events ends, since its session cannot be looked up");
                return None;
            }
        }
        Some(())
    }
}

/// After so long, or never.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
