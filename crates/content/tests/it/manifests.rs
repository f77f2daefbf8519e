//! What is checked before a manifest is stored, and what is stored with it.

use crate::fixture::{House, sha256};
use longshore_content::{Error, PutManifest, Sparse};
use longshore_metadata::manifests;
use longshore_metadata::tags::SetOutcome;
use longshore_model::repository::RepositoryChange;
use longshore_model::{Author, ImmutableTags, Lineage, Provenance, RepositoryState};
use longshore_oci::media_type::{
    OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_LAYER_NONDISTRIBUTABLE, OCI_MANIFEST,
};
use longshore_oci::{Digest, MAX_MANIFEST_BYTES, Reference, Tag};
use serde_json::{Value, json};

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

fn image(config: &Digest, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config, 2), "layers": layers })
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn author() -> Author {
    Author::User { name: "dev".parse().unwrap() }
}

#[tokio::test]
async fn a_manifest_is_served_byte_for_byte_by_tag_and_by_digest() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let manifest = image(&config, &[]);
    let outcome = house.put_manifest(&manifest, &["v1", "latest"]).await.unwrap();
    assert_eq!(outcome.digest, sha256(manifest.to_string().as_bytes()));
    assert!(matches!(outcome.tags[..], [SetOutcome::Set(_), SetOutcome::Set(_)]));
    for reference in [Reference::Tag(tag("v1")), Reference::Digest(outcome.digest.clone())] {
        let stored = house.content.get_manifest(&house.web, &reference).await.unwrap().unwrap();
        assert_eq!(stored.bytes, manifest.to_string().as_bytes());
        assert_eq!(stored.media_type, OCI_MANIFEST);
    }
    let again = house.put_manifest(&manifest, &["v1"]).await.unwrap();
    assert!(matches!(again.tags[..], [SetOutcome::Unchanged(_)]));
    assert_eq!(house.content.list_tags(&house.web, None, None).await.unwrap(), [tag("latest"), tag("v1")]);
    assert_eq!(house.content.list_tags(&house.web, Some("latest"), Some(5)).await.unwrap(), [tag("v1")]);
}

#[tokio::test]
async fn semantics_09_all_missing_parts_are_listed_and_nothing_is_stored() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let missing = [sha256(b"layer one"), sha256(b"layer two")];
    let layers = missing.clone().map(|digest| descriptor(OCI_LAYER_GZIP, &digest, 9));
    let error = house.put_manifest(&image(&config, &layers), &["v1"]).await.unwrap_err();
    for digest in &missing {
        assert!(error.to_string().contains(digest.as_str()), "{error}");
    }
    let Error::ManifestBlobUnknown { digests, .. } = error else { panic!("{error}") };
    assert_eq!(digests, missing);
    let found = house.content.get_manifest(&house.web, &Reference::Tag(tag("v1"))).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test]
async fn semantics_09_a_blob_of_another_repository_does_not_count() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let manifest = image(&config, &[]);
    let put = PutManifest {
        repository: &house.other,
        digest_expected: None,
        tags: &[tag("v1")],
        media_type: OCI_MANIFEST,
        bytes: manifest.to_string().into(),
        author: &author(),
        provenance: &Provenance::Push,
        lineage: &Lineage::default(),
    };
    let error = house.content.put_manifest(put).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { .. }), "{error}");
}

#[tokio::test]
async fn semantics_09_foreign_layers_and_the_subject_may_be_absent() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let foreign = format!("{OCI_LAYER_NONDISTRIBUTABLE}+gzip");
    let mut manifest = image(&config, &[descriptor(&foreign, &sha256(b"foreign"), 7)]);
    let subject = sha256(b"not here yet");
    manifest["subject"] = descriptor(OCI_MANIFEST, &subject, 12);
    manifest["artifactType"] = json!("application/example");
    let outcome = house.put_manifest(&manifest, &[]).await.unwrap();
    assert_eq!(outcome.subject, Some(subject.clone()));

    let referrers = async |kind| {
        house.content.referrers(&house.web, &subject, kind, None, None).await.unwrap().descriptors
    };
    let found = referrers(None).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, outcome.digest);
    assert_eq!(found[0].artifact_type.as_deref(), Some("application/example"));
    assert_eq!(referrers(Some("application/example")).await.len(), 1);
    assert_eq!(referrers(Some("application/other")).await, []);
}

#[tokio::test]
async fn semantics_09_an_index_needs_its_children_and_keeps_them() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let child = image(&config, &[]);
    let child_digest = sha256(child.to_string().as_bytes());
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX,
                        "manifests": [descriptor(OCI_MANIFEST, &child_digest, child.to_string().len())] });
    let early = house.put_manifest(&index, &["all"]).await.unwrap_err();
    assert!(matches!(early, Error::ManifestBlobUnknown { .. }), "{early}");
    house.put_manifest(&child, &[]).await.unwrap();
    let index = house.put_manifest(&index, &["all"]).await.unwrap().digest;

    let author = author();
    let refused = house.content.delete_manifest(&house.web, &child_digest, &author).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { ref by, .. } if *by == index), "{refused}");
    let refused = house.content.delete_blob(&house.web, &config).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { ref by, .. } if *by == child_digest), "{refused}");
    for digest in [&index, &child_digest] {
        house.content.delete_manifest(&house.web, digest, &author).await.unwrap();
    }
    house.content.delete_blob(&house.web, &config).await.unwrap();
    assert_eq!(house.content.list_tags(&house.web, None, None).await.unwrap(), [] as [Tag; 0]);
}

#[tokio::test]
async fn semantics_09_sparse_manifests_are_accepted_if_configured_and_absent_parts_are_recorded() {
    let mut house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let (layer, child) = (sha256(b"a layer that stays away"), sha256(b"a platform that stays away"));
    let image = image(&config, &[descriptor(OCI_LAYER_GZIP, &layer, 3)]);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX,
                        "manifests": [descriptor(OCI_MANIFEST, &child, 9)] });
    for (sparse, takes_index, takes_image) in
        [(Sparse::Refused, false, false), (Sparse::Indexes, true, false), (Sparse::All, true, true)]
    {
        house.content = house.content.clone().accepting(sparse);
        assert_eq!(house.put_manifest(&index, &["index"]).await.is_ok(), takes_index, "{sparse:?}");
        assert_eq!(house.put_manifest(&image, &["image"]).await.is_ok(), takes_image, "{sparse:?}");
    }
    let mut conn = house.db.read().await.unwrap();
    for (manifest, absent) in [(&index, &child), (&image, &layer)] {
        let root = sha256(manifest.to_string().as_bytes());
        let parts = manifests::parts(&mut conn, &root).await.unwrap();
        let part = parts.iter().find(|part| part.digest == *absent).unwrap();
        assert_eq!(part.absent.as_deref(), Some("the manifest was pushed without it"));
        assert_eq!(parts.iter().filter(|part| part.absent.is_some()).count(), 1);
    }
}

#[tokio::test]
async fn an_invalid_manifest_is_refused() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let (author, manifest) = (author(), image(&config, &[]).to_string());
    let put = |bytes: String, digest: Option<Digest>| {
        let (content, web, author) = (house.content.clone(), house.web.clone(), author.clone());
        async move {
            let put = PutManifest {
                repository: &web,
                digest_expected: digest.as_ref(),
                tags: &[],
                media_type: OCI_MANIFEST,
                bytes: bytes.into(),
                author: &author,
                provenance: &Provenance::Push,
                lineage: &Lineage::default(),
            };
            content.put_manifest(put).await
        }
    };
    let wrong = put(manifest.clone(), Some(sha256(b"else"))).await.unwrap_err();
    assert!(matches!(wrong, Error::DigestMismatch { .. }), "{wrong}");
    let no_json = put("<html>".into(), None).await.unwrap_err();
    assert!(matches!(no_json, Error::ManifestInvalid(_)), "{no_json}");
    let too_large = put(" ".repeat(MAX_MANIFEST_BYTES + 1), None).await.unwrap_err();
    assert!(too_large.to_string().contains("4194305"), "{too_large}");
    assert!(put(manifest.clone() + &" ".repeat(MAX_MANIFEST_BYTES - manifest.len()), None).await.is_ok());
}

#[tokio::test]
async fn semantics_18_the_state_is_checked_when_the_tag_is_set() {
    let house = House::new().await;
    let config = house.put_blob(b"{}").await;
    let manifest = image(&config, &[]);
    house.put_manifest(&manifest, &["v1"]).await.unwrap();
    // `house.web` is what a request read before the repository was locked.
    house.change(RepositoryChange { state: Some(RepositoryState::ReadOnly), ..Default::default() }).await;
    let error = house.put_manifest(&manifest, &["v2"]).await.unwrap_err();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    let error = house.content.delete_tag(&house.web, &tag("v1"), &author()).await.unwrap_err();
    assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    assert_eq!(house.content.list_tags(&house.web, None, None).await.unwrap(), [tag("v1")]);
}

#[tokio::test]
async fn an_immutable_tag_keeps_its_digest_and_nothing_of_the_push_is_kept() {
    let house = House::new().await;
    house.change(RepositoryChange { immutable_tags: Some(ImmutableTags::All), ..Default::default() }).await;
    let config = house.put_blob(b"{}").await;
    let first = house.put_manifest(&image(&config, &[]), &["v1"]).await.unwrap();
    let mut changed = image(&config, &[]);
    changed["annotations"] = json!({ "a": "b" });
    let error = house.put_manifest(&changed, &["new", "v1"]).await.unwrap_err();
    assert!(error.to_string().contains("the tag v1 of dev/web is immutable"), "{error}");
    assert_eq!(house.content.list_tags(&house.web, None, None).await.unwrap(), [tag("v1")]);
    let again = house.put_manifest(&image(&config, &[]), &["v1"]).await.unwrap();
    assert_eq!(again.digest, first.digest);
}
