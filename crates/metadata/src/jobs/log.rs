//! What jobs said, line by line.

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, from_row, rows, value},
    convert::{as_word, instant, micros, word},
};
use longshore_model::{JobId, Message, Timestamp, job::Level, stored::LogLine};

/// Appends lines to a job's log.
pub async fn log(tx: &mut Tx, job: JobId, lines: &[(Level, Message)], now: Timestamp) -> Result<(), Error> {
    for (level, message) in lines {
        change!(
            tx.conn,
            "INSERT INTO job_logs (job, line, at, level, message)
             SELECT $1, COALESCE(MAX(line), 0) + 1, $2, $3, $4 FROM job_logs WHERE job = $1",
            job.to_string(),
            micros(now),
            as_word(level),
            message.stored()
        )?;
    }
    tx.announce(Change::JobLog(job));
    Ok(())
}

from_row! {
    struct LogRow {
        line: i64,
        at: i64,
        level: String,
        message: String,
    }
}

/// The number of the last line of a job's log; 0 where there is none.
pub async fn last_line(conn: &mut Conn, job: JobId) -> Result<i64, Error> {
    let sql = "SELECT COALESCE(MAX(line), 0) FROM job_logs WHERE job = $1";
    Ok(value!(conn, i64, sql, job.to_string())?)
}

/// Lines of a job's log behind one that is known.
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
            level: word("log level", &row.level)?,
            message: Message::read(&row.message),
        })
    };
    found.into_iter().map(turn).collect()
}
