//! The queue beside the policies and remotes that it works for.

use crate::mirrors::edit_pull;
use crate::on_both;
use crate::pauses::{add, mirror, poll, two_remotes};
use crate::scene::{Scene, at};
use longshore_metadata::{Error, jobs, policies, pull_mirrors, remotes, repositories};
use longshore_model::job::Status;
use longshore_model::message::{JobMessage, Withdrawal};
use longshore_model::stored::{Job, PullMirror};
use longshore_model::{Author, JobId, Message, PolicyKind};

on_both![
    semantics_34_editing_a_policy_ends_what_its_earlier_rules_have_in_the_queue,
    semantics_34_an_edit_that_changes_nothing_of_the_work_lets_it_go_on,
    semantics_34_disabling_a_policy_takes_its_running_jobs_away,
    semantics_34_deleting_a_policy_ends_all_of_its_jobs,
    semantics_34_a_policy_that_stops_itself_ends_its_other_jobs,
    semantics_34_what_is_about_a_deleted_repository_or_remote_ends,
];

fn said(why: Withdrawal) -> Option<Message> {
    Some(JobMessage::Withdrawn { why }.into())
}

async fn job(scene: &Scene, id: JobId) -> Job {
    jobs::get(&mut scene.read().await, id).await.unwrap().unwrap()
}

/// One job that runs, and one that waits.
async fn two_polls(scene: &Scene, mirror: &PullMirror) -> (jobs::Claim, JobId) {
    let mut unserial = poll(mirror);
    unserial.serial_key = None;
    add(scene, unserial).await;
    let running = scene.claim(1, 1).await.remove(0);
    (running, add(scene, poll(mirror)).await)
}

async fn scenery(scene: &Scene) -> PullMirror {
    let app = scene.repository("dev/app").await;
    let (one, _) = two_remotes(scene).await;
    mirror(scene, &app, one).await
}

async fn withdrawn(scene: &Scene, mirror: &PullMirror) -> Option<Withdrawal> {
    let (id, version) = (mirror.common.id, Some(mirror.common.rules_version));
    policies::withdrawn(&mut scene.read().await, PolicyKind::PullMirror, id, version).await.unwrap()
}

async fn semantics_34_editing_a_policy_ends_what_its_earlier_rules_have_in_the_queue(scene: Scene) {
    let before = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &before).await;
    let mut after = before.clone();
    after.common.rules_version += 1;
    after.common.updated_at = at(5);
    let after = edit_pull(&scene, &before, after).await;
    let newer = add(&scene, poll(&after)).await;
    for id in [running.job.id, waiting] {
        let ended = job(&scene, id).await;
        assert_eq!((ended.status, ended.finished_at), (Status::Superseded, Some(at(5))));
        assert_eq!(ended.outcome, said(Withdrawal::Changed(PolicyKind::PullMirror)));
    }
    assert_eq!(job(&scene, newer).await.status, Status::Waiting);
    let changed = Some(Withdrawal::Changed(PolicyKind::PullMirror));
    assert_eq!((withdrawn(&scene, &before).await, withdrawn(&scene, &after).await), (changed, None));
}

async fn semantics_34_an_edit_that_changes_nothing_of_the_work_lets_it_go_on(scene: Scene) {
    let before = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &before).await;
    edit_pull(&scene, &before, PullMirror { interval_seconds: 90, ..before.clone() }).await;
    assert_eq!(job(&scene, running.job.id).await.status, Status::Running);
    assert_eq!(job(&scene, waiting).await.status, Status::Waiting);
    assert_eq!(withdrawn(&scene, &before).await, None);
}

async fn semantics_34_disabling_a_policy_takes_its_running_jobs_away(scene: Scene) {
    let before = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &before).await;
    let mut after = before.clone();
    after.common.enabled = false;
    edit_pull(&scene, &before, after).await;
    for id in [running.job.id, waiting] {
        let ended = job(&scene, id).await;
        assert_eq!(ended.status, Status::Canceled);
        assert_eq!(ended.error, said(Withdrawal::Disabled(PolicyKind::PullMirror)));
    }
    // The worker that still stands in the middle of it can commit nothing.
    let fenced = scene.try_write(move |tx| Box::pin(jobs::fence(tx, running.job.id, running.epoch))).await;
    assert!(matches!(fenced, Err(Error::LeaseLost(_))));
}

async fn semantics_34_deleting_a_policy_ends_all_of_its_jobs(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    assert_eq!(policies::idle(&mut scene.read().await, mirror.common.id).await.unwrap(), None);
    let policy = mirror.common.id;
    scene.write(move |tx| Box::pin(pull_mirrors::delete(tx, policy, at(5)))).await;
    for id in [running.job.id, waiting] {
        assert_eq!(job(&scene, id).await.status, Status::Canceled);
    }
    assert_eq!(policies::idle(&mut scene.read().await, policy).await.unwrap(), Some(policies::Idle::Deleted));
    assert_eq!(withdrawn(&scene, &mirror).await, Some(Withdrawal::Deleted(PolicyKind::PullMirror)));
}

async fn semantics_34_a_policy_that_stops_itself_ends_its_other_jobs(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    let (policy, finder) = (mirror.common.id, running.job.id);
    scene
        .write(move |tx| {
            Box::pin(async move {
                let why = "the realm changed".into();
                policies::pause(tx, PolicyKind::PullMirror, policy, &why, finder, at(1)).await
            })
        })
        .await;
    assert_eq!(job(&scene, finder).await.status, Status::Running, "it writes its own end");
    assert_eq!(job(&scene, waiting).await.status, Status::Canceled);
    let now = pull_mirrors::get(&mut scene.read().await, policy).await.unwrap().unwrap();
    assert_eq!(now.common.version, mirror.common.version.next(), "a stale edit does not let it go on");
}

async fn semantics_34_what_is_about_a_deleted_repository_or_remote_ends(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    let (repository, remote) = (mirror.repository, mirror.remote);
    scene.write(move |tx| Box::pin(repositories::delete(tx, repository, &Author::System, at(1)))).await;
    for id in [running.job.id, waiting] {
        assert_eq!(job(&scene, id).await.error, said(Withdrawal::RepositoryDeleted));
    }
    let by_hand = add(&scene, poll(&mirror)).await;
    let policy = mirror.common.id;
    scene
        .write(move |tx| {
            Box::pin(async move {
                pull_mirrors::delete(tx, policy, at(2)).await?;
                remotes::delete(tx, remote, at(2)).await
            })
        })
        .await;
    assert_eq!(job(&scene, by_hand).await.status, Status::Canceled);
}
