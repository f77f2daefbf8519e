//! Paged lists.

use crate::fixture::{House, NOBODY, descriptor, image, sha256};
use http::StatusCode;
use longshore_model::Visibility;
use longshore_model::repository::RepositoryChange;
use longshore_oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use longshore_oci::{Digest, ErrorCode, Link};
use serde_json::{Value, json};

#[tokio::test]
async fn tags_are_paged_with_relative_links_in_byte_order() {
    let house = House::new().await;
    let (_, manifest) = house.image("ann/web", "b").await;
    let ann = house.by("ann");
    for tag in ["a", "B", "_", "10", "9"] {
        ann.put_json(&format!("/v2/ann/web/manifests/{tag}"), OCI_MANIFEST, &manifest).await;
    }
    let (mut path, mut seen) = ("/v2/ann/web/tags/list?n=4".to_owned(), Vec::<Value>::new());
    loop {
        let page = ann.get(&path).await;
        seen.extend(page.json()["tags"].as_array().unwrap().clone());
        match Link::next_of(page.header("link")) {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(json!(seen), json!(["10", "9", "B", "_", "a", "b"]));
    assert_eq!(path, "/v2/ann/web/tags/list?n=4&last=_");
    let rest = ann.get("/v2/ann/web/tags/list?last=_").await;
    assert_eq!((&rest.json()["tags"], rest.header("link")), (&json!(["a", "b"]), ""));
    let none = ann.get("/v2/ann/web/tags/list?n=0").await;
    assert_eq!((&none.json()["tags"], none.header("link")), (&json!([]), ""));
    ann.get("/v2/ann/none/tags/list").await.fails(404, ErrorCode::NameUnknown);
}

#[tokio::test]
async fn a_page_begins_after_last_whether_that_exists_or_not() {
    let house = House::new().await;
    let (_, manifest) = house.image("ann/web", "b").await;
    let ann = house.by("ann");
    ann.put_json("/v2/ann/web/manifests/d", OCI_MANIFEST, &manifest).await;
    for (last, tags) in [
        ("a", json!(["b", "d"])),
        ("b", json!(["d"])),
        // Deleted since, never existed, or not a tag at all.
        ("c", json!(["d"])),
        ("%00", json!(["b", "d"])),
        ("~", json!([])),
        ("", json!(["b", "d"])),
    ] {
        let page = ann.get(&format!("/v2/ann/web/tags/list?n=5&last={last}")).await;
        assert_eq!((&page.json()["tags"], page.header("link")), (&tags, ""), "{last}");
    }
}

#[tokio::test]
async fn every_list_accepts_a_count_and_rejects_an_invalid_one() {
    let house = House::new().await;
    let (digest, _) = house.image("ann/web", "v1").await;
    let ann = house.by("ann");
    for (path, member) in [
        ("/v2/ann/web/tags/list".to_owned(), "tags"),
        ("/v2/_catalog".to_owned(), "repositories"),
        (format!("/v2/ann/web/referrers/{digest}"), "manifests"),
    ] {
        let none = ann.get(&format!("{path}?n=0")).await;
        assert_eq!((none.status, none.header("link")), (StatusCode::OK, ""), "{path}");
        assert_eq!(none.json()[member], json!([]), "{path}");
        let huge = ann.get(&format!("{path}?n=99999999999999999999")).await;
        assert_eq!((huge.status, huge.header("link")), (StatusCode::OK, ""), "{path}");
        for n in ["many", "-1", "1.5", "0x10"] {
            let message = ann.get(&format!("{path}?n={n}")).await.fails(400, ErrorCode::Unsupported);
            assert!(message.contains(n), "{message}");
        }
        assert_eq!(
            ann.head(&path).await.header("content-length"),
            ann.get(&path).await.bytes.len().to_string()
        );
    }
}

/// Pushes referrers of `subject` to `ann/web`, the last of them of another type.
async fn referrers_of(house: &House, subject: &Digest, count: usize, note: &str) -> Vec<String> {
    let mut digests = Vec::new();
    for number in 0..count {
        let mut referrer = image(&sha256(b"{}"));
        let kind = if number + 1 < count { "application/vnd.example.sbom" } else { "application/other+json" };
        referrer["artifactType"] = json!(kind);
        referrer["annotations"] = json!({ "number": number.to_string(), "note": note });
        referrer["subject"] = descriptor(OCI_MANIFEST, subject, 2);
        let digest = sha256(referrer.to_string().as_bytes());
        let path = format!("/v2/ann/web/manifests/{digest}");
        let pushed = house.by("ann").put_json(&path, OCI_MANIFEST, &referrer).await;
        assert_eq!(pushed.header("oci-subject"), subject.as_str(), "{pushed:?}");
        digests.push(digest.to_string());
    }
    digests
}

/// The digests on each page from `path` on.
async fn pages(house: &House, mut path: String) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = house.by("ann").get(&path).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, OCI_INDEX), "{page:?}");
        let filtered = if path.contains("artifactType") { "artifactType" } else { "" };
        assert_eq!(page.header("oci-filters-applied"), filtered);
        let digest = |entry: &Value| entry["digest"].as_str().unwrap().to_owned();
        pages.push(page.json()["manifests"].as_array().unwrap().iter().map(digest).collect());
        match Link::next_of(page.header("link")) {
            Some(next) => path = next,
            None => return pages,
        }
    }
}

#[tokio::test]
async fn referrers_with_long_artifact_types_are_spread_over_more_pages() {
    let house = House::new().await;
    let (subject, _) = house.image("ann/web", "v1").await;
    for number in 0..3 {
        let mut referrer = image(&sha256(b"{}"));
        referrer["artifactType"] = json!(format!("application/{}{number}", "x".repeat(2_500_000)));
        referrer["subject"] = descriptor(OCI_MANIFEST, &subject, 2);
        let digest = sha256(referrer.to_string().as_bytes());
        let path = format!("/v2/ann/web/manifests/{digest}");
        let pushed = house.by("ann").put_json(&path, OCI_MANIFEST, &referrer).await;
        assert_eq!(pushed.status, StatusCode::CREATED);
    }
    let pages = pages(&house, format!("/v2/ann/web/referrers/{subject}")).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn a_nul_in_a_parameter_is_no_error() {
    let house = House::new().await;
    let (subject, _) = house.image("ann/web", "v1").await;
    let path = format!("/v2/ann/web/referrers/{subject}?artifactType=%00");
    assert_eq!(house.by("ann").get(&path).await.json()["manifests"], json!([]));
    assert_eq!(house.by("ann").get("/v2/ann/web/tags/list?last=v%001").await.json()["tags"], json!(["v1"]));
}

#[tokio::test]
async fn referrers_are_paged_with_relative_links_that_keep_the_filter() {
    let house = House::new().await;
    let (subject, _) = house.image("ann/web", "v1").await;
    let mut all = referrers_of(&house, &subject, 6, "").await;
    let other = all.pop().unwrap();
    all.sort_unstable();
    let path = format!("/v2/ann/web/referrers/{subject}?n=2&artifactType=application/vnd.example.sbom");
    let sboms = pages(&house, path).await;
    assert_eq!(sboms.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(sboms.concat(), all);
    let path = format!("/v2/ann/web/referrers/{subject}?artifactType=application/other%2Bjson");
    assert_eq!(pages(&house, path).await, [[other.clone()]]);
    all.push(other);
    all.sort_unstable();
    assert_eq!(pages(&house, format!("/v2/ann/web/referrers/{subject}")).await, [all]);
}

#[tokio::test]
async fn a_page_of_referrers_is_never_larger_than_clients_accept() {
    let house = House::new().await;
    let (subject, _) = house.image("ann/web", "v1").await;
    let mut all = referrers_of(&house, &subject, 5, &"x".repeat(1_500_000)).await;
    all.sort_unstable();
    let found = pages(&house, format!("/v2/ann/web/referrers/{subject}")).await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(found.concat(), all);
}

#[tokio::test]
async fn the_catalog_lists_what_the_actor_may_see() {
    let house = House::new().await;
    for name in ["ann/a", "ann/b", "bob/c"] {
        house.create(name, RepositoryChange::default()).await;
    }
    let public = RepositoryChange { visibility: Some(Visibility::Public), ..Default::default() };
    house.create("bob/public", public).await;
    let list = |user: &'static str| {
        let client = house.by(user);
        async move { client.get("/v2/_catalog").await.json()["repositories"].clone() }
    };
    assert_eq!(list("ann").await, json!(["ann/a", "ann/b", "bob/public"]));
    assert_eq!(list("bob").await, json!(["bob/c", "bob/public"]));
    assert_eq!(list("root").await, json!(["ann/a", "ann/b", "bob/c", "bob/public"]));
    let page = house.by("root").get("/v2/_catalog?n=3").await;
    assert_eq!(page.header("link"), "</v2/_catalog?n=3&last=bob%2Fc>; rel=\"next\"");
    let last = house.by("root").get("/v2/_catalog?n=3&last=bob%2Fc").await;
    assert_eq!(last.json(), json!({ "repositories": ["bob/public"] }));

    let asked = house.by(NOBODY).get("/v2/_catalog").await;
    asked.fails(401, ErrorCode::Unauthorized);
    assert!(asked.header("www-authenticate").contains(r#"scope="registry:catalog:*""#));
    let token = house.by(NOBODY).get("/v2/token?scope=registry:catalog:*").await.json();
    let anonymous = house.bearing(token["token"].as_str().unwrap()).await.get("/v2/_catalog").await;
    assert_eq!(
        (anonymous.status, &anonymous.json()["repositories"]),
        (StatusCode::OK, &json!(["bob/public"]))
    );
}
