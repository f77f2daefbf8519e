//! Lists in a browser: paged by links, with clean URLs, and compressed.

use longshore_testkit::{Site, corpus};
use reqwest::{StatusCode, header};

use crate::support::{longshore, organization, repository};

/// The URL of a link of the pager.
fn link(page: &str, rel: &str) -> Option<String> {
    let pager = page.split_once(r#"class="pager""#)?.1;
    let tag = pager.split("<a ").find(|tag| tag.contains(&format!(r#"rel="{rel}""#)))?;
    let (address, _) = tag.split_once("href=\"")?.1.split_once('"')?;
    Some(address.replace("&amp;", "&"))
}

fn names(page: &str) -> Vec<String> {
    let mut names: Vec<String> = page
        .split("href=\"/repositories/dev/app-")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_a_list_lead_through_all_pages_and_back_without_script() {
    let server = longshore().await;
    let rest = server.rest();
    organization(&rest, "dev").await;
    for number in 0..60 {
        repository(&rest, &format!("dev/app-{number:02}")).await;
    }
    let site = server.site().sign_in("admin", longshore_testkit::ADMIN_PASSWORD).await;
    let load = async |site: &Site, address: &str| {
        let answer = site.page(address).await;
        assert_eq!(answer.status, 200, "{address}");
        answer.body
    };
    let first = load(&site, "/repositories?q=app").await;
    assert!(link(&first, "prev").is_none(), "nothing precedes the first page");
    let second = load(&site, &link(&first, "next").expect("a second page")).await;
    let third = load(&site, &link(&second, "next").expect("a third page")).await;
    assert!(link(&third, "next").is_none(), "nothing follows the last page");
    let all: Vec<String> = [&first, &second, &third].into_iter().flat_map(|page| names(page)).collect();
    assert_eq!(all, (0..60).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    let back = load(&site, &link(&third, "prev").expect("a page before")).await;
    assert_eq!(names(&back), names(&second));
    let address = link(&back, "prev").expect("the first page");
    assert_eq!(address, "/repositories?q=app", "the first page has one address");
    assert_eq!(names(&load(&site, &address).await), names(&first));
    // Former and invalid starts of a page lead to the first page.
    for start in ["25", "n", "b9x00", "n1x5b"] {
        let answer = site.page(&format!("/repositories?start={start}")).await;
        assert!([200, 400].contains(&answer.status), "{start}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_contains_no_empty_fields_of_a_form() {
    let server = longshore().await;
    let led_to = async |address: &str| {
        let answer = server.site().request(address).send().await.expect("answered");
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        location.map(str::to_owned)
    };
    assert_eq!(led_to("/repositories?q=&namespace=&state=&=").await.as_deref(), Some("/repositories"));
    assert_eq!(
        led_to("/repositories?q=a%26b&state=").await.as_deref(),
        Some("/repositories?q=a%26b"),
        "what stays is as it was"
    );
    assert_eq!(led_to("/repositories?q=web").await, None);
    assert_eq!(led_to("//evil.example?q=").await, None, "no redirect to another host");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_json_are_compressed_and_streams_and_content_are_not() {
    let server = longshore().await;
    let rest = server.rest();
    for namespace in ["dev", "qa"] {
        organization(&rest, namespace).await;
    }
    for number in 0..20 {
        repository(&rest, &format!("dev/app-{number:02}")).await;
    }
    let package = corpus::image(1, 1, 4_000);
    server.registry().push(&package, "dev/app-00", Some("1.0")).await;
    let http = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
    let encoding = async |path: &str, taken: &str| {
        let request = http
            .get(format!("{}{path}", server.url()))
            .basic_auth("admin", Some(longshore_testkit::ADMIN_PASSWORD))
            .header(header::ACCEPT_ENCODING, taken);
        let answer = request.send().await.expect("answered");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let headers = answer.headers();
        let encoding =
            headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text").to_owned());
        (encoding, headers.get(header::VARY).is_some())
    };
    let gzip = (Some("gzip".to_owned()), true);
    assert_eq!(encoding("/repositories", "gzip, br").await, gzip);
    assert_eq!(encoding("/api/v0/repositories/dev?pageSize=50", "gzip").await, gzip);
    assert_eq!(encoding("/repositories", "identity").await.0, None, "not accepted");
    assert_eq!(encoding("/events?jobs=1", "gzip").await.0, None, "events are not delayed");
    let blob = format!("/v2/dev/app-00/manifests/{}", package.root);
    assert_eq!(encoding(&blob, "gzip").await.0, None, "a manifest is what was pushed");
}
