//! Finding jobs for people, who see those of repositories that they may see.

use super::row::{Row, select};
use crate::{
    Conn, Error,
    conn::{rows, value},
    convert::json,
    page,
    repositories::{self, Visible},
};
use longshore_model::{
    Author, Page, PageRequest,
    job::{Action, Cause, JobFilter, Status},
    stored::Job,
};

/// The conditions of a list, behind the one that finds the rows by an index. Their parameters are
/// those of [`list`].
macro_rules! listed {
    ($found_by:literal) => {
        (
            concat!("SELECT COUNT(*) FROM jobs ", listed!(@conditions $found_by)),
            select!(listed!(@conditions $found_by), " ORDER BY jobs.id DESC LIMIT $11 OFFSET $12"),
        )
    };
    (@conditions $found_by:literal) => {
        concat!(
            "WHERE ", $found_by,
            r#" AND ($1 OR jobs.repository IN (
                    SELECT v.id FROM repositories v
                    WHERE ($2 AND v.visibility = 'public') OR REPLACE($3, '"' || v.namespace || '"', '') <> $3)
                 OR (jobs.repository IS NULL AND jobs.cause = $10))
                AND ($4 IS NULL OR jobs.action = $4) AND ($5 IS NULL OR jobs.status = $5)
                AND ($6 IS NULL OR jobs.repository = $6) AND ($7 IS NULL OR jobs.policy = $7)
                AND ($8 IS NULL OR jobs.id IN (SELECT w.part FROM job_parts w WHERE w.whole = $8)) AND (NOT $9 OR jobs.action <> 'evaluate')"#
        )
    };
}

/// How to find the rows of a list: neither database finds an index in `$n IS NULL OR …`.
fn statements(filter: &JobFilter) -> (&'static str, &'static str) {
    match filter {
        JobFilter { parent: Some(_), .. } => {
            listed!("jobs.id IN (SELECT w.part FROM job_parts w WHERE w.whole = $8)")
        }
        JobFilter { policy: Some(_), .. } => listed!("jobs.policy = $7"),
        JobFilter { repository: Some(_), .. } => listed!("jobs.repository = $6"),
        JobFilter { status: Some(_), .. } => listed!("jobs.status = $5"),
        JobFilter { action: Some(_), .. } => listed!("jobs.action = $4"),
        JobFilter { without_evaluations: true, .. } => listed!("jobs.action <> 'evaluate'"),
        _ => listed!("jobs.id > ''"),
    }
}

/// Jobs, newest first, of repositories that may be seen. One without a repository is seen by those
/// who see everything and by who asked for it.
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    asked_by: Option<&Author>,
    filter: &JobFilter,
    page: &PageRequest,
) -> Result<Page<Job>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let repository = match &filter.repository {
        Some(name) => match repositories::id_of(conn, name).await? {
            Some(repository) => Some(repository),
            None => return Ok(Page { items: Vec::new(), next: None, total: 0 }),
        },
        None => None,
    };
    let action = filter.action.map(Action::as_str);
    let status = filter.status.map(Status::as_str);
    let policy = filter.policy.map(|policy| policy.to_string());
    let parent = filter.parent.map(|parent| parent.to_string());
    let asked = asked_by.map(|author| json(&Cause::Asked { author: author.clone() }));
    let (count, select) = statements(filter);
    let total = value!(
        conn,
        i64,
        count,
        everything,
        public,
        namespaces.as_str(),
        action,
        status,
        repository.as_deref(),
        policy.as_deref(),
        parent.as_deref(),
        filter.without_evaluations,
        asked.as_deref()
    )?;
    let found = rows!(
        conn,
        Row,
        select,
        everything,
        public,
        namespaces.as_str(),
        action,
        status,
        repository.as_deref(),
        policy.as_deref(),
        parent.as_deref(),
        filter.without_evaluations,
        asked.as_deref(),
        page.limit(),
        page.offset()
    )?;
    Ok(page::of("job", found, Row::name, page, total))
}
