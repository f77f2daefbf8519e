//! Pauses (semantics 29). A pause and its effect on the queue are one transaction: after its commit no server claims a
//! job that it covers, and no job that was running can commit anything. `jobs::hold` defines which jobs those are.

use crate::{
    Change, Conn, Error, Tx,
    activity::{self, NewActivity},
    conn::{change, from_row, row, rows},
    convert::{as_word, json, micros, pause},
    jobs, remotes,
};
use longshore_model::{
    Author, Message, Pause, PauseReason, PauseScope, Queued, Timestamp,
    activity::ActivityKind,
    job::Level,
    message::{JobMessage, PauseMessage, RemoteRef},
    pause::Resumed,
};

from_row! {
    struct Row {
        scope: String,
        at: i64,
        author: String,
        reason: String,
    }
}

/// Selects whole pauses; what follows `FROM pauses` is given.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT scope, at, author, reason FROM pauses ", $rest)
    };
}

impl TryFrom<Row> for Pause {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        pause(&row.scope, row.at, &row.author, &row.reason)
    }
}

/// Pauses all policies and mirrors within `scope`: waiting jobs are held, and running ones are released from their
/// workers and held as well. Returns the pause, and whether it began now: an existing pause is kept as it is.
///
/// To be called before the transaction writes jobs or tags.
pub async fn begin(
    tx: &mut Tx,
    scope: &PauseScope,
    reason: PauseReason,
    author: &Author,
    now: Timestamp,
) -> Result<(Pause, bool), Error> {
    lock(tx).await?;
    let pause = Pause { scope: scope.clone(), at: now, author: author.clone(), reason };
    let begun = change!(
        tx.conn,
        "INSERT INTO pauses (scope, at, author, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (scope) DO NOTHING",
        scope.to_string(),
        micros(now),
        json(author),
        as_word(&reason)
    )?;
    if begun == 0 {
        let there = get(tx, scope).await?;
        return Ok((there.unwrap_or(pause), false));
    }
    let line = Message::from(JobMessage::Stopped { pause: pause.clone() });
    for job in jobs::hold(tx, scope, now).await? {
        jobs::log(tx, job, &[(Level::Info, line.clone())], now).await?;
    }
    let remote = remote(tx, &pause).await?;
    let began = PauseMessage::Began { pause: pause.clone(), remote };
    tell(tx, ActivityKind::Paused, author, began, now).await?;
    tx.announce(Change::Pauses);
    Ok((pause, true))
}

/// Ends a pause; its held jobs continue or are dropped, depending on `queued`. `None` if there was no such pause.
pub async fn end(
    tx: &mut Tx,
    scope: &PauseScope,
    queued: Queued,
    author: &Author,
    now: Timestamp,
) -> Result<Option<Resumed>, Error> {
    lock(tx).await?;
    let Some(pause) = get(tx, scope).await? else { return Ok(None) };
    change!(tx.conn, "DELETE FROM pauses WHERE scope = $1", scope.to_string())?;
    let dropped = JobMessage::Dropped { pause: pause.clone() }.into();
    let resumed = jobs::release_held(tx, scope, queued, &dropped, now).await?;
    let remote = remote(tx, &pause).await?;
    let ended = PauseMessage::Ended { pause, remote, dropped: resumed.dropped };
    tell(tx, ActivityKind::Resumed, author, ended, now).await?;
    tx.announce(Change::Pauses);
    Ok(Some(resumed))
}

/// All pauses, the narrower ones first.
pub async fn all(conn: &mut Conn) -> Result<Vec<Pause>, Error> {
    let sql = select!("ORDER BY scope");
    rows!(conn, Row, sql)?.into_iter().map(Pause::try_from).collect()
}

/// The pause with exactly this scope.
pub async fn get(conn: &mut Conn, scope: &PauseScope) -> Result<Option<Pause>, Error> {
    let sql = select!("WHERE scope = $1");
    row!(conn, Row, sql, scope.to_string())?.map(Pause::try_from).transpose()
}

/// Prevents all other transactions from enqueuing, claiming and ending jobs until this one ends: earlier ones have
/// committed, and later ones see the pause. SQLite has only one writer anyway.
async fn lock(tx: &mut Tx) -> Result<(), Error> {
    // Before the table: a transaction that ends a job takes this lock before it writes the row.
    jobs::lock_endings(tx).await?;
    match tx.is_postgres() {
        true => tx.command("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE").await,
        false => Ok(()),
    }
}

/// The remote of a pause.
async fn remote(conn: &mut Conn, pause: &Pause) -> Result<Option<RemoteRef>, Error> {
    let PauseScope::Remote(id) = pause.scope else { return Ok(None) };
    Ok(remotes::get(conn, id).await?.map(|remote| RemoteRef::new(id, remote.name)))
}

async fn tell(
    tx: &mut Tx,
    kind: ActivityKind,
    author: &Author,
    detail: PauseMessage,
    at: Timestamp,
) -> Result<(), Error> {
    let entry = NewActivity { detail: detail.into(), ..NewActivity::new(at, author.clone(), kind) };
    activity::add(tx, &entry).await
}
