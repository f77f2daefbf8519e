//! Rows that this version cannot read, as a newer one writes them: they hide no other rows and block nothing.

use crate::mirrors::pull_mirror;
use crate::on_both;
use crate::pauses::{add, copy, two_remotes};
use crate::scene::{LEASE, Scene, at, name, order, vault, week, words};
use longshore_metadata::Visible;
use longshore_metadata::activity::{self, NewActivity};
use longshore_metadata::remotes::{self, OwnerFilter};
use longshore_metadata::{Database, Error, Priority, jobs, pull_mirrors, tags, undo, work};
use longshore_model::activity::{ActivityFilter, ActivityKind};
use longshore_model::job::{JobAction, JobFilter, Status};
use longshore_model::policy::Baseline;
use longshore_model::{Author, BootId, JobId, PageRequest, Problem, Total};
use tokio::sync::oneshot;

on_both![
    an_unreadable_job_is_omitted_from_lists_and_reported_when_requested,
    an_unreadable_part_still_counts,
    an_unreadable_lane_does_not_block_others,
    unreadable_policies_remotes_and_activity_are_omitted,
    a_tag_with_an_unreadable_provenance_hides_no_other_and_keeps_its_history,
];

/// What a newer version might store in a column.
const NEWER: &str = "{\"later_versions\":\"work\"}";

async fn listed(
    scene: &Scene,
    size: u32,
    start: Option<longshore_model::Cursor>,
) -> longshore_model::Page<JobId> {
    let page = PageRequest { start, size };
    let everything = Visible::Everything;
    let found = jobs::list(&mut scene.read().await, &everything, None, &JobFilter::default(), &page).await;
    found.unwrap().map(|job| job.id)
}

async fn an_unreadable_job_is_omitted_from_lists_and_reported_when_requested(scene: Scene) {
    let unreadable = scene.enqueue(None, 0).await;
    scene.by_another("UPDATE jobs SET parameters = '{\"later_versions\":\"work\"}'").await;
    let readable = [scene.enqueue(None, 1).await, scene.enqueue(None, 2).await];
    // It is the oldest, so it is on the last page, and must not end an earlier page.
    let first = listed(&scene, 2, None).await;
    assert_eq!((first.items, first.total), (vec![readable[1], readable[0]], Total::Exactly(3)));
    let last = listed(&scene, 2, first.next).await;
    assert_eq!((last.items, last.next), (vec![], None));
    let error = jobs::get(&mut scene.read().await, unreadable).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    let told = Problem::from(error).message;
    assert!(told.contains("cannot read a value in the database (job parameters)"), "{told}");
    assert!(!told.contains(NEWER), "{told}");
}

async fn an_unreadable_part_still_counts(scene: Scene) {
    let whole = scene.enqueue(None, 9).await;
    let part = add(&scene, jobs::NewJob { parent: Some(whole), ..order(None, 9) }).await;
    scene.by_another("UPDATE jobs SET cause = '\"later\"', status = 'errored', finished_at = 1 WHERE parent IS NOT NULL").await;
    let other = add(&scene, jobs::NewJob { parent: Some(whole), ..order(None, 9) }).await;
    let conn = &mut scene.read().await;
    let parts: Vec<JobId> = jobs::children(conn, whole).await.unwrap().iter().map(|job| job.id).collect();
    assert_eq!(parts, [other]);
    assert_ne!(part, other);
    assert_eq!(jobs::parts_done(conn, whole).await.unwrap(), (2, 0));
}

async fn an_unreadable_lane_does_not_block_others(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let (one, other) = two_remotes(&scene).await;
    let waits = add(&scene, copy(&dev, one, "1")).await;
    scene.by_another("UPDATE jobs SET lane = 'no remote/Not A Namespace'").await;
    let behind = add(&scene, copy(&dev, other, "2")).await;
    let claimed: Vec<JobId> = scene.claim(9, 9).await.into_iter().map(|claim| claim.job.id).collect();
    assert_eq!(claimed, [behind]);
    assert_eq!(jobs::get(&mut scene.read().await, waits).await.unwrap().unwrap().status, Status::Waiting);
}

async fn unreadable_policies_remotes_and_activity_are_omitted(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    pull_mirror(&scene, &dev, 0, Baseline::None).await;
    scene.by_another("UPDATE policies SET baseline = 'later'").await;
    scene.by_another("UPDATE remotes SET kind = 'later'").await;
    let second = pull_mirror(&scene, &dev, 0, Baseline::None).await;
    let note = || NewActivity {
        detail: words("x"),
        ..NewActivity::new(at(1), Author::System, ActivityKind::TagPushed)
    };
    let (first_note, second_note) = (note(), note());
    scene.write(work!(|tx| activity::add(tx, &first_note).await)).await;
    scene.by_another("UPDATE activity SET kind = 'later'").await;
    scene.write(work!(|tx| activity::add(tx, &second_note).await)).await;

    let (conn, page) = (&mut scene.read().await, PageRequest::first(10));
    let mirrors = pull_mirrors::for_repository(conn, dev.id).await.unwrap();
    assert_eq!(mirrors.iter().map(|mirror| mirror.common.id).collect::<Vec<_>>(), [second.common.id]);
    assert_eq!(pull_mirrors::due(conn, at(9)).await.unwrap().len(), 1);
    let found = remotes::list(conn, &OwnerFilter::All, None, &page).await.unwrap();
    assert_eq!(found.items.iter().map(|remote| remote.id).collect::<Vec<_>>(), [second.remote]);
    let told = activity::list(conn, &Visible::Everything, &ActivityFilter::default(), &page).await.unwrap();
    assert_eq!((told.items.len(), told.total), (1, Total::Exactly(2)));
}

async fn a_tag_with_an_unreadable_provenance_hides_no_other_and_keeps_its_history(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let digest = scene.image(&dev, 1).await;
    scene.push(&dev, "1", &digest).await;
    scene.by_another("UPDATE tags SET provenance = '{\"later\":1}'").await;
    scene.by_another("UPDATE tag_changes SET provenance = '{\"later\":1}'").await;
    scene.push(&dev, "2", &digest).await;
    let conn = &mut scene.read().await;
    let shown = tags::summaries(conn, dev.id, None, &PageRequest::first(10)).await.unwrap();
    assert_eq!(
        (shown.items.len(), shown.total, shown.items[0].tag.name.as_str()),
        (1, Total::Exactly(2), "2")
    );
    assert_eq!(tags::all(conn, dev.id).await.unwrap().len(), 1);
    let history = undo::history(conn, dev.id, &name("1"), None, 10, &week(2)).await.unwrap();
    assert_eq!(
        (history.len(), history[0].provenance.as_ref(), history[0].digest.as_ref()),
        (1, None, Some(&digest))
    );
}

/// While a claim holds the job's row, it must not wait for a transaction that holds the lock of endings and may need
/// that row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_job_is_ended_once_the_lock_of_endings_is_free() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let scene = Scene::at(&url).await;
    let unreadable = scene.enqueue(None, 0).await;
    scene.by_another("UPDATE jobs SET parameters = '{\"later_versions\":\"work\"}'").await;
    let (holds, held) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let other = Database::open(&url, vault()).await.unwrap();
    let steers = tokio::spawn(async move {
        other
            .write(
                Priority::Normal,
                work!(|tx| {
                    jobs::lock_endings(tx).await?;
                    holds.send(()).unwrap();
                    released.await.unwrap();
                    Ok::<_, Error>(())
                }),
            )
            .await
    });
    held.await.unwrap();
    let claim = async |now| {
        scene
            .write(work!(|tx| jobs::claim(
                tx,
                &[JobAction::PollMirror],
                BootId::new(),
                "here",
                now,
                LEASE,
                9
            )
            .await))
            .await
    };
    let status = async || {
        let filter = |status| JobFilter { status: Some(status), ..JobFilter::default() };
        let (conn, page) = (&mut scene.read().await, PageRequest::first(9));
        for &status in Status::ALL {
            if jobs::list(conn, &Visible::Everything, None, &filter(status), &page).await.unwrap().total != 0
            {
                return Some(status);
            }
        }
        None
    };
    assert!(claim(at(1)).await.is_empty());
    assert_eq!(status().await, Some(Status::Waiting), "{unreadable} waits for the lock of endings");
    release.send(()).unwrap();
    steers.await.unwrap().unwrap();
    // It was put back for a second, so that workers do not claim it again and again.
    assert!(claim(at(2)).await.is_empty());
    assert_eq!(status().await, Some(Status::Errored));
}
