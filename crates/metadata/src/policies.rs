//! The common part of promotion policies, push mirrors and pull mirrors, which share a table. The particulars of each
//! kind are in `promotions`, `push_mirrors` and `pull_mirrors`.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{
        as_word, from_json, id, instant, json, maybe_id, maybe_instant, maybe_message, micros, parse,
        readable, word,
    },
    jobs,
    visible::{Visible, visible},
};
use longshore_model::{
    AccountId, Aspect, Author, Code, JobId, LastChange, Message, PolicyId, PolicyKind, RemoteId,
    RepositoryId, Timestamp, Version,
    message::{PolicyMessage, RepositoryRef, Withdrawal},
    policy::RunCode,
    remote::host_of,
    stored::{LastRun, PolicyCommon, PromotionPolicy, PullMirror, PushMirror},
};
use longshore_policy::StoredRules;

from_row! {
    /// The row of a policy of any kind, with the names of the repositories and the remote.
    pub(crate) struct PolicyRow {
        id: String,
        repository: String,
        repository_name: String,
        repository_rests: bool,
        target: Option<String>,
        target_name: Option<String>,
        target_rests: bool,
        remote: Option<String>,
        remote_url: Option<String>,
        remote_repository: Option<String>,
        rules: Option<String>,
        template: Option<String>,
        patterns: Option<String>,
        interval_seconds: Option<i64>,
        overwrite: bool,
        referrers: bool,
        foreign_layers: bool,
        baseline: Option<String>,
        enabled: bool,
        version: i64,
        rules_version: i64,
        last_change: Option<String>,
        known_patterns: Option<String>,
        paused: Option<String>,
        author: Option<String>,
        author_name: Option<String>,
        orphaned: bool,
        created_at: i64,
        updated_at: i64,
        next_run_at: Option<i64>,
        last_moved_at: Option<i64>,
        last_run_code: String,
        last_run_detail: String,
        last_run_at: Option<i64>,
        last_run_job: Option<String>,
        running_job: Option<String>,
    }
}

fn missing(what: &'static str) -> Error {
    Error::Unreadable { what: "policy", why: format!("it has no {what}") }
}

impl PolicyRow {
    fn common(&self) -> Result<PolicyCommon, Error> {
        Ok(PolicyCommon {
            id: id(PolicyId, &self.id)?,
            enabled: self.enabled,
            version: Version(self.version),
            rules_version: self.rules_version,
            last_change: self.last_change.as_deref().map(|text| from_json("change", text)).transpose()?,
            stopped: self.stopped()?,
            referrers: self.referrers,
            author: maybe_id(AccountId, self.author.as_deref())?,
            author_name: self.author_name.clone().unwrap_or_default(),
            orphaned: self.orphaned,
            created_at: instant(self.created_at)?,
            updated_at: instant(self.updated_at)?,
            last_run: self.last_run()?,
        })
    }

    /// The result of its last run, or that a job of it is running.
    fn last_run(&self) -> Result<LastRun, Error> {
        let running = maybe_id(JobId, self.running_job.as_deref())?;
        Ok(LastRun {
            code: if running.is_some() { RunCode::Running } else { word("run code", &self.last_run_code)? },
            detail: Message::read(&self.last_run_detail),
            at: maybe_instant(self.last_run_at)?,
            job: running.or(maybe_id(JobId, self.last_run_job.as_deref())?),
        })
    }

    /// Why it does not act: one of its repositories is deleted and can be restored, or the policy has stopped.
    fn stopped(&self) -> Result<Option<Message>, Error> {
        let rests = match (&self.target, &self.target_name) {
            (Some(target), Some(name)) if self.target_rests => Some((target, name)),
            _ => self.repository_rests.then_some((&self.repository, &self.repository_name)),
        };
        let Some((repository, name)) = rests else { return Ok(maybe_message(self.paused.as_deref())) };
        let repository = RepositoryRef::new(id(RepositoryId, repository)?, parse("repository name", name)?);
        Ok(Some(PolicyMessage::Rests { repository }.into()))
    }

    fn rules(&self) -> StoredRules {
        StoredRules::from_json(self.rules.as_deref().unwrap_or("null"))
    }
}

impl TryFrom<PolicyRow> for PromotionPolicy {
    type Error = Error;
    fn try_from(row: PolicyRow) -> Result<Self, Error> {
        Ok(Self {
            common: row.common()?,
            rules: row.rules(),
            source: id(RepositoryId, &row.repository)?,
            source_name: parse("repository name", &row.repository_name)?,
            target: id(RepositoryId, &row.target.ok_or_else(|| missing("target"))?)?,
            target_name: parse("repository name", &row.target_name.ok_or_else(|| missing("target"))?)?,
            template: row.template.ok_or_else(|| missing("template"))?,
            last_promoted_at: maybe_instant(row.last_moved_at)?,
        })
    }
}

impl TryFrom<PolicyRow> for PushMirror {
    type Error = Error;
    fn try_from(row: PolicyRow) -> Result<Self, Error> {
        Ok(Self {
            common: row.common()?,
            rules: row.rules(),
            repository: id(RepositoryId, &row.repository)?,
            repository_name: parse("repository name", &row.repository_name)?,
            remote: id(RemoteId, &row.remote.ok_or_else(|| missing("remote"))?)?,
            remote_host: host_of(&row.remote_url.unwrap_or_default()).to_owned(),
            remote_repository: parse("repository name", &row.remote_repository.unwrap_or_default())?,
            template: row.template.ok_or_else(|| missing("template"))?,
            overwrite: row.overwrite,
            foreign_layers: row.foreign_layers,
            last_mirrored_at: maybe_instant(row.last_moved_at)?,
        })
    }
}

impl TryFrom<PolicyRow> for PullMirror {
    type Error = Error;
    fn try_from(row: PolicyRow) -> Result<Self, Error> {
        Ok(Self {
            common: row.common()?,
            repository: id(RepositoryId, &row.repository)?,
            repository_name: parse("repository name", &row.repository_name)?,
            remote: id(RemoteId, &row.remote.ok_or_else(|| missing("remote"))?)?,
            remote_host: host_of(&row.remote_url.unwrap_or_default()).to_owned(),
            remote_repository: parse("repository name", &row.remote_repository.unwrap_or_default())?,
            patterns: row.patterns.ok_or_else(|| missing("patterns"))?,
            interval_seconds: u32::try_from(row.interval_seconds.unwrap_or_default()).unwrap_or(u32::MAX),
            foreign_layers: row.foreign_layers,
            baseline: word("baseline", &row.baseline.ok_or_else(|| missing("baseline"))?)?,
            known_patterns: row.known_patterns,
            next_run_at: instant(row.next_run_at.unwrap_or_default())?,
            last_mirrored_at: maybe_instant(row.last_moved_at)?,
        })
    }
}

/// The columns of a [`PolicyRow`]. A policy is orphaned if its author has lost the right to the repository or the
/// target (semantics 16).
macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT p.id, p.repository, r.name AS repository_name, r.deleted_at IS NOT NULL AS repository_rests,
                    p.target, t.name AS target_name, t.deleted_at IS NOT NULL AS target_rests,
                    p.remote, e.url AS remote_url, p.remote_repository, p.rules, p.template, p.patterns,
                    p.interval_seconds, p.overwrite, p.referrers, p.foreign_layers, p.baseline, p.enabled,
                    p.version, p.rules_version, p.last_change, p.known_patterns, p.paused, p.author, a.name AS author_name,
                    (p.author IS NOT NULL AND (a.id IS NULL
                        OR (NOT a.is_admin AND (a.name <> r.namespace
                                                OR (t.namespace IS NOT NULL AND a.name <> t.namespace))))) AS orphaned,
                    p.created_at, p.updated_at, p.next_run_at, p.last_moved_at,
                    p.last_run_code, p.last_run_detail, p.last_run_at, p.last_run_job,
                    (SELECT MIN(j.id) FROM jobs j WHERE j.policy = p.id AND j.finished_at IS NULL
                        AND j.status = 'running' AND j.action NOT IN (",
            longshore_model::job_actions!(is_evaluation),
            ")) AS running_job
             FROM policies p
             JOIN repositories r ON r.id = p.repository
             LEFT JOIN repositories t ON t.id = p.target
             LEFT JOIN remotes e ON e.id = p.remote
             LEFT JOIN accounts a ON a.id = p.author ",
            $($rest)*
        )
    };
}

/// The policy of a kind with this ID.
pub(crate) async fn get<T>(conn: &mut Conn, kind: PolicyKind, policy: PolicyId) -> Result<Option<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!("WHERE p.id = $1 AND p.kind = $2");
    row!(conn, PolicyRow, sql, policy.to_string(), kind.as_str())?.map(T::try_from).transpose()
}

/// The policies of a kind of a repository, oldest first.
pub(crate) async fn of_repository<T>(
    conn: &mut Conn,
    kind: PolicyKind,
    repository: RepositoryId,
) -> Result<Vec<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!("WHERE p.repository = $1 AND p.kind = $2 ORDER BY p.id");
    Ok(collect(rows!(conn, PolicyRow, sql, repository.to_string(), kind.as_str())?))
}

/// A policy, or what is known of an unreadable one.
pub type Readable<T> = Result<T, UnreadablePolicy>;

/// A policy whose row cannot be read, as a newer version or a damaged disk leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadablePolicy {
    /// Its ID as stored.
    pub id: String,
    pub error: String,
}

/// Like [`of_repository`], only those after `after`, ordered by ID, at most `limit`, and including unreadable ones.
/// Uses an index.
pub(crate) async fn of_repository_behind<T>(
    conn: &mut Conn,
    kind: PolicyKind,
    repository: RepositoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<Readable<T>>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!("WHERE p.repository = $1 AND p.kind = $2 AND p.id > $3 ORDER BY p.id LIMIT $4");
    let found = rows!(conn, PolicyRow, sql, repository.to_string(), kind.as_str(), after, limit)?;
    let read = |row: PolicyRow| {
        let id = row.id.clone();
        T::try_from(row).map_err(|error| UnreadablePolicy { id, error: error.to_string() })
    };
    Ok(found.into_iter().map(read).collect())
}

/// The policies that promote into a repository, oldest first.
pub(crate) async fn of_target<T>(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!("WHERE p.target = $1 ORDER BY p.id");
    Ok(collect(rows!(conn, PolicyRow, sql, repository.to_string())?))
}

/// The enabled policies of a kind that have not stopped, in visible repositories that are not deleted.
pub(crate) async fn running<T>(conn: &mut Conn, kind: PolicyKind, visible: &Visible) -> Result<Vec<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!(
        "WHERE p.kind = $1 AND p.enabled AND p.paused IS NULL AND r.deleted_at IS NULL AND ",
        visible!("r", "$2", "$3", "$4"),
        " ORDER BY p.id"
    );
    let (everything, public, namespaces) = visible.columns();
    Ok(collect(rows!(conn, PolicyRow, sql, kind.as_str(), everything, public, namespaces)?))
}

/// The pull mirrors whose next poll is due, if they are enabled and have not stopped.
pub(crate) async fn due_by<T>(conn: &mut Conn, now: Timestamp) -> Result<Vec<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    let sql = select!(
        "WHERE p.kind = 'pull_mirror' AND p.next_run_at <= $1 AND p.enabled AND p.paused IS NULL
           AND r.deleted_at IS NULL ORDER BY p.next_run_at"
    );
    Ok(collect(rows!(conn, PolicyRow, sql, micros(now))?))
}

/// An unreadable policy does not act, and does not keep others from acting.
fn collect<T: TryFrom<PolicyRow, Error = Error>>(rows: Vec<PolicyRow>) -> Vec<T> {
    readable("policy", rows, |row| row.id.clone(), T::try_from)
}

/// The particulars of a kind, as stored in its columns.
#[derive(Default)]
pub(crate) struct Particulars {
    pub target: Option<String>,
    pub remote: Option<String>,
    pub remote_repository: Option<String>,
    pub rules: Option<String>,
    pub template: Option<String>,
    pub patterns: Option<String>,
    pub interval_seconds: Option<i64>,
    pub overwrite: bool,
    pub foreign_layers: bool,
    pub baseline: Option<String>,
    pub known_patterns: Option<String>,
    pub next_run_at: Option<i64>,
    pub last_moved_at: Option<i64>,
}

/// Why the policy has stopped, as stored in its column. That one of its repositories is deleted is not stored: it is
/// determined on each read, and ends when the repository is restored.
fn own_pause(common: &PolicyCommon) -> Option<String> {
    let own = |why: &&Message| !matches!(why, Message::Policy(PolicyMessage::Rests { .. }));
    common.stopped.as_ref().filter(own).map(Message::stored)
}

/// The maximum number of policies and mirrors of one repository, all of which are evaluated on each push.
const MOST: i64 = 1_000;

/// Writes a new policy.
///
/// # Errors
/// [`Error::LimitReached`] if its repository has the maximum number. On PostgreSQL, policies that are created at the
/// same time may exceed it slightly.
pub(crate) async fn insert(
    tx: &mut Tx,
    kind: PolicyKind,
    repository: RepositoryId,
    common: &PolicyCommon,
    own: Particulars,
) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) FROM policies WHERE repository = $1";
    if value!(tx.conn, i64, sql, repository.to_string())? >= MOST {
        return Err(Error::LimitReached { whose: "a repository", what: "policies and mirrors", most: MOST });
    }
    change!(
        tx.conn,
        "INSERT INTO policies (id, kind, repository, target, remote, remote_repository, rules, template, patterns,
            interval_seconds, overwrite, referrers, baseline, enabled, version, paused, author, created_at,
            updated_at, next_run_at, last_moved_at, last_run_code, last_run_detail, last_run_at, last_run_job,
            rules_version, last_change, known_patterns, foreign_layers)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            $23, $24, $25, $26, $27, $28, $29)",
        common.id.to_string(),
        kind.as_str(),
        repository.to_string(),
        own.target,
        own.remote,
        own.remote_repository,
        own.rules,
        own.template,
        own.patterns,
        own.interval_seconds,
        own.overwrite,
        common.referrers,
        own.baseline,
        common.enabled,
        common.version.0,
        own_pause(common),
        common.author.map(|author| author.to_string()),
        micros(common.created_at),
        micros(common.updated_at),
        own.next_run_at,
        own.last_moved_at,
        as_word(&common.last_run.code),
        common.last_run.detail.stored(),
        common.last_run.at.map(micros),
        common.last_run.job.map(|job| job.to_string()),
        common.rules_version,
        common.last_change.as_ref().map(json),
        own.known_patterns,
        own.foreign_layers
    )?;
    Ok(())
}

/// Reads a policy that is about to be changed, and locks it until the transaction ends.
pub(crate) async fn get_for_change<T>(
    tx: &mut Tx,
    kind: PolicyKind,
    policy: PolicyId,
) -> Result<Option<T>, Error>
where
    T: TryFrom<PolicyRow, Error = Error>,
{
    jobs::lock_endings(tx).await?;
    // SQLite has one writer.
    if tx.is_postgres() {
        let sql = "SELECT version FROM policies WHERE id = $1 FOR UPDATE";
        row!(tx.conn, (i64,), sql, policy.to_string())?;
    }
    get(tx, kind, policy).await
}

/// Writes a policy that a person has changed, over exactly the version `before` (semantics 33), and withdraws the jobs
/// that it no longer needs (semantics 34). The result of its last run is not changed.
///
/// # Errors
/// [`Error::Stale`] if the row has another version.
pub(crate) async fn update(
    tx: &mut Tx,
    kind: PolicyKind,
    before: &PolicyCommon,
    common: &mut PolicyCommon,
    change: LastChange,
    own: Particulars,
) -> Result<(), Error> {
    common.version = before.version.next();
    common.last_change = Some(change);
    let written = change!(
        tx.conn,
        "UPDATE policies SET target = $2, remote = $3, remote_repository = $4, rules = $5, template = $6,
            patterns = $7, interval_seconds = $8, overwrite = $9, referrers = $10, baseline = $11, enabled = $12,
            version = $13, paused = CASE WHEN $14 THEN paused END, author = $15, updated_at = $16, next_run_at = $17, rules_version = $18,
            last_change = $19, known_patterns = $20, foreign_layers = $21
         WHERE id = $1 AND version = $22",
        common.id.to_string(),
        own.target,
        own.remote,
        own.remote_repository,
        own.rules,
        own.template,
        own.patterns,
        own.interval_seconds,
        own.overwrite,
        common.referrers,
        own.baseline,
        common.enabled,
        common.version.0,
        // A person can only resume it; and the value that was read may be about a deleted repository instead.
        common.stopped.is_some(),
        common.author.map(|author| author.to_string()),
        micros(common.updated_at),
        own.next_run_at,
        common.rules_version,
        common.last_change.as_ref().map(json),
        own.known_patterns,
        own.foreign_layers,
        before.version.0
    )?;
    if written == 0 {
        return Err(Error::Stale { what: kind.noun(), code: Code::PolicyChanged });
    }
    let why = match (common.enabled, common.rules_version == before.rules_version) {
        (false, _) => Withdrawal::Disabled(kind),
        (true, false) => Withdrawal::Changed(kind),
        (true, true) => return Ok(()),
    };
    jobs::withdraw(tx, jobs::Of::Policy(common.id, None), why, common.updated_at).await.map(drop)
}

/// Lets the mirrors of a remote that now points to a different registry start over (semantics 35): their jobs are
/// withdrawn, and pull mirrors that skip existing tags record those of the new registry first. The cost grows with the
/// mirrors of the remote.
pub async fn start_over(
    tx: &mut Tx,
    remote: RemoteId,
    change: &LastChange,
    now: Timestamp,
) -> Result<(), Error> {
    let id = remote.to_string();
    jobs::withdraw(tx, jobs::Of::Remote(remote), Withdrawal::RemoteMoved, now).await?;
    let sql = "DELETE FROM baselines WHERE policy IN (SELECT p.id FROM policies p WHERE p.remote = $1)";
    change!(tx.conn, sql, id.as_str())?;
    change!(
        tx.conn,
        "UPDATE policies SET version = version + 1, rules_version = rules_version + 1, last_change = $2, updated_at = $3,
            baseline = CASE WHEN baseline IN ('pending', 'complete') THEN 'pending' ELSE baseline END,
            known_patterns = NULL, next_run_at = CASE WHEN kind = 'pull_mirror' THEN $3 END
         WHERE remote = $1",
        id.as_str(),
        json(change),
        micros(now)
    )?;
    Ok(())
}

/// Deletes a policy of any kind and withdraws its jobs. What it has moved stays.
pub(crate) async fn delete(
    tx: &mut Tx,
    kind: PolicyKind,
    policy: PolicyId,
    now: Timestamp,
) -> Result<(), Error> {
    jobs::withdraw(tx, jobs::Of::Policy(policy, None), Withdrawal::Deleted(kind), now).await?;
    change!(tx.conn, "DELETE FROM baselines WHERE policy = $1", policy.to_string())?;
    change!(tx.conn, "DELETE FROM policies WHERE id = $1", policy.to_string())?;
    Ok(())
}

/// Why a job that began with the rules of `rules_version` must not continue; `None` if it may (semantics 34). The
/// version is `None` if it is not known.
pub async fn withdrawn(
    conn: &mut Conn,
    kind: PolicyKind,
    policy: PolicyId,
    rules_version: Option<i64>,
) -> Result<Option<Withdrawal>, Error> {
    let found = row!(
        conn,
        (bool, bool, bool, i64),
        "SELECT p.enabled, p.paused IS NOT NULL, r.deleted_at IS NOT NULL OR t.deleted_at IS NOT NULL, p.rules_version
         FROM policies p JOIN repositories r ON r.id = p.repository LEFT JOIN repositories t ON t.id = p.target
         WHERE p.id = $1 AND p.kind = $2",
        policy.to_string(),
        kind.as_str()
    )?;
    Ok(match found {
        None => Some(Withdrawal::Deleted(kind)),
        Some((false, ..)) => Some(Withdrawal::Disabled(kind)),
        Some((_, true, ..)) => Some(Withdrawal::Stopped(kind)),
        Some((_, _, true, _)) => Some(Withdrawal::RepositoryDeleted),
        Some((.., now)) if rules_version.is_some_and(|then| then != now) => Some(Withdrawal::Changed(kind)),
        Some(_) => None,
    })
}

/// Records when a policy last moved a tag.
pub(crate) async fn mark_moved(tx: &mut Tx, policy: PolicyId, at: Timestamp) -> Result<(), Error> {
    change!(tx.conn, "UPDATE policies SET last_moved_at = $2 WHERE id = $1", policy.to_string(), micros(at))?;
    Ok(())
}

/// Stops a policy; a person resumes it. `job` has found out that it must stop, and records its own end; the other jobs
/// of the policy are withdrawn. A transaction that also ends the job must call [`jobs::lock_endings`] first.
pub async fn stop(
    tx: &mut Tx,
    kind: PolicyKind,
    policy: PolicyId,
    why: &Message,
    job: JobId,
    now: Timestamp,
) -> Result<(), Error> {
    jobs::lock_endings(tx).await?;
    let by = LastChange::new(Author::Policy { id: policy, policy: kind }, vec![Aspect::Stopped]);
    change!(
        tx.conn,
        "UPDATE policies SET paused = $3, updated_at = $4, version = version + 1, last_change = $5
         WHERE id = $1 AND kind = $2",
        policy.to_string(),
        kind.as_str(),
        why.stored(),
        micros(now),
        json(&by)
    )?;
    jobs::withdraw(tx, jobs::Of::Policy(policy, Some(job)), Withdrawal::Stopped(kind), now).await.map(drop)
}

/// Records the result of a policy's last run.
pub async fn record_run(tx: &mut Tx, kind: PolicyKind, policy: PolicyId, run: &LastRun) -> Result<(), Error> {
    change!(
        tx.conn,
        "UPDATE policies SET last_run_code = $3, last_run_detail = $4, last_run_at = $5, last_run_job = $6
         WHERE id = $1 AND kind = $2",
        policy.to_string(),
        kind.as_str(),
        as_word(&run.code),
        run.detail.stored(),
        run.at.map(micros),
        run.job.map(|job| job.to_string())
    )?;
    Ok(())
}

/// Why a policy of any kind may not act now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idle {
    Deleted,
    Disabled,
    /// It has stopped, for this reason.
    Paused(Message),
}

/// Why a policy may not act; `None` if it may.
pub async fn idle(conn: &mut Conn, policy: PolicyId) -> Result<Option<Idle>, Error> {
    let sql = "SELECT enabled, paused FROM policies WHERE id = $1";
    Ok(match row!(conn, (bool, Option<String>), sql, policy.to_string())? {
        None => Some(Idle::Deleted),
        Some((_, Some(why))) => Some(Idle::Paused(Message::read(&why))),
        Some((false, None)) => Some(Idle::Disabled),
        Some((true, None)) => None,
    })
}
