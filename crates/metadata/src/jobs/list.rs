//! Lists jobs for people, who see those of the repositories that they may see.
//!
//! A list is found by the index of one of its filters. The other filters and the reader's visibility leave rows out, so
//! a page looks only at a window of rows ([`window!`]), however far away the next matching row is. For readers who see
//! few repositories, jobs are looked up repository by repository instead of among all jobs; the same is done for other
//! readers if the window does not fill a page.

use super::row::{Row, select};
use crate::{
    Conn, Error,
    conn::{row, rows, value},
    convert::{id, json, readable},
    page::{self, COUNTED, LAST, Reading, counted, pages, window},
    repositories,
    visible::{Visible, visible},
};
use longshore_model::{
    Author, JobId, Page, PageRequest, RepositoryId, Total,
    job::{Cause, JobAction, JobFilter, Status},
    job_actions,
    stored::Job,
};

/// The statements of a list. Each starts with the condition that finds its rows by an index and takes `$1`.
struct Statements {
    /// The rows on a page: after `$2`, not beyond `$3`, at most `$4`; the other parameters are those of [`Wanted`].
    /// This is one statement, so that a reader who sees all jobs ended cannot miss one that such a job enqueued.
    rows: (&'static str, &'static str),
    /// The last ID in the window of a page after `$2`.
    edge: (&'static str, &'static str),
    /// The number of rows, at most `$4`. Its parameters are those of the rows of the first page.
    count: &'static str,
}

/// Excludes evaluations. The index `jobs_without_evaluations` has exactly this condition; neither database would use it
/// with another one.
macro_rules! no_evaluation {
    () => {
        concat!("jobs.action <> ", job_actions!(is_evaluation))
    };
}

macro_rules! listed {
    (@conditions) => {
        concat!(
            " AND ($5 OR jobs.repository IN (SELECT v.id FROM repositories v WHERE ", visible!("v", "$6", "$7"), ")
             OR (jobs.repository IS NULL AND jobs.cause = $8))
            AND ($9 IS NULL OR jobs.action = $9) AND ($10 IS NULL OR jobs.status = $10)
            AND ($11 IS NULL OR jobs.repository = $11) AND ($12 IS NULL OR jobs.policy = $12)
            AND ($13 IS NULL OR jobs.id IN (SELECT w.part FROM job_parts w WHERE w.whole = $13))
            AND (NOT $14 OR ", no_evaluation!(), ")"
        )
    };
    ($($found_by:tt)+) => {
        Statements {
            rows: pages!({ select!("WHERE ", $($found_by)+, listed!(@conditions)) }
                         down ["jobs.id"], key "$2", edge "$3", limit "$4"),
            edge: pages!({ "SELECT jobs.id FROM jobs WHERE ", $($found_by)+ }
                         down ["jobs.id"], key "$2", limit window!()),
            count: concat!(
                "SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE ", $($found_by)+, listed!(@conditions),
                " AND jobs.id < $2 AND jobs.id >= $3 LIMIT $4) AS counted"
            ),
        }
    };
}

/// The jobs of the namespaces `$1`, and those without a repository that `$4` started: after `$2`, at most `$3`, and no
/// more of each repository.
macro_rules! by_repository {
    ($database:ident) => {
        (by_repository!($database "<" " DESC"), by_repository!($database ">" ""))
    };
    (sqlite $beyond:literal $direction:literal) => {
        by_repository!(
            $beyond $direction
            "SELECT jobs.id AS id FROM repositories v CROSS JOIN jobs
             WHERE v.namespace IN (SELECT n.value FROM json_each($1) n) AND jobs.id IN ("
            ") "
        )
    };
    (postgres $beyond:literal $direction:literal) => {
        by_repository!(
            $beyond $direction
            "SELECT top.id AS id FROM repositories v CROSS JOIN LATERAL ("
            ") AS top WHERE v.namespace IN (SELECT json_array_elements_text($1::json)) "
        )
    };
    ($beyond:literal $direction:literal $before:literal $behind:literal) => {
        select!(
            "WHERE jobs.id IN (", $before,
            "SELECT x.id FROM jobs x WHERE x.repository = v.id AND x.id ", $beyond, " $2
             ORDER BY x.id", $direction, " LIMIT $3",
            $behind,
            "UNION ALL
             SELECT y.id FROM jobs y WHERE y.repository IS NULL AND y.cause = $4 AND y.id ", $beyond, " $2
             ORDER BY id", $direction, " LIMIT $3) ORDER BY jobs.id", $direction
        )
    };
}

/// Up to this many repositories, jobs are looked up repository by repository from the start.
const FEW: i64 = 100;

/// The number of repositories of the namespaces `$1`, at most `$2`.
macro_rules! repositories_of {
    ($values:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM repositories v WHERE v.namespace IN (",
            $values,
            ") LIMIT $2) AS counted"
        )
    };
}

/// The number of jobs of the repositories of the namespaces `$1`, including those without a repository that `$2`
/// started; at most `$3`.
macro_rules! count_by_repository {
    ($values:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (
                 SELECT 1 FROM repositories v CROSS JOIN jobs x WHERE x.repository = v.id AND v.namespace IN (", $values, ")
                 UNION ALL
                 SELECT 1 FROM jobs y WHERE y.repository IS NULL AND y.cause = $2
                 LIMIT $3) AS counted"
        )
    };
}

/// The contents of a list.
struct Wanted<'a> {
    visible: (bool, bool, String),
    asked: Option<String>,
    action: Option<&'static str>,
    status: Option<&'static str>,
    repository: Option<&'a str>,
    policy: Option<String>,
    parent: Option<String>,
    without_evaluations: bool,
}

impl Wanted<'_> {
    /// The statements that find the rows, the parameter of their condition, and whether no other condition leaves rows
    /// out. Neither database uses an index for `$n IS NULL OR …`.
    fn statements(&self) -> (Statements, &str, bool) {
        let Self { visible, asked: _, action, status, repository, policy, parent, without_evaluations } =
            self;
        let filters = usize::from(action.is_some())
            + usize::from(status.is_some())
            + usize::from(repository.is_some())
            + usize::from(policy.is_some())
            + usize::from(parent.is_some())
            + usize::from(*without_evaluations);
        let (statements, by) = if let Some(parent) = parent {
            (listed!("jobs.id IN (SELECT w.part FROM job_parts w WHERE w.whole = $1)"), parent.as_str())
        } else if let Some(policy) = policy {
            (listed!("jobs.policy = $1"), policy.as_str())
        } else if let Some(repository) = repository {
            (listed!("jobs.repository = $1"), *repository)
        } else if let Some(status) = status {
            (listed!("jobs.status = $1"), *status)
        } else if let Some(action) = action {
            (listed!("jobs.action = $1"), *action)
        } else if *without_evaluations {
            (listed!(no_evaluation!(), " AND jobs.id > $1"), "")
        } else {
            (listed!("jobs.id > $1"), "")
        };
        (statements, by, visible.0 && filters <= 1)
    }

    /// Whether the list has everything that the reader may see.
    fn is_unfiltered(&self) -> bool {
        self.action.or(self.status).or(self.repository).is_none()
            && self.policy.is_none()
            && self.parent.is_none()
            && !self.without_evaluations
    }
}

/// Runs a statement with the parameters of a list.
macro_rules! asked {
    ($how:ident, $conn:expr, $row:ty, $sql:expr, $wanted:expr, $by:expr, $key:expr, $edge:expr, $limit:expr) => {
        $how!(
            $conn,
            $row,
            $sql,
            $by,
            $key,
            $edge,
            $limit,
            $wanted.visible.0,
            $wanted.visible.1,
            $wanted.visible.2.as_str(),
            $wanted.asked.as_deref(),
            $wanted.action,
            $wanted.status,
            $wanted.repository,
            $wanted.policy.as_deref(),
            $wanted.parent.as_deref(),
            $wanted.without_evaluations
        )
    };
}

/// Jobs of visible repositories, newest first. A job without a repository is visible to readers who see everything and
/// to the person who started it.
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    asked_by: Option<&Author>,
    filter: &JobFilter,
    page: &PageRequest,
) -> Result<Page<Job>, Error> {
    let repository = match &filter.repository {
        Some(name) => match repositories::id_of(conn, name).await? {
            Some(repository) => Some(repository),
            None => return Ok(Page::empty()),
        },
        None => None,
    };
    let wanted = Wanted {
        visible: visible.columns(),
        asked: asked_by.map(|author| json(&Cause::Asked { author: author.clone() })),
        action: filter.action.map(JobAction::as_str),
        status: filter.status.map(Status::as_str),
        repository: repository.as_deref(),
        policy: filter.policy.map(|policy| policy.to_string()),
        parent: filter.parent.map(|parent| parent.to_string()),
        without_evaluations: filter.without_evaluations,
    };
    let found = found(conn, &wanted, &Reading::of(page, LAST.to_owned())?).await?;
    Ok(page::read("job", found, Row::name))
}

/// The rows of the jobs on a page.
async fn found(conn: &mut Conn, wanted: &Wanted<'_>, reading: &Reading<String>) -> Result<Page<Row>, Error> {
    // Public repositories, of which there may be many, are not in the namespaces that are searched.
    let all_of_some = wanted.is_unfiltered() && !wanted.visible.0 && !wanted.visible.1;
    if all_of_some && sees_few(conn, &wanted.visible.2).await? {
        return found_by_repository(conn, wanted, reading).await;
    }
    let (statements, by, all_pass) = wanted.statements();
    // The end of the window; none is needed if no rows are left out.
    let edge = match all_pass {
        true => None,
        false => row!(conn, (String,), reading.choose(statements.edge), by, reading.key.as_str())?,
    };
    let end = if reading.back { LAST } else { "" };
    let end = edge.as_ref().map_or(end, |(id,)| id.as_str());
    let (sql, first) = (reading.choose(statements.rows), reading.key.as_str());
    let found = asked!(rows, conn, Row, sql, wanted, by, first, end, reading.limit())?;
    let total = match all_of_some {
        true if edge.is_some() && !reading.is_filled_by(found.len()) => {
            return found_by_repository(conn, wanted, reading).await;
        }
        true => count_by_repository(conn, wanted).await?,
        false => {
            let oldest = match all_pass || reading.first {
                true => edge.clone(),
                false => row!(conn, (String,), statements.edge.0, by, LAST)?,
            };
            let end = oldest.as_ref().map_or("", |(id,)| id.as_str());
            let number = asked!(value, conn, i64, statements.count, wanted, by, LAST, end, COUNTED)?;
            match (counted(number), oldest) {
                (Total::Exactly(number), Some(_)) => Total::MoreThan(number),
                (total, _) => total,
            }
        }
    };
    Ok(reading.page_within(found, key, total, edge.map(|(id,)| id)))
}

fn key(row: &Row) -> String {
    row.id.clone()
}

/// Whether these namespaces, given as a JSON array, have few repositories.
async fn sees_few(conn: &mut Conn, namespaces: &str) -> Result<bool, Error> {
    let sql = match conn.is_postgres() {
        false => repositories_of!("SELECT n.value FROM json_each($1) n"),
        true => repositories_of!("SELECT json_array_elements_text($1::json)"),
    };
    Ok(value!(conn, i64, sql, namespaces, FEW + 1)? <= FEW)
}

/// The rows of a page of everything that a reader with limited visibility may see. Each repository costs an index
/// search, and at most as many rows as the page has.
async fn found_by_repository(
    conn: &mut Conn,
    wanted: &Wanted<'_>,
    reading: &Reading<String>,
) -> Result<Page<Row>, Error> {
    let statements = match conn.is_postgres() {
        false => by_repository!(sqlite),
        true => by_repository!(postgres),
    };
    let (sql, namespaces) = (reading.choose(statements), wanted.visible.2.as_str());
    let (first, asked) = (reading.key.as_str(), wanted.asked.as_deref());
    let found = rows!(conn, Row, sql, namespaces, first, reading.limit(), asked)?;
    let total = count_by_repository(conn, wanted).await?;
    Ok(reading.page(found, key, total))
}

/// The number of such jobs. Each repository costs an index search, until enough jobs are counted.
async fn count_by_repository(conn: &mut Conn, wanted: &Wanted<'_>) -> Result<Total, Error> {
    let sql = match conn.is_postgres() {
        false => count_by_repository!("SELECT n.value FROM json_each($1) n"),
        true => count_by_repository!("SELECT json_array_elements_text($1::json)"),
    };
    let (namespaces, asked) = (wanted.visible.2.as_str(), wanted.asked.as_deref());
    Ok(counted(value!(conn, i64, sql, namespaces, asked, COUNTED)?))
}

/// The jobs with these IDs, in no particular order, in one statement.
async fn by_id(conn: &mut Conn, ids: &[String]) -> Result<Vec<Row>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match conn.is_postgres() {
        false => select!("WHERE jobs.id IN (SELECT n.value FROM json_each($1) n)"),
        true => select!("WHERE jobs.id IN (SELECT json_array_elements_text($1::json))"),
    };
    Ok(rows!(conn, Row, sql, json(&ids))?)
}

/// Those of several jobs that belong to one of these repositories, in one statement.
pub async fn in_repositories(
    conn: &mut Conn,
    jobs: &[JobId],
    repositories: &[RepositoryId],
) -> Result<Vec<JobId>, Error> {
    if jobs.is_empty() || repositories.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match conn.is_postgres() {
        false => {
            "SELECT id FROM jobs WHERE id IN (SELECT n.value FROM json_each($1) n)
             AND repository IN (SELECT r.value FROM json_each($2) r)"
        }
        true => {
            "SELECT id FROM jobs WHERE id IN (SELECT json_array_elements_text($1::json))
             AND repository IN (SELECT json_array_elements_text($2::json))"
        }
    };
    let found = rows!(conn, (String,), sql, json(&jobs), json(&repositories))?;
    found.into_iter().map(|(found,)| id(JobId, &found)).collect()
}

/// Those of several jobs that exist and can be read, in no particular order, in one statement.
pub async fn get_all(conn: &mut Conn, jobs: &[JobId]) -> Result<Vec<Job>, Error> {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    Ok(readable("job", by_id(conn, &ids).await?, Row::name, Job::try_from))
}
