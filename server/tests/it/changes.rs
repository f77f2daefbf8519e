//! Policies that are changed concurrently, or while they run: no change is lost, and disabled policies stop
//! (semantics 33, 34).

use longshore_testkit::{ScriptedRegistry, corpus, eventually, scripted::on};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

use crate::support::{SOON, ends_with, longshore, promotion, remote, repositories, with};

#[tokio::test(flavor = "multi_thread")]
async fn semantics_33_concurrent_changes_of_different_fields_all_survive() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website"]).await;
    let made = promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n").await;
    let path = format!(
        "/repositories/dev/website/promotionPolicies/{}?initialEvaluation=false",
        made["id"].as_str().unwrap()
    );
    for round in 0..5 {
        let template = format!("%n-{round}");
        let on = round % 2 == 1;
        let (one, two, three) = tokio::join!(
            rest.put(&path, json!({"tagTemplate": template})),
            rest.put(&path, json!({"referrers": on})),
            rest.put(&path, json!({"enabled": on})),
        );
        for answer in [one, two, three] {
            answer.expect(200);
        }
        let stands = rest.get(&path).await.expect(200);
        assert_eq!(stands["tagTemplate"], template.as_str());
        assert_eq!((&stands["referrers"], &stands["enabled"]), (&json!(on), &json!(on)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_33_a_change_based_on_an_older_version_is_a_409_with_the_last_change_and_its_author() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website"]).await;
    let made = promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n").await;
    let path = format!("/repositories/dev/website/promotionPolicies/{}", made["id"].as_str().unwrap());
    let changed =
        rest.put(&path, json!({"tagTemplate": "%n-x", "version": made["version"]})).await.expect(200);
    assert_eq!(changed["version"].as_i64(), made["version"].as_i64().map(|version| version + 1));
    let refused = rest.put(&path, json!({"enabled": false, "version": made["version"]})).await.expect(409);
    assert_eq!(refused["errors"][0]["code"], "POLICY_CHANGED");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("admin changed the tag template"), "{message}");
    assert_eq!(rest.get(&path).await.expect(200)["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_34_a_disabled_push_mirror_stops_within_a_second() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let other = ScriptedRegistry::start().await;
    let made = rest
        .post(
            "/repositories/dev/website/pushMirroringPolicies?initialEvaluation=false",
            with(remote(&other.url(), "qa/website", "", ""), json!({"rules": [], "tagTemplate": "%n"})),
        )
        .await
        .expect(201);
    let path = format!("/repositories/dev/website/pushMirroringPolicies/{}", made["id"].as_str().unwrap());
    // Every manifest is slow, so that most of the tags are still queued.
    other.script([on(Method::PUT, "*manifests/*").late(Duration::from_millis(300))]);
    let (registry, image) = (server.registry(), corpus::image(1, 1, 1_000));
    for tag in 0..120 {
        registry.push(&image, "dev/website", Some(&format!("v{tag}"))).await;
    }
    eventually("the first tags to be pushed", SOON, async || {
        let sent = other.tags("qa/website").len();
        if sent > 0 { Ok(()) } else { Err(sent) }
    })
    .await;
    rest.put(&path, json!({"enabled": false})).await.expect(200);
    let disabled = Instant::now();
    eventually("the queue to be empty", Duration::from_secs(1), async || {
        let jobs = rest.get("/jobs?action=push_mirror_tag&limit=500").await.expect(200);
        let open = jobs["jobs"].as_array().map_or(0, |jobs| {
            jobs.iter().filter(|job| matches!(job["status"].as_str(), Some("waiting" | "running"))).count()
        });
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
    assert!(disabled.elapsed() < Duration::from_secs(1));
    let sent = other.count(Method::PUT, "manifests/");
    assert!(sent < 120, "{sent}");
    // Nothing is running any more, and new tags are not pushed.
    registry.push(&image, "dev/website", Some("later")).await;
    eventually("the push to be evaluated", SOON, async || {
        let jobs = rest.get("/jobs?action=evaluate&limit=1").await.expect(200);
        let status = jobs["jobs"][0]["status"].clone();
        if status == "done" { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(other.count(Method::PUT, "manifests/"), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_43_mirrors_omit_foreign_layers_by_default_and_other_changes_keep_the_setting() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let other = ScriptedRegistry::start().await;
    other.hold("qa/website", Some("1.0"), &corpus::image(1, 1, 100));
    let connection = remote(&other.url(), "qa/website", "", "");
    for (kind, draft, elsewhere) in [
        ("pushMirroringPolicies", json!({"rules": [], "tagTemplate": "%n"}), json!({"tagTemplate": "%n-x"})),
        ("pollMirroringPolicies", json!({}), json!({"interval": 600})),
    ] {
        let all = format!("/repositories/dev/website/{kind}");
        let made = rest.post(&all, with(connection.clone(), draft.clone())).await.expect(201);
        assert_eq!(made["foreignLayers"], false, "{kind}");
        let path = format!("{all}/{}", made["id"].as_str().unwrap());
        let on =
            rest.put(&path, json!({"foreignLayers": true, "version": made["version"]})).await.expect(200);
        assert_eq!((&on["foreignLayers"], &on["enabled"]), (&json!(true), &json!(true)), "{kind}");
        for change in [elsewhere, json!({"enabled": false}), json!({"enabled": true, "referrers": false})] {
            assert_eq!(rest.put(&path, change).await.expect(200)["foreignLayers"], true, "{kind}");
        }
        let both = rest.put(&path, json!({"enabled": false, "foreignLayers": false})).await.expect(200);
        assert_eq!((&both["foreignLayers"], &both["enabled"]), (&json!(false), &json!(false)), "{kind}");
        assert_eq!(rest.get(&path).await.expect(200)["foreignLayers"], false, "{kind}");
        let on = rest.post(&all, with(connection.clone(), with(draft, json!({"foreignLayers": true})))).await;
        assert_eq!(on.expect(201)["foreignLayers"], true, "{kind}");
    }
}
