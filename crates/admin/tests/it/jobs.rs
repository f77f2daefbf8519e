//! Jobs: cancelling and trying again.

use crate::registry::Registry;
use crate::scene::{Scene, name, pull_mirror_over, robot_at, typed};
use longshore_model::job::{Cause, Status};
use longshore_model::policy::Save;
use longshore_model::{Author, Code, JobId, Visibility};

#[tokio::test]
async fn a_waiting_job_is_canceled_at_once_and_can_be_tried_again() {
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

    // Nobody works for a mirror that is gone (semantics 34).
    scene.admin.cancel_job(&dev, again.id).await.unwrap();
    scene.admin.delete_mirror(&dev, &web, mirror.common.id).await.unwrap();
    let refused = scene.admin.retry_job(&dev, again.id).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidJob);
    assert!(refused.message.contains("its policy has been deleted"), "{}", refused.message);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_a_404() {
    let scene = Scene::new().await;
    let root = scene.who("root").await;
    assert_eq!(scene.admin.job(&root, JobId::new()).await.unwrap_err().code, Code::NoSuchJob);
}

#[tokio::test]
async fn the_system_page_counts_what_there_is() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Private).await;
    scene.push("dev/web", "1.0").await;
    let info = scene.admin.system(&scene.who("root").await).await.unwrap();
    assert_eq!((info.repositories, info.tags, info.jobs_waiting, info.jobs_running), (1, 1, 1, 0));
    assert_eq!((info.database.as_str(), info.zone.as_str()), ("SQLite", "UTC"));
}
