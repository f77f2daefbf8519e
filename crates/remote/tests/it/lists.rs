//! Paged lists, and lists that are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use http::Method;
use longshore_model::RemoteKind;
use longshore_remote::{Budget, Endpoint, Incomplete, OverBudget, Registry};
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
async fn semantics_21_a_listing_whose_pages_loop_is_incomplete() {
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
async fn semantics_38_a_link_with_a_path_that_a_proxy_has_changed_is_followed_by_its_query() {
    for prefix in ["/v2/web", "/repository/hosted/v2/dev/web"] {
        let fake = Fake::start(move |seen| {
            if seen.path != "/v2/dev/web/tags/list" {
                return error(404, "NAME_UNKNOWN", "repository name not known to registry");
            }
            let last = seen.query.split('&').find_map(|pair| pair.strip_prefix("last="));
            let next = format!("<{prefix}/tags/list?n=2&last={}>; rel=\"next\"", last.map_or("b", |_| "d"));
            let headers = [("content-type", "application/json"), ("link", next.as_str())];
            match last {
                None => answer(200, &headers, r#"{"tags":["a","b"]}"#),
                Some("b") => answer(200, &headers, r#"{"tags":["c","d"]}"#),
                Some(_) => answer(200, &headers[..1], r#"{"tags":["e"]}"#),
            }
        })
        .await;
        let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
        assert!(listing.is_complete(), "{:?}", listing.incomplete);
        assert_eq!(listing.tags.len(), 5);
    }
}

#[tokio::test]
async fn a_web_page_is_not_a_list() {
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
    Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap()
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
async fn semantics_38_a_full_page_that_comes_again_when_more_is_asked_for_is_all() {
    let registry = with_tags(25).await.paging(Pages::Whole);
    let client = client(&registry);
    for size in [25, 25, 10] {
        let listing = client.list_tags(&repo(), size).await.unwrap();
        assert_eq!((listing.tags.len(), listing.incomplete), (25, None));
    }
}

#[tokio::test]
async fn semantics_38_where_a_link_was_followed_a_full_page_without_one_is_the_last() {
    // Quay pages by a cursor and ignores `last`; ECR Public refuses a `last` that it did not make itself.
    for refuses_last in [false, true] {
        let registry = with_tags(100).await;
        registry.script([on(Method::GET, "*/tags/list").with(move |asked| {
            if refuses_last && asked.parameter("last").is_some() {
                return Some(reply(405).error("UNSUPPORTED", "Invalid parameter at 'NextToken'"));
            }
            let at: usize = asked.parameter("next_page").map_or(0, |at| at.parse().unwrap());
            let tags: Vec<String> = (at..at + 50).map(|number| format!("t{number:03}")).collect();
            let page = reply(200).json(&json!({"tags": tags}));
            Some(match at {
                0 => page.header("link", "</v2/dev/web/tags/list?next_page=50&n=50>; rel=\"next\""),
                _ => page,
            })
        })]);
        for size in [50, 1_000] {
            registry.forget_requests();
            let listing = client(&registry).list_tags(&repo(), size).await.unwrap();
            assert_eq!((listing.tags.len(), listing.incomplete), (100, None));
            assert_eq!(registry.log().len(), 2, "nothing is asked beyond the pages that were named");
        }
    }
}

#[tokio::test]
async fn semantics_38_a_registry_that_refuses_last_has_no_more() {
    for status in [400, 404, 405] {
        let registry = with_tags(3).await;
        registry.script([on(Method::GET, "*/tags/list?*last=*").status(status)]);
        for size in [3, 1_000] {
            let listing = client(&registry).list_tags(&repo(), size).await.unwrap();
            assert_eq!((listing.tags.len(), listing.incomplete), (3, None), "{status}, {size} at a time");
        }
    }
}

#[tokio::test]
async fn semantics_38_a_full_page_after_which_the_registry_fails_is_incomplete() {
    let registry = with_tags(3).await;
    registry.script([on(Method::GET, "*/tags/list?*last=*").status(501)]);
    let listing = client(&registry).list_tags(&repo(), 3).await.unwrap();
    assert!(matches!(listing.incomplete, Some(Incomplete::PageFailed(_))), "{:?}", listing.incomplete);
}

#[tokio::test]
async fn semantics_40_a_registry_that_refuses_the_size_of_pages_is_asked_for_less_and_remembered() {
    for (most, sizes) in [(Some(100), vec!["n=1000", "n=100"]), (None, vec!["n=1000", "n=100", ""])] {
        let registry = with_tags(25).await;
        registry.script([on(Method::GET, "*/tags/list").with(move |asked| {
            let n: u32 = asked.parameter("n")?.parse().unwrap();
            let taken = most.is_some_and(|most| n <= most);
            (!taken).then(|| reply(400).error("PAGINATION_NUMBER_INVALID", "invalid number of results"))
        })]);
        let client = client(&registry);
        for expected in [&sizes[..], &sizes[sizes.len() - 1..]] {
            registry.forget_requests();
            let listing = client.list_tags(&repo(), 1_000).await.unwrap();
            assert_eq!((listing.tags.len(), listing.incomplete), (25, None));
            let log = registry.log();
            let asked = log.iter().filter(|asked| asked.parameter("last").is_none());
            assert_eq!(asked.map(|asked| asked.query.as_str()).collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn semantics_40_a_bad_request_for_another_reason_is_remembered_as_nothing() {
    let registry = with_tags(3).await;
    registry.script([on(Method::GET, "/v2/dev/bad/*").status(400)]);
    let client = client(&registry);
    assert!(client.list_tags(&"dev/bad".parse().unwrap(), 1_000).await.is_err());
    registry.forget_requests();
    client.list_tags(&repo(), 1_000).await.unwrap();
    assert_eq!(registry.requests()[0], "GET /v2/dev/web/tags/list?n=1000");
}

#[tokio::test]
async fn semantics_37_a_name_that_is_no_unicode_costs_no_other() {
    let registry = ScriptedRegistry::start().await;
    let body = b"\xef\xbb\xbf{\"tags\":[\"1.0\",\"caf\xe9\",\"\\ud800\",\"2.0\"]}";
    registry.script([on(Method::GET, "*/tags/list").answer(reply(200).body(&body[..]))]);
    let listing = client(&registry).list_tags(&repo(), 1_000).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete, listing.odd_names.count), (2, None, 2));
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
async fn semantics_37_names_that_are_not_valid_tags_are_counted_and_named() {
    let registry = with_tags(3).await;
    registry.list_also("dev/web", "1.0+build");
    registry.list_also("dev/web", "sha256:abc\u{7}");
    let listing = client(&registry).list_tags(&repo(), 1_000).await.unwrap();
    assert_eq!((listing.tags.len(), listing.incomplete), (3, None));
    assert_eq!(
        listing.odd_names.to_string(),
        r#"2 names that are not valid tags: "1.0+build", "sha256:abc""#
    );
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
