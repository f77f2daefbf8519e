//! Which records of the past are pruned and which are kept.

use crate::on_both;
use crate::scene::{Scene, at, digest, name, words};
use jiff::SignedDuration;
use longshore_metadata::deliveries::{self, Delivery, DeliveryTarget};
use longshore_metadata::history::{self, Keep, Kind};
use longshore_metadata::verdicts::{self, VerdictRow};
use longshore_metadata::{jobs, undo, work};
use longshore_model::job::{Level, Status};
use longshore_model::tag::AnswerResult;
use longshore_model::{Message, PolicyId, PolicyKind, RemoteId, Repository, Revision};
use longshore_policy::{Outcome, Verdict};

on_both![
    old_jobs_are_pruned_with_their_logs_by_age_or_by_number,
    a_part_is_kept_until_its_parent_job_has_ended,
    changes_are_kept_if_a_tag_points_to_them_or_they_can_be_restored,
    verdicts_about_current_tags_are_kept,
    the_last_delivery_to_each_place_is_kept_as_long_as_the_image,
];

const DAY: i64 = 86_400;

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// Keeps entries for a day.
const AGE: Keep = Keep { age: Some(SignedDuration::from_hours(24)), number: None };

/// Keeps this many entries.
fn number(number: u32) -> Keep {
    Keep { age: None, number: Some(number) }
}

/// Prunes entries beyond `keep` at second `now`, with a week in which lost content can be restored. Returns the number
/// of entries found.
async fn prune(scene: &Scene, kind: Kind, keep: Keep, now: i64) -> usize {
    let conn = &mut scene.read().await;
    let bounds = history::bounds(conn, kind, &keep, days(7), at(now)).await.unwrap();
    let (mut found, mut after) = (0, None);
    loop {
        let old = history::old(conn, kind, &bounds, after.as_ref(), 2).await.unwrap();
        let (keys, limits) = (old.beyond.clone(), bounds.clone());
        let forget = scene.write(work!(|tx| history::forget(tx, kind, &limits, &keys).await));
        assert!(forget.await <= old.beyond.len());
        found += old.beyond.len();
        after = old.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn end(scene: &Scene, limit: i64) {
    for claim in scene.claim(10, limit).await {
        let (job, epoch) = (claim.job.id, claim.epoch);
        let finish =
            scene.write(work!(|tx| jobs::finish(tx, job, epoch, Status::Done, None, None, at(9)).await));
        finish.await;
    }
}

async fn old_jobs_are_pruned_with_their_logs_by_age_or_by_number(scene: Scene) {
    for _ in 0..5 {
        let job = scene.enqueue(None, 0).await;
        let log = scene.write(work!(|tx| jobs::log(tx, job, &[(Level::Info, words("x"))], at(1)).await));
        log.await;
    }
    end(&scene, 4).await;
    assert_eq!(prune(&scene, Kind::Jobs, number(2), 60).await, 0, "they are too young");
    assert_eq!(prune(&scene, Kind::Jobs, AGE, 9 + DAY).await, 0);
    assert_eq!(prune(&scene, Kind::Jobs, number(3), DAY).await, 2);
    assert_eq!(scene.orders().await.len(), 3);
    assert_eq!(prune(&scene, Kind::Jobs, AGE, 10 + DAY).await, 2, "the fifth job has not ended");
    assert_eq!(scene.orders().await.len(), 1);
}

async fn a_part_is_kept_until_its_parent_job_has_ended(scene: Scene) {
    let whole = scene.enqueue(None, 99).await;
    let part = jobs::NewJob { parent: Some(whole), ..crate::scene::order(None, 0) };
    scene.write(work!(|tx| jobs::enqueue(tx, part, at(0)).await)).await;
    end(&scene, 1).await;
    assert_eq!(prune(&scene, Kind::Jobs, AGE, 9 * DAY).await, 0);
    scene.write(work!(|tx| jobs::cancel(tx, whole, at(10)).await)).await;
    assert_eq!(prune(&scene, Kind::Jobs, AGE, 9 * DAY).await, 2);
}

async fn changes_are_kept_if_a_tag_points_to_them_or_they_can_be_restored(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let images = [scene.image(&dev, 1).await, scene.image(&dev, 2).await, scene.image(&dev, 3).await];
    for image in &images {
        scene.push(&dev, "latest", image).await;
    }
    scene.push(&dev, "gone", &images[0]).await;
    scene.remove(&dev, "gone").await;
    let known = async |tag: &str| {
        let conn = &mut scene.read().await;
        let window = crate::scene::week(2);
        undo::history(conn, dev.id, &name(tag), None, 10, &window).await.unwrap().len()
    };
    assert_eq!(prune(&scene, Kind::TagChanges, AGE, 2 * DAY).await, 0, "all can be restored");
    assert_eq!(prune(&scene, Kind::TagChanges, AGE, 8 * DAY).await, 0, "waiting evaluations concern them");
    end(&scene, 10).await;
    assert_eq!(prune(&scene, Kind::TagChanges, number(9), 8 * DAY).await, 0);
    // A deletion is pruned after the change that it deleted.
    assert_eq!(prune(&scene, Kind::TagChanges, AGE, 8 * DAY).await, 4);
    assert_eq!((known("latest").await, known("gone").await), (1, 0));
    assert_eq!(scene.tag(&dev, "latest").await.unwrap().digest, images[2]);
}

async fn verdicts_about_current_tags_are_kept(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let policy = PolicyId::new();
    let mut revisions = Vec::new();
    for seed in [1, 2] {
        let image = scene.image(&dev, seed).await;
        let revision = crate::scene::revision(scene.push(&dev, "latest", &image).await);
        let row = VerdictRow {
            policy,
            kind: PolicyKind::Promotion,
            version: 1,
            repository: dev.id,
            tag: name("latest"),
            revision,
            digest: image,
            verdict: Verdict { outcome: Outcome::NoMatch, reasons: Vec::new() },
            target_tag: None,
            result: AnswerResult::NotMatched,
            consequence: Message::Nothing,
            job: None,
            at: at(1),
        };
        scene.write(work!(|tx| verdicts::record(tx, &row).await)).await;
        revisions.push(revision);
    }
    assert_eq!(prune(&scene, Kind::Verdicts, AGE, 3 * DAY).await, 0, "evaluations are waiting");
    end(&scene, 10).await;
    assert_eq!(prune(&scene, Kind::Verdicts, AGE, 3 * DAY).await, 1);
    let left = async |revision: Revision| {
        verdicts::find(&mut scene.read().await, policy, 1, dev.id, &name("latest"), revision).await.unwrap()
    };
    assert!(left(revisions[0]).await.is_none() && left(revisions[1]).await.is_some());
}

async fn deliver(scene: &Scene, from: &Repository, seed: u8, target: &DeliveryTarget, tag: &str) {
    let delivery = Delivery {
        policy: Some(PolicyId::new()),
        kind: PolicyKind::PushMirror,
        source_repository: from.id,
        source_tag: Some(name("latest")),
        source_revision: Revision(1),
        digest: digest(seed, 0),
        target: target.clone(),
        target_tag: Some(name(tag)),
        at: at(1),
        job: None,
    };
    scene.write(work!(|tx| deliveries::record(tx, &delivery).await)).await;
}

async fn the_last_delivery_to_each_place_is_kept_as_long_as_the_image(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    scene.image(&dev, 1).await;
    let here = DeliveryTarget::Local(qa.id);
    let there = DeliveryTarget::Remote {
        remote: RemoteId::new(),
        host: "registry.example".to_owned(),
        repository: "up/app".parse().unwrap(),
    };
    deliver(&scene, &dev, 1, &here, "1").await;
    deliver(&scene, &dev, 1, &here, "1").await;
    deliver(&scene, &dev, 1, &there, "1").await;
    // A delivery of an image that no longer exists.
    deliver(&scene, &dev, 2, &there, "2").await;
    assert_eq!(
        prune(&scene, Kind::Deliveries, number(0), 60).await,
        0,
        "none is pruned within the first hour"
    );
    assert_eq!(prune(&scene, Kind::Deliveries, number(0), DAY).await, 2);
    let conn = &mut scene.read().await;
    let left = deliveries::of_digest(conn, dev.id, &digest(1, 0)).await.unwrap();
    assert_eq!(left.iter().map(|left| &left.target).collect::<Vec<_>>(), [&here, &there]);
    assert!(deliveries::latest_at(conn, &there, &name("1")).await.unwrap().is_some());
    assert!(deliveries::latest_at(conn, &there, &name("2")).await.unwrap().is_none());
}
