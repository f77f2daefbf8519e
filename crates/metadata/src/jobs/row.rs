//! Reads rows of the table of jobs. It makes no queries.

use crate::{
    Error, back_offs,
    conn::from_row,
    convert::{from_json, id, instant, maybe_id, maybe_instant, maybe_message, maybe_parse, pause, word},
};
use longshore_model::{JobId, PolicyId, RepositoryId, job::Progress, stored::Job};

from_row! {
    pub(super) struct Row {
        pub(super) id: String,
        action: String,
        status: String,
        cause: String,
        parameters: String,
        policy: Option<String>,
        repository: Option<String>,
        repository_name: Option<String>,
        parent: Option<String>,
        retry_of: Option<String>,
        attempt: i64,
        retries_left: i64,
        tags_done: i64,
        tags_total: i64,
        bytes_done: i64,
        bytes_total: i64,
        error: Option<String>,
        outcome: Option<String>,
        created_at: i64,
        scheduled_at: i64,
        started_at: Option<i64>,
        finished_at: Option<i64>,
        updated_at: i64,
        worker: Option<String>,
        held_by: Option<String>,
        held_at: Option<i64>,
        held_author: Option<String>,
        held_reason: Option<String>,
        pub(super) remote: Option<String>,
        pub(super) failing_since: Option<i64>,
        pub(super) epoch: i64,
    } and wait: back_offs::Columns
}

impl Row {
    /// Its name in the log if the row is unreadable.
    pub(super) fn name(&self) -> String {
        self.id.clone()
    }
}

impl TryFrom<Row> for Job {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let count = |number: i64| u32::try_from(number).unwrap_or_default();
        Ok(Self {
            back_off: row.wait.read()?,
            id: id(JobId, &row.id)?,
            action: word("action", &row.action)?,
            status: word("job status", &row.status)?,
            cause: from_json("cause", &row.cause)?,
            parameters: from_json("job parameters", &row.parameters)?,
            policy: maybe_id(PolicyId, row.policy.as_deref())?,
            repository: maybe_id(RepositoryId, row.repository.as_deref())?,
            repository_name: maybe_parse("repository name", row.repository_name.as_deref())?,
            parent: maybe_id(JobId, row.parent.as_deref())?,
            retry_of: maybe_id(JobId, row.retry_of.as_deref())?,
            attempt: count(row.attempt),
            retries_left: count(row.retries_left),
            progress: Progress {
                tags_done: row.tags_done.unsigned_abs(),
                tags_total: row.tags_total.unsigned_abs(),
                bytes_done: row.bytes_done.unsigned_abs(),
                bytes_total: row.bytes_total.unsigned_abs(),
            },
            error: maybe_message(row.error.as_deref()),
            outcome: maybe_message(row.outcome.as_deref()),
            created_at: instant(row.created_at)?,
            scheduled_at: instant(row.scheduled_at)?,
            started_at: maybe_instant(row.started_at)?,
            finished_at: maybe_instant(row.finished_at)?,
            updated_at: instant(row.updated_at)?,
            worker: row.worker,
            held_by: match (row.held_by, row.held_at, row.held_author, row.held_reason) {
                (Some(scope), Some(at), Some(author), Some(reason)) => {
                    Some(pause(&scope, at, &author, &reason)?)
                }
                _ => None,
            },
        })
    }
}

/// The columns of a [`Row`], to select and to return from an update.
macro_rules! columns {
    () => {
        "id, action, status, cause, parameters, policy, repository,
         (SELECT r.name FROM repositories r WHERE r.id = jobs.repository) AS repository_name,
         parent, retry_of, attempt, retries_left, tags_done, tags_total, bytes_done, bytes_total, error, outcome,
         created_at, scheduled_at, started_at, finished_at, updated_at, worker, held_by,
         (SELECT h.at FROM pauses h WHERE h.scope = jobs.held_by) AS held_at,
         (SELECT h.author FROM pauses h WHERE h.scope = jobs.held_by) AS held_author,
         (SELECT h.reason FROM pauses h WHERE h.scope = jobs.held_by) AS held_reason,
         jobs.remote AS remote, failing_since, epoch"
    };
    // A job that was just claimed has no back-off to show.
    (taken) => {
        concat!(
            columns!(),
            ", CAST(NULL AS TEXT) AS wait_reason, CAST(NULL AS BOOLEAN) AS wait_asked,
               CAST(NULL AS BIGINT) AS wait_failures, CAST(NULL AS BIGINT) AS wait_since,
               CAST(NULL AS BIGINT) AS wait_until"
        )
    };
}

/// Selects jobs with all columns; the arguments are the rest of the statement.
macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT ",
            $crate::jobs::row::columns!(),
            ", ",
            $crate::back_offs::columns!(),
            " FROM jobs LEFT JOIN back_offs b ON b.remote = jobs.remote AND jobs.status = 'waiting' ",
            $($rest)*
        )
    };
}

pub(super) use {columns, select};
