//! Tests of what queries cost as the database grows, measured in steps of SQLite's virtual machine and by query plans,
//! which do not depend on the clock or on other load.

use crate::{
    Conn, Database, Error, Priority, Tx, Vault, accounts,
    activity::{self, NewActivity},
    blobs,
    conn::{Backend, change, rows, value},
    deliveries::{self, Delivery, DeliveryTarget},
    jobs, manifests, repositories, storage,
    tags::{self, SetTag},
    undo,
    visible::Visible,
    work,
};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use longshore_model::{
    Author, Cursor, Lineage, Page, PageRequest, PolicyId, PolicyKind, Provenance, Repository, Revision,
    Timestamp, Total,
    activity::{ActivityFilter, ActivityKind},
    job::{JobAction, JobFilter, NewJob, Status, orders},
    repository::{NewRepository, RepositoryFilter},
};
use longshore_oci::{Digest, Manifest, Tag};
use sqlx::AssertSqlSafe;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// The number of rows of each kind in a small and in a large database.
const SMALL: u64 = 250;
const LARGE: u64 = 25_000;

fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn write<T: Send + 'static>(
    db: &Database,
    work: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Error>> + Send + 'static,
) -> T {
    db.write(Priority::Normal, work).await.unwrap()
}

/// A database with one row of each kind, and `times` copies of it.
struct Filled {
    db: Database,
    dev: Repository,
    _folder: tempfile::TempDir,
}

impl Filled {
    async fn with(times: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("longshore.db").to_str().unwrap().to_owned();
        let db = Database::open(&url, Vault::from_key([7; 32])).await.unwrap();
        let dev = write(&db, work!(|tx| seed(tx).await)).await;
        write(&db, work!(|tx| multiply(tx, times).await)).await;
        Self { db, dev, _folder: folder }
    }
}

/// The policy of all deliveries.
const POLICY: PolicyId = PolicyId(uuid::Uuid::from_u128(7));

/// A repository with a tag, a job, an entry of the activity, a signature, a blob, and a delivery.
async fn seed(tx: &mut Tx) -> Result<Repository, Error> {
    let name = "dev/app".parse().unwrap();
    let dev = repositories::create(tx, &name, &NewRepository::default(), at(0)).await?;
    let image = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let signature = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],
            "subject":{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{}","size":7}}}}"#,
        digest('a')
    );
    for (digest, text) in [(digest('a'), image), (digest('b'), signature.as_str())] {
        let parsed = Manifest::parse(text.as_bytes(), None).unwrap();
        let new = manifests::NewManifest {
            digest: &digest,
            media_type: parsed.media_type(),
            artifact_type: None,
            bytes: text.as_bytes(),
            parsed: &parsed,
            platform: None,
            absent: &[],
        };
        manifests::insert(tx, dev.id, &new, at(0)).await?;
    }
    blobs::record(tx, &digest('c'), 100, "blobs/c", at(0)).await?;
    blobs::link(tx, dev.id, &digest('c'), at(0)).await?;
    let delivery = Delivery {
        policy: Some(POLICY),
        kind: PolicyKind::Promotion,
        source_repository: dev.id,
        source_tag: Some("1".parse().unwrap()),
        source_revision: Revision(1),
        digest: digest('a'),
        target: DeliveryTarget::Local(dev.id),
        target_tag: None,
        at: at(1),
        job: None,
    };
    deliveries::record(tx, &delivery).await?;
    let tag = SetTag {
        repository: &dev,
        name: &"1".parse().unwrap(),
        digest: &digest('a'),
        source_revision: None,
        author: &Author::System,
        provenance: &Provenance::Push,
        lineage: &Lineage::default(),
        now: at(1),
    };
    tags::set(tx, tag).await?;
    // All jobs are copies of a single one.
    change!(tx.conn, "DELETE FROM job_logs")?;
    change!(tx.conn, "DELETE FROM jobs")?;
    change!(tx.conn, "DELETE FROM activity")?;
    let job = NewJob { repository: Some(dev.id), ..orders::poll_all(Author::System, at(1)) };
    jobs::enqueue(tx, job, at(1)).await?;
    let mut note = NewActivity::new(at(1), Author::System, ActivityKind::TagPushed);
    note.repository = Some(dev.id);
    activity::add(tx, &note).await?;
    Ok(dev)
}

/// Adds `times` copies of a row to each table, with different values in some columns.
async fn multiply(tx: &mut Tx, times: u64) -> Result<(), Error> {
    let hex = "printf('%064x', n.i)";
    let id = "printf('f0000000-0000-7000-8000-%012x', n.i)";
    let manifest = format!("'sha256:' || {hex}");
    let of_one = "digest = 'sha256:' || '".to_owned() + &"a".repeat(64) + "'";
    for (table, rows, changed) in [
        ("manifests", of_one.as_str(), vec![("digest", manifest.as_str())]),
        ("repository_manifests", of_one.as_str(), vec![("digest", manifest.as_str())]),
        ("blobs", "TRUE", vec![("digest", manifest.as_str())]),
        ("repository_blobs", "TRUE", vec![("digest", manifest.as_str())]),
        ("deliveries", "TRUE", vec![("id", "1000 + n.i")]),
        ("tags", "name = '1'", vec![("name", "'t' || n.i"), ("revision", "1000 + n.i")]),
        ("jobs", "TRUE", vec![("id", id)]),
        ("activity", "TRUE", vec![("id", "1000 + n.i")]),
        ("repositories", "TRUE", vec![("id", id), ("name", "'dev/r' || n.i")]),
    ] {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = rows!(tx.conn, (String,), AssertSqlSafe(columns))?;
        let columns: Vec<&str> = columns.iter().map(|(name,)| name.as_str()).collect();
        let changed: HashMap<&str, &str> = changed.into_iter().collect();
        let values: Vec<&str> =
            columns.iter().map(|name| changed.get(name).copied().unwrap_or(name)).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let sql = format!(
            "INSERT INTO {table} ({columns})
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})
             SELECT {values} FROM n, (SELECT * FROM {table} WHERE {rows} LIMIT 1)"
        );
        change!(tx.conn, AssertSqlSafe(sql))?;
    }
    Ok(())
}

/// The number of steps that SQLite's virtual machine makes for a query.
async fn steps<T>(conn: &mut Conn, ask: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> (T, u64) {
    let made = Arc::new(AtomicU64::new(0));
    let counting = made.clone();
    let Backend::Sqlite(sqlite) = &mut conn.backend else { panic!("only SQLite counts its steps") };
    sqlite.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counting.fetch_add(1, Relaxed);
        true
    });
    let answer = ask(conn).await.unwrap();
    (answer, made.load(Relaxed))
}

fn next<T>(page: &Page<T>) -> PageRequest {
    PageRequest { start: page.next.clone(), size: 25 }
}

/// The cost of each query.
async fn costs(filled: &Filled) -> Vec<(&'static str, u64)> {
    let conn = &mut filled.db.read().await.unwrap();
    let first = PageRequest::first(25);
    let everything = Visible::Everything;
    let owner = Visible::Of { public: true, namespaces: vec!["dev".parse().unwrap()] };
    let dev = filled.dev.id;
    let mut costs = Vec::new();
    macro_rules! cost {
        ($what:literal, $ask:expr) => {{
            let (answer, cost) = steps(conn, $ask).await;
            costs.push(($what, cost));
            answer
        }};
    }
    for (what, filter) in [
        ("all jobs", JobFilter::default()),
        (
            "jobs of a repository",
            JobFilter { repository: Some(filled.dev.name.clone()), ..JobFilter::default() },
        ),
        ("waiting jobs", JobFilter { status: Some(Status::Waiting), ..JobFilter::default() }),
        ("polls", JobFilter { action: Some(JobAction::PollMirror), ..JobFilter::default() }),
        ("transfers", JobFilter { without_evaluations: true, ..JobFilter::default() }),
    ] {
        let (page, cost) =
            steps(conn, async |conn| jobs::list(conn, &everything, None, &filter, &first).await).await;
        costs.push((what, cost));
        let page = next(&page);
        let (_, cost) =
            steps(conn, async |conn| jobs::list(conn, &everything, None, &filter, &page).await).await;
        costs.push((what, cost));
    }
    let all = ActivityFilter::default();
    let page = cost!("activity", async |conn| activity::list(conn, &everything, &all, &first).await);
    cost!("more activity", async |conn| activity::list(conn, &everything, &all, &next(&page)).await);
    let of = ActivityFilter { repository: Some(filled.dev.name.clone()), namespace: None };
    cost!("activity of a repository", async |conn| activity::list(conn, &everything, &of, &first).await);
    let page = cost!("tags", async |conn| tags::summaries(conn, dev, None, &first).await);
    cost!("more tags", async |conn| tags::summaries(conn, dev, None, &next(&page)).await);
    cost!("the names of tags", async |conn| tags::list(conn, dev, Some("9"), Some(25)).await);
    cost!("the newest tags", async |conn| tags::newest(conn, dev, 25).await);
    let end = Cursor { back: true, position: 9, key: "2".to_owned() };
    let end = PageRequest { start: Some(end), size: 25 };
    cost!("tags from the other end", async |conn| tags::summaries(conn, dev, None, &end).await);
    let none = RepositoryFilter { namespace: Some("dev".parse().unwrap()), ..RepositoryFilter::default() };
    let deep = PageRequest {
        start: Some(Cursor { back: false, position: 9, key: "\"dev/r1\"".to_owned() }),
        size: 25,
    };
    cost!("repositories", async |conn| repositories::list(conn, &owner, &none, &deep).await);
    let names = PageRequest::first(25);
    cost!("a repository", async |conn| repositories::summary(conn, dev).await);
    let namespace = "dev".parse().unwrap();
    cost!("the storage of a namespace", async |conn| storage::of_namespace(conn, &namespace).await);
    cost!("the counts of the server", async |conn| repositories::counts(conn).await);
    let (tag, revision, policies) = ("1".parse().unwrap(), Revision(1), [POLICY]);
    cost!("the deliveries of a tag", async |conn| {
        deliveries::latest_by(conn, dev, &tag, revision, &policies).await
    });
    cost!("accounts", async |conn| accounts::list(conn, None, None, &names).await);
    cost!("referrers", async |conn| manifests::referrers(conn, dev, &digest('a'), None).await);
    cost!("a tag by its digest", async |conn| tags::newest_at(conn, dev, &digest('a')).await);
    let tag: Tag = "1".parse().unwrap();
    cost!("a tag", async |conn| tags::summary(conn, dev, &tag).await);
    let window = undo::Window { now: at(9), length: SignedDuration::from_hours(1) };
    cost!("a tag's history", async |conn| undo::history(conn, dev, &tag, None, 25, &window).await);
    costs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_times_as_many_rows_do_not_make_queries_more_expensive() {
    let (small, large) = (Filled::with(SMALL).await, Filled::with(LARGE).await);
    let mut grown = Vec::new();
    for ((what, before), (_, after)) in costs(&small).await.into_iter().zip(costs(&large).await) {
        // Lists are counted up to a thousand; the small database has fewer rows than that.
        let counting = 40 * Total::COUNTED;
        if after > before * 3 + counting {
            grown.push(format!("{what}: {before} steps with {SMALL} rows, {after} with {LARGE}"));
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
}

/// There is no index for parts of names.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_finds_nothing_scans_the_names_once() {
    let filled = Filled::with(LARGE).await;
    let conn = &mut filled.db.read().await.unwrap();
    let (dev, first) = (filled.dev.id, PageRequest::first(25));
    let (page, cost) =
        steps(conn, async |conn| tags::summaries(conn, dev, Some("nothing"), &first).await).await;
    assert_eq!((page.items.len(), page.total), (0, Total::Exactly(0)));
    // Only the name of each tag is read, from the index, and compared.
    assert!(cost < 10 * LARGE, "{cost} steps for {LARGE} tags");
    let all = tags::summaries(conn, dev, None, &first).await.unwrap();
    assert_eq!(all.total, Total::Exactly(LARGE + 1), "the counter has all tags");
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_computed_with_indexes() {
    let filled = Filled::with(SMALL).await;
    let conn = &mut filled.db.read().await.unwrap();
    let mut plan = async |sql: &str| -> String {
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan = rows!(conn, (i64, i64, i64, String), sql).unwrap();
        plan.into_iter().map(|step| step.3 + "\n").collect()
    };
    for (sql, indexes) in [
        (deliveries::latest_by_sql(false), vec!["n USING COVERING INDEX deliveries_by_source"]),
        (tags::search_sql(false), vec!["tags USING COVERING INDEX tags_by_revision"]),
        (
            storage::DELETED_IN_NAMESPACE,
            vec![
                "repositories USING INDEX repositories_deleted_by_namespace",
                "o USING INDEX repository_blobs_by_namespace (namespace=? AND digest=? AND size=?)",
                "o USING INDEX repository_manifests_by_namespace (namespace=? AND digest=? AND size=?)",
            ],
        ),
    ] {
        let plan = plan(sql).await;
        assert!(indexes.iter().all(|index| plan.contains(index)), "{sql}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_for_referrers_starts_at_the_subject() {
    let filled = Filled::with(5_000).await;
    let conn = &mut filled.db.read().await.unwrap();
    for sql in [manifests::REFERRERS, manifests::REFERRERS_PAGE] {
        let plan: Vec<(i64, i64, i64, String)> =
            rows!(conn, (i64, i64, i64, String), AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).unwrap();
        let reads: Vec<&str> = plan
            .iter()
            .map(|step| step.3.as_str())
            .filter(|step| step.contains(" m ") || step.contains(" l "))
            .collect();
        assert!(reads[0].contains("m USING INDEX manifests_by_subject"), "{plan:#?}");
        assert!(reads[1].contains("l USING") && reads[1].contains("digest=?"), "{plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_for_referrers_starts_at_the_subject_on_postgresql_too() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let db = Database::open(&url, Vault::from_key([7; 32])).await.unwrap();
    let dev = write(&db, work!(|tx| seed(tx).await)).await;
    write(&db, work!(|tx| {
            change!(
                tx.conn,
                "INSERT INTO manifests (digest, media_type, annotations, size, bytes, created_at)
                 SELECT 'sha256:' || LPAD(TO_HEX(i), 64, '0'), '', '{}', 1, '', 0 FROM generate_series(1, 20000) i"
            )?;
            change!(
                tx.conn,
                "INSERT INTO repository_manifests (repository, digest, linked_at)
                 SELECT l.repository, m.digest, 0 FROM manifests m, repository_manifests l ON CONFLICT DO NOTHING"
            )?;
            change!(tx.conn, "ANALYZE manifests")?;
            change!(tx.conn, "ANALYZE repository_manifests")?;
            Ok::<_, Error>(())

}))
    .await;
    let conn = &mut db.read().await.unwrap();
    let (repository, subject) = (format!("'{}'", dev.id), format!("'{}'", digest('a')));
    for sql in [manifests::REFERRERS, manifests::REFERRERS_PAGE] {
        let sql = ["NULL::text", "NULL::text", "10", "1000"]
            .iter()
            .zip(3..)
            .fold(sql.replace("$1", &repository).replace("$2", &subject), |sql, (value, number)| {
                sql.replace(&format!("${number}"), value)
            });
        let plan: Vec<(String,)> = rows!(conn, (String,), AssertSqlSafe(format!("EXPLAIN {sql}"))).unwrap();
        let plan: String = plan.into_iter().map(|(line,)| line + "\n").collect();
        assert!(plan.contains("manifests_by_subject") && !plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_delivery_of_a_tag_is_found_by_an_index_on_postgresql_too() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let db = Database::open(&url, Vault::from_key([7; 32])).await.unwrap();
    let dev = write(&db, work!(|tx| seed(tx).await)).await;
    write(&db, work!(|tx| {
            change!(
                tx.conn,
                "INSERT INTO deliveries (policy, kind, source_repository, source_tag, source_revision, digest, at)
                 SELECT d.policy, d.kind, d.source_repository, d.source_tag, i % 3, d.digest, i
                 FROM deliveries d, generate_series(1, 20000) i"
            )?;
            change!(tx.conn, "ANALYZE deliveries")?;
            Ok::<_, Error>(())

}))
    .await;
    let conn = &mut db.read().await.unwrap();
    let (id, policies) = (format!("'{}'", dev.id), format!("'[\"{POLICY}\"]'"));
    let sql = [id.as_str(), "'1'", "1", policies.as_str()]
        .iter()
        .zip(1..)
        .fold(deliveries::latest_by_sql(true).to_owned(), |sql, (value, number)| {
            sql.replace(&format!("${number}"), value)
        });
    let plan: Vec<(String,)> = rows!(conn, (String,), AssertSqlSafe(format!("EXPLAIN {sql}"))).unwrap();
    let plan: String = plan.into_iter().map(|(line,)| line + "\n").collect();
    assert!(plan.contains("deliveries_by_source") && !plan.contains("Seq Scan"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_statements_for_a_page_does_not_depend_on_its_rows() {
    let filled = Filled::with(SMALL).await;
    let number = async |size: u32| {
        let before = filled.db.reads_made();
        let conn = &mut filled.db.read().await.unwrap();
        let page = PageRequest::first(size);
        tags::summaries(conn, filled.dev.id, None, &page).await.unwrap();
        let tags = filled.db.reads_made() - before;
        repositories::list(conn, &Visible::Everything, &RepositoryFilter::default(), &page).await.unwrap();
        (tags, filled.db.reads_made() - before - tags)
    };
    assert_eq!(number(1).await, (4, 4));
    assert_eq!(number(100).await, (4, 4));
}

/// A reader who sees few repositories finds their jobs and activity, however much happened elsewhere since.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_few_repositories_finds_old_entries_behind_many_invisible_ones() {
    let filled = Filled::with(LARGE).await;
    let db = &filled.db;
    let mine = write(db, work!(|tx| {
            let name = "mine/app".parse().unwrap();
            let mine = repositories::create(tx, &name, &NewRepository::default(), at(0)).await?;
            let sql = "UPDATE jobs SET repository = $1 WHERE id IN (SELECT id FROM jobs ORDER BY id LIMIT 3)";
            change!(tx.conn, sql, mine.id.to_string())?;
            let sql = "UPDATE activity SET repository = $1 WHERE id IN (SELECT id FROM activity ORDER BY id LIMIT 3)";
            change!(tx.conn, sql, mine.id.to_string())?;
            Ok::<_, Error>(mine)

}))
    .await;
    let conn = &mut db.read().await.unwrap();
    let visible = Visible::Of { public: false, namespaces: vec!["mine".parse().unwrap()] };
    let (filter, two) = (JobFilter::default(), PageRequest::first(2));
    let page = jobs::list(conn, &visible, None, &filter, &two).await.unwrap();
    assert!(page.items.len() == 2 && page.items.iter().all(|job| job.repository == Some(mine.id)));
    assert_eq!(page.total, Total::Exactly(3), "jobs of others are neither counted nor in the way");
    let rest = PageRequest { start: page.next.clone(), size: 2 };
    let last = jobs::list(conn, &visible, None, &filter, &rest).await.unwrap();
    assert_eq!((last.items.len(), last.next), (1, None));
    let back = PageRequest { start: last.previous.clone(), size: 2 };
    let again = jobs::list(conn, &visible, None, &filter, &back).await.unwrap();
    assert_eq!(again.items, page.items);
    let told =
        activity::list(conn, &visible, &ActivityFilter::default(), &PageRequest::first(9)).await.unwrap();
    assert_eq!((told.items.len(), told.next, told.total), (3, None, Total::Exactly(3)));
    // With an additional filter a page may be short; it then leads to the rows beyond its window.
    let filter = JobFilter { action: Some(JobAction::PollMirror), ..JobFilter::default() };
    let page = jobs::list(conn, &visible, None, &filter, &two).await.unwrap();
    assert!(page.items.is_empty() && page.total == Total::MoreThan(0));
    let beyond = PageRequest { start: page.next, size: 9 };
    assert_eq!(jobs::list(conn, &visible, None, &filter, &beyond).await.unwrap().items.len(), 3);
    let all: i64 = value!(conn, i64, "SELECT COUNT(*) FROM jobs").unwrap();
    assert!(all.unsigned_abs() > LARGE);
}
