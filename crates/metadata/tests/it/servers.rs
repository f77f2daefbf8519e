//! Several servers on one PostgreSQL database.

use crate::scene::{at, order};
use longshore_metadata::{Change, Database, Error, Priority, jobs, tags, work};
use std::time::Duration;
use tokio::sync::{broadcast::Receiver, oneshot};
use tokio::time::timeout;

/// Long enough for a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn next(changes: &mut Receiver<Change>) -> Change {
    timeout(PATIENCE, changes.recv()).await.expect("a change is announced").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_wakes_all_servers_once() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let one = Database::open(&url, crate::scene::vault()).await.unwrap();
    let two = Database::open(&url, crate::scene::vault()).await.unwrap();
    let (mut here, mut there) = (one.changes(), two.changes());
    let enqueue = || one.write(Priority::Normal, work!(|tx| jobs::enqueue(tx, order(None, 0), at(0)).await));
    let first = enqueue().await.unwrap();
    let second = enqueue().await.unwrap();
    for changes in [&mut here, &mut there] {
        let mut told = Vec::new();
        while !told.contains(&Change::Job(second)) {
            told.push(next(changes).await);
        }
        assert_eq!(told.iter().filter(|change| **change == Change::Job(first)).count(), 1, "{told:?}");
        assert!(told.iter().any(|change| matches!(change, Change::JobsWaiting(_))), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_fit_into_one_notification_arrive() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let one = Database::open(&url, crate::scene::vault()).await.unwrap();
    let two = Database::open(&url, crate::scene::vault()).await.unwrap();
    let mut there = two.changes();
    let many: Vec<_> = (0..300).map(|_| longshore_model::JobId::new()).collect();
    let told = many.clone();
    one.write(
        Priority::Normal,
        work!(|tx| {
            told.into_iter().for_each(|job| tx.announce(Change::Job(job)));
            Ok::<_, longshore_metadata::Error>(())
        }),
    )
    .await
    .unwrap();
    for job in many {
        assert_eq!(next(&mut there).await, Change::Job(job));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_suspended_in_a_transaction_does_not_block_the_others() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let stopped = Database::open(&url, crate::scene::vault()).await.unwrap();
    let lives = Database::open(&url, crate::scene::vault()).await.unwrap();
    let (holds, held) = oneshot::channel();
    let (wake, woken) = oneshot::channel();
    let stopped = tokio::spawn(async move {
        stopped
            .write(
                Priority::Normal,
                work!(|tx| {
                    tags::lock_changes(tx).await?;
                    holds.send(()).unwrap();
                    woken.await.unwrap();
                    jobs::enqueue(tx, order(None, 0), at(0)).await
                }),
            )
            .await
    });
    held.await.unwrap();
    let other = lives.write(Priority::Normal, work!(|tx| tags::lock_changes(tx).await));
    timeout(PATIENCE, other).await.expect("the lock is released after a while").unwrap();
    wake.send(()).unwrap();
    let late: Result<_, Error> = stopped.await.unwrap();
    late.expect_err("its transaction was rolled back");
    assert_eq!(jobs::next_due(&mut lives.read().await.unwrap(), crate::scene::at(0)).await.unwrap(), None);
}
