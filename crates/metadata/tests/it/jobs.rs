//! The queue: which worker claims which job and when, and which may still write.

use crate::on_both;
use crate::scene::{LEASE, Scene, at, order, words};
use longshore_metadata::Visible;
use longshore_metadata::jobs::{self, CancelOutcome, NewJob};
use longshore_metadata::{Change, Error, Tx, settings, work};
use longshore_model::job::{JobAction, JobFilter, Level, Progress, Status};
use longshore_model::policy::Baseline;
use longshore_model::stored::Job;
use longshore_model::{BootId, JobId, Message, PageRequest, PolicyId, Timestamp, Total, message::JobMessage};
use std::collections::HashSet;

on_both![
    due_jobs_are_claimed_oldest_first_and_once,
    two_jobs_with_one_serial_key_never_run_at_once,
    many_workers_get_each_job_once_and_keep_serial_keys_apart,
    semantics_25_a_worker_that_lost_its_lease_commits_nothing,
    a_renewed_lease_is_not_released,
    semantics_25_servers_that_share_a_database_use_its_clock_for_leases,
    a_job_whose_cancellation_was_requested_is_not_resumed_after_its_lease,
    a_starting_server_releases_the_jobs_of_earlier_starts,
    a_job_is_retried_when_it_is_due,
    a_waiting_job_is_canceled_at_once_and_a_running_one_is_requested_to_stop,
    progress_and_log_are_stored,
    a_full_log_counts_omitted_lines_and_still_accepts_errors,
    parts_belong_to_their_job,
    polls_of_many_mirrors_are_enqueued_as_parts_with_a_few_statements,
    jobs_are_listed_newest_first_and_by_filter,
    a_reader_that_sees_a_job_ended_sees_the_jobs_that_it_enqueued,
];

async fn get(scene: &Scene, job: JobId) -> longshore_model::stored::Job {
    jobs::get(&mut scene.read().await, job).await.unwrap().unwrap()
}

async fn finish(scene: &Scene, claim: &jobs::Claim, status: Status) -> Result<(), Error> {
    let (job, epoch) = (claim.job.id, claim.epoch);
    scene
        .try_write(work!(|tx| {
            // An effect that must be rolled back if the lease is lost.
            settings::put(tx, &format!("effect of {job} {epoch}"), "done").await?;
            jobs::finish(tx, job, epoch, status, Some(&words("moved")), None, at(9)).await
        }))
        .await
}

async fn retry_later(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    at: Timestamp,
    why: &'static str,
    now: Timestamp,
) -> Result<(), Error> {
    jobs::retry_later(tx, job, epoch, at, &words(why), now).await
}

async fn release_expired(scene: &Scene, second: i64) -> u64 {
    scene.write(work!(|tx| jobs::release_expired(tx, at(second)).await)).await
}

/// Lets the lease of a claim expire. PostgreSQL uses the database's own clock.
async fn lapse(scene: &Scene, job: JobId, epoch: i64) {
    let past = -(LEASE + LEASE);
    assert!(scene.write(work!(|tx| jobs::renew(tx, job, epoch, at(0), past).await)).await);
}

fn ids(claims: &[jobs::Claim]) -> Vec<JobId> {
    claims.iter().map(|claim| claim.job.id).collect()
}

async fn due_jobs_are_claimed_oldest_first_and_once(scene: Scene) {
    let (late, early) = (scene.enqueue(None, 20).await, scene.enqueue(None, 10).await);
    let third = scene.enqueue(None, 30).await;
    assert_eq!(jobs::next_due(&mut scene.read().await, at(0)).await.unwrap(), Some(at(10)));
    assert!(scene.claim(9, 10).await.is_empty());
    assert_eq!(ids(&scene.claim(25, 10).await), [early, late]);
    assert!(scene.claim(25, 10).await.is_empty());
    let claimed = scene.claim(30, 10).await;
    assert_eq!(ids(&claimed), [third]);
    let job = get(&scene, third).await;
    assert_eq!((job.status, job.attempt, job.started_at), (Status::Running, 1, Some(at(30))));
    finish(&scene, &claimed[0], Status::Done).await.unwrap();
    let job = get(&scene, third).await;
    assert_eq!((job.status, job.outcome, job.finished_at), (Status::Done, Some(words("moved")), Some(at(9))));
}

async fn two_jobs_with_one_serial_key_never_run_at_once(scene: Scene) {
    let first = scene.enqueue(Some("registry/app:1"), 0).await;
    let second = scene.enqueue(Some("registry/app:1"), 0).await;
    let other = scene.enqueue(Some("registry/app:2"), 0).await;
    let claimed = scene.claim(1, 10).await;
    assert_eq!(ids(&claimed), [first, other]);
    assert!(scene.claim(1, 10).await.is_empty());
    finish(&scene, &claimed[0], Status::Errored).await.unwrap();
    assert_eq!(ids(&scene.claim(1, 10).await), [second]);
}

async fn many_workers_get_each_job_once_and_keep_serial_keys_apart(scene: Scene) {
    let orders: Vec<_> = (0..60).map(|number| order(Some(&format!("key {}", number % 5)), 0)).collect();
    scene
        .write(work!(|tx| {
            for order in orders {
                jobs::enqueue(tx, order, at(0)).await?;
            }
            Ok(())
        }))
        .await;
    let work = |scene: &Scene| {
        let db = scene.db.clone();
        async move {
            let mut done = Vec::new();
            for _ in 0..400 {
                let claimed = db
                    .write::<_, Error, _>(longshore_metadata::Priority::Normal, |tx| {
                        Box::pin(jobs::claim(
                            tx,
                            &[JobAction::PollMirror],
                            BootId(Default::default()),
                            "w",
                            at(1),
                            LEASE,
                            4,
                        ))
                    })
                    .await;
                // If two servers claim one serial key at the same moment, one of them has to try again.
                let Ok(claimed) = claimed else { continue };
                let listed = JobFilter { status: Some(Status::Running), ..JobFilter::default() };
                let conn = &mut db.read().await.unwrap();
                let running = jobs::list(conn, &Visible::Everything, None, &listed, &PageRequest::first(100))
                    .await
                    .unwrap();
                assert!(running.items.len() <= 5, "more jobs run than there are keys");
                for claim in claimed {
                    let id = claim.job.id;
                    db.write::<_, Error, _>(longshore_metadata::Priority::Normal, move |tx| {
                        Box::pin(jobs::finish(tx, id, claim.epoch, Status::Done, None, None, at(2)))
                    })
                    .await
                    .unwrap();
                    done.push(id);
                }
            }
            done
        }
    };
    let (a, b, c) = tokio::join!(work(&scene), work(&scene), work(&scene));
    let all: Vec<_> = [a, b, c].concat();
    assert_eq!(all.len(), 60, "each job once");
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 60);
}

async fn semantics_25_a_worker_that_lost_its_lease_commits_nothing(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let old = scene.claim(0, 1).await.remove(0);
    assert_eq!(release_expired(&scene, 59).await, 0, "the lease has not expired yet");
    lapse(&scene, job, old.epoch).await;
    assert_eq!(release_expired(&scene, 61).await, 1);

    // The old worker may not end it even while nobody has it.
    assert!(matches!(finish(&scene, &old, Status::Done).await, Err(Error::LeaseLost(lost)) if lost == job));
    let new = scene.claim(61, 1).await.remove(0);
    assert!(new.epoch > old.epoch);

    let epoch = old.epoch;
    let fenced = scene
        .try_write(work!(|tx| {
            settings::put(tx, "effect of the old worker", "done").await?;
            jobs::fence(tx, job, epoch).await
        }))
        .await;
    assert!(matches!(fenced, Err(Error::LeaseLost(_))), "{fenced:?}");
    assert!(matches!(finish(&scene, &old, Status::Done).await, Err(Error::LeaseLost(_))));
    let renewed = scene.write(work!(|tx| jobs::renew(tx, job, epoch, at(62), LEASE).await)).await;
    assert!(!renewed);
    let put_back =
        scene.try_write(work!(|tx| retry_later(tx, job, epoch, at(70), "late", at(62)).await)).await;
    assert!(matches!(put_back, Err(Error::LeaseLost(_))));

    let conn = &mut scene.read().await;
    assert_eq!(settings::get(conn, "effect of the old worker").await.unwrap(), None);
    assert_eq!(settings::get(conn, &format!("effect of {job} {epoch}")).await.unwrap(), None);
    assert_eq!(get(&scene, job).await.status, Status::Running);
    finish(&scene, &new, Status::Done).await.unwrap();
    assert_eq!(get(&scene, job).await.status, Status::Done);
}

async fn a_renewed_lease_is_not_released(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let claim = scene.claim(0, 1).await.remove(0);
    let epoch = claim.epoch;
    assert!(scene.write(work!(|tx| jobs::renew(tx, job, epoch, at(50), LEASE).await)).await);
    assert_eq!(release_expired(&scene, 100).await, 0);
    if scene.db.kind() == "PostgreSQL" {
        lapse(&scene, job, epoch).await;
    }
    assert_eq!(release_expired(&scene, 111).await, 1);
}

async fn semantics_25_servers_that_share_a_database_use_its_clock_for_leases(scene: Scene) {
    scene.enqueue(None, 0).await;
    scene.claim(0, 1).await;
    let conn = &mut scene.read().await;
    // A server whose clock is years ahead releases nothing, nor does one whose clock is behind.
    let alone = scene.db.kind() == "SQLite";
    assert_eq!(jobs::any_expired(conn, at(1_000_000_000)).await.unwrap(), alone);
    assert_eq!(release_expired(&scene, 1_000_000_000).await, u64::from(alone));
}

async fn a_job_whose_cancellation_was_requested_is_not_resumed_after_its_lease(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let claim = scene.claim(0, 1).await.remove(0);
    let asked = scene.write(work!(|tx| jobs::cancel(tx, job, at(1)).await)).await;
    assert_eq!(asked, CancelOutcome::Requested);
    lapse(&scene, job, claim.epoch).await;
    // Its server died before it could stop.
    assert_eq!(release_expired(&scene, 61).await, 1);
    assert!(scene.claim(62, 1).await.is_empty());
    let ended = get(&scene, job).await;
    assert_eq!((ended.status, ended.finished_at), (Status::Canceled, Some(at(61))));
}

async fn a_starting_server_releases_the_jobs_of_earlier_starts(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let claim = scene.claim(0, 1).await.remove(0);
    let boot = BootId::new();
    // SQLite has one server, and this is its start; with PostgreSQL, the other one may still be running.
    let is_alone = scene.db.kind() == "SQLite";
    let freed = scene.write(work!(|tx| jobs::release_all(tx, boot, at(1)).await)).await;
    assert_eq!(freed, u64::from(is_alone));
    if !is_alone {
        lapse(&scene, job, claim.epoch).await;
    }
    let freed_later = scene.write(work!(|tx| jobs::release_all(tx, boot, at(61)).await)).await;
    assert_eq!(freed + freed_later, 1);
    assert!(matches!(finish(&scene, &claim, Status::Done).await, Err(Error::LeaseLost(_))));
    assert_eq!(get(&scene, job).await.status, Status::Waiting);
}

async fn a_job_is_retried_when_it_is_due(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let claim = scene.claim(0, 1).await.remove(0);
    let epoch = claim.epoch;
    scene.write(work!(|tx| retry_later(tx, job, epoch, at(30), "busy", at(1)).await)).await;
    let waiting = get(&scene, job).await;
    assert_eq!((waiting.status, waiting.retries_left, waiting.scheduled_at), (Status::Waiting, 2, at(30)));
    assert_eq!(waiting.error, Some(words("busy")));
    assert!(scene.claim(29, 1).await.is_empty());
    let again = scene.claim(30, 1).await.remove(0);
    assert_eq!((again.job.attempt, again.job.started_at), (2, Some(at(0))));
    assert!(again.epoch > epoch);
}

async fn a_waiting_job_is_canceled_at_once_and_a_running_one_is_requested_to_stop(scene: Scene) {
    let (running, waiting) = (scene.enqueue(None, 0).await, scene.enqueue(None, 5).await);
    let claim = scene.claim(0, 1).await.remove(0);
    let cancel = |job| scene.write(work!(|tx| jobs::cancel(tx, job, at(1)).await));
    assert_eq!(cancel(waiting).await, CancelOutcome::Canceled);
    assert_eq!(cancel(running).await, CancelOutcome::Requested);
    assert_eq!(cancel(JobId::new()).await, CancelOutcome::Ended);
    assert_eq!(get(&scene, waiting).await.status, Status::Canceled);
    assert!(jobs::cancel_requested(&mut scene.read().await, running).await.unwrap());
    assert!(scene.claim(10, 10).await.is_empty());
    finish(&scene, &claim, Status::Canceled).await.unwrap();
    assert_eq!(cancel(running).await, CancelOutcome::Ended);
}

async fn progress_and_log_are_stored(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let claim = scene.claim(0, 1).await.remove(0);
    let epoch = claim.epoch;
    let half =
        Progress { tags_done: 1, tags_total: 2, bytes_done: 5_000_000_000, bytes_total: 10_000_000_000 };
    scene
        .write(work!(|tx| {
            jobs::progress(tx, job, epoch, &half, at(1)).await?;
            let lines = [(Level::Info, words("begun")), (Level::Warn, words("slow"))];
            jobs::log(tx, job, &lines, at(1)).await?;
            jobs::log(tx, job, &[(Level::Error, words("broken"))], at(2)).await
        }))
        .await;
    assert_eq!(get(&scene, job).await.progress, half);
    let conn = &mut scene.read().await;
    let lines = jobs::logs(conn, job, 0, 10).await.unwrap();
    let told: Vec<_> = lines.into_iter().map(|line| (line.line, line.level, line.message)).collect();
    let written = [(1, Level::Info, "begun"), (2, Level::Warn, "slow"), (3, Level::Error, "broken")];
    assert_eq!(told, written.map(|(line, level, said)| (line, level, words(said))));
    let rest = jobs::logs(conn, job, 1, 1).await.unwrap();
    assert_eq!(rest.iter().map(|line| line.line).collect::<Vec<_>>(), [2]);
}

async fn a_full_log_counts_omitted_lines_and_still_accepts_errors(scene: Scene) {
    let job = scene.enqueue(None, 0).await;
    let write = async |level: Level, text: &'static str, count: usize| {
        let lines = vec![(level, words(text)); count];
        scene.write(work!(|tx| jobs::log(tx, job, &lines, at(1)).await)).await;
    };
    let left_out = |count| (Level::Warn, Message::from(JobMessage::LinesLeftOut { count }));
    let end = async |after: i64| {
        let lines = jobs::logs(&mut scene.read().await, job, after, 20_000).await.unwrap();
        let last = lines.last().map_or(after, |line| line.line);
        (last, lines.into_iter().map(|line| (line.level, line.message)).collect::<Vec<_>>())
    };
    write(Level::Info, "more", 9_000).await;
    let (seen, lines) = end(0).await;
    assert_eq!(lines.len(), 9_000);
    write(Level::Info, "more", 5).await;
    write(Level::Warn, "more", 6).await;
    let (seen, lines) = end(seen).await;
    assert_eq!(lines, [left_out(11)]);
    write(Level::Info, "more", 1).await;
    let (seen, lines) = end(seen).await;
    assert_eq!(lines, [left_out(12)], "a client that follows the log sees the new count");
    write(Level::Error, "broken", 1).await;
    write(Level::Info, "more", 3).await;
    let (_, lines) = end(seen).await;
    assert_eq!(lines, [(Level::Error, words("broken")), left_out(3)]);
    write(Level::Error, "broken", 2_000).await;
    let (_, lines) = end(0).await;
    assert_eq!((lines.len(), lines.last()), (10_001, Some(&left_out(1_003))));
}

async fn parts_belong_to_their_job(scene: Scene) {
    let parent = scene.enqueue(None, 0).await;
    let mut orders = Vec::new();
    for _ in 0..2 {
        let mut part = order(None, 0);
        part.parent = Some(parent);
        orders.push(part);
    }
    scene
        .write(work!(|tx| {
            for order in orders {
                jobs::enqueue(tx, order, at(0)).await?;
            }
            Ok(())
        }))
        .await;
    let parts = jobs::children(&mut scene.read().await, parent).await.unwrap();
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part.parent == Some(parent)));

    let mut changes = scene.db.changes();
    for (claim, rest) in scene.claim(0, 3).await.iter().filter(|claim| claim.job.id != parent).zip([1, 0]) {
        finish(&scene, claim, Status::Done).await.unwrap();
        let open = jobs::open_part(&mut scene.read().await, parent, None).await.unwrap().is_some();
        assert_eq!(open, rest > 0);
        let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
        assert!(told.contains(&Change::Job(parent)), "a change of the parent is announced: {told:?}");
    }
}

async fn jobs_are_listed_newest_first_and_by_filter(scene: Scene) {
    let repository = scene.repository("dev/app").await;
    let policy = longshore_model::PolicyId::new();
    let mut of_policy = order(None, 0);
    of_policy.policy = Some(policy);
    of_policy.repository = Some(repository.id);
    let first = scene.enqueue(None, 0).await;
    let second = scene.write(work!(|tx| jobs::enqueue(tx, of_policy, at(0)).await)).await;
    let image = scene.image(&repository, 1).await;
    scene.push(&repository, "1", &image).await;

    let listed = async |filter: JobFilter| {
        let page = PageRequest::first(10);
        jobs::list(&mut scene.read().await, &Visible::Everything, None, &filter, &page).await.unwrap()
    };
    let all = listed(JobFilter::default()).await;
    assert_eq!((all.items.len(), all.total), (3, Total::Exactly(3)));
    assert_eq!((all.items[1].id, all.items[2].id), (second, first));
    let all = listed(JobFilter { without_evaluations: true, ..Default::default() }).await;
    assert_eq!(all.total, 2);
    for filter in [
        JobFilter { policy: Some(policy), ..Default::default() },
        JobFilter {
            repository: Some(repository.name.clone()),
            action: Some(JobAction::PollMirror),
            ..Default::default()
        },
    ] {
        let found = listed(filter).await;
        assert_eq!((found.items.len(), found.items[0].id, found.total), (1, second, Total::Exactly(1)));
        assert_eq!(found.items[0].repository_name.as_ref(), Some(&repository.name));
    }
    assert_eq!(listed(JobFilter { status: Some(Status::Errored), ..Default::default() }).await.total, 0);
    let active =
        jobs::active_for_policy(&mut scene.read().await, policy, JobAction::PollMirror).await.unwrap();
    assert_eq!(active.unwrap().id, second);
}

async fn polls_of_many_mirrors_are_enqueued_as_parts_with_a_few_statements(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let mut mirrors = Vec::new();
    for _ in 0..3 {
        mirrors.push(crate::mirrors::pull_mirror(&scene, &dev, 0, Baseline::None).await);
    }
    // The first is already being polled.
    let running = crate::pauses::add(&scene, crate::pauses::poll(&mirrors[0])).await;
    let orders: Vec<NewJob> = mirrors[1..].iter().map(crate::pauses::poll).collect();
    let ids: Vec<PolicyId> = mirrors.iter().map(|mirror| mirror.common.id).collect();
    let whole = scene.enqueue(None, 0).await;
    let adopted = scene
        .write(work!(|tx| {
            let adopted = jobs::adopt_polls(tx, whole, &ids, at(1)).await?;
            jobs::enqueue_polls(tx, whole, &orders, at(1)).await?;
            Ok(adopted)
        }))
        .await;
    assert_eq!(adopted, [mirrors[0].common.id]);
    let parts = jobs::children(&mut scene.read().await, whole).await.unwrap();
    let of: HashSet<_> = parts.iter().map(|part| part.policy.unwrap()).collect();
    assert_eq!(of, mirrors.iter().map(|mirror| mirror.common.id).collect());
    assert!(parts.iter().any(|part| part.id == running));
    assert!(parts.iter().all(|part| part.parent == Some(whole)));
    // They equal what `enqueue` makes of the same order; each is in the lane of its remote.
    let again = crate::pauses::add(&scene, crate::pauses::poll(&mirrors[2])).await;
    let conn = &mut scene.read().await;
    let alike = jobs::get(conn, again).await.unwrap().unwrap();
    let part = parts.iter().find(|part| part.policy == Some(mirrors[2].common.id)).unwrap();
    let told =
        |job: &Job| (job.parameters.clone(), job.cause.clone(), job.repository, job.retries_left, job.status);
    assert_eq!(told(part), told(&alike));
    let lanes = jobs::lanes(conn, JobAction::PollMirror, at(9)).await.unwrap();
    assert_eq!(lanes.len(), 3);
    assert!(mirrors.iter().all(|mirror| lanes.iter().any(|due| due.lane.remote == mirror.remote)));
}

async fn a_reader_that_sees_a_job_ended_sees_the_jobs_that_it_enqueued(scene: Scene) {
    const LINKS: i64 = 100;
    scene.enqueue(None, 0).await;
    let writing = async {
        for number in 1..=LINKS {
            let claim = scene.claim(number, 1).await.remove(0);
            let (job, epoch, next) = (claim.job.id, claim.epoch, order(None, number + 1));
            scene
                .write(work!(|tx| {
                    jobs::enqueue(tx, next, at(number)).await?;
                    jobs::finish(tx, job, epoch, Status::Done, None, None, at(number)).await
                }))
                .await;
        }
    };
    let reading = async {
        let page = PageRequest::first(500);
        loop {
            let mut conn = scene.read().await;
            let listed = jobs::list(&mut conn, &Visible::Everything, None, &JobFilter::default(), &page)
                .await
                .unwrap();
            assert!(
                listed.items.iter().any(|job| !job.status.is_final()),
                "each job that ended enqueued another one"
            );
            if listed.items.len() as i64 > LINKS {
                break;
            }
        }
    };
    tokio::join!(writing, reading);
}
