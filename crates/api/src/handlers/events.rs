//! `/events`: changes as server-sent events. `admin` has filtered and thinned them out; here they get identifiers, and
//! a client that reconnects or was too slow catches up on what it missed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use longshore_admin::{EventFilter, EventStream, News, SharedEvent};
use longshore_model::job::Event;
use longshore_model::{Actor, Code, JobId, Problem};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Answer;
use crate::Api;
use crate::error::{Errors, invalid_request};
use crate::extract::{Proof, Query, Who};
use crate::turns::Turn;

/// The interval of keep-alive messages, which keep proxies from closing the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The maximum number of log lines in one event.
const BATCH: i64 = 1_000;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(follow_events))
}

/// The topics to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// A job: its state and its log.
    job: Option<Uuid>,
    /// With `job`: the number of the last log line that the client has.
    after: Option<i64>,
    /// `1` for the states of all jobs that the caller may see.
    jobs: Option<u8>,
    /// The jobs and tags of a repository, as `namespace/name`.
    repository: Option<String>,
}

/// Follow jobs and tags as they change
///
/// Server-sent events with JSON data whose `kind` is `job`, `log`, `tags`, `pauses` or `settings`. The last two contain
/// no details; they mean that pauses, or repositories, policies, remotes and accounts, should be read again. A client
/// that reconnects to a job's stream with `Last-Event-ID` gets the log lines that it missed; on other streams it first
/// gets an event named `resync`, which means that it should read all data again. A client that reads too slowly gets
/// `resync` too. A browser can have four streams at a time: the fifth closes the oldest one, whose last event is named
/// `turn` and asks the client to reconnect after some seconds. A stream ends with the session or password that it was
/// opened with.
#[utoipa::path(
    get, path = "/events", tag = "live",
    params(EventQuery),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = 429, description = "TOO_MANY_ATTEMPTS", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn follow_events(
    State(api): State<Api>,
    Who(actor): Who,
    Proof(credential): Proof,
    Query(query): Query<EventQuery>,
    parts: Parts,
) -> Answer<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let repository = query.repository.as_deref().filter(|name| !name.is_empty()).map(|name| {
        name.parse().map_err(|error| {
            Problem::field(
                Code::InvalidRequest,
                "repository",
                format!("“{name}” is not a valid repository name: {error}."),
            )
        })
    });
    let last_seen = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    if query.after.is_some_and(|after| after < 0) {
        let message = "the number of the last log line must be 0 (no lines) or more";
        return Err(Problem::field(Code::InvalidRequest, "after", message).into());
    }
    let log_after = last_seen.or(query.after).unwrap_or(0).max(0);
    let filter = EventFilter {
        job: query.job.map(JobId),
        log_after,
        jobs: query.jobs.is_some_and(|jobs| jobs != 0),
        repository: repository.transpose()?,
    };
    let job = filter.job;
    if job.is_none() && !filter.jobs && filter.repository.is_none() {
        return Err(invalid_request(
            None,
            "Specify what to follow: job=…, jobs=1 or repository=namespace/name.",
        ));
    }
    // Subscribe first and catch up afterwards, so that nothing is lost in between.
    let live = api.admin.events(&actor, credential, filter).await?;
    let begin = match job {
        Some(job) => catch_up(&api, &actor, job, log_after).await?,
        None if last_seen.is_some() => vec![Message::Resync],
        None => Vec::new(),
    };
    // Registered only now, so that a rejected request does not close another stream.
    let turn = api.turns.begin(&parts);
    let numbers = Numbers { job, line: log_after, count: last_seen.unwrap_or(0) };
    let reader = Reader { api: api.clone(), actor, numbers, begin: begin.into(), live };
    let over = turn.over.clone();
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
    .take_until(over.cancelled_owned())
    .chain(stream::once(turn_is_over(turn)).filter_map(ready))
    .map(Ok)
    .take_until(api.shutdown.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// The current state of the job, and the first log lines after line `after`, followed by a request for more.
async fn catch_up(api: &Api, actor: &Actor, id: JobId, after: i64) -> Answer<Vec<Message>> {
    let job = api.admin.job(actor, id).await?;
    let mut begin = vec![Message::Event(Event::Job { job: Box::new(job) })];
    begin.extend(more_lines(api, actor, id, after).await?);
    Ok(begin)
}

/// The next lines of a job's log, followed by a request for more; empty after the last line.
async fn more_lines(api: &Api, actor: &Actor, id: JobId, after: i64) -> Answer<Vec<Message>> {
    let lines = api.admin.job_logs(actor, id, after, BATCH).await?;
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Message::Event(Event::Log { job: id, lines }), Message::More])
}

/// The last event of a stream that was closed in favour of another one; `None` if its permission ended. Holds the turn
/// while the stream is open.
async fn turn_is_over(turn: Turn) -> Option<SseEvent> {
    turn.over.is_cancelled().then(|| SseEvent::default().event("turn").data("{}"))
}

enum Message {
    /// For this client only.
    Event(Event),
    /// Shared by all followers of the topic.
    Shared(Arc<SharedEvent>),
    Resync,
    /// More log lines may follow.
    More,
}

/// The state of one stream.
struct Reader {
    api: Api,
    actor: Actor,
    numbers: Numbers,
    /// Messages to send before the next live event.
    begin: VecDeque<Message>,
    live: EventStream,
}

impl Reader {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            let message = match self.begin.pop_front() {
                Some(Message::More) => {
                    if let Some(job) = self.numbers.job {
                        let more = more_lines(&self.api, &self.actor, job, self.numbers.line).await.ok()?;
                        self.begin.extend(more);
                    }
                    continue;
                }
                Some(message) => message,
                None => match self.live.next().await? {
                    News::Event(event) if self.numbers.has_gap_before(&event) => {
                        self.load_again().await?;
                        continue;
                    }
                    News::Event(event) => Message::Shared(event),
                    News::Reload => {
                        self.load_again().await?;
                        continue;
                    }
                },
            };
            if let Some(event) = self.numbers.present(message) {
                return Some(event);
            }
        }
    }

    /// Queues what was missed. `None` if the caller may no longer see it.
    async fn load_again(&mut self) -> Option<()> {
        self.begin = match self.numbers.job {
            Some(job) => catch_up(&self.api, &self.actor, job, self.numbers.line).await.ok()?.into(),
            None => [Message::Resync].into(),
        };
        Some(())
    }
}

/// Assigns identifiers to events: the last log line in a job's stream, a counter in others.
struct Numbers {
    job: Option<JobId>,
    line: i64,
    count: i64,
}

impl Numbers {
    /// Whether log lines are missing between the last one sent and the first of the event.
    fn has_gap_before(&self, event: &SharedEvent) -> bool {
        self.job.is_some() && event.log_after.is_some_and(|after| after > self.line)
    }

    fn present(&mut self, message: Message) -> Option<SseEvent> {
        let event = match &message {
            Message::Resync => return Some(SseEvent::default().event("resync").data("{}")),
            Message::More => return None,
            Message::Event(event) => event,
            Message::Shared(shared) => &shared.event,
        };
        if let (Some(_), Event::Log { job, lines }) = (self.job, event) {
            // The live stream repeats lines that were sent while catching up.
            let lines: Vec<_> = lines.iter().filter(|line| line.line > self.line).cloned().collect();
            self.line = lines.last()?.line;
            let sse = SseEvent::default().json_data(Event::Log { job: *job, lines }).ok()?;
            return Some(sse.id(self.line.to_string()));
        }
        let sse = match &message {
            Message::Shared(shared) => SseEvent::default().data(shared.json()),
            _ => SseEvent::default().json_data(event).ok()?,
        };
        Some(match self.job {
            Some(_) => sse,
            None => {
                self.count += 1;
                sse.id(self.count.to_string())
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::Timestamp;
    use longshore_model::job::{Level, LogLine};

    #[test]
    fn a_log_line_is_sent_once_and_its_number_is_the_identifier_of_the_event() {
        let id = JobId::new();
        let line = |line| LogLine {
            line,
            at: Timestamp::UNIX_EPOCH,
            level: Level::Info,
            message: format!("line {line}"),
        };
        let mut numbers = Numbers { job: Some(id), line: 0, count: 0 };
        let log = |lines: &[i64]| {
            Message::Event(Event::Log { job: id, lines: lines.iter().copied().map(line).collect() })
        };
        assert!(numbers.present(log(&[1, 2])).is_some());
        let third = format!("{:?}", numbers.present(log(&[2, 3])).unwrap());
        assert!(third.contains("line 3") && !third.contains("line 2"), "{third}");
        assert!(numbers.present(log(&[3])).is_none());
    }
}
