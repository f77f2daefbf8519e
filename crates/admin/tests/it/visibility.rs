//! Redaction: names are hidden from readers who may not see them (semantics 17).

use crate::registry::Registry;
use crate::scene::{APPLY, SAVE, Scene, name, promotion_to, push_mirror_over, robot_at, tag, typed};
use longshore_metadata::{Error, Priority, promotions, work};
use longshore_model::activity::ActivityFilter;
use longshore_model::job::{JobAction, JobFilter};
use longshore_model::policy::{Mirror, RemoteChoice};
use longshore_model::repository::RepositoryChange;
use longshore_model::tag::{AnswerResult, TagDetail};
use longshore_model::view::{ANOTHER_REGISTRY, ANOTHER_REPOSITORY, Side};
use longshore_model::{
    Actor, Author, Code, LastChange, PageRequest, Provenance, RepositoryState, Visibility,
};

/// `dev/open` is public; `root` promotes from it into `qa/secret`, which `dev` may not see.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.repository("dev/open", Visibility::Public).await;
    scene.repository("qa/secret", Visibility::Private).await;
    let root = scene.who("root").await;
    scene.push("dev/open", "1.0-stable").await;
    scene.admin.create_promotion(&root, &name("dev/open"), promotion_to("qa/secret"), APPLY).await.unwrap();
    scene
}

const TAG: &str = "1.0-stable";

fn knows(text: &str) -> bool {
    text.contains("qa/secret")
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_17_a_hidden_target_is_another_repository_everywhere() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let open = name("dev/open");
    scene.start_engine();
    let detail = || async { scene.admin.tag(&root, &open, &tag(TAG)).await };
    let told = scene.until("it is promoted", detail, |d| d.answers[0].result == AnswerResult::Done).await;
    assert_eq!(told.answers[0].destination, "qa/secret");

    let all = PageRequest::first(50);
    for actor in [&dev, &Actor::Anonymous] {
        let shown = scene.admin.tag(actor, &open, &tag(TAG)).await.unwrap();
        assert_eq!(shown.answers[0].destination, "another repository");
        assert_eq!((shown.answers[0].result, &shown.answers[0].target_tag), (AnswerResult::Done, &None));
        let policies = scene.admin.promotions(actor, &open, Side::Source).await.unwrap();
        assert_eq!(policies[0].target_name.as_str(), ANOTHER_REPOSITORY);
        let activity = scene.admin.activity(actor, &ActivityFilter::default(), &all).await.unwrap();
        assert!(!knows(&format!("{shown:?} {policies:?} {activity:?}")));
    }
    let jobs = scene.admin.jobs(&dev, &JobFilter::default(), &all).await.unwrap();
    assert!(!jobs.items.is_empty());
    for job in &jobs.items {
        let log = scene.admin.job_logs(&dev, job.id, 0, 100).await.unwrap();
        assert!(!knows(&format!("{job:?} {log:?}")));
    }
    assert!(knows(&format!("{:?}", scene.admin.activity(&root, &ActivityFilter::default(), &all).await)));
}

#[tokio::test]
async fn semantics_17_provenance_names_a_source_only_to_users_who_may_read_it() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    scene.push("qa/secret", "2.0").await;
    let promoted = scene.admin.promote_tag(&root, &name("qa/secret"), &tag("2.0"), "dev/open", "2.0").await;
    promoted.unwrap();
    for actor in [&dev, &Actor::Anonymous] {
        let page = scene.admin.tags(actor, &name("dev/open"), Some("2.0"), &PageRequest::first(10)).await;
        let shown = page.unwrap().items.remove(0);
        assert!(!shown.source_visible);
        let Provenance::Promotion { source_repository, .. } = &shown.tag.provenance else {
            panic!("{shown:?}")
        };
        assert_eq!(source_repository.as_str(), ANOTHER_REPOSITORY);
    }
    let shown = scene.admin.tag(&root, &name("dev/open"), &tag("2.0")).await.unwrap().summary;
    assert!(shown.source_visible && knows(&format!("{shown:?}")));
}

#[tokio::test]
async fn semantics_17_the_other_registry_is_named_only_to_users_who_may_use_the_remote() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let open = name("dev/open");
    let systems = scene.admin.create_remote(&root, robot_at(&registry.url)).await.unwrap();
    let draft = push_mirror_over(RemoteChoice::Saved { id: systems.id });
    let mirror = scene.admin.create_push_mirror(&root, &open, draft, SAVE).await.unwrap();
    for actor in [&dev, &Actor::Anonymous] {
        let shown = scene.admin.mirrors(actor, &open).await.unwrap();
        let Mirror::Push { mirror } = &shown[0] else { panic!("it is a push mirror") };
        assert_eq!(mirror.remote_host, ANOTHER_REGISTRY);
        assert!(!format!("{shown:?}").contains("there/app"));
    }
    let choice = RemoteChoice::Saved { id: systems.id };
    let job =
        scene.admin.push_tag(&root, &open, &tag("1.0-stable"), choice, "there/app", "1.0").await.unwrap();
    let shown = scene.admin.job(&dev, job.id).await.unwrap();
    assert!(!format!("{shown:?}").contains(systems.host()), "{shown:?}");
    // A user who may not use the remote may disable the mirror, but not enable it.
    let id = mirror.common.id;
    scene.admin.enable_mirror(&dev, &open, id, None, false).await.unwrap();
    assert_eq!(
        scene.admin.enable_mirror(&dev, &open, id, None, true).await.unwrap_err().code,
        Code::NoSuchRemote
    );
}

#[tokio::test]
async fn semantics_17_job_lists_contain_only_jobs_of_repositories_that_the_reader_administers() {
    let registry = Registry::start().await;
    let scene = scene().await;
    let (dev, qa, eve) = (scene.who("dev").await, scene.who("qa").await, scene.who("eve").await);
    let draft = push_mirror_over(typed(robot_at(&registry.url)));
    scene.admin.create_push_mirror(&qa, &name("qa/secret"), draft, APPLY).await.unwrap();
    let all = PageRequest::first(50);
    let filter = JobFilter { action: Some(JobAction::Evaluate), ..JobFilter::default() };
    let repositories = async |actor| {
        let page = scene.admin.jobs(actor, &filter, &all).await.unwrap();
        let mut names: Vec<_> = page
            .items
            .into_iter()
            .filter_map(|job| job.repository_name)
            .map(|name| name.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(repositories(&dev).await, ["dev/open"]);
    assert_eq!(repositories(&qa).await, ["qa/secret"]);
    // dev/open is public: everyone may see its tags, but not its jobs.
    assert!(repositories(&eve).await.is_empty());
}

#[tokio::test]
async fn semantics_16_a_policy_whose_author_lost_the_permission_is_listed_as_orphaned() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let listed =
        async || scene.admin.promotions(&root, &name("dev/open"), Side::Source).await.unwrap().remove(0);
    let policy = listed().await;
    assert!(!policy.common.orphaned);
    let mut conn = scene.db.read().await.unwrap();
    let before = promotions::get(&mut conn, policy.common.id).await.unwrap().unwrap();
    drop(conn);
    // As if dev had created it while dev still had permission on qa/secret.
    let mut after = before.clone();
    after.common.author = dev.user().map(|user| user.id);
    let change = LastChange::new(Author::System, Vec::new());
    let changed = scene.db.write::<_, Error, _>(
        Priority::Normal,
        work!(|tx| promotions::update(tx, &before, after, change).await),
    );
    changed.await.unwrap();
    let policy = listed().await;
    assert!(policy.common.orphaned && policy.common.enabled, "it stays enabled and is shown as orphaned");
    assert_eq!(policy.common.author_name, "dev");
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_48_a_policy_acts_on_pushes_of_users_who_may_not_see_its_target() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let (secret, pushed) = (name("qa/secret"), tag("2.0-stable"));
    // As dev, who has no permission on qa/secret.
    let digest = scene.push("dev/open", "2.0-stable").await;
    scene.start_engine();
    let detail = || async { scene.admin.tag(&root, &secret, &pushed).await };
    let promoted = scene.until("it is promoted", detail, |d| d.summary.tag.digest == digest).await;
    assert!(matches!(promoted.summary.tag.author, Author::Policy { .. }));
    let refused = scene.admin.tag(&dev, &secret, &pushed).await.unwrap_err();
    assert_eq!(refused.code, Code::NoSuchRepository);
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_46_a_reason_names_a_target_only_to_users_who_may_read_it() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    let closed = RepositoryChange { state: Some(RepositoryState::ReadOnly), ..RepositoryChange::default() };
    scene.admin.change_repository(&root, &name("qa/secret"), closed).await.unwrap();
    scene.push("dev/open", "2.0-stable").await;
    scene.start_engine();
    let open = name("dev/open");
    let refused = async |actor: &Actor| {
        let detail = || async { scene.admin.tag(actor, &open, &tag("2.0-stable")).await };
        scene.until("it is refused", detail, |d| d.answers[0].result == AnswerResult::NotMatched).await
    };
    let last = |detail: TagDetail| detail.answers[0].verdict.clone().unwrap().reasons.pop().unwrap();
    let told = last(refused(&root).await);
    assert_eq!((told.found.as_str(), told.holds), ("qa/secret is read-only", Some(false)));
    for actor in [&dev, &Actor::Anonymous] {
        let shown = refused(actor).await;
        assert!(!knows(&format!("{shown:?}")));
        assert_eq!(last(shown).found, "another repository is read-only");
    }
}

#[tokio::test]
async fn semantics_46_a_deleted_repository_is_named_only_to_administrators() {
    let scene = scene().await;
    let (root, dev) = (scene.who("root").await, scene.who("dev").await);
    scene.push("qa/secret", "2.0").await;
    let promoted = scene.admin.promote_tag(&root, &name("qa/secret"), &tag("2.0"), "dev/open", "2.0").await;
    promoted.unwrap();
    scene.admin.delete_repository(&root, &name("qa/secret")).await.unwrap();
    let all = PageRequest::first(50);
    let read = async |actor: &Actor| {
        let tags = scene.admin.tags(actor, &name("dev/open"), None, &all).await.unwrap();
        let mut shown = scene.admin.tag(actor, &name("dev/open"), &tag("2.0")).await.unwrap();
        // The image itself, into which the scene writes its first repository, is visible to anyone who may read it.
        shown.manifest.clear();
        let policies = scene.admin.promotions(actor, &name("dev/open"), Side::Source).await.unwrap();
        let activity = scene.admin.activity(actor, &ActivityFilter::default(), &all).await.unwrap();
        [format!("{tags:?}"), format!("{shown:?}"), format!("{policies:?}"), format!("{activity:?}")]
    };
    for (told, what) in read(&root).await.iter().zip(["tags", "tag", "policies", "activity"]) {
        assert!(knows(told), "{what}: {told}");
    }
    for actor in [&dev, &Actor::Anonymous] {
        for told in read(actor).await {
            assert!(!knows(&told), "{told}");
        }
    }
}
