//! Records of the past, and their pruning: jobs that have ended, the activity, verdicts, deliveries, and changes of
//! tags. Each kind has an age and a number, and records beyond either are removed, except those that are still needed.
//! Candidates are found by reading, a page at a time; removing checks again. `engine` decides when.

use crate::{
    Conn, Error, Turn, Tx,
    conn::{change, row, rows},
    convert::{instant, json, micros},
};
use jiff::SignedDuration;
use longshore_model::Timestamp;
use serde::Serialize;
use strum::VariantArray;

/// The number of rows that one statement removes; for jobs it is one, because their logs may be long.
const AT_ONCE: usize = 25;
/// The number of log lines that one statement removes.
const LINES_AT_ONCE: i64 = 500;
/// Younger records are never removed, however many there are: policies look back at what they did in the last hour.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// How much of one kind of history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// `None` means forever.
    pub age: Option<SignedDuration>,
    /// The number of newest records to keep; `None` means all.
    pub number: Option<u32>,
}

/// How much of each kind of history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Jobs that have ended, with their logs.
    pub jobs: Keep,
    /// The entries of the activity.
    pub activity: Keep,
    /// The verdicts of policies, counted by revision of a tag.
    pub verdicts: Keep,
    pub deliveries: Keep,
    /// What tags pointed to before.
    pub tag_changes: Keep,
}

impl Default for History {
    fn default() -> Self {
        let keep = |days: i64, number| Keep {
            age: Some(SignedDuration::from_hours(24 * days)),
            number: Some(number),
        };
        Self {
            jobs: keep(30, 100_000),
            activity: keep(365, 1_000_000),
            verdicts: keep(365, 1_000_000),
            deliveries: keep(365, 1_000_000),
            tag_changes: keep(365, 1_000_000),
        }
    }
}

/// A kind of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Kind {
    /// Jobs that have ended.
    Jobs,
    Activity,
    /// Verdicts; those on one revision are kept or removed together.
    Verdicts,
    Deliveries,
    TagChanges,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// How much of this kind is kept.
    #[must_use]
    pub fn keep(self, history: &History) -> Keep {
        match self {
            Self::Jobs => history.jobs,
            Self::Activity => history.activity,
            Self::Verdicts => history.verdicts,
            Self::Deliveries => history.deliveries,
            Self::TagChanges => history.tag_changes,
        }
    }
}

/// The key of a row, which grows with time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Key {
    /// Of all other kinds.
    Number(i64),
    /// Of a job.
    Job(String),
}

impl Key {
    fn number(after: Option<&Self>) -> i64 {
        match after {
            Some(Self::Number(number)) => *number,
            Some(Self::Job(_)) | None => i64::MIN,
        }
    }

    fn job(after: Option<&Self>) -> &str {
        match after {
            Some(Self::Job(job)) => job,
            Some(Self::Number(_)) | None => "",
        }
    }
}

/// The limits of age and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Records that ended before this are too old.
    before: Timestamp,
    /// This record and all before it are too many.
    cut: Option<Key>,
    /// Records that began since this are kept.
    recent: Timestamp,
    /// Tags that were moved or deleted before this can no longer be restored.
    undo: Timestamp,
}

/// The limits of what is kept. `undo` is how long what tags pointed to can be restored. If a number is set, this reads
/// that many entries of an index.
pub async fn bounds(
    conn: &mut Conn,
    kind: Kind,
    keep: &Keep,
    undo: SignedDuration,
    now: Timestamp,
) -> Result<Bounds, Error> {
    let newest_but = match kind {
        Kind::Jobs => "SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET $1",
        Kind::Activity => "SELECT id FROM activity ORDER BY id DESC LIMIT 1 OFFSET $1",
        Kind::Verdicts => "SELECT revision FROM verdicts ORDER BY revision DESC LIMIT 1 OFFSET $1",
        Kind::Deliveries => "SELECT id FROM deliveries ORDER BY id DESC LIMIT 1 OFFSET $1",
        Kind::TagChanges => "SELECT revision FROM tag_changes ORDER BY revision DESC LIMIT 1 OFFSET $1",
    };
    let cut = match (keep.number, kind) {
        (None, _) => None,
        (Some(number), Kind::Jobs) => {
            row!(conn, (String,), newest_but, i64::from(number))?.map(|(job,)| Key::Job(job))
        }
        (Some(number), _) => {
            row!(conn, (i64,), newest_but, i64::from(number))?.map(|(key,)| Key::Number(key))
        }
    };
    let before = keep.age.map_or(Timestamp::MIN, |age| now - age);
    Ok(Bounds { before, cut, recent: now - RECENT, undo: now - undo })
}

impl Bounds {
    fn is_beyond(&self, key: &Key, began: Timestamp, ended: Timestamp) -> bool {
        let too_many = self.cut.as_ref().is_some_and(|cut| key <= cut) && began < self.recent;
        too_many || ended < self.before
    }
}

/// The result of looking at some of the oldest records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Old {
    /// The records that may be removed.
    pub beyond: Vec<Key>,
    /// Where to continue; `None` if no later record is beyond the limits.
    pub next: Option<Key>,
}

/// Unfinished jobs, and finished jobs that are a part of an unfinished one, are needed.
macro_rules! needed_jobs {
    ($of:literal) => {
        concat!(
            "(",
            $of,
            ".finished_at IS NULL OR EXISTS (SELECT 1 FROM job_parts p JOIN jobs w ON w.id = p.whole
                 WHERE p.part = ",
            $of,
            ".id AND w.finished_at IS NULL))"
        )
    };
}

/// Needed: verdicts on the current revision of a tag, those whose copy is running, and those whose manifest an
/// unfinished job concerns.
macro_rules! needed_verdicts {
    ($of:literal) => {
        concat!(
            "(",
            $of,
            ".result IN ('running', 'waiting')
              OR EXISTS (SELECT 1 FROM tags t WHERE t.repository = ",
            $of,
            ".repository AND t.name = ",
            $of,
            ".tag
                         AND t.revision = ",
            $of,
            ".revision)
              OR EXISTS (SELECT 1 FROM jobs j WHERE j.repository = ",
            $of,
            ".repository AND j.manifest = ",
            $of,
            ".digest
                         AND j.finished_at IS NULL))"
        )
    };
}

/// Needed as long as the repository has the image: the last delivery to a tag, which shows whose tag it is
/// (semantics 4, 20), and the last delivery of the image to a place, where signatures follow it (semantics 7), also
/// if a person sent it.
macro_rules! needed_deliveries {
    ($of:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM repository_manifests l
                      WHERE l.repository = ",
            $of,
            ".source_repository AND l.digest = ",
            $of,
            ".digest)
              AND (",
            $of,
            ".target_tag IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.target_repository = ",
            $of,
            ".target_repository
                                   AND n.target_tag = ",
            $of,
            ".target_tag AND n.id > ",
            $of,
            ".id)
                   AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.remote_host = ",
            $of,
            ".remote_host
                                   AND n.remote_repository = ",
            $of,
            ".remote_repository
                                   AND n.target_tag = ",
            $of,
            ".target_tag AND n.id > ",
            $of,
            ".id)
                   OR NOT EXISTS (SELECT 1 FROM deliveries n
                                  WHERE n.source_repository = ",
            $of,
            ".source_repository
                                    AND n.digest = ",
            $of,
            ".digest AND n.id > ",
            $of,
            ".id
                                    AND (n.policy IS NULL OR ",
            $of,
            ".policy IS NOT NULL)
                                    AND (n.target_repository = ",
            $of,
            ".target_repository
                                         OR n.remote_host = ",
            $of,
            ".remote_host
                                            AND n.remote_repository = ",
            $of,
            ".remote_repository))))"
        )
    };
}

/// Needed: changes that a tag points to or that can be restored, and those whose manifest an unfinished job concerns.
/// Changes lost before `$undo` cannot be restored. A deletion is removed only after the change that it deleted, which
/// would otherwise look current.
macro_rules! needed_tag_changes {
    ($of:literal, $undo:literal) => {
        concat!(
            "(COALESCE((SELECT n.at FROM tag_changes n
                        WHERE n.repository = ",
            $of,
            ".repository AND n.name = ",
            $of,
            ".name
                          AND n.revision > ",
            $of,
            ".revision ORDER BY n.revision LIMIT 1),
                       CASE WHEN ",
            $of,
            ".digest IS NULL THEN ",
            $of,
            ".at ELSE ",
            $undo,
            " END) >= ",
            $undo,
            "
              OR EXISTS (SELECT 1 FROM jobs j WHERE j.repository = ",
            $of,
            ".repository
                         AND j.manifest = ",
            $of,
            ".digest AND j.finished_at IS NULL)
              OR (",
            $of,
            ".digest IS NULL AND EXISTS (SELECT 1 FROM tag_changes o
                  WHERE o.repository = ",
            $of,
            ".repository AND o.name = ",
            $of,
            ".name AND o.revision < ",
            $of,
            ".revision)))"
        )
    };
}

/// Of the oldest records after `after`, at most `limit`, those that are beyond the limits and not needed.
pub async fn old(
    conn: &mut Conn,
    kind: Kind,
    bounds: &Bounds,
    after: Option<&Key>,
    limit: i64,
) -> Result<Old, Error> {
    let found: Vec<(Key, i64, i64, bool)> = match kind {
        Kind::Jobs => {
            let sql = concat!(
                "SELECT j.id, j.created_at, COALESCE(j.finished_at, j.created_at), ",
                needed_jobs!("j"),
                " FROM jobs j WHERE j.id > $1 ORDER BY j.id LIMIT $2"
            );
            let found = rows!(conn, (String, i64, i64, bool), sql, Key::job(after), limit)?;
            found
                .into_iter()
                .map(|(job, began, ended, needed)| (Key::Job(job), began, ended, needed))
                .collect()
        }
        Kind::TagChanges => {
            let sql = concat!(
                "SELECT c.revision, c.at, c.at, ",
                needed_tag_changes!("c", "$3"),
                " FROM tag_changes c WHERE c.revision > $1 ORDER BY c.revision LIMIT $2"
            );
            let (after, undo) = (Key::number(after), micros(bounds.undo));
            numbered(rows!(conn, (i64, i64, i64, bool), sql, after, limit, undo)?)
        }
        Kind::Activity | Kind::Verdicts | Kind::Deliveries => {
            let sql = match kind {
                Kind::Verdicts => concat!(
                    "SELECT v.revision, MIN(v.at), MAX(v.at), MAX(CASE WHEN ",
                    needed_verdicts!("v"),
                    " THEN 1 ELSE 0 END) = 1 FROM verdicts v WHERE v.revision IN (
                         SELECT DISTINCT revision FROM verdicts WHERE revision > $1 ORDER BY revision LIMIT $2)
                     GROUP BY v.revision ORDER BY v.revision"
                ),
                Kind::Deliveries => concat!(
                    "SELECT d.id, d.at, d.at, ",
                    needed_deliveries!("d"),
                    " FROM deliveries d WHERE d.id > $1 ORDER BY d.id LIMIT $2"
                ),
                _ => "SELECT a.id, a.at, a.at, FALSE FROM activity a WHERE a.id > $1 ORDER BY a.id LIMIT $2",
            };
            numbered(rows!(conn, (i64, i64, i64, bool), sql, Key::number(after), limit)?)
        }
    };
    let mut old = Old::default();
    for (key, began, ended, needed) in found {
        let (began, ended) = (instant(began)?, instant(ended)?);
        let is_beyond = bounds.is_beyond(&key, began, ended);
        // Later records are younger. A job that took long may be among others that are old.
        if is_beyond || began < bounds.before {
            old.next = Some(key.clone());
        }
        old.beyond.extend((is_beyond && !needed).then_some(key));
    }
    Ok(old)
}

fn numbered(found: Vec<(i64, i64, i64, bool)>) -> Vec<(Key, i64, i64, bool)> {
    found.into_iter().map(|(key, began, ended, needed)| (Key::Number(key), began, ended, needed)).collect()
}

/// A statement for the rows whose numbers are in `$1`.
macro_rules! of_listed {
    ($tx:expr, $before:expr, $behind:expr) => {
        match $tx.is_postgres() {
            false => concat!($before, " IN (SELECT value FROM json_each($1))", $behind),
            true => concat!($before, " IN (SELECT json_array_elements_text($1::json)::bigint)", $behind),
        }
    };
}

/// Removes those of these records that are still not needed, until the turn is over; returns the number of records that
/// were dealt with.
pub async fn forget(tx: &mut Tx, kind: Kind, bounds: &Bounds, keys: &[Key]) -> Result<usize, Error> {
    let (turn, mut settled) = (tx.begin_turn(), 0);
    for some in keys.chunks(if kind == Kind::Jobs { 1 } else { AT_ONCE }) {
        if settled > 0 && turn.is_over() {
            break;
        }
        let listed = json(&some);
        match kind {
            Kind::Jobs => {
                if !forget_job(tx, Key::job(some.first()), &turn).await? {
                    break;
                }
            }
            Kind::Activity => {
                let sql = of_listed!(tx, "DELETE FROM activity WHERE id", "");
                change!(tx.conn, sql, listed)?;
            }
            Kind::Verdicts => {
                let sql = of_listed!(
                    tx,
                    "DELETE FROM verdicts WHERE revision",
                    concat!(" AND NOT ", needed_verdicts!("verdicts"))
                );
                change!(tx.conn, sql, listed)?;
            }
            Kind::Deliveries => {
                let sql = of_listed!(
                    tx,
                    "DELETE FROM deliveries WHERE id",
                    concat!(" AND NOT ", needed_deliveries!("deliveries"))
                );
                change!(tx.conn, sql, listed)?;
            }
            Kind::TagChanges => {
                let sql = of_listed!(
                    tx,
                    "DELETE FROM tag_changes WHERE revision",
                    concat!(" AND NOT ", needed_tag_changes!("tag_changes", "$2"))
                );
                change!(tx.conn, sql, listed, micros(bounds.undo))?;
            }
        }
        settled += some.len();
    }
    Ok(settled)
}

/// Removes a job with its log, which may be long; returns whether it was finished.
async fn forget_job(tx: &mut Tx, job: &str, turn: &Turn) -> Result<bool, Error> {
    let sql = concat!("SELECT 1 FROM jobs WHERE id = $1 AND NOT ", needed_jobs!("jobs"));
    if row!(tx.conn, (i32,), sql, job)?.is_none() {
        return Ok(true);
    }
    let lines = "DELETE FROM job_logs WHERE job = $1 AND line IN (
                     SELECT line FROM job_logs WHERE job = $1 ORDER BY line LIMIT $2)";
    while change!(tx.conn, lines, job, LINES_AT_ONCE)? > 0 {
        if turn.is_over() {
            return Ok(false);
        }
    }
    change!(tx.conn, "DELETE FROM job_parts WHERE whole = $1 OR part = $1", job)?;
    change!(tx.conn, "DELETE FROM jobs WHERE id = $1", job)?;
    Ok(true)
}
