//! Lists that go on, and lists that lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use http::Method;
use longshore_remote::{Budget, Endpoint, Incomplete, Kind, OverBudget, Registry};
use longshore_testkit::scripted::{Pages, on, reply};
use longshore_testkit::{ScriptedRegistry, corpus};
use serde_json::json;

use crate::fake::{Fake, answer, error, ok_json, repo};

fn page(tags: &[&str], next: Option<&str>) -> axum::response::Response {
    let body = format!(r#"{{"name":"dev/web","tags":{tags:?}}}"#);
    match next {
        Some(next) => answer(200, &[("link", &format!("<{next}>; rel=\"next\""))], body),
        None => ok_json(&body),
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let fake = Fake::start(|seen| match seen.query.as_str() {
        "n=2" => page(&["a", "b"], Some("/v2/dev/web/tags/list?last=b&n=2")),
        "last=b&n=2" => page(&["c", "d"], Some("?last=d&n=2")),
        "last=d&n=2" => page(&["e"], None),
        other => panic!("{other}"),
    })
    .await;
    let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
    assert!(listing.is_complete());
    assert_eq!(listing.tags.iter().map(|tag| tag.as_str()).collect::<String>(), "abcde");
}

#[tokio::test]
async fn semantics_21_a_listing_that_goes_in_a_circle_is_incomplete() {
    let fake = Fake::start(|seen| match seen.query.as_str() {
        "n=2" => page(&["a", "b"], Some("?last=b")),
        _ => page(&["c", "d"], Some("?n=2")),
    })
    .await;
    let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
    assert_eq!(listing.incomplete, Some(Incomplete::Circle));
    assert_eq!(listing.tags.len(), 4);
}

#[tokio::test]
async fn semantics_21_a_repeated_page_is_incomplete() {
    let fake = Fake::start(|seen| page(&["a", "b"], Some(&format!("?n=2&x={}1", seen.query.len())))).await;
    let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
    assert_eq!(listing.incomplete, Some(Incomplete::Repeated));
}

#[tokio::test]
async fn semantics_39_a_registry_that_is_away_on_a_later_page_is_an_error_of_the_whole() {
    let fake = Fake::start(|seen| match seen.query.as_str() {
        "n=2" => page(&["a", "b"], Some("?last=b")),
        _ => error(503, "UNAVAILABLE", "disk on fire"),
    })
    .await;
    let error = fake.registry().list_tags(&repo(), 2).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("disk on fire"), "{error}");
}

#[tokio::test]
async fn a_web_page_is_no_list() {
    let fake = Fake::start(|_| answer(200, &[("content-type", "text/html")], "<html>hello</html>")).await;
    let error = fake.registry().list_tags(&repo(), 2).await.unwrap_err();
    assert!(error.to_string().ends_with("a web page"), "{error}");
}

#[tokio::test]
async fn no_tags_at_all_is_a_complete_listing() {
    let fake = Fake::start(|_| ok_json(r#"{"name":"dev/web","tags":null}"#)).await;
    let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
    assert!(listing.is_complete() && listing.tags.is_empty());
}

/// A registry with tags `t000`, `t001` and so on, all of one image.
async fn with_tags(count: usize) -> ScriptedRegistry {
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 10);
    for number in 0..count {
        registry.hold("dev/web", Some(&format!("t{number:03}")), &image);
    }
    registry
}

fn client(registry: &ScriptedRegistry) -> Registry {
    Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), Kind::Other)).unwrap()
}

#[tokio::test]
async fn semantics_38_without_a_link_a_full_page_is_followed_by_asking_for_more() {
    for (most, asked) in [(1_000, 10), (7, 1_000), (25, 1_000), (1, 1_000)] {
        let registry = with_tags(25).await.paging(Pages::Silent(most));
        let listing = client(&registry).list_tags(&repo(), asked).await.unwrap();
        assert!(listing.is_complete(), "{:?}", listing.incomplete);
        assert_eq!(listing.tags.len(), 25, "pages of {most} where {asked} are asked for");
    }
}

#[tokio::test]
async fn semantics_38_a_page_shorter_than_others_of_the_registry_ends_a_list_without_asking() {
    let registry = with_tags(25).await.paging(Pages::Silent(10));
    let client = client(&registry);
    registry.hold("dev/few", Some("one"), &corpus::image(1, 1, 10));
    client.list_tags(&repo(), 1_000).await.unwrap();
    registry.forget_requests();
    assert_eq!(client.list_tags(&"dev/few".parse().unwrap(), 1_000).await.unwrap().tags.len(), 1);
    assert_eq!(registry.requests(), ["GET /v2/dev/few/tags/list?n=1000"]);
}

#[tokio::test]
async fn semantics_38_a_registry_that_ignores_last_is_asked_twice_once() {
    let registry = with_tags(25).await.paging(Pages::Whole);
    let client = client(&registry);
    for expected in [2, 3] {
        let listing = client.list_tags(&repo(), 1_000).await.unwrap();
        assert!(listing.is_complete(), "{:?}", listing.incomplete);
        assert_eq!((listing.tags.len(), registry.log().len()), (25, expected));
    }
}

#[tokio::test]
async fn semantics_38_a_full_page_that_cannot_be_continued_is_incomplete() {
    let registry = with_tags(25).await.paging(Pages::Whole);
    let client = client(&registry);
    for _ in 0..2 {
        let listing = client.list_tags(&repo(), 25).await.unwrap();
        assert_eq!((listing.tags.len(), listing.incomplete), (25, Some(Incomplete::NotContinued)));
    }
    // More than was asked for: the registry does not page at all.
    assert!(client.list_tags(&repo(), 10).await.unwrap().is_complete());
}

#[tokio::test]
async fn semantics_38_a_registry_that_does_not_know_last_may_say_so() {
    let registry = with_tags(3).await;
    registry.script([on(Method::GET, "*/tags/list?*last=*").status(400)]);
    let listing = client(&registry).list_tags(&repo(), 1_000).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete), (3, None));
    let listing = client(&registry).list_tags(&repo(), 3).await.unwrap();
    assert!(matches!(listing.incomplete, Some(Incomplete::PageFailed(_))), "{:?}", listing.incomplete);
}

#[tokio::test]
async fn semantics_38_a_last_that_is_listed_again_ends_the_list() {
    let registry = ScriptedRegistry::start().await;
    let page = |tags: &[&str]| reply(200).json(&json!({"name": "dev/web", "tags": tags}));
    registry.script([
        on(Method::GET, "*/tags/list?*last=c").answer(page(&["c"])),
        on(Method::GET, "*/tags/list?*").answer(page(&["a", "b", "c"])),
    ]);
    let listing = client(&registry).list_tags(&repo(), 3).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete), (3, None));
}

#[tokio::test]
async fn semantics_38_links_of_every_form_are_followed_at_the_registry_alone() {
    for link in [
        "/v2/dev/web/tags/list?last=t004&n=5; rel=next",
        "<http://inner.example:8081/artifactory/dev/web/tags/list?last=t004&n=5>; rel=\"next\"",
        "<https://127.0.0.1/v2/dev/web/tags/list?last=t004&n=5>; rel=\"next\"",
        "<?last=t004&n=5>; title=\"a, b\"; rel=\"prev Next\"",
    ] {
        let registry = with_tags(8).await.paging(Pages::Silent(5));
        registry.script([on(Method::GET, "*/tags/list?n=5").headers(move |headers| {
            headers.insert("link", link.parse().unwrap());
        })]);
        let listing = client(&registry).list_tags(&repo(), 5).await.unwrap();
        assert_eq!((listing.tags.len(), listing.incomplete), (8, None), "{link}");
        assert_eq!(registry.requests()[1], "GET /v2/dev/web/tags/list?last=t004&n=5", "{link}");
    }
}

#[tokio::test]
async fn semantics_38_a_link_that_cannot_be_read_makes_the_listing_incomplete() {
    for link in ["rel=\"next\"", "next page", "<ftp://inner/x>; rel=next"] {
        let registry = with_tags(8).await.paging(Pages::Silent(5));
        registry.script([on(Method::GET, "*/tags/list?n=5").headers(move |headers| {
            headers.insert("link", link.parse().unwrap());
        })]);
        let listing = client(&registry).list_tags(&repo(), 5).await.unwrap();
        assert_eq!(listing.tags.len(), 5);
        assert!(matches!(listing.incomplete, Some(Incomplete::UnreadableLink(_))), "{link}");
    }
}

#[tokio::test]
async fn semantics_38_a_page_that_fails_for_good_leaves_what_came_before() {
    for fault in [reply(404), reply(200).body("<html>"), reply(200).body("{")] {
        let registry = with_tags(8).await;
        registry.script([on(Method::GET, "*/tags/list?last=*").answer(fault)]);
        let listing = client(&registry).list_tags(&repo(), 5).await.unwrap();
        assert_eq!(listing.tags.len(), 5);
        assert!(matches!(listing.incomplete, Some(Incomplete::PageFailed(_))), "{:?}", listing.incomplete);
    }
}

#[tokio::test]
async fn semantics_38_a_page_that_fails_once_is_asked_for_again() {
    let registry = with_tags(8).await;
    registry.script([on(Method::GET, "*/tags/list?last=*").times(1).status(500)]);
    let listing = client(&registry).list_tags(&repo(), 5).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete), (8, None));
}

#[tokio::test]
async fn semantics_37_names_that_are_no_tags_are_counted_and_named() {
    let registry = with_tags(3).await;
    registry.list_also("dev/web", "1.0+build");
    registry.list_also("dev/web", "sha256:abc\u{7}");
    let listing = client(&registry).list_tags(&repo(), 1_000).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete), (3, None));
    assert_eq!(listing.odd_names.to_string(), r#"2 names that are no tags: "1.0+build", "sha256:abc""#);
}

#[tokio::test]
async fn semantics_41_a_listing_without_end_ends_with_its_budget() {
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::GET, "*/tags/list").with(|asked| {
        let page: u64 = asked.parameter("page").map_or(0, |page| page.parse().unwrap());
        let tags: Vec<String> = (0..100).map(|number| format!("t{page}-{number}")).collect();
        let next = format!("<?page={}>; rel=\"next\"", page + 1);
        Some(reply(200).json(&json!({"tags": tags})).header("link", next))
    })]);
    let budget = Budget { bytes: 1_000_000, entries: 1_050, pages: 1_000 };
    let client = client(&registry);
    let listing = client.list_tags_within(&repo(), 100, budget).await.unwrap();
    assert_eq!(listing.tags.len(), 1_050);
    assert_eq!(listing.incomplete, Some(Incomplete::OverBudget(OverBudget::Entries(1_050))));
    let listing = client.list_tags_within(&repo(), 100, Budget { pages: 3, ..budget }).await.unwrap();
    assert_eq!(
        (listing.tags.len(), listing.incomplete),
        (300, Some(Incomplete::OverBudget(OverBudget::Pages(3))))
    );
}

#[tokio::test]
async fn semantics_41_a_page_without_end_is_left_where_the_budget_ends() {
    let registry = ScriptedRegistry::start().await;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let endless = reply(200).stream(move || {
        let counted = counted.clone();
        let names = futures::stream::iter(0_u64..).map(move |number| {
            let names: String = (0..1_000).map(|part| format!(r#""t{number}-{part}","#)).collect();
            counted.fetch_add(names.len() as u64, Ordering::Relaxed);
            Ok(bytes::Bytes::from(names))
        });
        futures::stream::iter([Ok(bytes::Bytes::from(r#"{"tags":["#))]).chain(names)
    });
    registry.script([on(Method::GET, "*/tags/list").answer(endless)]);
    let budget = Budget { bytes: 100_000, ..Budget::default() };
    let listing = client(&registry).list_tags_within(&repo(), 100, budget).await.unwrap();
    assert!(listing.tags.len() > 5_000 && listing.tags.len() < 15_000, "{}", listing.tags.len());
    assert_eq!(listing.incomplete, Some(Incomplete::OverBudget(OverBudget::Bytes(100_000))));
    assert!(sent.load(Ordering::Relaxed) < 20_000_000, "the rest was not read");
}
