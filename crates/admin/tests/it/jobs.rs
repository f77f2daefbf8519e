//! Cancelling and retrying jobs.

use crate::registry::Registry;
use crate::scene::{Scene, name, pull_mirror_over, robot_at, typed};
use jiff::SignedDuration;
use longshore_metadata::{Error, Priority, jobs, work};
use longshore_model::job::{Cause, JobAction, JobFilter, RetriedJobs, Status};
use longshore_model::policy::{PullMirrorDraft, Save};
use longshore_model::{Author, BootId, Clock, Code, JobId, PageRequest, Visibility};

#[tokio::test]
async fn a_waiting_job_is_canceled_at_once_and_can_be_retried() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &web, draft, Save::Future).await.unwrap();
    let job = scene.admin.sync_now(&dev, &web, mirror.common.id).await.unwrap();
    assert_eq!(scene.admin.retry_job(&dev, job.id).await.unwrap_err().code, Code::InvalidJob);

    let canceled = scene.admin.cancel_job(&dev, job.id).await.unwrap();
    assert_eq!(canceled.status, Status::Canceled);
    assert_eq!(scene.admin.cancel_job(&dev, job.id).await.unwrap_err().code, Code::JobEnded);

    let again = scene.admin.retry_job(&dev, job.id).await.unwrap();
    assert_eq!((again.retry_of, &again.parameters), (Some(job.id), &job.parameters));
    assert!(matches!(&again.cause, Cause::Asked { author: Author::User { name } } if *name == "dev"));
    assert_eq!(again.status, Status::Waiting);

    // The job of a deleted mirror cannot be retried (semantics 34).
    scene.admin.cancel_job(&dev, again.id).await.unwrap();
    scene.admin.delete_mirror(&dev, &web, mirror.common.id).await.unwrap();
    let refused = scene.admin.retry_job(&dev, again.id).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidJob);
    assert!(refused.message.contains("its policy has been deleted"), "{}", refused.message);
}

#[tokio::test]
async fn a_job_that_does_not_exist_is_a_404() {
    let scene = Scene::new().await;
    let root = scene.who("root").await;
    assert_eq!(scene.admin.job(&root, JobId::new()).await.unwrap_err().code, Code::NoSuchJob);
}

#[tokio::test]
async fn the_system_page_counts_repositories_tags_and_jobs() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    scene.push("dev/web", "1.0").await;
    let info = scene.admin.system(&scene.who("root").await).await.unwrap();
    assert_eq!((info.repositories, info.tags, info.jobs_waiting, info.jobs_running), (1, 1, 1, 0));
    assert_eq!((info.database.as_str(), info.zone.as_str()), ("SQLite", "UTC"));
}

/// Claims every queued poll and lets it fail permanently.
async fn fail_polls(scene: &Scene) {
    let now = scene.clock.now();
    let failed = scene.db.write::<_, Error, _>(
        Priority::Normal,
        work!(|tx| {
            let lease = SignedDuration::from_secs(60);
            let (boot, poll) = (BootId::new(), JobAction::PollMirror);
            for lane in jobs::lanes(tx, poll, now).await? {
                while let Some(claim) = jobs::claim_lane(tx, poll, &lane, boot, "here", now, lease).await? {
                    let why = "the registry is away".to_owned().into();
                    jobs::finish(tx, claim.job.id, claim.epoch, Status::Errored, None, Some(&why), now)
                        .await?;
                }
            }
            Ok(())
        }),
    );
    failed.await.unwrap();
}

#[tokio::test]
async fn every_failed_job_is_retried_once_and_the_others_are_skipped() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    let (dev, eve, web) = (scene.who("dev").await, scene.who("eve").await, name("dev/web"));
    let mut mirrors = Vec::new();
    for remote in ["a", "b"] {
        let draft = PullMirrorDraft {
            remote_repository: format!("vendor/{remote}"),
            ..pull_mirror_over(typed(robot_at(&registry.url)))
        };
        let mirror = scene.admin.create_pull_mirror(&dev, &web, draft, Save::Future).await.unwrap();
        scene.admin.sync_now(&dev, &web, mirror.common.id).await.unwrap();
        fail_polls(&scene).await;
        mirrors.push(mirror.common.id);
    }
    let failed = JobFilter { status: Some(Status::Errored), ..JobFilter::default() };
    let all = PageRequest::first(10);
    assert_eq!(scene.admin.jobs(&dev, &failed, &all).await.unwrap().items.len(), 2);
    scene.admin.enable_mirror(&dev, &web, mirrors[1], None, false).await.unwrap();

    let none = scene.admin.retry_failed(&eve, JobFilter::default()).await.unwrap();
    assert_eq!(none, RetriedJobs::default());
    let other = JobFilter { policy: Some(mirrors[1]), ..JobFilter::default() };
    let left = scene.admin.retry_failed(&dev, other).await.unwrap();
    assert_eq!(left, RetriedJobs { left: 1, ..RetriedJobs::default() });
    let retried = scene.admin.retry_failed(&dev, JobFilter::default()).await.unwrap();
    assert_eq!(retried, RetriedJobs { retried: 1, left: 1, more: false });
    let again = scene.admin.retry_failed(&dev, JobFilter::default()).await.unwrap();
    assert_eq!(again, RetriedJobs { left: 1, ..RetriedJobs::default() });
}

#[tokio::test]
async fn only_the_last_failed_poll_of_a_mirror_is_retried_and_a_poll_of_all_through_its_children() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    let (dev, web) = (scene.who("dev").await, name("dev/web"));
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &web, draft, Save::Future).await.unwrap().common.id;
    fail_polls(&scene).await;
    scene.admin.sync_now(&dev, &web, mirror).await.unwrap();
    fail_polls(&scene).await;
    scene.admin.poll_all(&dev).await.unwrap();
    fail_polls(&scene).await;
    let failed = JobFilter { status: Some(Status::Errored), ..JobFilter::default() };
    let jobs = scene.admin.jobs(&dev, &failed, &PageRequest::first(10)).await.unwrap().items;
    assert!(jobs.len() > 2, "{jobs:?}");
    let retried = scene.admin.retry_failed(&dev, JobFilter::default()).await.unwrap();
    assert_eq!(retried, RetriedJobs { retried: 1, ..RetriedJobs::default() });
    let again = scene.admin.retry_failed(&dev, JobFilter::default()).await.unwrap();
    assert_eq!(again, RetriedJobs::default());
}
