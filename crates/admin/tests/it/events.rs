//! Events for open pages.

use crate::registry::Registry;
use crate::scene::{SAVE, Scene, name, pull_mirror_over, robot_at, secret, tag, typed};
use futures::StreamExt;
use longshore_admin::{EventFilter, EventStream, News};
use longshore_metadata::jobs::{self, NewJob};
use longshore_metadata::{Error, Priority, work};
use longshore_model::job::{Cause, Event, Parameters, Status};
use longshore_model::{Actor, Author, Clock, Code, RepositoryId, Visibility};
use std::time::Duration;

/// The next event that names something.
async fn next(events: &mut EventStream) -> Event {
    loop {
        let event = any(events).await;
        if event != Event::Settings {
            return event;
        }
    }
}

async fn any(events: &mut EventStream) -> Event {
    let news = tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("an event arrives");
    match news {
        Some(News::Event(event)) => event.event.clone(),
        other => panic!("an event, not {other:?}"),
    }
}

/// Waits until the stream has ended, ignoring any remaining events.
async fn ends(events: &mut EventStream) {
    let end = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("the stream ends");
}

/// Whether no event that names something arrives for a while.
async fn is_silent(events: &mut EventStream) -> bool {
    tokio::time::timeout(Duration::from_millis(400), next(events)).await.is_err()
}

#[tokio::test]
async fn job_events_are_sent_to_users_who_administer_the_repository() {
    let registry = Registry::start().await;
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let (dev, eve) = (scene.who("dev").await, scene.who("eve").await);
    let filter = EventFilter { jobs: true, ..EventFilter::default() };
    let mut told = scene.admin.events(&dev, None, filter.clone()).await.unwrap();
    let mut untold = scene.admin.events(&eve, None, filter).await.unwrap();
    let draft = pull_mirror_over(typed(robot_at(&registry.url)));
    let mirror = scene.admin.create_pull_mirror(&dev, &name("dev/web"), draft, SAVE).await.unwrap();
    let Event::Job { job } = next(&mut told).await else { panic!("an event about the job first") };
    assert_eq!((job.policy, job.status), (Some(mirror.common.id), Status::Waiting));

    scene.admin.cancel_job(&dev, job.id).await.unwrap();
    let Event::Job { job } = next(&mut told).await else { panic!("another event about the job") };
    assert_eq!(job.status, Status::Canceled);
    assert!(is_silent(&mut untold).await);
}

/// Many jobs about a repository, in one transaction.
async fn enqueue(scene: &Scene, repository: RepositoryId, count: u64) {
    let now = scene.clock.now();
    let enqueued = scene.db.write(
        Priority::Normal,
        work!(|tx| {
            for _ in 0..count {
                let job = NewJob {
                    parameters: Parameters::PollAll,
                    cause: Cause::Asked { author: Author::System },
                    policy: None,
                    repository: Some(repository),
                    parent: None,
                    retry_of: None,
                    serial_key: None,
                    scheduled_at: now,
                    retries: 0,
                };
                jobs::enqueue(tx, job, now).await?;
            }
            Ok::<_, Error>(())
        }),
    );
    enqueued.await.unwrap();
}

#[tokio::test]
async fn changes_are_loaded_in_batches_and_only_if_they_are_followed() {
    const JOBS: u64 = 40;
    let scene = Scene::new().await;
    let followed = scene.repository("dev/web", Visibility::Public).await;
    let other = scene.repository("dev/other", Visibility::Public).await;
    let follow = async |who: &str, filter: EventFilter| {
        scene.admin.events(&scene.who(who).await, None, filter).await.unwrap()
    };
    let of_one = EventFilter { repository: Some(name("dev/web")), ..EventFilter::default() };
    let mut dev = follow("dev", of_one).await;
    let before = scene.db.reads_made();
    enqueue(&scene, other.id, JOBS).await;
    assert!(is_silent(&mut dev).await);
    let idle = scene.db.reads_made() - before;
    assert!(idle <= 4, "{idle} statements for {JOBS} jobs without followers");

    let mut root = follow("root", EventFilter { jobs: true, ..EventFilter::default() }).await;
    let before = scene.db.reads_made();
    enqueue(&scene, followed.id, JOBS).await;
    for events in [&mut dev, &mut root] {
        for _ in 0..JOBS {
            let Event::Job { job } = next(events).await else { panic!("an event about a job") };
            assert_eq!(job.repository, Some(followed.id));
        }
    }
    let told = scene.db.reads_made() - before;
    assert!(told <= 20, "{told} statements for {JOBS} jobs with two followers");
}

#[tokio::test]
async fn signed_in_users_learn_that_settings_changed_but_not_which() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let filter = EventFilter { repository: Some(name("dev/web")), ..EventFilter::default() };
    let mut eve = scene.admin.events(&scene.who("eve").await, None, filter.clone()).await.unwrap();
    let mut nobody = scene.admin.events(&Actor::Anonymous, None, filter).await.unwrap();
    scene.admin.create_remote(&scene.who("dev").await, robot_at("https://another.test")).await.unwrap();
    assert_eq!(any(&mut eve).await, Event::Settings);
    assert!(tokio::time::timeout(Duration::from_millis(400), nobody.next()).await.is_err());
}

#[tokio::test]
async fn many_changes_of_one_thing_cause_few_events() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let filter = EventFilter { repository: Some(name("dev/web")), ..EventFilter::default() };
    let mut events = scene.admin.events(&Actor::Anonymous, None, filter).await.unwrap();
    let began = std::time::Instant::now();
    for number in 0..20 {
        scene.push("dev/web", &format!("1.{number}")).await;
    }
    // One in a quarter of a second, and one for the last of them.
    let most = 1 + began.elapsed().as_millis() / 250;
    assert_eq!(next(&mut events).await, Event::Tags { repository: name("dev/web") });
    let mut more = 0;
    while !is_silent(&mut events).await {
        more += 1;
    }
    assert!(more <= most, "{more} more than one, of {most}");
    let dev = scene.who("dev").await;
    scene.admin.delete_tags(&dev, &name("dev/web"), &[tag("1.1")]).await.unwrap();
    assert_eq!(next(&mut events).await, Event::Tags { repository: name("dev/web") });
}

#[tokio::test]
async fn a_slow_follower_is_told_to_reload_everything() {
    let scene = Scene::new().await;
    scene.repository("dev/web", Visibility::Public).await;
    let dev = scene.who("dev").await;
    let filter = EventFilter { jobs: true, ..EventFilter::default() };
    let mut slow = scene.admin.events(&dev, None, filter.clone()).await.unwrap();
    let mut quick = scene.admin.events(&dev, None, filter).await.unwrap();
    // Each push is a job.
    for number in 0..100 {
        scene.push("dev/web", &format!("1.{number}")).await;
        next(&mut quick).await;
    }
    let mut taken = 0;
    while let News::Event(_) = slow.next().await.unwrap() {
        taken += 1;
    }
    assert!((1..100).contains(&taken), "{taken} events were kept");
    scene.push("dev/web", "2.0").await;
    next(&mut slow).await;
}

#[tokio::test]
async fn semantics_45_a_new_password_ends_the_streams_of_its_user_and_no_others() {
    let scene = Scene::new().await;
    let (dev, eve) = (scene.who("dev").await, scene.who("eve").await);
    let filter = EventFilter { jobs: true, ..EventFilter::default() };
    let access = scene.admin.access();
    let credential = async |actor: &Actor| {
        access.vouched(actor.user().unwrap().id).await.unwrap().map(|proven| proven.credential)
    };
    let (of_dev, of_eve) = (credential(&dev).await, credential(&eve).await);
    let mut ending = scene.admin.events(&dev, of_dev.clone(), filter.clone()).await.unwrap();
    let mut staying = scene.admin.events(&eve, of_eve, filter.clone()).await.unwrap();
    let hash = access.hash_password(&secret("another password")).await.unwrap();
    access.set_password(dev.user().unwrap().id, hash).await.unwrap();
    ends(&mut ending).await;
    assert!(is_silent(&mut staying).await);
    let Err(refused) = scene.admin.events(&dev, of_dev, filter).await else {
        panic!("the actor was admitted")
    };
    assert_eq!(refused.code, Code::NotAuthenticated);
}
