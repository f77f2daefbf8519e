//! Promotions of pushed tags: their order, how often a policy acts, and when it does not.

use crate::support::{
    World,
    world::{author, rule},
};
use longshore_engine::{PromoteError, PromoteNow};
use longshore_metadata::{
    Change,
    jobs::{self, NewJob},
    promotions, repositories, storage, tags, work,
};
use longshore_model::job::orders;
use longshore_model::{
    ImmutableTags, Lineage, PolicyId, PolicyKind, Provenance, Repository, RepositoryState, TagRecord,
    job::Status, message::Everything, repository::RepositoryChange, tag::AnswerResult,
};
use longshore_policy::Rules;
use longshore_testkit::corpus;

fn evaluation(tag: &TagRecord) -> NewJob {
    NewJob { retries: 0, ..orders::evaluate(tag, author(), tag.updated_at) }
}

/// Cancels all queued jobs, so that the test can enqueue them in an order of its own.
async fn cancel_all(world: &World) {
    let (jobs, now) = (world.jobs().await, world.now());
    world
        .write(work!(|tx| {
            for job in jobs {
                jobs::cancel(tx, job.id, now).await?;
            }
            Ok(())
        }))
        .await;
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[tokio::test]
async fn a_pushed_tag_that_matches_is_promoted_with_its_provenance() {
    let world = World::running().await;
    let dev = world.repository("dev/website").await;
    let qa = world.repository("qa/website").await;
    let policy = world.promotion(&dev, &qa, rule("ew", "stable"), "%n").await;
    let image = corpus::image(1, 2, 1_000);
    let pushed = world.push(&dev, "1.0-stable", &image).await;
    world.push(&dev, "1.1-dev", &corpus::image(2, 1, 1_000)).await;
    world.settled().await;
    assert_eq!(world.tags(&qa).await, ["1.0-stable"]);
    assert!(world.has(&qa, &image).await);
    let promoted = world.tag(&qa, "1.0-stable").await.unwrap();
    assert_eq!(promoted.digest, image.root);
    assert_eq!(
        promoted.provenance,
        Provenance::Promotion {
            policy: Some(policy.common.id),
            source: Some(dev.id),
            source_repository: dev.name.clone(),
            source_tag: "1.0-stable".parse().unwrap(),
            source_revision: pushed.revision,
        }
    );
    let verdict = world.verdict(policy.common.id, &pushed).await.unwrap();
    assert_eq!((verdict.result, verdict.target_tag), (AnswerResult::Done, Some(promoted.name)));
    let other = world.tag(&dev, "1.1-dev").await.unwrap();
    let why_not = world.verdict(policy.common.id, &other).await.unwrap();
    assert_eq!(why_not.result, AnswerResult::NotMatched);
    assert!(why_not.consequence.contains("1.1-dev"), "{}", why_not.consequence);
}

#[tokio::test]
async fn a_chain_of_promotions_runs_to_its_end() {
    let world = World::running().await;
    let [dev, qa, prod] = [
        world.repository("dev/app").await,
        world.repository("qa/app").await,
        world.repository("prod/app").await,
    ];
    world.promotion(&dev, &qa, Rules::EveryTag, "%n-qa").await;
    world.promotion(&qa, &prod, rule("ew", "-qa"), "live").await;
    let index = corpus::index(3, &["linux/amd64", "linux/arm64"], true);
    world.push(&dev, "1.0", &index).await;
    world.settled().await;
    assert_eq!(world.tags(&qa).await, ["1.0-qa"]);
    assert_eq!(world.tag(&prod, "live").await.unwrap().digest, index.root);
    assert!(world.has(&prod, &index).await, "semantics 8: an index is copied whole");
}

#[tokio::test]
async fn semantics_01_evaluations_in_any_order_leave_the_target_on_the_newest() {
    let mut world = World::still().await;
    let mut cases = Vec::new();
    for (at, order) in ORDERS.into_iter().enumerate() {
        let dev = world.repository(&format!("dev/app{at}")).await;
        let qa = world.repository(&format!("qa/app{at}")).await;
        world.promotion(&dev, &qa, Rules::EveryTag, "latest").await;
        // Three tags with the same target name.
        let mut changes = Vec::new();
        for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
            changes.push(world.push(&dev, name, &corpus::image(seed, 1, 100)).await);
        }
        cases.push((order, qa, changes));
    }
    cancel_all(&world).await;
    world.start();
    for (order, qa, changes) in cases {
        for at in order {
            let job = world.enqueue(evaluation(&changes[at])).await;
            assert_eq!(world.ended(job.id).await.status, Status::Done);
        }
        let latest = world.tag(&qa, "latest").await.unwrap();
        assert_eq!(latest.digest, changes[2].digest, "order {order:?}");
    }
}

#[tokio::test]
async fn semantics_36_an_older_revision_is_evaluated_but_never_replaces_the_newest() {
    let mut world = World::still().await;
    let mut cases = Vec::new();
    for (at, order) in ORDERS.into_iter().enumerate() {
        let dev = world.repository(&format!("dev/app{at}")).await;
        let qa = world.repository(&format!("qa/app{at}")).await;
        world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
        let mut changes = Vec::new();
        for seed in 1..=3 {
            changes.push(world.push(&dev, "v", &corpus::image(seed, 1, 100)).await);
        }
        cases.push((order, qa, changes));
    }
    cancel_all(&world).await;
    world.start();
    for (order, qa, changes) in cases {
        for at in order {
            let job = world.enqueue(evaluation(&changes[at])).await;
            assert_eq!(world.ended(job.id).await.status, Status::Done);
        }
        assert_eq!(world.tag(&qa, "v").await.unwrap().digest, changes[2].digest);
    }
}

#[tokio::test]
async fn semantics_36_each_of_several_quick_pushes_is_promoted_if_the_template_tells_them_apart() {
    let mut world = World::still().await;
    let dev = world.repository("dev/app").await;
    let (apart, alike) = (world.repository("qa/apart").await, world.repository("qa/alike").await);
    world.promotion(&dev, &apart, Rules::EveryTag, "%n-%H%M%S%f").await;
    world.promotion(&dev, &alike, Rules::EveryTag, "%n").await;
    let mut pushed = Vec::new();
    for seed in 1..=3 {
        pushed.push(world.push(&dev, "v", &corpus::image(seed, 1, 100)).await);
    }
    world.start();
    world.settled().await;
    assert_eq!(world.tags(&apart).await.len(), 3);
    for seed in 1..=3 {
        assert!(world.has(&apart, &corpus::image(seed, 1, 100)).await);
    }
    assert_eq!(world.tag(&alike, "v").await.unwrap().digest, pushed[2].digest);
    // The same digest again is not a new revision, and the promoted tag exists (semantics 2).
    world.push(&dev, "v", &corpus::image(3, 1, 100)).await;
    world.settled().await;
    assert_eq!(world.tags(&apart).await.len(), 3);
}

#[tokio::test]
async fn semantics_36_a_revision_whose_manifest_was_deleted_is_skipped() {
    let mut world = World::still().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, Rules::EveryTag, "%n-%H%M%S%f").await;
    let lost = world.push(&dev, "v", &corpus::image(1, 1, 100)).await;
    world.push(&dev, "v", &corpus::image(2, 1, 100)).await;
    world.content.delete_manifest(&dev, &lost.digest, &author()).await.unwrap();
    world.start();
    world.settled().await;
    assert_eq!(world.tags(&qa).await.len(), 1);
    assert!(world.has(&qa, &corpus::image(2, 1, 100)).await);
}

#[tokio::test]
async fn semantics_01_a_push_into_the_target_is_not_replaced_by_an_earlier_change() {
    let mut world = World::still().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let earlier = world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    let later = world.push(&qa, "1.0", &corpus::image(2, 1, 100)).await;
    world.start();
    world.settled().await;
    assert_eq!(world.tag(&qa, "1.0").await.unwrap().digest, later.digest);
    let verdict = world.verdict(policy.common.id, &earlier).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::Superseded);
    assert!(!world.has(&qa, &corpus::image(1, 1, 100)).await, "a superseded promotion changes nothing");
}

#[tokio::test]
async fn semantics_01_a_person_may_replace_a_newer_tag_with_an_older_one() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let older = world.push(&dev, "1.0", &corpus::image(1, 1, 100)).await;
    world.push(&qa, "1.0", &corpus::image(2, 1, 100)).await;
    let order = PromoteNow {
        source: dev.clone(),
        tag: older.name.clone(),
        target: qa.clone(),
        target_tag: older.name.clone(),
        author: author(),
    };
    let promoted = world.engine.promote_now(order.clone()).await.unwrap();
    assert_eq!(promoted.digest, older.digest);
    assert_eq!(world.tag(&qa, "1.0").await.unwrap().digest, older.digest);
    let missing = PromoteNow { tag: "2.0".parse().unwrap(), ..order };
    assert!(matches!(world.engine.promote_now(missing).await, Err(PromoteError::NoSuchTag { .. })));
}

#[tokio::test]
async fn semantics_02_a_policy_acts_once_per_change() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    // A template that renders a different name each time.
    world.promotion(&dev, &qa, Rules::EveryTag, "%n-%H%M%S%f").await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(world.tags(&qa).await.len(), 1);
}

#[tokio::test]
async fn semantics_02_a_policy_acts_again_with_the_same_name_if_its_tag_was_deleted() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, Rules::EveryTag, "%n-%H%M%S%f").await;
    let image = corpus::image(1, 1, 100);
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    let before = world.tags(&qa).await;
    world.content.delete_tag(&qa, &before[0].parse().unwrap(), &author()).await.unwrap();
    assert!(world.tags(&qa).await.is_empty());
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(world.tags(&qa).await, before);
}

#[tokio::test]
async fn semantics_03_save_acts_on_later_changes_and_save_and_apply_on_existing_tags_oldest_first() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let mut newest = None;
    for seed in 1..=60 {
        newest = Some(world.push(&dev, &format!("v{}", 100 - seed), &corpus::image(seed, 1, 50)).await);
    }
    world.settled().await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "latest").await;
    assert!(world.tags(&qa).await.is_empty(), "Save alone acts on nothing that is there");
    let job = orders::apply(policy.common.id, PolicyKind::Promotion, dev.id, author(), world.now());
    let job = world.enqueue(job).await;
    let ended = world.ended(job.id).await;
    assert_eq!((ended.status, ended.progress.tags_done), (Status::Done, 60));
    assert_eq!(world.tag(&qa, "latest").await.unwrap().digest, newest.unwrap().digest);
    // The same version of the policy does not act twice on one revision.
    let before = world.tag(&qa, "latest").await.unwrap().revision;
    let again = orders::apply(policy.common.id, PolicyKind::Promotion, dev.id, author(), world.now());
    let again = world.enqueue(again).await;
    world.ended(again.id).await;
    assert_eq!(world.tag(&qa, "latest").await.unwrap().revision, before);
}

#[tokio::test]
async fn semantics_05_a_cycle_ends_by_itself_with_a_reason() {
    let world = World::running().await;
    let one = world.repository("dev/one").await;
    let two = world.repository("dev/two").await;
    let there = world.promotion(&one, &two, Rules::EveryTag, "%n-%H%M%S%f").await;
    let back = world.promotion(&two, &one, Rules::EveryTag, "%n-%H%M%S%f").await;
    world.push(&one, "a", &corpus::image(1, 1, 100)).await;
    world.settled().await;
    assert_eq!((world.tags(&one).await.len(), world.tags(&two).await.len()), (2, 1));
    let returned = world.tags(&one).await.into_iter().find(|tag| tag != "a").unwrap();
    let returned = world.tag(&one, &returned).await.unwrap();
    assert_eq!(returned.lineage.policies(), [there.common.id, back.common.id]);
    let verdict = world.verdict(there.common.id, &returned).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::NotMatched);
    assert!(verdict.consequence.contains("the cycle stops"), "{}", verdict.consequence);
}

#[tokio::test]
async fn semantics_05_no_policy_acts_on_a_tag_that_has_passed_32_policies() {
    let world = World::running().await;
    let one = world.repository("dev/one").await;
    let two = world.repository("dev/two").await;
    world.promotion(&one, &two, Rules::EveryTag, "%n").await;
    let full: Lineage = (0..32).map(|_| PolicyId::new()).collect();
    world.push_along(&one, Some("a"), &corpus::image(1, 1, 100), &full).await;
    world.settled().await;
    assert!(world.tags(&two).await.is_empty());
}

#[tokio::test]
async fn semantics_05_a_policy_that_makes_too_many_tags_of_one_image_stops_itself() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let image = corpus::image(1, 1, 100);
    for number in 0..25 {
        world.push(&dev, &format!("t{number:02}"), &image).await;
    }
    world.settled().await;
    assert_eq!(world.tags(&qa).await.len(), 20);
    let stored =
        promotions::get(&mut world.db.read().await.unwrap(), policy.common.id).await.unwrap().unwrap();
    let why = stored.common.stopped.expect("it stopped itself").sentence(&Everything);
    assert!(why.contains("looks like a loop"), "{why}");
}

#[tokio::test]
async fn semantics_14_an_immutable_target_refuses_another_digest_with_dtrs_message_and_accepts_the_same() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository_with("qa/app", |new| new.immutable_tags = ImmutableTags::All).await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "fixed").await;
    let (first, second) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    world.push(&dev, "a", &first).await;
    world.settled().await;
    let refused = world.push(&dev, "b", &second).await;
    let same = world.push(&dev, "c", &first).await;
    world.settled().await;
    assert_eq!(world.tag(&qa, "fixed").await.unwrap().digest, first.root);
    let refused = world.verdict(policy.common.id, &refused).await.unwrap();
    assert_eq!(refused.result, AnswerResult::Failed);
    assert_eq!(
        refused.consequence,
        "tag=fixed cannot be overwritten because qa/app is an immutable repository"
    );
    assert_eq!(world.verdict(policy.common.id, &same).await.unwrap().result, AnswerResult::Done);
}

#[tokio::test]
async fn a_promotion_beyond_the_quota_fails_with_the_reason_and_links_nothing() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let (small, big) = (corpus::image(1, 1, 100), corpus::image(2, 1, 50_000));
    limit_namespace_of(&world, &qa).await;
    let fits = world.push(&dev, "small", &small).await;
    let refused = world.push(&dev, "big", &big).await;
    world.settled().await;
    assert_eq!(world.verdict(policy.common.id, &fits).await.unwrap().result, AnswerResult::Done);
    let refused = world.verdict(policy.common.id, &refused).await.unwrap();
    assert_eq!(refused.result, AnswerResult::Failed);
    assert!(refused.consequence.starts_with("the namespace qa may hold 10.0 kB"), "{}", refused.consequence);
    assert_eq!(world.tags(&qa).await, ["small"]);
    assert!(!world.has(&qa, &big).await);
}

#[tokio::test]
async fn referrers_that_the_quota_excludes_are_reported() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    limit_namespace_of(&world, &qa).await;
    let image = corpus::image(1, 1, 100);
    let [before, after] = ["before", "after"].map(|when| {
        corpus::referrer(&image, "application/vnd.example", &serde_json::json!({ when: "x".repeat(50_000) }))
    });
    world.push_untagged(&dev, &before).await;
    let tag = world.push(&dev, "1.0", &image).await;
    world.settled().await;
    let verdict = world.verdict(policy.common.id, &tag).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::Done);
    let said = "promoted as qa/app:1.0, without all of its signatures, SBOMs and attestations: \
                the namespace qa may hold 10.0 kB";
    assert!(verdict.consequence.starts_with(said), "{}", verdict.consequence);

    world.push_untagged(&dev, &after).await;
    world.settled().await;
    let outcomes = world.jobs().await.into_iter().filter_map(|job| job.outcome);
    let said = "could not follow its image: the namespace qa may hold";
    assert!(outcomes.into_iter().any(|outcome| outcome.starts_with(said)));
    assert!(!world.has(&qa, &before).await && !world.has(&qa, &after).await);
}

#[tokio::test]
async fn semantics_18_a_mirror_accepts_no_promotions_and_the_verdict_says_so() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    close(&world, &qa, RepositoryState::Mirror).await;
    let policy = world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let tag = world.push(&dev, "a", &corpus::image(1, 1, 100)).await;
    world.settled().await;
    assert!(world.tags(&qa).await.is_empty());
    let verdict = world.verdict(policy.common.id, &tag).await.unwrap();
    assert_eq!(verdict.result, AnswerResult::NotMatched);
    assert!(verdict.consequence.contains("pull mirrors alone"), "{}", verdict.consequence);
}

/// Sets the quota of the repository's namespace to 10 kB.
async fn limit_namespace_of(world: &World, repository: &Repository) {
    let namespace = repository.name.to_namespace();
    world.write(work!(|tx| storage::set_quota(tx, &namespace, Some(10_000)).await)).await;
}

async fn close(world: &World, repository: &Repository, state: RepositoryState) {
    let (id, now) = (repository.id, world.now());
    let change = RepositoryChange { state: Some(state), ..RepositoryChange::default() };
    world.write(work!(|tx| repositories::update(tx, id, &change, now).await.map(drop))).await;
}

#[tokio::test]
async fn semantics_06_digest_tags_are_promoted_with_their_image_and_trigger_no_policy() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, rule("sw", "1."), "%n").await;
    let image = corpus::image(1, 1, 100);
    let (name, signature) = corpus::cosign_signature(&image);
    world.push(&dev, name.as_str(), &signature).await;
    world.settled().await;
    assert!(world.tags(&qa).await.is_empty());
    world.push(&dev, "1.0", &image).await;
    world.settled().await;
    assert_eq!(world.tags(&qa).await, ["1.0", name.as_str()]);
    assert!(world.has(&qa, &signature).await);
}

#[tokio::test]
async fn many_tags_at_once_are_all_promoted() {
    let world = World::running().await;
    let dev = world.repository("dev/app").await;
    let qa = world.repository("qa/app").await;
    world.promotion(&dev, &qa, Rules::EveryTag, "%n").await;
    let images: Vec<_> = (0..20).map(|seed| corpus::image(seed, 1, 10)).collect();
    for image in &images {
        world.push_untagged(&dev, image).await;
    }
    for number in 0..200 {
        let digest = images[number % 20].root.clone();
        set(&world, &dev, &format!("t{number}"), digest).await;
    }
    world.settled().await;
    assert_eq!(world.tags(&qa).await.len(), 200);
}

async fn set(world: &World, repository: &Repository, name: &str, digest: longshore_oci::Digest) {
    let (repository, name, now) = (repository.clone(), name.parse().unwrap(), world.now());
    world
        .write(work!(|tx| {
            let change = tags::SetTag {
                repository: &repository,
                name: &name,
                digest: &digest,
                source_revision: None,
                author: &author(),
                provenance: &Provenance::Push,
                lineage: &Lineage::default(),
                now,
            };
            tags::set(tx, change).await?;
            tx.announce(Change::JobsWaiting(None));
            Ok(())
        }))
        .await;
}

#[tokio::test]
async fn semantics_36_many_policies_are_evaluated_a_few_at_a_time_and_changes_in_order() {
    let mut world = World::still().await;
    let (dev, qa) = (world.repository("dev/app").await, world.repository("qa/app").await);
    let mut policies = Vec::new();
    for number in 0..50 {
        let template = format!("%n-{number:02}");
        policies.push(world.promotion(&dev, &qa, Rules::EveryTag, &template).await.common.id);
    }
    let (first, second) = (corpus::image(1, 1, 100), corpus::image(2, 1, 100));
    let changes = [world.push(&dev, "v1", &first).await, world.push(&dev, "v1", &second).await];
    let before = world.db.changes_made();
    world.start();
    world.settled().await;
    assert_eq!(world.tags(&qa).await.len(), 50);
    for policy in &policies {
        for change in &changes {
            let verdict = world.verdict(*policy, change).await.unwrap();
            assert_eq!(verdict.result, AnswerResult::Done, "{}", verdict.consequence);
        }
    }
    assert_eq!(world.tag(&qa, "v1-49").await.unwrap().digest, second.root);
    // A hundred evaluations, at most eight in a transaction.
    let made = world.db.changes_made() - before;
    assert!(made >= 100 / 8, "{made} transactions");
    let jobs = world.jobs().await;
    let outcomes: Vec<String> = jobs
        .iter()
        .filter(|job| job.repository == Some(dev.id))
        .filter_map(|job| job.outcome.clone())
        .collect();
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| outcome.contains("50")), "{outcomes:?}");
}
