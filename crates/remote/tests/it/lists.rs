//! Lists that go on, and lists that lie.

use longshore_oci::Digest;
use longshore_remote::Error;

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
    assert!(listing.complete);
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
    assert!(!listing.complete);
    assert_eq!(listing.tags.len(), 4);
}

#[tokio::test]
async fn semantics_21_a_repeated_page_is_incomplete() {
    let fake = Fake::start(|seen| page(&["a", "b"], Some(&format!("?n=2&x={}1", seen.query.len())))).await;
    let listing = fake.registry().list_tags(&repo(), 2).await.unwrap();
    assert!(!listing.complete && listing.incomplete_because.unwrap().contains("repeats"));
}

#[tokio::test]
async fn semantics_21_an_error_on_a_later_page_is_an_error_of_the_whole() {
    let fake = Fake::start(|seen| match seen.query.as_str() {
        "n=2" => page(&["a", "b"], Some("?last=b")),
        _ => error(500, "UNKNOWN", "disk on fire"),
    })
    .await;
    let error = fake.registry().list_tags(&repo(), 2).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("disk on fire"), "{error}");
}

#[tokio::test]
async fn a_next_page_at_another_host_is_not_followed() {
    let fake = Fake::start(|_| page(&["a"], Some("http://elsewhere.example/v2/"))).await;
    assert!(matches!(fake.registry().list_tags(&repo(), 2).await, Err(Error::BadAnswer { .. })));
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
    assert!(listing.complete && listing.tags.is_empty());
}

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
  {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"artifactType":"a/sig",
   "digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111"},
  {"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"artifactType":"a/sbom",
   "digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222"}]}"#;
const INDEX_TYPE: (&str, &str) = ("content-type", "application/vnd.oci.image.index.v1+json");

#[tokio::test]
async fn referrers_come_from_the_api_and_are_filtered_here_too() {
    let fake = Fake::start(|_| answer(200, &[INDEX_TYPE], INDEX)).await;
    let subject = Digest::sha256([9; 32]);
    let all = fake.registry().referrers(&repo(), &subject, None).await.unwrap().unwrap();
    assert_eq!(all.len(), 2);
    let some = fake.registry().referrers(&repo(), &subject, Some("a/sig")).await.unwrap().unwrap();
    assert_eq!(some.len(), 1);
    assert_eq!(fake.seen()[1].query, "artifactType=a%2Fsig");
}

#[tokio::test]
async fn referrers_come_from_the_tag_where_there_is_no_api() {
    let subject = Digest::sha256([9; 32]);
    let tag = format!("/v2/dev/web/manifests/sha256-{}", subject.hex());
    let fake = Fake::start(move |seen| {
        if seen.path == tag {
            answer(200, &[INDEX_TYPE], INDEX)
        } else {
            answer(404, &[], "404 page not found")
        }
    })
    .await;
    assert_eq!(fake.registry().referrers(&repo(), &subject, None).await.unwrap().unwrap().len(), 2);
    let other = Digest::sha256([8; 32]);
    assert_eq!(fake.registry().referrers(&repo(), &other, None).await.unwrap(), None);
}
