//! The epoch of the database, and snapshots.

use crate::on_both;
use crate::scene::{Scene, at};
use longshore_metadata::{epoch, repositories, settings, work};

on_both! {
    semantics_29_the_epoch_only_grows,
    a_backup_is_marked_until_a_server_starts_on_it,
    a_snapshot_shows_the_database_at_its_instant,
    only_transactions_that_change_something_are_counted,
}

async fn semantics_29_the_epoch_only_grows(scene: Scene) {
    assert_eq!(epoch::get(&mut scene.read().await).await.unwrap(), 0);
    for (beyond, expected) in [(0, 1), (0, 2), (1, 3), (10, 11), (10, 12)] {
        let advanced = scene.write(work!(|tx| epoch::advance(tx, beyond).await)).await;
        assert_eq!(advanced, expected);
        assert_eq!(epoch::get(&mut scene.read().await).await.unwrap(), expected);
    }
}

async fn a_backup_is_marked_until_a_server_starts_on_it(scene: Scene) {
    assert_eq!(epoch::backup_made_at(&mut scene.read().await).await.unwrap(), None);
    scene.write(work!(|tx| epoch::mark_backup(tx, at(7)).await)).await;
    assert_eq!(epoch::backup_made_at(&mut scene.read().await).await.unwrap(), Some(at(7)));
    scene.write(work!(|tx| epoch::unmark_backup(tx).await)).await;
    assert_eq!(epoch::backup_made_at(&mut scene.read().await).await.unwrap(), None);
}

async fn a_snapshot_shows_the_database_at_its_instant(scene: Scene) {
    scene.repository("dev/early").await;
    let mut snapshot = scene.db.snapshot().await.unwrap();
    scene.repository("dev/late").await;
    let there = async |conn: &mut _, name: &str| {
        repositories::find(conn, &name.parse().unwrap()).await.unwrap().is_some()
    };
    assert!(there(&mut snapshot, "dev/early").await && !there(&mut snapshot, "dev/late").await);
    drop(snapshot);
    // The connection is not returned to the pool with its transaction.
    for _ in 0..10 {
        assert!(there(&mut scene.read().await, "dev/late").await);
    }
}

async fn only_transactions_that_change_something_are_counted(scene: Scene) {
    let before = scene.db.changes_made();
    scene.write(work!(|tx| settings::remove(tx, "nothing").await)).await;
    scene.write(work!(|tx| epoch::advance(tx, 0).await)).await;
    assert_eq!(scene.db.changes_made(), before);
    scene.write(work!(|tx| settings::put(tx, "something", "new").await)).await;
    assert_eq!(scene.db.changes_made(), before + 1);
    let failed = scene
        .try_write(work!(|tx| {
            settings::put(tx, "something", "else").await?;
            Err::<(), _>(longshore_metadata::Error::NoFile)
        }))
        .await;
    assert!(failed.is_err());
    scene.write(work!(|tx| settings::remove(tx, "nothing").await)).await;
    assert_eq!(scene.db.changes_made(), before + 1);
}
