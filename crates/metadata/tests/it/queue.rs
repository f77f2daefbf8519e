//! The queue beside the policies and remotes that it works for.

use crate::on_both;
use crate::pauses::{add, mirror, poll, two_remotes};
use crate::scene::{Scene, at};
use longshore_metadata::{jobs, policies, pull_mirrors};
use longshore_model::job::Status;
use longshore_model::message::{Changed, PolicyMessage};
use longshore_model::stored::{Job, PullMirror};
use longshore_model::{JobId, Message, PolicyKind};

on_both![
    semantics_34_editing_a_policy_ends_what_its_earlier_versions_have_in_the_queue,
    semantics_34_deleting_a_policy_ends_all_of_its_jobs,
];

async fn job(scene: &Scene, id: JobId) -> Job {
    jobs::get(&mut scene.read().await, id).await.unwrap().unwrap()
}

fn reason() -> Message {
    PolicyMessage::Canceled { policy: PolicyKind::PullMirror, changed: Changed::Edited }.into()
}

async fn cancel(scene: &Scene, mirror: &PullMirror, before: Option<i64>) -> jobs::Stopped {
    let policy = mirror.common.id;
    scene
        .write(move |tx| {
            Box::pin(async move { jobs::cancel_of_policy(tx, policy, before, &reason(), at(5)).await })
        })
        .await
}

async fn semantics_34_editing_a_policy_ends_what_its_earlier_versions_have_in_the_queue(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, _) = two_remotes(&scene).await;
    let mut mirror = mirror(&scene, &app, one).await;
    let mut unserial = poll(&mirror);
    unserial.serial_key = None;
    let running = add(&scene, unserial).await;
    let claim = scene.claim(1, 1).await.remove(0);
    let waiting = add(&scene, poll(&mirror)).await;

    mirror.common.version += 1;
    let changed = mirror.clone();
    scene.write(move |tx| Box::pin(async move { pull_mirrors::update(tx, &changed).await })).await;
    let newer = add(&scene, poll(&mirror)).await;
    let stopped = cancel(&scene, &mirror, Some(mirror.common.version)).await;
    assert_eq!(stopped, jobs::Stopped { waited: 1, running: vec![running] });
    assert_eq!(job(&scene, newer).await.status, Status::Waiting);
    let ended = job(&scene, waiting).await;
    assert_eq!((ended.status, ended.finished_at), (Status::Canceled, Some(at(5))));
    assert_eq!(ended.error, Some(reason()));

    // The one that runs is asked, on whichever server it is, and ends with the same reason.
    assert!(jobs::cancel_requested(&mut scene.read().await, running).await.unwrap());
    scene
        .write(move |tx| {
            Box::pin(async move {
                let why = "it was canceled".into();
                jobs::finish(tx, running, claim.epoch, Status::Canceled, None, Some(&why), at(6)).await
            })
        })
        .await;
    assert_eq!(job(&scene, running).await.error, Some(reason()));
}

async fn semantics_34_deleting_a_policy_ends_all_of_its_jobs(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, _) = two_remotes(&scene).await;
    let mirror = mirror(&scene, &app, one).await;
    let waiting = add(&scene, poll(&mirror)).await;
    assert_eq!(policies::idle(&mut scene.read().await, mirror.common.id).await.unwrap(), None);
    let policy = mirror.common.id;
    scene.write(move |tx| Box::pin(async move { pull_mirrors::delete(tx, policy).await })).await;
    assert_eq!(cancel(&scene, &mirror, None).await.waited, 1);
    assert_eq!(job(&scene, waiting).await.status, Status::Canceled);
    assert_eq!(policies::idle(&mut scene.read().await, policy).await.unwrap(), Some(policies::Idle::Deleted));
}
