//! Pauses: which jobs they hold and stop, and how the queue continues after them.

use crate::mirrors::edit_pull;
use crate::mirrors::{common, remote};
use crate::on_both;
use crate::scene::{Scene, at, digest, name, order, words};
use longshore_metadata::jobs::NewJob;
use longshore_metadata::verdicts::{self, VerdictRow};
use longshore_metadata::{
    Change, Error, Priority, activity, jobs, pauses, pull_mirrors, remotes, stock, work,
};
use longshore_model::activity::{ActivityFilter, ActivityKind};
use longshore_model::job::{JobAction, Parameters, Status};
use longshore_model::message::Everything;
use longshore_model::pause::{Held, Resumed};
use longshore_model::policy::Baseline;
use longshore_model::stored::{Job, PullMirror};
use longshore_model::tag::AnswerResult;
use longshore_model::{
    Author, JobId, Lineage, PageRequest, Pause, PauseReason, PauseScope, PolicyId, PolicyKind, Queued,
    RemoteId, Repository, Revision, Total,
};
use longshore_policy::{Outcome, Verdict};

on_both![
    semantics_29_a_paused_system_starts_no_jobs_of_policies_and_mirrors,
    semantics_29_a_paused_namespace_does_not_affect_others,
    semantics_29_a_paused_remote_holds_copies_and_polls_but_no_evaluations,
    semantics_29_a_job_that_ran_when_a_pause_began_can_commit_nothing,
    semantics_29_pausing_twice_keeps_the_first_pause,
    semantics_29_resuming_runs_all_held_jobs_oldest_first,
    semantics_29_resuming_can_drop_held_jobs,
    semantics_29_resuming_can_keep_only_the_newest_job_of_each_tag_and_place,
    semantics_29_the_newest_job_is_that_of_the_newest_revision_and_not_the_last_retry,
    the_verdict_of_a_held_copy_that_is_canceled_is_failed,
    the_verdict_of_a_copy_that_a_pause_cancels_is_failed,
    semantics_29_a_job_is_held_by_the_narrowest_pause_until_the_last_one_ends,
    semantics_29_a_held_job_does_not_block_jobs_with_its_serial_key_elsewhere,
    semantics_29_a_poll_is_held_by_the_pause_of_its_mirrors_new_remote,
    a_job_whose_cancellation_was_requested_is_not_held,
    pausing_and_resuming_are_announced_and_recorded_in_the_activity,
    held_jobs_are_counted_separately,
];

fn dev() -> Author {
    Author::User { name: "dev".parse().unwrap() }
}

fn of(namespace: &str) -> PauseScope {
    PauseScope::Namespace(namespace.parse().unwrap())
}

async fn begin(scene: &Scene, scope: PauseScope, second: i64) -> (Pause, bool) {
    scene.write(work!(|tx| pauses::begin(tx, &scope, PauseReason::Asked, &dev(), at(second)).await)).await
}

async fn end(scene: &Scene, scope: PauseScope, queued: Queued) -> Option<Resumed> {
    scene.write(work!(|tx| pauses::end(tx, &scope, queued, &dev(), at(9)).await)).await
}

pub(crate) async fn add(scene: &Scene, new: NewJob) -> JobId {
    scene.write(work!(|tx| jobs::enqueue(tx, new, at(0)).await)).await
}

async fn evaluation(scene: &Scene, repository: &Repository, tag: &str, revision: i64) -> JobId {
    let parameters = Parameters::EvaluateTag {
        repository: repository.id,
        tag: name(tag),
        digest: digest(1, 0),
        revision: Revision(revision),
    };
    let new = NewJob { parameters, repository: Some(repository.id), ..order(None, 0) };
    add(scene, new).await
}

pub(crate) fn copy(repository: &Repository, remote: RemoteId, to: &str) -> NewJob {
    let policy = PolicyId::new();
    let parameters = Parameters::PushTag {
        policy: Some(policy),
        rules_version: None,
        repository: repository.id,
        repository_name: repository.name.clone(),
        tag: Some(name("1")),
        digest: digest(1, 0),
        revision: Revision(1),
        remote,
        remote_host: "qa-example.com".to_owned(),
        remote_repository: "qa/app".parse().unwrap(),
        target_tag: Some(name(to)),
        lineage: Lineage::default(),
        overwrite: true,
        referrers: true,
    };
    NewJob {
        parameters,
        policy: Some(policy),
        repository: Some(repository.id),
        ..order(Some(&format!("push/{to}")), 0)
    }
}

async fn job(scene: &Scene, id: JobId) -> Job {
    jobs::get(&mut scene.read().await, id).await.unwrap().unwrap()
}

async fn claimed(scene: &Scene) -> Vec<JobId> {
    let mut ids: Vec<JobId> = scene.claim(1, 100).await.into_iter().map(|claim| claim.job.id).collect();
    ids.sort();
    ids
}

async fn count(scene: &Scene, scope: &PauseScope) -> (u64, u64) {
    let Held { total, newest } = jobs::count_held(&mut scene.read().await, scope).await.unwrap();
    (total, newest)
}

async fn semantics_29_a_paused_system_starts_no_jobs_of_policies_and_mirrors(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let before = evaluation(&scene, &app, "1", 1).await;
    let (pause, begun) = begin(&scene, PauseScope::System, 1).await;
    assert!(begun);
    let after = add(&scene, copy(&app, RemoteId::new(), "1")).await;
    // A parent job only waits for its parts, and maintenance that a person starts belongs to no policy.
    let parent = scene.enqueue(None, 0).await;
    let scrub = NewJob { parameters: Parameters::Scrub, ..order(None, 0) };
    let scrub = add(&scene, scrub).await;
    assert_eq!(jobs::next_due(&mut scene.read().await, at(-1)).await.unwrap(), Some(at(0)));
    assert_eq!(claimed(&scene).await, [parent, scrub]);
    assert_eq!(
        jobs::next_due(&mut scene.read().await, at(-1)).await.unwrap(),
        None,
        "held jobs are never due"
    );

    assert_eq!(job(&scene, before).await.held_by.as_ref(), Some(&pause));
    assert_eq!(job(&scene, after).await.held_by.as_ref(), Some(&pause));
    assert_eq!(job(&scene, parent).await.held_by, None);
    let queue =
        jobs::held(&mut scene.read().await, &PauseScope::System, &PageRequest::first(1)).await.unwrap();
    assert_eq!((queue.items[0].id, queue.total, queue.next.is_some()), (before, Total::Exactly(2), true));
}

async fn semantics_29_a_paused_namespace_does_not_affect_others(scene: Scene) {
    let (app, site) = (scene.repository("dev/app").await, scene.repository("qa/site").await);
    begin(&scene, of("dev"), 1).await;
    let held = evaluation(&scene, &app, "1", 1).await;
    let other = evaluation(&scene, &site, "1", 2).await;
    assert_eq!(claimed(&scene).await, [other]);
    assert_eq!(count(&scene, &of("dev")).await, (1, 1));
    assert_eq!(end(&scene, of("dev"), Queued::Run).await, Some(Resumed { freed: 1, ..Resumed::default() }));
    assert_eq!(claimed(&scene).await, [held]);
}

pub(crate) async fn mirror(scene: &Scene, repository: &Repository, remote: RemoteId) -> PullMirror {
    let mirror = PullMirror {
        common: common(),
        repository: repository.id,
        repository_name: repository.name.clone(),
        remote,
        remote_host: "registry.example".to_owned(),
        remote_repository: "library/app".parse().unwrap(),
        patterns: "*".to_owned(),
        interval_seconds: 60,
        foreign_layers: false,
        baseline: Baseline::None,
        known_patterns: None,
        next_run_at: at(0),
        last_mirrored_at: None,
    };
    let written = mirror.clone();
    scene.write(work!(|tx| pull_mirrors::insert(tx, &written).await)).await;
    mirror
}

pub(crate) fn poll(mirror: &PullMirror) -> NewJob {
    let parameters = Parameters::Poll {
        remote: None,
        policy: mirror.common.id,
        repository_name: mirror.repository_name.clone(),
        remote_host: mirror.remote_host.clone(),
        remote_repository: mirror.remote_repository.clone(),
    };
    NewJob {
        parameters,
        policy: Some(mirror.common.id),
        repository: Some(mirror.repository),
        ..order(Some(&format!("poll/{}", mirror.common.id)), 0)
    }
}

pub(crate) async fn two_remotes(scene: &Scene) -> (RemoteId, RemoteId) {
    let (one, two) = (remote(Some("dev"), "https://one.example"), remote(Some("dev"), "https://two.example"));
    let ids = (one.id, two.id);
    scene
        .write(work!(|tx| {
            remotes::insert(tx, &one, None).await?;
            remotes::insert(tx, &two, None).await
        }))
        .await;
    ids
}

async fn semantics_29_a_paused_remote_holds_copies_and_polls_but_no_evaluations(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, two) = two_remotes(&scene).await;
    let mirror = mirror(&scene, &app, one).await;
    begin(&scene, PauseScope::Remote(one), 1).await;
    let poll = add(&scene, poll(&mirror)).await;
    let copied = add(&scene, copy(&app, one, "1")).await;
    let elsewhere = add(&scene, copy(&app, two, "2")).await;
    let evaluated = evaluation(&scene, &app, "1", 1).await;
    assert_eq!(claimed(&scene).await, [elsewhere, evaluated]);
    assert_eq!(count(&scene, &PauseScope::Remote(one)).await, (2, 2));
    for held in [poll, copied] {
        assert!(job(&scene, held).await.held_by.is_some());
    }
}

async fn semantics_29_a_job_that_ran_when_a_pause_began_can_commit_nothing(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let id = evaluation(&scene, &app, "1", 1).await;
    let claim = scene.claim(1, 1).await.remove(0);
    let attempts = claim.job.retries_left;
    begin(&scene, of("dev"), 2).await;
    let late = scene
        .try_write(work!(|tx| {
            longshore_metadata::settings::put(tx, "effect", "done").await?;
            jobs::finish(tx, id, claim.epoch, Status::Done, None, None, at(3)).await
        }))
        .await;
    assert!(matches!(late, Err(Error::LeaseLost(_))));
    assert_eq!(longshore_metadata::settings::get(&mut scene.read().await, "effect").await.unwrap(), None);
    let held = job(&scene, id).await;
    assert_eq!((held.status, held.retries_left, held.held_by.is_some()), (Status::Waiting, attempts, true));
    let lines = jobs::logs(&mut scene.read().await, id, 0, 10).await.unwrap();
    let line = lines[0].message.sentence(&Everything);
    assert!(line.contains("the namespace dev was paused"), "{line}");
    end(&scene, of("dev"), Queued::Run).await;
    assert_eq!(claimed(&scene).await, [id]);
}

async fn semantics_29_pausing_twice_keeps_the_first_pause(scene: Scene) {
    let (first, begun) = begin(&scene, PauseScope::System, 1).await;
    let (second, again) = begin(&scene, PauseScope::System, 2).await;
    assert_eq!((begun, again, &first), (true, false, &second));
    assert_eq!(pauses::all(&mut scene.read().await).await.unwrap(), [first]);
    assert!(end(&scene, PauseScope::System, Queued::Run).await.is_some());
    assert_eq!(end(&scene, PauseScope::System, Queued::Run).await, None);
    assert!(pauses::all(&mut scene.read().await).await.unwrap().is_empty());
}

async fn semantics_29_resuming_runs_all_held_jobs_oldest_first(scene: Scene) {
    let app = scene.repository("dev/app").await;
    begin(&scene, PauseScope::System, 1).await;
    let mut waiting = Vec::new();
    for revision in 1..=3 {
        waiting.push(evaluation(&scene, &app, "1", revision).await);
    }
    assert!(claimed(&scene).await.is_empty());
    let resumed = end(&scene, PauseScope::System, Queued::Run).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 3, dropped: 0, still_held: 0 });
    let claimed: Vec<JobId> = scene.claim(1, 10).await.iter().map(|claim| claim.job.id).collect();
    assert_eq!(claimed, waiting);
}

/// A copy of a push mirror, and its verdict that says that the copy is running.
async fn copy_on_its_way(scene: &Scene, repository: &Repository) -> (JobId, PolicyId) {
    let copy = copy(repository, RemoteId::new(), "1");
    let policy = copy.policy.unwrap();
    let job = add(scene, copy).await;
    let row = VerdictRow {
        policy,
        kind: PolicyKind::PushMirror,
        version: 1,
        repository: repository.id,
        tag: name("1"),
        revision: Revision(1),
        digest: digest(1, 0),
        verdict: Verdict { outcome: Outcome::Match, reasons: Vec::new() },
        target_tag: Some(name("1")),
        result: AnswerResult::Running,
        consequence: words("on its way"),
        job: Some(job),
        at: at(0),
    };
    scene.write(work!(|tx| verdicts::record(tx, &row).await)).await;
    (job, policy)
}

async fn semantics_29_resuming_can_drop_held_jobs(scene: Scene) {
    let app = scene.repository("dev/app").await;
    begin(&scene, of("dev"), 1).await;
    let (copied, policy) = copy_on_its_way(&scene, &app).await;
    let evaluated = evaluation(&scene, &app, "1", 1).await;
    let resumed = end(&scene, of("dev"), Queued::Drop).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 0, dropped: 2, still_held: 0 });
    assert!(claimed(&scene).await.is_empty());
    for id in [copied, evaluated] {
        let ended = job(&scene, id).await;
        assert_eq!((ended.status, ended.finished_at), (Status::Canceled, Some(at(9))));
        let outcome = ended.outcome.unwrap().sentence(&Everything);
        assert_eq!(outcome, "dropped when the namespace dev was resumed");
        assert_eq!(ended.held_by, None);
    }
    // Its verdict can be retried: pushing the tag again sends it.
    let verdict = verdicts::find(&mut scene.read().await, policy, 1, app.id, &name("1"), Revision(1)).await;
    let verdict = verdict.unwrap().unwrap();
    assert_eq!(verdict.result, AnswerResult::Failed);
    let consequence = verdict.consequence.sentence(&Everything);
    assert!(consequence.contains("dropped"), "{consequence}");
}

async fn the_verdict_of_a_held_copy_that_is_canceled_is_failed(scene: Scene) {
    let app = scene.repository("dev/app").await;
    begin(&scene, of("dev"), 1).await;
    let (id, policy) = copy_on_its_way(&scene, &app).await;
    scene.write(work!(|tx| jobs::cancel(tx, id, at(2)).await.map(drop))).await;
    let verdict = verdicts::find(&mut scene.read().await, policy, 1, app.id, &name("1"), Revision(1)).await;
    assert_eq!(verdict.unwrap().unwrap().result, AnswerResult::Failed);
}

async fn the_verdict_of_a_copy_that_a_pause_cancels_is_failed(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (id, policy) = copy_on_its_way(&scene, &app).await;
    assert_eq!(claimed(&scene).await, [id]);
    scene.write(work!(|tx| jobs::cancel(tx, id, at(2)).await.map(drop))).await;
    begin(&scene, of("dev"), 3).await;
    assert_eq!(job(&scene, id).await.status, Status::Canceled);
    assert!(
        jobs::logs(&mut scene.read().await, id, 0, 10).await.unwrap().is_empty(),
        "it is not put back into the queue"
    );
    let verdict = verdicts::find(&mut scene.read().await, policy, 1, app.id, &name("1"), Revision(1)).await;
    assert_eq!(verdict.unwrap().unwrap().result, AnswerResult::Failed);
}

async fn semantics_29_the_newest_job_is_that_of_the_newest_revision_and_not_the_last_retry(scene: Scene) {
    let app = scene.repository("dev/app").await;
    begin(&scene, PauseScope::System, 1).await;
    let newest = evaluation(&scene, &app, "1", 11).await;
    let tried_again = evaluation(&scene, &app, "1", 10).await;
    let resumed = end(&scene, PauseScope::System, Queued::Newest).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 1, dropped: 1, still_held: 0 });
    assert_eq!(job(&scene, tried_again).await.status, Status::Canceled);
    assert_eq!(claimed(&scene).await, [newest]);
}

async fn semantics_29_resuming_can_keep_only_the_newest_job_of_each_tag_and_place(scene: Scene) {
    let (app, site) = (scene.repository("dev/app").await, scene.repository("dev/site").await);
    begin(&scene, PauseScope::System, 1).await;
    let remote = RemoteId::new();
    let old = [evaluation(&scene, &app, "1", 1).await, add(&scene, copy(&app, remote, "1")).await];
    let mut kept = vec![
        evaluation(&scene, &app, "1", 2).await,
        evaluation(&scene, &app, "2", 3).await,
        evaluation(&scene, &site, "1", 4).await,
        add(&scene, copy(&app, remote, "1")).await,
        add(&scene, copy(&app, remote, "2")).await,
    ];
    // Follow jobs are never replaced by later ones.
    let follow = |seed| Parameters::FollowSubject {
        repository: app.id,
        referrer: digest(seed, 0),
        subject: digest(1, 0),
        tag: None,
    };
    for seed in [2, 3] {
        let new = NewJob { parameters: follow(seed), repository: Some(app.id), ..order(None, 0) };
        kept.push(add(&scene, new).await);
    }
    assert_eq!(count(&scene, &PauseScope::System).await, (9, 7));
    let resumed = end(&scene, PauseScope::System, Queued::Newest).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 7, dropped: 2, still_held: 0 });
    for id in old {
        assert_eq!(job(&scene, id).await.status, Status::Canceled);
    }
    kept.sort();
    assert_eq!(claimed(&scene).await, kept);
}

async fn semantics_29_a_job_is_held_by_the_narrowest_pause_until_the_last_one_ends(scene: Scene) {
    let (app, site) = (scene.repository("dev/app").await, scene.repository("qa/site").await);
    let of_dev = evaluation(&scene, &app, "1", 1).await;
    let of_qa = evaluation(&scene, &site, "1", 2).await;
    begin(&scene, PauseScope::System, 1).await;
    begin(&scene, of("dev"), 2).await;
    assert_eq!((count(&scene, &PauseScope::System).await, count(&scene, &of("dev")).await), ((1, 1), (1, 1)));
    let later = evaluation(&scene, &app, "2", 3).await;
    assert_eq!(count(&scene, &of("dev")).await, (2, 2));
    // Dropping the queue of one pause does not affect that of another.
    let resumed = end(&scene, PauseScope::System, Queued::Drop).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 0, dropped: 1, still_held: 0 });
    assert_eq!(job(&scene, of_qa).await.status, Status::Canceled);
    begin(&scene, PauseScope::System, 3).await;
    let resumed = end(&scene, of("dev"), Queued::Run).await.unwrap();
    assert_eq!(resumed, Resumed { freed: 0, dropped: 0, still_held: 2 });
    assert!(claimed(&scene).await.is_empty());
    end(&scene, PauseScope::System, Queued::Run).await;
    assert_eq!(claimed(&scene).await, [of_dev, later]);
}

async fn semantics_29_a_held_job_does_not_block_jobs_with_its_serial_key_elsewhere(scene: Scene) {
    let (app, site) = (scene.repository("dev/app").await, scene.repository("qa/site").await);
    begin(&scene, of("dev"), 1).await;
    let remote = RemoteId::new();
    let held = add(&scene, copy(&app, remote, "1")).await;
    let free = add(&scene, copy(&site, remote, "1")).await;
    assert_eq!(claimed(&scene).await, [free]);
    assert!(job(&scene, held).await.held_by.is_some());
}

async fn semantics_29_a_poll_is_held_by_the_pause_of_its_mirrors_new_remote(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (one, two) = two_remotes(&scene).await;
    let mut mirror = mirror(&scene, &app, one).await;
    let id = add(&scene, poll(&mirror)).await;
    begin(&scene, PauseScope::Remote(two), 1).await;
    for (remote, held) in [(two, true), (one, false)] {
        mirror = edit_pull(&scene, &mirror, PullMirror { remote, ..mirror.clone() }).await;
        assert_eq!(job(&scene, id).await.held_by.is_some(), held);
    }
    assert_eq!(claimed(&scene).await, [id]);
}

async fn a_job_whose_cancellation_was_requested_is_not_held(scene: Scene) {
    let app = scene.repository("dev/app").await;
    let (running, waiting) = (evaluation(&scene, &app, "1", 1).await, evaluation(&scene, &app, "2", 2).await);
    scene.claim(1, 1).await;
    scene.write(work!(|tx| jobs::cancel(tx, running, at(1)).await)).await;
    begin(&scene, PauseScope::System, 2).await;
    scene.write(work!(|tx| jobs::cancel(tx, waiting, at(3)).await)).await;
    for id in [running, waiting] {
        let ended = job(&scene, id).await;
        assert_eq!((ended.status, ended.held_by), (Status::Canceled, None));
    }
    assert_eq!(count(&scene, &PauseScope::System).await, (0, 0));
}

async fn pausing_and_resuming_are_announced_and_recorded_in_the_activity(scene: Scene) {
    let (one, _) = two_remotes(&scene).await;
    let mut changes = scene.db.changes();
    begin(&scene, PauseScope::Remote(one), 1).await;
    assert_eq!(changes.try_recv(), Ok(Change::Pauses));
    end(&scene, PauseScope::Remote(one), Queued::Drop).await;
    assert_eq!(changes.try_recv(), Ok(Change::Pauses));
    let everything = longshore_metadata::Visible::Everything;
    let (filter, page) = (ActivityFilter::default(), PageRequest::first(10));
    let told = activity::list(&mut scene.read().await, &everything, &filter, &page).await.unwrap();
    let told: Vec<_> =
        told.items.iter().map(|entry| (entry.kind, entry.detail.sentence(&Everything))).collect();
    assert_eq!(
        told,
        [
            (ActivityKind::Resumed, "the remote one.example was resumed".to_owned()),
            (ActivityKind::Paused, "the remote one.example was paused".to_owned()),
        ]
    );
}

async fn held_jobs_are_counted_separately(scene: Scene) {
    let app = scene.repository("dev/app").await;
    evaluation(&scene, &app, "1", 1).await;
    begin(&scene, PauseScope::System, 1).await;
    evaluation(&scene, &app, "2", 2).await;
    let stock = stock::count(&mut scene.read().await).await.unwrap();
    assert_eq!((stock.pauses, stock.held, stock.jobs), (1, vec![(JobAction::Evaluate, 2)], vec![]));
}

/// A worker that is writing when a pause begins has committed when the pause is acknowledged, and jobs claimed later
/// are held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn semantics_29_a_pause_and_claims_of_several_servers_are_serialized() {
    let url = tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap();
    let one = Scene::at(&url).await;
    let two = Scene::at(&url).await;
    let app = one.repository("dev/app").await;
    for revision in 0..40 {
        evaluation(&one, &app, &format!("t{revision}"), revision).await;
    }
    let (underway, begins) = tokio::sync::oneshot::channel();
    let claiming = async {
        let mut underway = Some(underway);
        for number in 0..40 {
            two.claim(1, 1).await;
            if number == 5 {
                underway.take().unwrap().send(()).unwrap();
            }
        }
    };
    let pausing = async {
        begins.await.unwrap();
        begin(&one, PauseScope::System, 1).await;
        // At this instant nothing is running, and nothing will start.
        let everything = longshore_metadata::Visible::Everything;
        let filter = longshore_model::job::JobFilter { status: Some(Status::Running), ..Default::default() };
        let conn = &mut one.read().await;
        jobs::list(conn, &everything, None, &filter, &PageRequest::first(100)).await.unwrap().total
    };
    let ((), running) = tokio::join!(claiming, pausing);
    assert_eq!(running, 0);
    assert!(two.claim(1, 100).await.is_empty());
    assert_eq!(count(&one, &PauseScope::System).await.0, 40);
    let late =
        two.db.write::<_, Error, _>(Priority::Normal, work!(|tx| jobs::release_expired(tx, at(1_000)).await));
    assert_eq!(late.await.unwrap(), 0);
}
