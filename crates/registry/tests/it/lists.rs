//! Lists in pages.

use crate::fixture::{House, NOBODY};
use http::StatusCode;
use longshore_model::Visibility;
use longshore_model::repository::RepositoryChange;
use longshore_oci::media_type::OCI_MANIFEST;
use longshore_oci::{ErrorCode, Link};
use serde_json::{Value, json};

#[tokio::test]
async fn tags_are_paged_by_relative_links_in_byte_order() {
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
    ann.get("/v2/ann/web/tags/list?n=many").await.fails(400, ErrorCode::PaginationNumberInvalid);
    ann.get("/v2/ann/none/tags/list").await.fails(404, ErrorCode::NameUnknown);
}

#[tokio::test]
async fn the_catalog_holds_what_the_actor_may_see() {
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
