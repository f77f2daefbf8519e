//! Referrers of an image, which a registry may list well, badly or not at all.

use http::Method;
use longshore_model::RemoteKind;
use longshore_oci::{Digest, media_type};
use longshore_remote::{Allowance, Budget, Endpoint, Referrers, ReferrersWays, Registry};
use longshore_testkit::scripted::{Reply, any, on, reply};
use longshore_testkit::{ScriptedRegistry, corpus};
use serde_json::{Value, json};

use crate::fake::repo;

fn subject() -> Digest {
    Digest::sha256([9; 32])
}

fn entry(byte: u8, artifact_type: &str) -> Value {
    let digest = Digest::sha256([byte; 32]);
    json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 7, "artifactType": artifact_type})
}

fn index(entries: &[Value]) -> Reply {
    let body = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
    reply(200).typed(media_type::OCI_INDEX, body.to_string())
}

async fn ask(registry: &ScriptedRegistry, artifact_type: Option<&str>) -> Referrers {
    let client =
        Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap();
    client
        .referrers(
            &repo(),
            &subject(),
            artifact_type,
            &Allowance::from(Budget::default()),
            &ReferrersWays::default(),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn referrers_come_from_the_api_and_are_filtered_here_too() {
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/referrers/*").answer(index(&[entry(1, "a/sig"), entry(2, "a/sbom")]))]);
    assert_eq!(ask(&registry, None).await.descriptors.len(), 2);
    assert_eq!(ask(&registry, Some("a/sig")).await.descriptors.len(), 1);
    assert_eq!(registry.log()[1].query, "artifactType=a%2Fsig");
}

#[tokio::test]
async fn referrers_come_from_the_tag_where_there_is_no_api() {
    let registry = ScriptedRegistry::start().await.without_referrers();
    assert_eq!(ask(&registry, None).await, Referrers::default());
    let tag = format!("*/manifests/sha256-{}", subject().hex());
    registry.script([any(tag).answer(index(&[entry(1, "a/sig"), entry(2, "a/sbom")]))]);
    assert_eq!(ask(&registry, Some("a/sbom")).await.descriptors.len(), 1);
}

#[tokio::test]
async fn semantics_40_a_registry_that_refuses_to_list_referrers_has_none() {
    for status in [400, 401, 403, 404, 405, 406, 501] {
        let registry = ScriptedRegistry::start().await;
        registry.script([
            any("*/referrers/*").status(status),
            any("*/manifests/*").status(if status == 403 { 403 } else { 404 }),
        ]);
        assert_eq!(ask(&registry, None).await, Referrers::default(), "{status}");
    }
}

#[tokio::test]
async fn semantics_37_a_list_that_cannot_be_read_is_a_warning() {
    let faults = [
        reply(500),
        reply(200).typed("text/html", "<html>sign in</html>"),
        reply(200).body("{"),
        reply(200).json(&json!({})),
        reply(200).json(&json!({"manifests": "none"})),
        reply(200).body(vec![b' '; 5 * 1024 * 1024]),
    ];
    for fault in faults {
        let registry = ScriptedRegistry::start().await;
        registry.script([any("*/referrers/*").answer(fault)]);
        let found = ask(&registry, None).await;
        assert!(found.descriptors.is_empty() && found.warnings.len() == 1, "{found:?}");
    }
}

#[tokio::test]
async fn semantics_39_a_registry_that_is_away_is_an_error() {
    for status in [429, 503] {
        let registry = ScriptedRegistry::start().await;
        registry.script([any("*/referrers/*").status(status)]);
        let client =
            Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap();
        let allowance = Allowance::from(Budget::default());
        assert!(
            client
                .referrers(&repo(), &subject(), None, &allowance, &ReferrersWays::default())
                .await
                .unwrap_err()
                .may_be_away()
        );
    }
}

#[tokio::test]
async fn semantics_37_entries_that_are_no_descriptors_are_passed_over_and_named() {
    let registry = ScriptedRegistry::start().await;
    let bad = [json!({"digest": "sha256:zz", "size": 1, "mediaType": "a/b"}), json!(7), json!({"size": -1})];
    registry.script([any("*/referrers/*").answer(index(&[&bad[..], &[entry(1, "a/sig")]].concat()))]);
    let found = ask(&registry, None).await;
    assert_eq!(found.descriptors.len(), 1);
    let said = found.warnings[0].to_string();
    assert!(said.starts_with("3 entries") && said.contains("sha256:zz"), "{said}");
}

#[tokio::test]
async fn referrers_come_in_pages_whatever_their_type_says() {
    let registry = ScriptedRegistry::start().await;
    let first = index(&[entry(1, "a/sig")]).header("link", "<http://inner/v2/x?page=2>; rel=next");
    let second = reply(200).json(&json!({"manifests": [entry(2, "a/sig"), entry(1, "a/sig")]}));
    registry.script([any("*/referrers/*?page=2").answer(second), any("*/referrers/*").answer(first)]);
    let found = ask(&registry, None).await;
    assert_eq!((found.descriptors.len(), found.warnings.len()), (2, 0));
    assert!(registry.requests()[1].ends_with(&format!("/v2/dev/web/referrers/{}?page=2", subject())));
}

#[tokio::test]
async fn semantics_41_pages_that_bring_nothing_new_end_the_list_whatever_is_named_next() {
    for (entries, asked) in [(vec![entry(1, "a/sig")], 2), (vec![], 11)] {
        let registry = ScriptedRegistry::start().await;
        registry.script([any("*/referrers/*").with(move |asked| {
            let page: u32 = asked.parameter("page").map_or(0, |page| page.parse().unwrap());
            Some(index(&entries).header("link", format!("<?page={}>; rel=\"next\"", page + 1)))
        })]);
        let found = ask(&registry, None).await;
        assert_eq!((found.warnings.len(), registry.log().len()), (1, asked), "{found:?}");
    }
}

#[tokio::test]
async fn semantics_41_pages_without_end_end_with_the_budget_of_the_run() {
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/referrers/*").with(|asked| {
        let page: u8 = asked.parameter("page").map_or(0, |page| page.parse().unwrap());
        let next = format!("<?page={}>; rel=\"next\"", page.wrapping_add(1));
        Some(index(&[entry(page, "a/sig")]).header("link", next))
    })]);
    let client =
        Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap();
    let allowance = Allowance::from(Budget { entries: 5, ..Budget::default() });
    for expected in [5, 0] {
        let found =
            client.referrers(&repo(), &subject(), None, &allowance, &ReferrersWays::default()).await.unwrap();
        assert_eq!((found.descriptors.len(), found.warnings.len()), (expected, 1), "{found:?}");
    }
    let circle = ask(&registry, None).await;
    assert_eq!(circle.descriptors.len(), 255, "all but the subject itself");
    assert!(circle.warnings[0].to_string().contains("repeats a page"));
}

#[tokio::test]
async fn semantics_41_a_referrers_tag_that_answers_with_something_else_lists_none() {
    let image = corpus::image(1, 1, 10);
    let multi = corpus::index(2, &["linux/amd64", "linux/arm64"], false);
    for package in [&image, &multi] {
        let registry = ScriptedRegistry::start().await.without_referrers();
        let manifest = package.root_manifest();
        let served = reply(200).typed(&manifest.media_type, manifest.bytes.clone());
        registry.script([on(Method::GET, "*/manifests/*").answer(served)]);
        let client =
            Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap();
        let allowance = Allowance::from(Budget::default());
        for subject in [&package.root, &subject()] {
            let found = client
                .referrers(&repo(), subject, None, &allowance, &ReferrersWays::default())
                .await
                .unwrap();
            assert_eq!(found, Referrers::default());
        }
    }
}
