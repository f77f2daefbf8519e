//! Guarantees of transactions: atomic, isolated, and announced when they are durable.

use crate::on_both;
use crate::scene::{Scene, at, order};
use longshore_metadata::{Change, Error, Priority, jobs, settings, work};
use longshore_model::{JobId, RepositoryId};
use tokio::sync::broadcast::error::TryRecvError;

on_both![
    a_failing_transaction_does_not_affect_others,
    a_panicking_transaction_does_not_affect_others,
    an_attempt_that_fails_is_rolled_back_alone,
    a_transaction_reads_what_it_wrote,
    a_transaction_with_a_failed_statement_is_rolled_back,
    a_rolled_back_transaction_announces_nothing,
    changes_are_announced_after_they_can_be_read,
    a_dropped_caller_leaves_no_transaction_open,
    a_reader_cannot_see_uncommitted_changes,
];

async fn value(scene: &Scene, key: &str) -> Option<String> {
    settings::get(&mut scene.read().await, key).await.unwrap()
}

/// Runs many transactions at once, every third of which ends in `fate`.
async fn among_many(scene: &Scene, fate: fn() -> Result<(), Error>) -> Vec<Result<(), Error>> {
    let running: Vec<_> = (0..90)
        .map(|number| {
            let db = scene.db.clone();
            let priority = if number % 2 == 0 { Priority::Normal } else { Priority::Evaluation };
            tokio::spawn(async move {
                db.write(
                    priority,
                    work!(|tx| {
                        settings::put(tx, &format!("key {number}"), "written").await?;
                        if number % 3 == 0 { fate() } else { Ok(()) }
                    }),
                )
                .await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for (number, running) in running.into_iter().enumerate() {
        answers.push(running.await.unwrap());
        let found = value(scene, &format!("key {number}")).await;
        assert_eq!(found.is_some(), number % 3 != 0, "transaction {number}");
    }
    answers
}

async fn a_failing_transaction_does_not_affect_others(scene: Scene) {
    let fate = || Err(Error::Exists { what: "the test", name: "x".to_owned() });
    for (number, answer) in among_many(&scene, fate).await.into_iter().enumerate() {
        match number % 3 {
            0 => assert!(matches!(answer, Err(Error::Exists { .. })), "{answer:?}"),
            _ => answer.unwrap(),
        }
    }
}

async fn a_panicking_transaction_does_not_affect_others(scene: Scene) {
    for (number, answer) in
        among_many(&scene, || panic!("as the test wants it")).await.into_iter().enumerate()
    {
        match number % 3 {
            0 => assert!(matches!(answer, Err(Error::Panicked)), "{answer:?}"),
            _ => answer.unwrap(),
        }
    }
    // Also before its first await.
    let at_once = scene.try_write::<(), _>(|_| panic!("as the test wants it")).await;
    assert!(matches!(at_once, Err(Error::Panicked)), "{at_once:?}");
    scene.write(work!(|tx| settings::put(tx, "after", "all is well").await)).await;
}

async fn an_attempt_that_fails_is_rolled_back_alone(scene: Scene) {
    let mut changes = scene.db.changes();
    let repository = |number| RepositoryId(uuid::Uuid::from_u128(number));
    scene
        .write(work!(|tx| {
            settings::put(tx, "before", "written").await?;
            let failing = tx.attempt(work!(|tx| {
                settings::put(tx, "failing", "written").await?;
                tx.announce(Change::Tags(repository(1)));
                settings::put(tx, "too much", "written").await?;
                Err::<(), _>(Error::Closed)
            }));
            assert!(matches!(failing.await?, Err(Error::Closed)));
            let panicking = tx.attempt(work!(|tx| {
                settings::put(tx, "panicking", "written").await?;
                panic!("as the test wants it")
            }));
            assert!(matches!(panicking.await? as Result<(), _>, Err(Error::Panicked)));
            let passing = tx.attempt(work!(|tx| {
                tx.announce(Change::Tags(repository(2)));
                settings::put(tx, "passing", "written").await
            }));
            passing.await?
        }))
        .await;
    for key in ["before", "passing"] {
        assert_eq!(value(&scene, key).await.as_deref(), Some("written"), "{key}");
    }
    for key in ["failing", "too much", "panicking"] {
        assert_eq!(value(&scene, key).await, None, "{key}");
    }
    assert_eq!(changes.try_recv(), Ok(Change::Tags(repository(2))));
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

async fn a_transaction_reads_what_it_wrote(scene: Scene) {
    let read = scene
        .write(work!(|tx| {
            settings::put(tx, "a", "1").await?;
            settings::put(tx, "a", "2").await?;
            settings::get(tx, "a").await
        }))
        .await;
    assert_eq!(read.as_deref(), Some("2"));
}

async fn a_transaction_with_a_failed_statement_is_rolled_back(scene: Scene) {
    let nowhere = RepositoryId::new();
    let answer = scene
        .try_write(work!(|tx| {
            settings::put(tx, "before", "written").await?;
            let blob = crate::scene::digest(1, 1);
            // Neither the repository nor the blob exists.
            longshore_metadata::blobs::link(tx, nowhere, &blob, at(0)).await
        }))
        .await;
    assert!(matches!(answer, Err(Error::Sql(_))), "{answer:?}");
    assert_eq!(value(&scene, "before").await, None);
}

async fn a_rolled_back_transaction_announces_nothing(scene: Scene) {
    let mut changes = scene.db.changes();
    let answer: Result<(), Error> = scene
        .try_write(work!(|tx| {
            tx.announce(Change::Job(JobId::new()));
            Err(Error::Closed)
        }))
        .await;
    assert!(answer.is_err());
    let job = JobId::new();
    scene
        .write(work!(|tx| {
            tx.announce(Change::Job(job));
            tx.announce(Change::Job(job));
            Ok(())
        }))
        .await;
    assert_eq!(changes.recv().await.unwrap(), Change::Job(job));
    assert!(matches!(changes.try_recv(), Err(TryRecvError::Empty)), "announced twice");
}

async fn changes_are_announced_after_they_can_be_read(scene: Scene) {
    let mut changes = scene.db.changes();
    let db = scene.db.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..20 {
            db.write::<_, Error, _>(
                Priority::Normal,
                work!(|tx| jobs::enqueue(tx, order(None, 0), at(0)).await.map(drop)),
            )
            .await
            .unwrap();
        }
    });
    let mut seen = 0;
    while seen < 20 {
        if let Change::Job(job) = changes.recv().await.unwrap() {
            let found = jobs::get(&mut scene.read().await, job).await.unwrap();
            assert!(found.is_some(), "a job was announced before it could be read");
            seen += 1;
        }
    }
    writing.await.unwrap();
}

async fn a_dropped_caller_leaves_no_transaction_open(scene: Scene) {
    for number in 0..30 {
        let db = scene.db.clone();
        let (begun, is_begun) = tokio::sync::oneshot::channel();
        let caller = tokio::spawn(async move {
            db.write::<_, Error, _>(
                Priority::Normal,
                work!(|tx| {
                    settings::put(tx, &format!("gone {number}"), "written").await?;
                    let _ = begun.send(());
                    settings::put(tx, &format!("gone {number}"), "written again").await
                }),
            )
            .await
        });
        is_begun.await.unwrap();
        caller.abort();
    }
    // Every connection of the pool is usable.
    for number in 0..30 {
        scene.write(work!(|tx| settings::put(tx, &format!("here {number}"), "1").await)).await;
        assert_eq!(value(&scene, &format!("here {number}")).await.as_deref(), Some("1"));
    }
}

async fn a_reader_cannot_see_uncommitted_changes(scene: Scene) {
    let (written, is_written) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let db = scene.db.clone();
    let writing = tokio::spawn(async move {
        db.write::<_, Error, _>(
            Priority::Normal,
            work!(|tx| {
                settings::put(tx, "slow", "written").await?;
                let _ = written.send(());
                let _ = may_go_on.await;
                Ok(())
            }),
        )
        .await
    });
    is_written.await.unwrap();
    assert_eq!(value(&scene, "slow").await, None);
    go_on.send(()).unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(value(&scene, "slow").await.as_deref(), Some("written"));
}
