//! Promotion policies, their verdicts, and deliveries.

use crate::mirrors::common;
use crate::on_both;
use crate::scene::{Scene, at, digest, name, words};
use longshore_metadata::deliveries::{self, Delivery, DeliveryTarget};
use longshore_metadata::verdicts::{self, VerdictRow};
use longshore_metadata::{promotions, repositories, undo, work};
use longshore_model::message::Everything;
use longshore_model::stored::PromotionPolicy;
use longshore_model::tag::AnswerResult;
use longshore_model::{Author, JobId, PolicyId, PolicyKind, RemoteId, Repository, RepositoryId, Revision};
use longshore_policy::{Outcome, StoredRules, Verdict};

on_both![
    a_policy_is_found_by_its_source_and_by_its_target,
    semantics_10_unreadable_rules_are_kept_unchanged,
    semantics_02_there_is_one_verdict_per_revision_and_version,
    semantics_01_the_last_delivery_to_a_place_is_found,
    semantics_07_the_deliveries_of_an_image_are_found_by_its_digest,
    the_last_delivery_of_a_change_by_each_policy_is_found,
    semantics_05_a_policys_tags_of_one_digest_are_counted,
    semantics_23_the_policies_of_a_deleted_repository_are_suspended_until_it_is_restored,
];

async fn promotion(scene: &Scene, source: &Repository, target: &Repository, rules: &str) -> PromotionPolicy {
    let policy = PromotionPolicy {
        common: common(),
        source: source.id,
        source_name: source.name.clone(),
        target: target.id,
        target_name: target.name.clone(),
        rules: StoredRules::from_json(rules),
        template: "%n".to_owned(),
        last_promoted_at: None,
    };
    let written = policy.clone();
    scene.write(work!(|tx| promotions::insert(tx, &written).await)).await;
    policy
}

async fn a_policy_is_found_by_its_source_and_by_its_target(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let policy = promotion(&scene, &dev, &qa, "[]").await;
    let conn = &mut scene.read().await;
    assert_eq!(promotions::for_source(conn, dev.id).await.unwrap(), [policy.clone()]);
    assert_eq!(promotions::for_target(conn, qa.id).await.unwrap(), [policy.clone()]);
    assert!(promotions::for_source(conn, qa.id).await.unwrap().is_empty());
    let source = repositories::summary(conn, dev.id).await.unwrap().unwrap();
    let target = repositories::summary(conn, qa.id).await.unwrap().unwrap();
    assert_eq!((source.promotions_out.count, source.promotions_in.count), (1, 0));
    assert_eq!((target.promotions_out.count, target.promotions_in.count), (0, 1));
    let id = policy.common.id;
    scene
        .write(work!(|tx| {
            promotions::mark_promoted(tx, id, at(5)).await?;
            let promoted = promotions::get(tx, id).await?.unwrap();
            assert_eq!(promoted.last_promoted_at, Some(at(5)));
            promotions::delete(tx, id, at(6)).await
        }))
        .await;
    assert_eq!(promotions::get(conn, id).await.unwrap(), None);
}

async fn semantics_10_unreadable_rules_are_kept_unchanged(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let rules = r#"[{"field":"phase_of_the_moon","operator":"eq","values":["full"]}]"#;
    let policy = promotion(&scene, &dev, &qa, rules).await;
    let found = promotions::get(&mut scene.read().await, policy.common.id).await.unwrap().unwrap();
    assert!(found.rules.readable().is_none());
    assert_eq!(found.rules, policy.rules);
}

fn verdict(policy: PolicyId, version: i64, repository: RepositoryId, revision: i64) -> VerdictRow {
    VerdictRow {
        policy,
        kind: PolicyKind::Promotion,
        version,
        repository,
        tag: name("1"),
        revision: Revision(revision),
        digest: digest(1, 0),
        verdict: Verdict { outcome: Outcome::Match, reasons: Vec::new() },
        target_tag: Some(name("1-qa")),
        result: AnswerResult::Running,
        consequence: words("on its way"),
        job: None,
        at: at(revision),
    }
}

async fn semantics_02_there_is_one_verdict_per_revision_and_version(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let policy = PolicyId::new();
    let rows = [verdict(policy, 1, dev.id, 7), verdict(policy, 2, dev.id, 7), verdict(policy, 2, dev.id, 8)];
    let written = rows.clone();
    scene
        .write(work!(|tx| {
            for row in written.iter().chain(&written) {
                verdicts::record(tx, row).await?;
            }
            Ok(())
        }))
        .await;
    let conn = &mut scene.read().await;
    let find = async |conn: &mut longshore_metadata::Conn, version, revision| {
        verdicts::find(conn, policy, version, dev.id, &name("1"), Revision(revision)).await.unwrap()
    };
    assert_eq!(find(conn, 1, 7).await.as_ref(), Some(&rows[0]));
    assert_eq!(find(conn, 1, 8).await, None);
    assert_eq!(verdicts::for_tag(conn, dev.id, &name("1"), Revision(7)).await.unwrap(), rows[..2]);
    let job = JobId::new();
    scene
        .write(work!(|tx| {
            let (tag, revision) = (name("1"), Revision(7));
            let done = AnswerResult::Done;
            verdicts::update_result(
                tx,
                policy,
                1,
                dev.id,
                &tag,
                revision,
                done,
                &words("promoted"),
                Some(job),
            )
            .await?;
            // A result without a job keeps the recorded job.
            let failed = AnswerResult::Failed;
            verdicts::update_result(tx, policy, 1, dev.id, &tag, revision, failed, &words("gone"), None).await
        }))
        .await;
    let updated = find(conn, 1, 7).await.unwrap();
    assert_eq!(
        (updated.result, updated.consequence, updated.job),
        (AnswerResult::Failed, words("gone"), Some(job))
    );
    assert_eq!(find(conn, 2, 7).await.as_ref(), Some(&rows[1]), "the verdict of the other version is kept");
}

fn delivery(
    policy: PolicyId,
    source: RepositoryId,
    target: DeliveryTarget,
    seed: u8,
    second: i64,
) -> Delivery {
    Delivery {
        policy: Some(policy),
        kind: PolicyKind::PushMirror,
        source_repository: source,
        source_tag: Some(name("1")),
        source_revision: Revision(second),
        digest: digest(seed, 0),
        target,
        target_tag: Some(name("latest")),
        at: at(second),
        job: None,
    }
}

fn elsewhere(remote: RemoteId) -> DeliveryTarget {
    let repository = "team/app".parse().unwrap();
    DeliveryTarget::Remote { remote, host: "registry.example".to_owned(), repository }
}

async fn record(scene: &Scene, delivery: &Delivery) {
    let delivery = delivery.clone();
    scene.write(work!(|tx| deliveries::record(tx, &delivery).await)).await;
}

async fn semantics_01_the_last_delivery_to_a_place_is_found(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let there = elsewhere(RemoteId::new());
    let first = delivery(PolicyId::new(), dev.id, there.clone(), 1, 1);
    let second = delivery(PolicyId::new(), dev.id, there.clone(), 2, 2);
    let local = delivery(PolicyId::new(), dev.id, DeliveryTarget::Local(qa.id), 3, 3);
    for delivery in [&first, &second, &local] {
        record(&scene, delivery).await;
    }
    let conn = &mut scene.read().await;
    let latest = name("latest");
    assert_eq!(deliveries::latest_at(conn, &there, &latest).await.unwrap().as_ref(), Some(&second));
    let by_another_connection = elsewhere(RemoteId::new());
    assert_eq!(deliveries::latest_at(conn, &by_another_connection, &latest).await.unwrap(), Some(second));
    assert_eq!(deliveries::latest_at(conn, &local.target, &latest).await.unwrap().as_ref(), Some(&local));
    assert_eq!(deliveries::latest_at(conn, &there, &name("other")).await.unwrap(), None);
}

async fn the_last_delivery_of_a_change_by_each_policy_is_found(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let (first, second, silent) = (PolicyId::new(), PolicyId::new(), PolicyId::new());
    let to = || DeliveryTarget::Local(qa.id);
    let again = Delivery { at: at(9), ..delivery(first, dev.id, to(), 1, 1) };
    let other = delivery(second, dev.id, to(), 1, 1);
    for delivery in [
        &delivery(first, dev.id, to(), 1, 1),
        &other,
        &again,
        // Another change, another tag, another source, and one without a policy.
        &delivery(first, dev.id, to(), 1, 2),
        &Delivery { source_tag: Some(name("2")), ..delivery(first, dev.id, to(), 1, 1) },
        &delivery(first, qa.id, to(), 1, 1),
        &Delivery { policy: None, ..delivery(first, dev.id, to(), 1, 1) },
    ] {
        record(&scene, delivery).await;
    }
    let conn = &mut scene.read().await;
    let of = [first, second, silent];
    let mut found = deliveries::latest_by(conn, dev.id, &name("1"), Revision(1), &of).await.unwrap();
    found.sort_by_key(|delivery| delivery.policy != Some(first));
    assert_eq!(found, [again, other]);
    let none = deliveries::latest_by(conn, dev.id, &name("1"), Revision(1), &[]).await.unwrap();
    assert!(none.is_empty());
}

async fn semantics_07_the_deliveries_of_an_image_are_found_by_its_digest(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let remote = delivery(PolicyId::new(), dev.id, elsewhere(RemoteId::new()), 1, 1);
    let local = delivery(PolicyId::new(), dev.id, DeliveryTarget::Local(qa.id), 1, 2);
    let other = delivery(PolicyId::new(), dev.id, DeliveryTarget::Local(qa.id), 2, 3);
    for delivery in [&remote, &local, &other] {
        record(&scene, delivery).await;
    }
    let conn = &mut scene.read().await;
    let went = deliveries::of_digest(conn, dev.id, &digest(1, 0)).await.unwrap();
    assert_eq!(went, [remote.clone(), local.clone()]);
    assert!(deliveries::of_digest(conn, qa.id, &digest(1, 0)).await.unwrap().is_empty());
    // A kind of target that only a newer version knows.
    scene.by_another("UPDATE deliveries SET remote = 'later' WHERE remote IS NOT NULL").await;
    assert_eq!(deliveries::of_digest(conn, dev.id, &digest(1, 0)).await.unwrap(), [local]);
}

async fn semantics_05_a_policys_tags_of_one_digest_are_counted(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let policy = PolicyId::new();
    for second in 1..=3 {
        record(&scene, &delivery(policy, dev.id, elsewhere(RemoteId::new()), 1, second)).await;
    }
    record(&scene, &delivery(policy, dev.id, elsewhere(RemoteId::new()), 2, 3)).await;
    let conn = &mut scene.read().await;
    assert_eq!(deliveries::count_since(conn, policy, &digest(1, 0), at(0)).await.unwrap(), 3);
    assert_eq!(deliveries::count_since(conn, policy, &digest(1, 0), at(2)).await.unwrap(), 2);
    assert_eq!(deliveries::count_since(conn, PolicyId::new(), &digest(1, 0), at(0)).await.unwrap(), 0);
}

async fn semantics_23_the_policies_of_a_deleted_repository_are_suspended_until_it_is_restored(scene: Scene) {
    let (dev, qa) = (scene.repository("dev/app").await, scene.repository("qa/app").await);
    let policy = promotion(&scene, &dev, &qa, "[]").await;
    scene.write(work!(|tx| repositories::delete(tx, qa.id, &Author::System, at(1)).await)).await;
    let stopped = promotions::for_source(&mut scene.read().await, dev.id).await.unwrap().remove(0);
    assert_eq!(stopped.common.id, policy.common.id);
    let why = stopped.common.stopped.unwrap().sentence(&Everything);
    assert!(stopped.common.enabled && why.contains("qa/app has been deleted"), "{why}");
    let out = async || {
        repositories::summary(&mut scene.read().await, dev.id).await.unwrap().unwrap().promotions_out.count
    };
    assert_eq!(out().await, 0, "suspended policies are not counted");
    scene.write(work!(|tx| undo::restore_repository(tx, qa.id, at(2)).await)).await;
    let resumed = promotions::for_source(&mut scene.read().await, dev.id).await.unwrap().remove(0);
    assert_eq!((resumed.common.enabled, resumed.common.stopped, out().await), (true, None, 1));
}
