//! Lists: pages, totals, searches, and visibility.

use crate::on_both;
use crate::scene::{Scene, at};
use longshore_metadata::{Error, accounts, activity, jobs, tags, work};
use longshore_metadata::{Visible, repositories};
use longshore_model::repository::{RepositoryChange, RepositoryFilter};
use longshore_model::{Author, Cursor, Page, PageRequest, RepositoryState, Total, Visibility};
use longshore_oci::RepositoryName;

on_both![
    pages_follow_each_other_and_have_the_total,
    a_page_beyond_the_end_is_empty,
    pages_lead_back_to_the_previous_page,
    a_cursor_of_another_list_is_refused,
    semantics_17_lists_contain_only_what_the_reader_may_see,
    a_search_takes_every_character_literally,
    repositories_are_filtered,
    a_deleted_repository_is_hidden_and_its_name_reserved,
    the_summary_of_a_repository_has_its_tags_size_and_last_push,
    a_change_of_some_settings_keeps_the_others,
];

async fn names(scene: &Scene, visible: &Visible, filter: RepositoryFilter) -> Vec<String> {
    let listed = repositories::list(&mut scene.read().await, visible, &filter, &PageRequest::first(100))
        .await
        .unwrap();
    assert_eq!(listed.total, listed.items.len() as u64);
    listed.items.into_iter().map(|item| item.repository.name.to_string()).collect()
}

async fn pages_follow_each_other_and_have_the_total(scene: Scene) {
    for number in 0..7 {
        scene.repository(&format!("dev/app-{number}")).await;
    }
    let mut start = None;
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let request = PageRequest { start, size: 3 };
        let page: Page<_> =
            repositories::list(&mut scene.read().await, &Visible::Everything, &Default::default(), &request)
                .await
                .unwrap();
        assert_eq!(page.total, 7);
        seen.extend(page.items.into_iter().map(|item| item.repository.name.to_string()));
        pages += 1;
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    let expected: Vec<_> = (0..7).map(|number| format!("dev/app-{number}")).collect();
    assert_eq!(seen, expected);
}

async fn a_page_beyond_the_end_is_empty(scene: Scene) {
    scene.repository("dev/app").await;
    let behind = Cursor { back: false, position: 1, key: "\"dev/app\"".to_owned() };
    let request = PageRequest { start: Some(behind), size: 0 };
    let conn = &mut scene.read().await;
    let page = repositories::list(conn, &Visible::Everything, &Default::default(), &request).await.unwrap();
    assert_eq!((page.items.len(), page.next, page.total), (0, None, Total::Exactly(1)));
}

async fn pages_lead_back_to_the_previous_page(scene: Scene) {
    for number in 0..7 {
        scene.repository(&format!("dev/app-{number}")).await;
    }
    let conn = &mut scene.read().await;
    let mut read = async |start| {
        let request = PageRequest { start, size: 3 };
        repositories::list(conn, &Visible::Everything, &Default::default(), &request).await.unwrap()
    };
    let first = read(None).await;
    let second = read(first.next.clone()).await;
    let third = read(second.next.clone()).await;
    assert_eq!((first.start, second.start, third.start), (0, 3, 6));
    assert_eq!((&first.previous, &third.next), (&None, &None));
    let back = read(third.previous).await;
    assert_eq!((&back.items, back.start, &back.next), (&second.items, 3, &second.next));
    let back = read(back.previous).await;
    assert_eq!((&back.items, back.start, back.previous), (&first.items, 0, None));
    // The list may have become shorter in the meantime.
    let gone = read(Some(Cursor { back: true, position: 9, key: "\"dev/app-0\"".to_owned() })).await;
    assert_eq!((gone.items.len(), gone.start, gone.previous), (0, 0, None));
}

async fn a_cursor_of_another_list_is_refused(scene: Scene) {
    let conn = &mut scene.read().await;
    for key in ["", "7", "[\"a\",\"b\"]", "{"] {
        let request =
            PageRequest { start: Some(Cursor { back: false, position: 0, key: key.to_owned() }), size: 3 };
        let refused = repositories::list(conn, &Visible::Everything, &Default::default(), &request).await;
        assert!(matches!(refused, Err(Error::NoSuchPage)), "{key}");
    }
}

async fn semantics_17_lists_contain_only_what_the_reader_may_see(scene: Scene) {
    let mine = scene.repository("mine/app").await;
    let public = scene.public_repository("others/public").await;
    let private = scene.repository("others/private").await;
    for repository in [&mine, &public, &private] {
        let image = scene.image(repository, 1).await;
        scene.push(repository, "1", &image).await;
    }
    let of = |public, namespaces: &[&str]| Visible::Of {
        public,
        namespaces: namespaces.iter().map(|name| name.parse().unwrap()).collect(),
    };
    let cases: [(Visible, &[&str]); 5] = [
        (Visible::Everything, &["mine/app", "others/private", "others/public"]),
        (of(true, &["mine"]), &["mine/app", "others/public"]),
        (of(false, &["mine"]), &["mine/app"]),
        (of(true, &[]), &["others/public"]),
        (of(false, &["min", "mine2", "ine"]), &[]),
    ];
    for (visible, expected) in cases {
        assert_eq!(names(&scene, &visible, RepositoryFilter::default()).await, expected, "{visible:?}");
        let conn = &mut scene.read().await;
        let page = PageRequest::first(100);
        let mut of_jobs: Vec<_> = jobs::list(conn, &visible, None, &Default::default(), &page)
            .await
            .unwrap()
            .items
            .into_iter()
            .filter_map(|job| job.repository_name)
            .collect();
        let mut of_activity: Vec<_> = activity::list(conn, &visible, &Default::default(), &page)
            .await
            .unwrap()
            .items
            .into_iter()
            .filter_map(|entry| entry.repository)
            .collect();
        let expected: Vec<RepositoryName> = expected.iter().map(|name| name.parse().unwrap()).collect();
        of_jobs.sort();
        of_activity.sort();
        of_activity.dedup();
        assert_eq!(of_jobs, expected, "jobs for {visible:?}");
        assert_eq!(of_activity, expected, "activity for {visible:?}");
        let behind = repositories::names(conn, &visible, Some("mine/app"), 10).await.unwrap();
        assert_eq!(
            behind,
            expected.into_iter().filter(|name| name.as_str() > "mine/app").collect::<Vec<_>>()
        );
    }
}

async fn a_search_takes_every_character_literally(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    for tag in ["1_0", "1.0", "RC-1", "rc-2"] {
        scene.push(&dev, tag, &image).await;
    }
    let found = async |search: &str| {
        let conn = &mut scene.read().await;
        let page = tags::summaries(conn, dev.id, Some(search), &PageRequest::first(10)).await.unwrap();
        assert_eq!(page.total, page.items.len() as u64);
        page.items.into_iter().map(|item| item.tag.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found("_").await, ["1_0"]);
    assert_eq!(found("%").await, [""; 0]);
    assert_eq!(found("\\").await, [""; 0]);
    assert_eq!(found("Rc-").await, ["rc-2", "RC-1"], "newest first, letters in either case");
    assert_eq!(found(" ").await.len(), 4, "an empty search finds everything");
}

async fn repositories_are_filtered(scene: Scene) {
    scene.repository("dev/app").await;
    let other = scene.repository("qa/app-two").await;
    let change = RepositoryChange { state: Some(RepositoryState::ReadOnly), ..Default::default() };
    scene.write(work!(|tx| repositories::update(tx, other.id, &change, at(1)).await)).await;
    let all = &Visible::Everything;
    let search = |text: &str| RepositoryFilter { search: Some(text.to_owned()), ..Default::default() };
    assert_eq!(names(&scene, all, search("APP")).await.len(), 2);
    assert_eq!(names(&scene, all, search("two")).await, ["qa/app-two"]);
    let of = RepositoryFilter { namespace: Some("dev".parse().unwrap()), ..Default::default() };
    assert_eq!(names(&scene, all, of).await, ["dev/app"]);
    let of = RepositoryFilter { state: Some(RepositoryState::ReadOnly), ..Default::default() };
    assert_eq!(names(&scene, all, of).await, ["qa/app-two"]);
}

async fn a_deleted_repository_is_hidden_and_its_name_reserved(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1", &image).await;
    let id = dev.id;
    scene.write(work!(|tx| repositories::delete(tx, id, &Author::System, at(1)).await)).await;
    let conn = &mut scene.read().await;
    assert_eq!(repositories::find(conn, &dev.name).await.unwrap(), None);
    assert_eq!(repositories::get(conn, dev.id).await.unwrap(), None);
    assert_eq!(repositories::counts(conn).await.unwrap(), (0, 0));
    assert!(names(&scene, &Visible::Everything, RepositoryFilter::default()).await.is_empty());
    let again = dev.name.clone();
    let made =
        scene.try_write(work!(|tx| repositories::create(tx, &again, &Default::default(), at(2)).await)).await;
    assert!(matches!(made, Err(longshore_metadata::Error::Exists { .. })), "{made:?}");
}

async fn the_summary_of_a_repository_has_its_tags_size_and_last_push(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let summary = async || repositories::summary(&mut scene.read().await, dev.id).await.unwrap().unwrap();
    let empty = summary().await;
    assert_eq!((empty.tags, empty.size_bytes, empty.last_push), (0, 0, None));
    let image = scene.image(&dev, 1).await;
    scene.push(&dev, "1", &image).await;
    scene.push(&dev, "2", &image).await;
    let one = summary().await;
    assert_eq!((one.tags, one.last_push), (2, Some(at(1))));
    assert_eq!(one.size_bytes, 110, "each blob counts once, however many tags");
    scene.image(&dev, 2).await;
    assert_eq!(summary().await.size_bytes, 2 * one.size_bytes);
}

async fn a_change_of_some_settings_keeps_the_others(scene: Scene) {
    let dev = scene.repository("dev/app").await;
    let change = RepositoryChange {
        visibility: Some(Visibility::Public),
        short_description: Some("new".to_owned()),
        ..Default::default()
    };
    let id = dev.id;
    scene.write(work!(|tx| repositories::update(tx, id, &change, at(1)).await)).await;
    let conn = &mut scene.read().await;
    let changed = repositories::find(conn, &dev.name).await.unwrap().unwrap();
    let expected = longshore_model::Repository {
        visibility: Visibility::Public,
        short_description: "new".to_owned(),
        version: dev.version.next(),
        ..dev.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(accounts::count(conn).await.unwrap(), 0);
}
