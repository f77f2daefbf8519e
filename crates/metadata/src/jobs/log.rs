//! The logs of jobs.

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{as_word, instant, micros, word},
};
use longshore_model::{JobId, Message, Timestamp, job::Level, message::JobMessage, stored::LogLine};

/// The maximum number of lines that are stored for one job.
const MOST_LINES: i64 = 10_000;
/// The number of these that are reserved for errors.
const FOR_ERRORS: i64 = 1_000;

/// Appends lines to a job's log. When the log is full, a last line says how many more there were; errors are still
/// accepted longer than other lines.
pub async fn log(tx: &mut Tx, job: JobId, lines: &[(Level, Message)], now: Timestamp) -> Result<(), Error> {
    let sql = "SELECT COUNT(*), COALESCE(MAX(line), 0) FROM job_logs WHERE job = $1";
    let (mut kept, mut last) = row!(tx.conn, (i64, i64), sql, job.to_string())?.unwrap_or_default();
    let (full, mut left_out) = (last, 0);
    for (level, message) in lines {
        let most = if *level == Level::Error { MOST_LINES } else { MOST_LINES - FOR_ERRORS };
        if kept < most {
            (kept, last) = (kept + 1, last + 1);
            append(tx, job, last, *level, message, now).await?;
        } else {
            left_out += count_of(message).unwrap_or(1);
        }
    }
    if left_out > 0 {
        // Adds to the previous count if no line was logged since, under a new line number, so that clients that follow
        // the log see it.
        if last == full
            && let Some(before) = left_out_at(tx, job, full).await?
        {
            left_out += before;
            let sql = "DELETE FROM job_logs WHERE job = $1 AND line = $2";
            change!(tx.conn, sql, job.to_string(), full)?;
        }
        let counted = JobMessage::LinesLeftOut { count: left_out }.into();
        append(tx, job, last + 1, Level::Warn, &counted, now).await?;
    }
    tx.announce(Change::JobLog(job));
    Ok(())
}

async fn append(
    tx: &mut Tx,
    job: JobId,
    line: i64,
    level: Level,
    message: &Message,
    now: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO job_logs (job, line, at, level, message) VALUES ($1, $2, $3, $4, $5)",
        job.to_string(),
        line,
        micros(now),
        as_word(&level),
        message.stored()
    )?;
    Ok(())
}

/// The count of omitted lines in a line, if it is a line of that kind.
async fn left_out_at(tx: &mut Tx, job: JobId, line: i64) -> Result<Option<u64>, Error> {
    let sql = "SELECT message FROM job_logs WHERE job = $1 AND line = $2";
    let found = row!(tx.conn, (String,), sql, job.to_string(), line)?;
    Ok(found.and_then(|(message,)| count_of(&Message::read(&message))))
}

fn count_of(message: &Message) -> Option<u64> {
    match message {
        Message::Job(JobMessage::LinesLeftOut { count }) => Some(*count),
        _ => None,
    }
}

from_row! {
    struct LogRow {
        line: i64,
        at: i64,
        level: String,
        message: String,
    }
}

/// The number of the last line of a job's log; 0 if it is empty.
pub async fn last_line(conn: &mut Conn, job: JobId) -> Result<i64, Error> {
    let sql = "SELECT COALESCE(MAX(line), 0) FROM job_logs WHERE job = $1";
    Ok(value!(conn, i64, sql, job.to_string())?)
}

/// Lines of a job's log after `after_line`.
pub async fn logs(conn: &mut Conn, job: JobId, after_line: i64, limit: i64) -> Result<Vec<LogLine>, Error> {
    let found = rows!(
        conn,
        LogRow,
        "SELECT line, at, level, message FROM job_logs WHERE job = $1 AND line > $2 ORDER BY line LIMIT $3",
        job.to_string(),
        after_line,
        limit
    )?;
    let turn = |row: LogRow| {
        Ok(LogLine {
            line: row.line,
            at: instant(row.at)?,
            // A level that only a newer version knows must not hide the line.
            level: word("log level", &row.level).unwrap_or(Level::Info),
            message: Message::read(&row.message),
        })
    };
    found.into_iter().map(turn).collect()
}

/// The number of lines of a job's log after `line`.
pub async fn lines_behind(conn: &mut Conn, job: JobId, line: i64) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM job_logs WHERE job = $1 AND line > $2";
    Ok(value!(conn, i64, sql, job.to_string(), line)?.unsigned_abs())
}
