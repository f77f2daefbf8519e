//! Restoring lost content as far as the repository's state permits (semantics 18, 22, 23), and quotas.

use crate::fixture::{House, now, sha256, whole};
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_content::{Chunk, CreateError, Error, Freed, Restore, Retention};
use longshore_metadata::{Priority, storage, tags};
use longshore_model::repository::{NewRepository, RepositoryChange};
use longshore_model::{Author, ImmutableTags, Repository, RepositoryState, Revision};
use longshore_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use longshore_oci::{Algorithm, Digest, Reference, Tag};
use serde_json::json;

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn index(of: &str) -> serde_json::Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": { "of": of } })
}

async fn push(house: &House, name: &str, of: &str) -> (Digest, Revision) {
    let digest = house.put_manifest(&index(of), &[name]).await.unwrap().digest;
    let mut conn = house.db.read().await.unwrap();
    (digest, tags::find(&mut conn, house.web.id, &tag(name)).await.unwrap().unwrap().revision)
}

fn back(repository: &Repository, name: &str, revision: Revision) -> Restore {
    Restore {
        repository: repository.clone(),
        tag: tag(name),
        revision,
        quietly: false,
        author: Author::System,
        window: WEEK,
    }
}

#[tokio::test]
async fn semantics_22_a_tag_deleted_by_digest_is_restored_with_its_image() {
    let house = House::new().await;
    let (digest, revision) = push(&house, "v1", "one").await;
    house.content.delete_manifest(&house.web, &digest, &Author::System).await.unwrap();
    let by_digest = Reference::Digest(digest.clone());
    assert!(house.content.get_manifest(&house.web, &by_digest).await.unwrap().is_none());
    let error = house.later(7).restore_tag(back(&house.web, "v1", revision)).await.unwrap_err();
    assert!(matches!(error, Error::NotRestorable { .. }), "{error}");
    let restored = house.content.restore_tag(back(&house.web, "v1", revision)).await.unwrap();
    assert_eq!(restored.digest, digest);
    assert!(house.content.get_manifest(&house.web, &by_digest).await.unwrap().is_some());
}

#[tokio::test]
async fn a_part_of_a_deleted_image_may_be_deleted_and_the_image_can_no_longer_be_restored() {
    let house = House::new().await;
    let (config, layer) = (house.put_blob(b"{}").await, house.put_blob(b"layer").await);
    let image = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": config, "size": 2 },
        "layers": [{ "mediaType": OCI_LAYER_GZIP, "digest": layer, "size": 5 }],
    });
    let digest = house.put_manifest(&image, &["v1"]).await.unwrap().digest;
    let put =
        tags::find(&mut house.db.read().await.unwrap(), house.web.id, &tag("v1")).await.unwrap().unwrap();
    house.content.delete_manifest(&house.web, &digest, &Author::System).await.unwrap();
    house.content.delete_blob(&house.web, &layer).await.unwrap();
    let error = house.content.restore_tag(back(&house.web, "v1", put.revision)).await.unwrap_err();
    assert!(matches!(error, Error::NotRestorable { .. }), "{error}");
}

#[tokio::test]
async fn semantics_18_nothing_is_restored_in_a_locked_repository() {
    let house = House::new().await;
    let (_, revision) = push(&house, "v1", "one").await;
    house.content.delete_tag(&house.web, &tag("v1"), &Author::System).await.unwrap();
    for state in [RepositoryState::ReadOnly, RepositoryState::Mirror] {
        house.change(RepositoryChange { state: Some(state), ..Default::default() }).await;
        let error = house.content.restore_tag(back(&house.web, "v1", revision)).await.unwrap_err();
        assert!(matches!(error, Error::NotWritable { .. }), "{error}");
    }
}

#[tokio::test]
async fn nobody_can_delete_or_roll_back_an_immutable_tag() {
    let house = House::new().await;
    let (_, first) = push(&house, "v1", "one").await;
    let (digest, _) = push(&house, "v1", "two").await;
    let patterns = ImmutableTags::Matching("v*".parse().unwrap());
    house.change(RepositoryChange { immutable_tags: Some(patterns), ..Default::default() }).await;
    let content = &house.content;
    for refused in [
        content.delete_tag(&house.web, &tag("v1"), &Author::System).await,
        content.delete_manifest(&house.web, &digest, &Author::System).await,
        content.restore_tag(back(&house.web, "v1", first)).await.map(drop),
        house.put_manifest(&index("three"), &["v1"]).await.map(drop),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.starts_with("the tag v1 of dev/web is immutable and stays at "), "{text}");
        assert!(text.contains("in the settings of dev/web"), "{text}");
    }
    push(&house, "latest", "three").await;
    push(&house, "latest", "four").await;
}

#[tokio::test]
async fn semantics_23_a_deleted_repository_keeps_its_name_until_it_is_restored_or_purged() {
    let house = House::new().await;
    push(&house, "v1", "one").await;
    let (content, web) = (&house.content, &house.web);
    content.delete_repository(web, &Author::System).await.unwrap();
    let gone = content.delete_repository(web, &Author::System).await.unwrap_err();
    assert!(matches!(gone, Error::RepositoryGone(_)), "{gone}");
    let again = content.create_repository(&web.name, &NewRepository::default(), &Author::System).await;
    assert!(matches!(&again, Err(CreateError::Reserved(name)) if *name == web.name), "{again:?}");
    assert!(content.restore_repository(web, &Author::System).await.unwrap());
    assert_eq!(content.list_tags(web, None, None).await.unwrap(), [tag("v1")]);
    assert!(!content.purge_repository(web, &Author::System).await.unwrap(), "it is not deleted");

    content.delete_repository(web, &Author::System).await.unwrap();
    // An upload that a request began before it learned of the deletion must not get in the way.
    content.begin_upload(web, Algorithm::Sha256).await.unwrap();
    assert!(content.purge_repository(web, &Author::System).await.unwrap());
    content.create_repository(&web.name, &NewRepository::default(), &Author::System).await.unwrap();
}

async fn limit(house: &House, quota: u64) {
    let set = house.db.write::<_, longshore_metadata::Error, _>(Priority::Normal, move |tx| {
        async move { storage::set_quota(tx, &"dev".parse().unwrap(), Some(quota)).await }.boxed()
    });
    assert!(set.await.unwrap());
}

#[tokio::test]
async fn a_quota_applies_to_every_kind_of_upload_and_leaves_nothing_behind() {
    let house = House::new().await;
    limit(&house, 10).await;
    let (content, web) = (&house.content, &house.web);
    let first = house.put_blob(b"12345678").await;
    let (more, digest) = (b"abc", sha256(b"abc"));
    let files = house.files("blobs");
    for size in [None, Some(3)] {
        let refused = content.put_blob(web, &digest, size, whole(more)).await.unwrap_err();
        let text = refused.to_string();
        assert!(
            text.starts_with("the namespace dev may hold 10 B, holds 8 B and would need 3 B more"),
            "{text}"
        );
    }
    let upload = content.begin_upload(web, Algorithm::Sha256).await.unwrap();
    let chunk = Chunk { start: None, body: whole(more) };
    let refused = content.finish_upload(web, upload, &digest, Some(chunk)).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    assert_eq!((house.files("blobs"), house.files("uploads")), (files, 0));

    // A blob that the namespace already has needs no room, in any of its repositories.
    house.put_blob(b"12345678").await;
    assert!(content.mount(web, &house.other, &first).await.unwrap().is_some());
    house.put_blob(b"ab").await;
    assert_eq!(house.later(0).collect_garbage(&Retention::default()).await.unwrap(), Freed::default());
}

#[tokio::test]
async fn a_mount_from_another_namespace_is_counted() {
    let house = House::new().await;
    house
        .db
        .write(Priority::Normal, |tx| {
            let qa = "qa".parse().unwrap();
            async move { longshore_metadata::accounts::create(tx, &qa, true, false, None, now()).await }
                .boxed()
        })
        .await
        .unwrap();
    let new = NewRepository::default();
    let qa =
        house.content.create_repository(&"qa/web".parse().unwrap(), &new, &Author::System).await.unwrap();
    let digest = sha256(b"layer");
    house.content.put_blob(&qa, &digest, None, whole(b"layer")).await.unwrap();
    limit(&house, 4).await;
    let refused = house.content.mount(&qa, &house.web, &digest).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded(_)), "{refused}");
    limit(&house, 5).await;
    assert!(house.content.mount(&qa, &house.web, &digest).await.unwrap().is_some());
}

/// The database serializes the transactions that check the quota.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_pushes_do_not_exceed_a_quota() {
    let house = House::new().await;
    limit(&house, 50).await;
    let pushes = (0..20u8).map(|seed| {
        let (content, web) = (house.content.clone(), house.web.clone());
        tokio::spawn(async move {
            let bytes: &'static [u8] = vec![seed; 10].leak();
            content.put_blob(&web, &sha256(bytes), None, whole(bytes)).await.is_ok()
        })
    });
    let stored = futures::future::join_all(pushes).await;
    assert_eq!(stored.into_iter().filter(|stored| *stored.as_ref().unwrap()).count(), 5);
    let mut conn = house.db.read().await.unwrap();
    let held = storage::of_namespace(&mut conn, &"dev".parse().unwrap()).await.unwrap();
    assert_eq!(held.storage.total, 50);
    house.content.collect_garbage(&Retention::default()).await.unwrap();
    assert_eq!(house.files("blobs"), 5, "refused pushes leave no bytes behind");
}
