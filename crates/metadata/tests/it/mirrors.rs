//! Remotes with their secrets, and the mirrors that use them.

use crate::on_both;
use crate::scene::{Scene, at, digest, name, vault, words};
use longshore_metadata::pull_mirrors::BaselineTag;
use longshore_metadata::remotes::{self, OwnerFilter, SecretChange};
use longshore_metadata::{Error, Vault, accounts, policies, pull_mirrors, push_mirrors, work};
use longshore_model::policy::{Baseline, RunCode};
use longshore_model::stored::{LastRun, PolicyCommon, PullMirror, PushMirror};
use longshore_model::{
    Aspect, Author, JobId, LastChange, PageRequest, PolicyId, PolicyKind, Remote, RemoteId, RemoteKind,
    Repository, Version,
};
use longshore_policy::StoredRules;
use secrecy::{ExposeSecret, SecretString};

on_both![
    a_secret_is_stored_and_returned_by_one_function_only,
    semantics_44_a_remote_counts_as_an_administrators_while_its_author_is_one,
    semantics_15_a_secret_is_kept_replaced_or_discarded,
    remotes_are_listed_by_owner_and_search,
    an_equal_remote_is_found_by_its_settings,
    semantics_03_a_baseline_is_complete_only_once_it_is_recorded,
    pull_mirrors_are_due_at_their_next_run,
    a_push_mirror_is_read_as_it_was_written,
    a_stopped_mirror_is_not_due,
    a_namespace_has_at_most_a_thousand_remotes_and_a_repository_at_most_as_many_policies,
];

pub(crate) fn remote(owner: Option<&str>, url: &str) -> Remote {
    Remote {
        id: RemoteId::new(),
        owner: owner.map(|name| name.parse().unwrap()),
        author: owner.map(|name| name.parse().unwrap()),
        name: url.trim_start_matches("https://").to_owned(),
        kind: RemoteKind::Other,
        url: url.to_owned(),
        username: "robot".to_owned(),
        has_secret: false,
        ca_pem: None,
        skip_tls_verify: false,
        proxy: None,
        realm: None,
        version: Version::FIRST,
        last_change: None,
        created_at: at(0),
        updated_at: at(0),
        last_contact: None,
        last_error: None,
        used_by: 0,
        back_off: None,
    }
}

async fn insert(scene: &Scene, remote: &Remote, secret: Option<&str>) {
    let (remote, secret) = (remote.clone(), secret.map(SecretString::from));
    scene.write(work!(|tx| remotes::insert(tx, &remote, secret.as_ref()).await)).await;
}

pub(crate) fn common() -> PolicyCommon {
    PolicyCommon {
        id: PolicyId::new(),
        enabled: true,
        version: Version::FIRST,
        rules_version: 1,
        last_change: None,
        stopped: None,
        referrers: true,
        author: None,
        author_name: String::new(),
        orphaned: false,
        created_at: at(0),
        updated_at: at(0),
        last_run: LastRun::never(),
    }
}

pub(crate) async fn pull_mirror(
    scene: &Scene,
    repository: &Repository,
    due: i64,
    baseline: Baseline,
) -> PullMirror {
    let remote = remote(None, "https://registry.example");
    insert(scene, &remote, None).await;
    let mirror = PullMirror {
        common: common(),
        repository: repository.id,
        repository_name: repository.name.clone(),
        remote: remote.id,
        remote_host: "registry.example".to_owned(),
        remote_repository: "library/app".parse().unwrap(),
        patterns: "*".to_owned(),
        interval_seconds: 1800,
        foreign_layers: false,
        baseline,
        known_patterns: None,
        next_run_at: at(due),
        last_mirrored_at: None,
    };
    let written = mirror.clone();
    scene.write(work!(|tx| pull_mirrors::insert(tx, &written).await)).await;
    mirror
}

async fn credentials(scene: &Scene, remote: &Remote) -> Option<(String, String)> {
    let (found, secret) = remotes::get_with_secret(&mut scene.read().await, remote.id).await.unwrap()?;
    secret.map(|secret| (found.username, secret.expose_secret().to_owned()))
}

async fn a_secret_is_stored_and_returned_by_one_function_only(scene: Scene) {
    let (with, without) = (remote(None, "https://a.example"), remote(None, "https://b.example"));
    insert(&scene, &with, Some("pa55")).await;
    insert(&scene, &without, None).await;
    assert_eq!(credentials(&scene, &with).await, Some(("robot".to_owned(), "pa55".to_owned())));
    assert_eq!(credentials(&scene, &without).await, None);
    let conn = &mut scene.read().await;
    let shown = remotes::get(conn, with.id).await.unwrap().unwrap();
    assert!(shown.has_secret);
    assert!(!format!("{shown:?}").contains("pa55"));
}

async fn semantics_44_a_remote_counts_as_an_administrators_while_its_author_is_one(scene: Scene) {
    let (of_alice, of_eve, of_system) = (
        remote(Some("alice"), "https://a.example"),
        remote(Some("eve"), "https://e.example"),
        remote(None, "https://s.example"),
    );
    for remote in [&of_alice, &of_eve, &of_system] {
        insert(&scene, remote, None).await;
    }
    let by_administrator = async || {
        let conn = &mut scene.read().await;
        let mut found = Vec::new();
        for id in [of_alice.id, of_eve.id, of_system.id] {
            let saved = remotes::get(conn, id).await.unwrap().unwrap();
            found.push(remotes::is_by_administrator(conn, &saved).await.unwrap());
        }
        found
    };
    assert_eq!(by_administrator().await, [false, false, true], "the accounts do not exist");
    for (name, is_admin) in [("alice", true), ("eve", false)] {
        let name: longshore_oci::Namespace = name.parse().unwrap();
        scene
            .write(move |tx| {
                Box::pin(
                    async move { accounts::create(tx, &name, false, is_admin, Some("hash"), at(0)).await },
                )
            })
            .await;
    }
    assert_eq!(by_administrator().await, [true, false, true]);
}

async fn semantics_15_a_secret_is_kept_replaced_or_discarded(scene: Scene) {
    let mut remote = remote(None, "https://a.example");
    insert(&scene, &remote, Some("first")).await;
    remote.username = "other".to_owned();
    for (change, expected) in [
        (SecretChange::Keep, Some("first")),
        (SecretChange::Replace("second".into()), Some("second")),
        (SecretChange::Discard, None),
        (SecretChange::Keep, None),
    ] {
        let (changed, based_on) = (remote.clone(), remote.version);
        let edit = LastChange::new(Author::System, vec![Aspect::Credentials]);
        remote = scene.write(work!(|tx| remotes::update(tx, based_on, changed, change, edit).await)).await;
        let found = credentials(&scene, &remote).await;
        assert_eq!(found, expected.map(|secret| ("other".to_owned(), secret.to_owned())));
    }
}

async fn remotes_are_listed_by_owner_and_search(scene: Scene) {
    for (owner, url) in
        [(None, "https://a.example"), (Some("dev"), "https://b.example"), (Some("qa"), "https://c.example")]
    {
        insert(&scene, &remote(owner, url), None).await;
    }
    let listed = async |owners: OwnerFilter, search: Option<&str>| {
        let page =
            remotes::list(&mut scene.read().await, &owners, search, &PageRequest::first(10)).await.unwrap();
        assert_eq!(page.total, page.items.len() as u64);
        page.items.into_iter().map(|remote| remote.name).collect::<Vec<_>>()
    };
    let of =
        |names: &[&str]| OwnerFilter::Namespaces(names.iter().map(|name| name.parse().unwrap()).collect());
    assert_eq!(listed(OwnerFilter::All, None).await, ["a.example", "b.example", "c.example"]);
    assert_eq!(
        listed(of(&["dev", "prod"]), None).await,
        ["b.example"],
        "only OwnerFilter::All includes the system's remotes"
    );
    assert_eq!(listed(of(&[]), None).await, [""; 0]);
    assert_eq!(listed(OwnerFilter::All, Some("C.EX")).await, ["c.example"]);
}

async fn an_equal_remote_is_found_by_its_settings(scene: Scene) {
    let owner = "dev".parse().unwrap();
    let mine = remote(Some("dev"), "https://a.example");
    insert(&scene, &mine, None).await;
    let same = async |owner, ca: Option<&str>, skip| {
        let conn = &mut scene.read().await;
        let found =
            remotes::find_same(conn, owner, "https://a.example", "robot", ca, skip, None).await.unwrap();
        found.map(|remote| remote.id)
    };
    assert_eq!(same(Some(&owner), None, false).await, Some(mine.id));
    assert_eq!(same(None, None, false).await, None, "the system has no such remote");
    assert_eq!(same(Some(&owner), Some("pem"), false).await, None);
    assert_eq!(same(Some(&owner), None, true).await, None);
}

async fn semantics_03_a_baseline_is_complete_only_once_it_is_recorded(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let mirror = pull_mirror(&scene, &dev, 0, Baseline::Pending).await;
    let id = mirror.common.id;
    let found = async || {
        let conn = &mut scene.read().await;
        let mirror = pull_mirrors::get(conn, id).await.unwrap().unwrap();
        (mirror.baseline, pull_mirrors::baseline(conn, id).await.unwrap())
    };
    assert_eq!(found().await, (Baseline::Pending, vec![]));
    let record =
        |tags: Vec<BaselineTag>| scene.write(work!(|tx| pull_mirrors::record_baseline(tx, id, &tags).await));
    let there = vec![(name("1"), Some(digest(1, 0))), (name("2"), None)];
    record(there.clone()).await;
    assert_eq!(found().await, (Baseline::Complete, there.clone()));
    // Recorded tags with other names stay.
    record(vec![(name("3"), Some(digest(3, 0)))]).await;
    // Only the first digest that is seen completes an entry.
    for seen in [2, 4] {
        let digest = digest(seen, 0);
        scene.write(work!(|tx| pull_mirrors::complete_baseline(tx, id, &name("2"), &digest).await)).await;
    }
    let all: Vec<BaselineTag> = (1..=3).map(|tag| (name(&tag.to_string()), Some(digest(tag, 0)))).collect();
    assert_eq!(found().await, (Baseline::Complete, all));
    // *Save & Apply* clears it.
    let mut applied = mirror.clone();
    applied.baseline = Baseline::None;
    edit_pull(&scene, &mirror, applied).await;
    assert_eq!(found().await, (Baseline::None, vec![]));
}

/// Writes a pull mirror as edited by a person.
pub(crate) async fn edit_pull(scene: &Scene, before: &PullMirror, after: PullMirror) -> PullMirror {
    let before = before.clone();
    let change = LastChange::new(Author::System, Vec::new());
    scene.write(work!(|tx| pull_mirrors::update(tx, &before, after, change).await)).await
}

async fn pull_mirrors_are_due_at_their_next_run(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let late = pull_mirror(&scene, &dev, 20, Baseline::None).await.common.id;
    let early = pull_mirror(&scene, &dev, 10, Baseline::None).await.common.id;
    let due = async |second| {
        let conn = &mut scene.read().await;
        let due = pull_mirrors::due(conn, at(second)).await.unwrap();
        due.into_iter().map(|mirror| mirror.common.id).collect::<Vec<_>>()
    };
    assert!(due(9).await.is_empty());
    assert_eq!(due(10).await, [early]);
    assert_eq!(due(99).await, [early, late]);
    assert_eq!(pull_mirrors::next_due(&mut scene.read().await).await.unwrap(), Some(at(10)));
    let schedule = || scene.write(work!(|tx| pull_mirrors::schedule(tx, early, at(10), at(500)).await));
    assert!(schedule().await);
    assert!(!schedule().await, "another server that also found it due does not schedule it again");
    assert_eq!(due(99).await, [late]);
    assert_eq!(pull_mirrors::next_due(&mut scene.read().await).await.unwrap(), Some(at(20)));
}

async fn a_push_mirror_is_read_as_it_was_written(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let remote = remote(Some("dev"), "https://registry.example:5000");
    insert(&scene, &remote, None).await;
    let mirror = PushMirror {
        common: common(),
        repository: dev.id,
        repository_name: dev.name.clone(),
        remote: remote.id,
        remote_host: "registry.example:5000".to_owned(),
        remote_repository: "team/app".parse().unwrap(),
        rules: StoredRules::from_json(r#"[{"field":"tag","operator":"sw","values":["v"]}]"#),
        template: "%n".to_owned(),
        overwrite: true,
        foreign_layers: true,
        last_mirrored_at: None,
    };
    let written = mirror.clone();
    scene.write(work!(|tx| push_mirrors::insert(tx, &written).await)).await;
    let found = async || push_mirrors::get(&mut scene.read().await, mirror.common.id).await.unwrap();
    assert_eq!(found().await.as_ref(), Some(&mirror));
    let conn = &mut scene.read().await;
    assert_eq!(push_mirrors::for_repository(conn, dev.id).await.unwrap(), [mirror.clone()]);
    assert_eq!(remotes::get(conn, remote.id).await.unwrap().unwrap().used_by, 1);

    let id = mirror.common.id;
    let run =
        LastRun { code: RunCode::Failed, detail: words("no"), at: Some(at(3)), job: Some(JobId::new()) };
    let recorded = run.clone();
    scene
        .write(work!(|tx| {
            push_mirrors::mark_mirrored(tx, id, at(4)).await?;
            policies::record_run(tx, PolicyKind::PushMirror, id, &recorded).await
        }))
        .await;
    let ran = found().await.unwrap();
    assert_eq!((ran.common.last_run, ran.last_mirrored_at), (run.clone(), Some(at(4))));
    // Saving a form that was opened earlier does not change these.
    let mut saved = mirror.clone();
    saved.template = "new-%n".to_owned();
    saved.foreign_layers = false;
    let before = found().await.unwrap();
    let change = LastChange::new(Author::System, vec![Aspect::Template]);
    let stale = (before.clone(), saved.clone(), change.clone());
    let now = scene.write(work!(|tx| push_mirrors::update(tx, &before, saved, change).await)).await;
    assert_eq!(now.common.version, Version(2));
    // Nobody overwrites a version that they have not seen (semantics 33).
    let (before, saved, change) = stale;
    let refused =
        scene.try_write(work!(|tx| push_mirrors::update(tx, &before, saved, change).await.map(drop)));
    assert!(matches!(refused.await, Err(Error::Stale { .. })));
    let saved = found().await.unwrap();
    assert_eq!((saved.template.as_str(), saved.foreign_layers), ("new-%n", false));
    assert_eq!(saved.common.last_run, run);
    let used = scene.try_write(work!(|tx| remotes::delete(tx, remote.id, at(2)).await)).await;
    assert!(used.is_err(), "a mirror uses it");
    scene.write(work!(|tx| push_mirrors::delete(tx, id, at(2)).await)).await;
    assert_eq!(found().await, None);
    scene.write(work!(|tx| remotes::delete(tx, remote.id, at(2)).await)).await;
}

async fn a_stopped_mirror_is_not_due(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let mirror = pull_mirror(&scene, &dev, 0, Baseline::None).await.common.id;
    scene
        .write(work!(|tx| {
            let why = words("the realm changed");
            policies::stop(tx, PolicyKind::PullMirror, mirror, &why, JobId::new(), at(1)).await
        }))
        .await;
    let conn = &mut scene.read().await;
    assert!(pull_mirrors::due(conn, at(9)).await.unwrap().is_empty());
    let paused = pull_mirrors::get(conn, mirror).await.unwrap().unwrap();
    assert_eq!(paused.common.stopped, Some(words("the realm changed")));
}

async fn a_namespace_has_at_most_a_thousand_remotes_and_a_repository_at_most_as_many_policies(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let first = pull_mirror(&scene, &dev, 0, Baseline::None).await;
    let (of_dev, of_qa) = (remote(Some("dev"), "https://a.example"), remote(Some("qa"), "https://a.example"));
    scene
        .write(work!(|tx| {
            for number in 0..1_000 {
                let more = Remote { id: RemoteId::new(), name: number.to_string(), ..of_dev.clone() };
                remotes::insert(tx, &more, None).await?;
            }
            for _ in 1..1_000 {
                let common = PolicyCommon { id: PolicyId::new(), ..first.common.clone() };
                pull_mirrors::insert(tx, &PullMirror { common, ..first.clone() }).await?;
            }
            let full = remotes::insert(tx, &Remote { id: RemoteId::new(), ..of_dev }, None).await;
            let told = full.unwrap_err();
            assert!(matches!(told, Error::LimitReached { most: 1_000, .. }), "{told}");
            assert!(told.to_string().starts_with("a namespace has at most 1000 remotes;"), "{told}");
            let full = pull_mirrors::insert(tx, &PullMirror { common: common(), ..first }).await;
            assert!(matches!(full, Err(Error::LimitReached { most: 1_000, .. })), "{full:?}");
            remotes::insert(tx, &of_qa, None).await
        }))
        .await;
}

/// One file, opened with one key and then with another; SQLite suffices.
#[tokio::test]
async fn semantics_30_with_another_key_only_secrets_are_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.db").display().to_string();
    let remote = remote(None, "https://a.example");
    {
        let db = longshore_metadata::Database::open(&path, vault()).await.unwrap();
        let scene_remote = remote.clone();
        db.write::<_, Error, _>(
            longshore_metadata::Priority::Normal,
            work!(|tx| remotes::insert(tx, &scene_remote, Some(&"pa55".into())).await),
        )
        .await
        .unwrap();
    }
    let db = longshore_metadata::Database::open(&path, Vault::from_key([8; 32])).await.unwrap();
    let conn = &mut db.read().await.unwrap();
    let opened = remotes::get_with_secret(conn, remote.id).await;
    assert!(matches!(opened, Err(Error::SecretUnreadable)), "{opened:?}");
    assert!(remotes::get(conn, remote.id).await.unwrap().unwrap().has_secret);
}
