//! How the queue depends on policies and remotes.

use crate::mirrors::edit_pull;
use crate::on_both;
use crate::pauses::{add, copy, mirror, poll, two_remotes};
use crate::scene::{Scene, at, words};
use futures::future::join_all;
use futures::join;
use jiff::SignedDuration;
use longshore_metadata::jobs::NewJob;
use longshore_metadata::{Error, back_offs, jobs, policies, pull_mirrors, remotes, repositories, work};
use longshore_model::job::{JobAction, Status};
use longshore_model::message::{JobMessage, Withdrawal};
use longshore_model::policy::RunCode;
use longshore_model::remote::WaitReason;
use longshore_model::stored::{Job, LastRun, PullMirror};
use longshore_model::{Author, BootId, JobId, LastChange, Message, PolicyKind, RemoteId};

on_both![
    semantics_36_later_changes_of_a_repository_wait_until_its_running_evaluation_ends,
    semantics_34_editing_a_policy_ends_the_jobs_of_its_earlier_rules,
    semantics_34_an_edit_that_does_not_concern_the_jobs_lets_them_continue,
    semantics_34_disabling_a_policy_ends_its_running_jobs,
    semantics_34_deleting_a_policy_ends_all_of_its_jobs,
    semantics_34_a_policy_that_stops_ends_its_other_jobs,
    ending_jobs_while_stopping_and_editing_their_policy_does_not_deadlock,
    semantics_34_jobs_of_a_deleted_repository_or_remote_end,
    semantics_39_jobs_for_a_remote_that_is_backed_off_are_not_claimed,
    semantics_39_one_job_probes_a_remote_before_the_others_continue,
    semantics_39_a_remote_that_fails_repeatedly_is_backed_off_for_longer,
    semantics_39_an_answer_does_not_end_a_newer_back_off_of_another_server,
    semantics_39_changed_settings_end_the_back_off,
    semantics_39_jobs_that_waited_for_a_remote_are_due_when_a_person_ends_the_back_off,
    semantics_39_there_is_one_lane_per_remote_and_namespace,
];

fn said(why: Withdrawal) -> Option<Message> {
    Some(JobMessage::Withdrawn { why }.into())
}

async fn job(scene: &Scene, id: JobId) -> Job {
    jobs::get(&mut scene.read().await, id).await.unwrap().unwrap()
}

/// One running job and one waiting job.
async fn two_polls(scene: &Scene, mirror: &PullMirror) -> (jobs::Claim, JobId) {
    let mut unserial = poll(mirror);
    unserial.serial_key = None;
    add(scene, unserial).await;
    let running = scene.claim(1, 1).await.remove(0);
    (running, add(scene, poll(mirror)).await)
}

pub(crate) async fn scenery(scene: &Scene) -> PullMirror {
    let app = scene.repository("dev/app").await;
    let (one, _) = two_remotes(scene).await;
    mirror(scene, &app, one).await
}

async fn withdrawn(scene: &Scene, mirror: &PullMirror) -> Option<Withdrawal> {
    let (id, version) = (mirror.common.id, Some(mirror.common.rules_version));
    policies::withdrawn(&mut scene.read().await, PolicyKind::PullMirror, id, version).await.unwrap()
}

async fn semantics_34_editing_a_policy_ends_the_jobs_of_its_earlier_rules(scene: Scene) {
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

async fn semantics_34_an_edit_that_does_not_concern_the_jobs_lets_them_continue(scene: Scene) {
    let before = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &before).await;
    edit_pull(&scene, &before, PullMirror { interval_seconds: 90, ..before.clone() }).await;
    assert_eq!(job(&scene, running.job.id).await.status, Status::Running);
    assert_eq!(job(&scene, waiting).await.status, Status::Waiting);
    assert_eq!(withdrawn(&scene, &before).await, None);
}

async fn semantics_34_disabling_a_policy_ends_its_running_jobs(scene: Scene) {
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
    // The worker that is still running it can commit nothing.
    let fenced = scene.try_write(work!(|tx| jobs::fence(tx, running.job.id, running.epoch).await)).await;
    assert!(matches!(fenced, Err(Error::LeaseLost(_))));
}

async fn semantics_34_deleting_a_policy_ends_all_of_its_jobs(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    assert_eq!(policies::idle(&mut scene.read().await, mirror.common.id).await.unwrap(), None);
    let policy = mirror.common.id;
    scene.write(work!(|tx| pull_mirrors::delete(tx, policy, at(5)).await)).await;
    for id in [running.job.id, waiting] {
        assert_eq!(job(&scene, id).await.status, Status::Canceled);
    }
    assert_eq!(policies::idle(&mut scene.read().await, policy).await.unwrap(), Some(policies::Idle::Deleted));
    assert_eq!(withdrawn(&scene, &mirror).await, Some(Withdrawal::Deleted(PolicyKind::PullMirror)));
}

async fn semantics_34_a_policy_that_stops_ends_its_other_jobs(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    let (policy, finder) = (mirror.common.id, running.job.id);
    scene
        .write(work!(|tx| {
            let why = words("the realm changed");
            policies::stop(tx, PolicyKind::PullMirror, policy, &why, finder, at(1)).await
        }))
        .await;
    assert_eq!(job(&scene, finder).await.status, Status::Running, "it records its own end");
    assert_eq!(job(&scene, waiting).await.status, Status::Canceled);
    let now = pull_mirrors::get(&mut scene.read().await, policy).await.unwrap().unwrap();
    assert_eq!(now.common.version, mirror.common.version.next(), "a stale edit does not resume it");
}

async fn ending_jobs_while_stopping_and_editing_their_policy_does_not_deadlock(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (kind, policy) = (PolicyKind::PullMirror, mirror.common.id);
    for round in 0..10 {
        for _ in 0..4 {
            add(&scene, NewJob { serial_key: None, ..poll(&mirror) }).await;
        }
        let claims = scene.claim(1, 4).await;
        assert_eq!(claims.len(), 4, "round {round}");
        let stops = claims.iter().map(|claim| async {
            let (job, epoch) = (claim.job.id, claim.epoch);
            let stop = scene.try_write(work!(|tx| {
                jobs::lock_endings(tx).await?;
                jobs::fence(tx, job, epoch).await?;
                policies::stop(tx, kind, policy, &words("the realm changed"), job, at(1)).await?;
                jobs::finish(tx, job, epoch, Status::Errored, None, None, at(1)).await
            }));
            stop.await
        });
        let ends = claims.iter().map(|claim| async {
            let (job, epoch) = (claim.job.id, claim.epoch);
            let end = scene.try_write(work!(|tx| {
                jobs::fence(tx, job, epoch).await?;
                let (code, at) = (RunCode::Success, at(1));
                let run = LastRun { code, detail: words("went well"), at: Some(at), job: Some(job) };
                policies::record_run(tx, kind, policy, &run).await?;
                jobs::finish(tx, job, epoch, Status::Done, None, None, at).await
            }));
            end.await
        });
        let edit = scene.try_write(work!(|tx| {
            let before = pull_mirrors::get_for_change(tx, policy).await?.unwrap();
            let mut after = before.clone();
            after.common.rules_version += 1;
            after.common.stopped = None;
            let change = LastChange::new(Author::System, Vec::new());
            pull_mirrors::update(tx, &before, after, change).await.map(drop)
        }));
        let (stopped, ended, edited) = join!(join_all(stops), join_all(ends), edit);
        edited.unwrap();
        for result in stopped.into_iter().chain(ended) {
            assert!(matches!(result, Ok(()) | Err(Error::LeaseLost(_))), "round {round}: {result:?}");
        }
    }
}

async fn semantics_34_jobs_of_a_deleted_repository_or_remote_end(scene: Scene) {
    let mirror = scenery(&scene).await;
    let (running, waiting) = two_polls(&scene, &mirror).await;
    let (repository, remote) = (mirror.repository, mirror.remote);
    scene.write(work!(|tx| repositories::delete(tx, repository, &Author::System, at(1)).await)).await;
    for id in [running.job.id, waiting] {
        assert_eq!(job(&scene, id).await.error, said(Withdrawal::RepositoryDeleted));
    }
    let by_hand = add(&scene, poll(&mirror)).await;
    let policy = mirror.common.id;
    scene
        .write(work!(|tx| {
            pull_mirrors::delete(tx, policy, at(2)).await?;
            remotes::delete(tx, remote, at(2)).await
        }))
        .await;
    assert_eq!(job(&scene, by_hand).await.status, Status::Canceled);
}

/// Backs off from a remote from second `now` on: 10 seconds for each failure in a row.
async fn close(scene: &Scene, remote: RemoteId, now: i64) -> longshore_model::remote::BackOff {
    let delay = |failures: u32| SignedDuration::from_secs(10) * i32::try_from(failures).unwrap();
    let closed = scene
        .write(move |tx| {
            Box::pin(back_offs::close(tx, remote, WaitReason::RateLimited, true, false, delay, at(now)))
        })
        .await;
    closed.unwrap()
}

async fn semantics_39_jobs_for_a_remote_that_is_backed_off_are_not_claimed(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, two) = two_remotes(&scene).await;
    let waits = add(&scene, copy(&app, one, "1")).await;
    let goes = add(&scene, copy(&app, two, "2")).await;
    let until = close(&scene, one, 5).await.until;
    assert_eq!(until, at(15));
    let claimed = scene.claim(14, 10).await;
    assert_eq!(claimed.iter().map(|claim| claim.job.id).collect::<Vec<_>>(), [goes]);
    assert_eq!(claimed[0].remote, Some(two));
    let shown = job(&scene, waits).await.back_off.unwrap();
    assert_eq!(
        (shown.until, shown.because()),
        (at(15), "it is rate-limiting requests and asked for this delay")
    );
    assert_eq!(jobs::next_due(&mut scene.read().await, at(14)).await.unwrap(), Some(at(15)));
    assert_eq!(scene.claim(15, 10).await.len(), 1);
}

async fn semantics_39_one_job_probes_a_remote_before_the_others_continue(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, _) = two_remotes(&scene).await;
    for number in 0..3 {
        add(&scene, copy(&app, one, &number.to_string())).await;
    }
    close(&scene, one, 0).await;
    assert_eq!(scene.claim(10, 10).await.len(), 1, "a single probe");
    assert!(scene.claim(11, 10).await.is_empty());
    scene.write(work!(|tx| back_offs::answered(tx, one, at(10), at(12)).await)).await;
    assert_eq!(scene.claim(12, 10).await.len(), 2);
}

async fn semantics_39_a_remote_that_fails_repeatedly_is_backed_off_for_longer(scene: Scene) {
    let (one, _) = two_remotes(&scene).await;
    assert_eq!(close(&scene, one, 0).await.until, at(10));
    assert_eq!(close(&scene, one, 10).await.until, at(30));
    // A single answer does not prove that the remote has recovered.
    scene.write(work!(|tx| back_offs::answered(tx, one, at(30), at(30)).await)).await;
    assert_eq!(back_offs::get(&mut scene.read().await, one).await.unwrap(), None);
    let third = close(&scene, one, 40).await;
    assert_eq!((third.until, third.failures, third.since), (at(70), 3, at(0)));
    // No server shortens a delay that another one was asked for.
    let shorter = |_| SignedDuration::from_secs(1);
    let again = scene
        .write(move |tx| {
            Box::pin(back_offs::close(tx, one, WaitReason::Unreachable, false, false, shorter, at(41)))
        })
        .await;
    assert_eq!(again.unwrap().until, at(70));
    // A person retries now.
    scene.write(work!(|tx| back_offs::probe(tx, one, at(50)).await)).await;
    assert_eq!(back_offs::get(&mut scene.read().await, one).await.unwrap().unwrap().until, at(50));
    scene.write(work!(|tx| back_offs::answered(tx, one, at(50), at(60)).await)).await;
    assert_eq!(close(&scene, one, 700).await.failures, 1, "it worked for ten minutes");
    let nowhere = RemoteId::new();
    let gone = scene
        .write(move |tx| {
            Box::pin(back_offs::close(tx, nowhere, WaitReason::Unreachable, false, false, shorter, at(1)))
        })
        .await;
    assert_eq!(gone, None);
    // A remote that accepts some requests in between does not count as failing repeatedly.
    let delay = |failures: u32| SignedDuration::from_secs(10) * i32::try_from(failures).unwrap();
    assert_eq!(close(&scene, one, 710).await.failures, 2);
    let limited = scene
        .write(move |tx| {
            Box::pin(back_offs::close(tx, one, WaitReason::RateLimited, true, true, delay, at(730)))
        })
        .await
        .unwrap();
    assert_eq!((limited.until, limited.failures, limited.since), (at(740), 1, at(730)));
}

async fn semantics_39_an_answer_does_not_end_a_newer_back_off_of_another_server(scene: Scene) {
    let (one, _) = two_remotes(&scene).await;
    let seen = close(&scene, one, 0).await.until;
    let later = close(&scene, one, 10).await.until;
    scene.write(work!(|tx| back_offs::answered(tx, one, seen, at(11)).await)).await;
    assert_eq!(back_offs::get(&mut scene.read().await, one).await.unwrap().unwrap().until, later);
    scene.write(work!(|tx| back_offs::answered(tx, one, later, at(31)).await)).await;
    assert_eq!(back_offs::get(&mut scene.read().await, one).await.unwrap(), None);
}

async fn semantics_39_changed_settings_end_the_back_off(scene: Scene) {
    let (one, _) = two_remotes(&scene).await;
    close(&scene, one, 0).await;
    scene
        .write(work!(|tx| {
            let remote = remotes::get(tx, one).await?.unwrap();
            let (based_on, keep) = (remote.version, remotes::SecretChange::Keep);
            let change = longshore_model::LastChange::new(Author::System, Vec::new());
            remotes::update(tx, based_on, remote, keep, change).await.map(drop)
        }))
        .await;
    assert_eq!(back_offs::get(&mut scene.read().await, one).await.unwrap(), None);
}

async fn semantics_39_jobs_that_waited_for_a_remote_are_due_when_a_person_ends_the_back_off(scene: Scene) {
    let (app, other) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (one, two) = two_remotes(&scene).await;
    let later = |order: NewJob, second: i64| NewJob { scheduled_at: at(second), ..order };
    let stopped = add(&scene, later(copy(&app, one, "1"), 10)).await;
    let in_another_lane = add(&scene, later(copy(&other, one, "2"), 10)).await;
    let failing = add(&scene, later(copy(&app, one, "3"), 900)).await;
    let elsewhere = add(&scene, later(copy(&app, two, "4"), 10)).await;
    close(&scene, one, 0).await;
    let due = async |second: i64| {
        let mut due = Vec::new();
        for id in [stopped, in_another_lane, failing, elsewhere] {
            due.push(job(&scene, id).await.scheduled_at <= at(second));
        }
        due
    };
    // One job runs at once. Jobs that waited for the end of the back-off may follow it; a job that failed by itself
    // keeps its delay.
    scene.write(work!(|tx| jobs::hasten(tx, stopped, at(2)).await.map(drop))).await;
    assert_eq!(due(2).await, [true, true, false, false]);
    assert_eq!(scene.claim(2, 10).await.len(), 1, "a single probe");
    scene.write(work!(|tx| back_offs::answered(tx, one, at(2), at(3)).await)).await;
    assert_eq!(scene.claim(3, 10).await.len(), 1, "and then the rest");
    // Someone saw the registry answer, or changed the settings.
    scene.write(work!(|tx| back_offs::forget(tx, one, at(4)).await)).await;
    assert_eq!(due(4).await, [true, true, true, false]);
    let claimed = scene.claim(4, 10).await;
    assert_eq!(claimed.iter().map(|claim| claim.job.id).collect::<Vec<_>>(), [failing]);
}

async fn semantics_39_there_is_one_lane_per_remote_and_namespace(scene: Scene) {
    let (app, other) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (one, two) = two_remotes(&scene).await;
    for number in 0..20 {
        add(&scene, copy(&app, one, &format!("many{number}"))).await;
    }
    add(&scene, copy(&other, one, "a")).await;
    add(&scene, copy(&other, two, "b")).await;
    let conn = &mut scene.read().await;
    let lanes = jobs::lanes(conn, JobAction::PushMirrorTag, at(1)).await.unwrap();
    let mut found: Vec<_> =
        lanes.iter().map(|due| (due.lane.remote, due.lane.namespace.to_string())).collect();
    found.sort();
    let mut expected = vec![(one, "dev".to_owned()), (one, "qa".to_owned()), (two, "qa".to_owned())];
    expected.sort();
    assert_eq!(found, expected);
    assert!(jobs::lanes(conn, JobAction::PushMirrorTag, at(-1)).await.unwrap().is_empty(), "not due yet");

    // Jobs that an older version has enqueued have no lane, and are not claimed until they have one.
    scene.by_another("UPDATE jobs SET lane = NULL").await;
    let conn = &mut scene.read().await;
    assert!(jobs::lanes(conn, JobAction::PushMirrorTag, at(1)).await.unwrap().is_empty());
    scene.write(work!(|tx| jobs::release_all(tx, BootId::new(), at(1)).await)).await;
    assert_eq!(jobs::lanes(conn, JobAction::PushMirrorTag, at(1)).await.unwrap().len(), 3);
    assert_eq!(scene.write(work!(|tx| jobs::line_up(tx).await)).await, 0, "all have one");
    assert!(jobs::lanes(conn, JobAction::PollMirror, at(1)).await.unwrap().is_empty());
}

async fn semantics_36_later_changes_of_a_repository_wait_until_its_running_evaluation_ends(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (first, elsewhere) = (scene.image(&dev, 1).await, scene.image(&qa, 1).await);
    scene.push(&dev, "1", &first).await;
    let begun = scene.claim(1, 10).await;
    assert_eq!(begun.len(), 1);
    scene.push(&dev, "2", &first).await;
    scene.push(&qa, "1", &elsewhere).await;
    let claimed = scene.claim(1, 10).await;
    let of: Vec<_> = claimed.iter().map(|claim| claim.job.repository).collect();
    assert_eq!(of, [Some(qa.id)]);
    let (job, epoch) = (begun[0].job.id, begun[0].epoch);
    let finish = scene.write(work!(|tx| jobs::finish(tx, job, epoch, Status::Done, None, None, at(2)).await));
    finish.await;
    assert_eq!(scene.claim(1, 10).await[0].job.repository, Some(dev.id));
}
