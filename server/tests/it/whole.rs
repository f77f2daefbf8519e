//! Lists are complete, or say that they continue.

use longshore_testkit::corpus;

use crate::support::{longshore, repositories};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_tag_goes_back_to_its_first_change() {
    let server = longshore().await;
    let (rest, registry) = (server.rest(), server.registry());
    repositories(&rest, &["dev/website"]).await;
    let images = [corpus::image(1, 1, 100), corpus::image(2, 1, 100)];
    for image in &images {
        registry.push(image, "dev/website", None).await;
    }
    let manifests = images.each_ref().map(|image| &image.manifests[0]);
    for manifest in manifests.iter().cycle().take(230) {
        let put =
            registry.put_manifest("dev/website", "latest", &manifest.media_type, manifest.bytes.clone());
        assert_eq!(put.await.status, 201);
    }
    let told = rest.get("/repositories/dev/website/tags/latest/history").await.expect(200);
    let told = told.as_array().expect("a list");
    let digests: Vec<_> = told.iter().map(|change| change["digest"].as_str()).collect();
    let pushed: Vec<_> =
        manifests.iter().rev().cycle().take(230).map(|manifest| manifest.digest.as_str()).collect();
    assert!(digests.iter().flatten().eq(&pushed), "{} changes are listed", told.len());
    rest.get("/repositories/dev/website/tags/none/history").await.expect(404);
}
