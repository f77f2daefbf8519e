//! What open pages are told.

use crate::registry::Registry;
use crate::scene::{SAVE, Scene, name, pull_mirror_over, robot_at, tag, typed};
use futures::StreamExt;
use longshore_admin::{EventFilter, EventStream};
use longshore_model::job::{Event, Status};
use longshore_model::{Actor, Visibility};
use std::time::Duration;

async fn next(events: &mut EventStream) -> Event {
    tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("an event comes").unwrap()
}

/// Whether nothing comes for a while.
async fn is_silent(events: &mut EventStream) -> bool {
    tokio::time::timeout(Duration::from_millis(400), events.next()).await.is_err()
}

#[tokio::test]
async fn jobs_are_told_to_those_who_administer_their_repository() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let (dev, eve) = (scene.who("dev").await, scene.who("eve").await);
    let filter = EventFilter { jobs: true, ..EventFilter::default() };
    let mut told = scene.admin.events(&dev, filter.clone()).await.unwrap();
    let mut untold = scene.admin.events(&eve, filter).await.unwrap();
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &name("dev/web"), draft, SAVE).await.unwrap();
    let Event::Job { job } = next(&mut told).await else { panic!("a job is told of first") };
    assert_eq!((job.policy, job.status), (Some(mirror.common.id), Status::Waiting));

    scene.admin.cancel_job(&dev, job.id).await.unwrap();
    let Event::Job { job } = next(&mut told).await else { panic!("a job is told of again") };
    assert_eq!(job.status, Status::Canceled);
    assert!(is_silent(&mut untold).await);
}

#[tokio::test]
async fn many_changes_of_one_thing_are_few_events() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let filter = EventFilter { repository: Some(name("dev/web")), ..EventFilter::default() };
    let mut events = scene.admin.events(&Actor::Anonymous, filter).await.unwrap();
    for number in 0..20 {
        scene.push("dev/web", &format!("1.{number}")).await;
    }
    assert_eq!(next(&mut events).await, Event::Tags { repository: name("dev/web") });
    let mut more = 0;
    while !is_silent(&mut events).await {
        more += 1;
    }
    assert!(more <= 1, "{more} more than one");
    let dev = scene.who("dev").await;
    scene.admin.delete_tags(&dev, &name("dev/web"), &[tag("1.1")]).await.unwrap();
    assert_eq!(next(&mut events).await, Event::Tags { repository: name("dev/web") });
}
