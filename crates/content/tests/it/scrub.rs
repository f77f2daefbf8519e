//! Finds and repairs damaged content, and removes bytes that belong to nothing.

use crate::fixture::{Bucket, House, read, sha256, whole};
use jiff::SignedDuration;
use longshore_content::{Checked, Content, Damage, Error, Retention, Store};
use longshore_metadata::{Priority, Visible, manifests, work};
use longshore_model::UploadId;
use longshore_oci::media_type::OCI_INDEX;
use longshore_oci::{Digest, Reference};
use longshore_testkit::S3Server;
use std::fs;
use std::path::PathBuf;

const BYTES: &[u8] = b"what was pushed";

fn file_of(house: &House, digest: &Digest) -> PathBuf {
    house.folder.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

async fn damaged(content: &Content) -> Vec<(Digest, Damage)> {
    let (mut after, mut found) = (None, Vec::new());
    while let Some(Checked { digest, damage, .. }) = content.check_next_blob(after.as_ref()).await.unwrap() {
        found.extend(damage.map(|damage| (digest.clone(), damage)));
        after = Some(digest);
    }
    found
}

#[tokio::test]
async fn intact_blobs_are_reported_as_intact() {
    let house = House::new().await;
    house.put_blob(BYTES).await;
    house.put_blob(b"").await;
    assert_eq!(damaged(&house.content).await, []);
    assert_eq!(house.content.stored().await.unwrap(), (2, BYTES.len() as u64));
}

#[tokio::test]
async fn a_changed_truncated_or_lost_blob_is_found_and_repaired() {
    let house = House::new().await;
    let digest = house.put_blob(BYTES).await;
    let file = file_of(&house, &digest);
    let wrong = b"what was Pushed";
    fs::write(&file, wrong).unwrap();
    let other = Damage::OtherBytes(sha256(wrong));
    assert_eq!(damaged(&house.content).await, [(digest.clone(), other)]);
    let still_wrong = house.content.mend_blob(&digest, whole(b"what was Pushed")).await;
    assert!(matches!(still_wrong, Err(Error::DigestMismatch { .. })), "{still_wrong:?}");
    assert_eq!(house.files("uploads"), 0);
    for spoil in [(|file: &PathBuf| fs::write(file, b"what").unwrap()) as fn(&PathBuf), |file| {
        fs::remove_file(file).unwrap()
    }] {
        spoil(&file);
        let found = damaged(&house.content).await;
        assert!(matches!(&found[..], [(_, Damage::Missing(_))]), "{found:?}");
        house.content.mend_blob(&digest, whole(BYTES)).await.unwrap();
        assert_eq!(damaged(&house.content).await, []);
        assert_eq!(fs::read(&file).unwrap(), BYTES);
    }
    assert_eq!(house.content.repositories_with(&digest).await.unwrap(), [house.web.name.clone()]);
}

#[tokio::test]
async fn a_repaired_blob_in_a_bucket_is_a_new_object_and_the_old_one_is_removed() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let digest = house.put_blob(BYTES).await;
    let before = server.objects();
    server.overwrite(&before[0], b"what was Pushed");
    assert_eq!(damaged(&house.content).await.len(), 1);
    house.content.mend_blob(&digest, whole(BYTES)).await.unwrap();
    assert_eq!(damaged(&house.content).await, []);
    house.content.collect_garbage(&Retention::default()).await.unwrap();
    let after = server.objects();
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

#[tokio::test]
async fn a_damaged_blob_is_missing_until_it_is_pushed_again_repaired_or_found_intact() {
    let house = House::new().await;
    let (content, web) = (&house.content, &house.web);
    let digest = house.put_blob(BYTES).await;
    content.note_damage(&digest, true).await.unwrap();
    assert_eq!(content.known_damage().await.unwrap(), [digest.clone()].into());
    assert_eq!(content.stat_blob(web, &digest).await.unwrap(), None, "so that clients push it");
    let read = content.read_blob(web, &digest, None).await;
    assert!(matches!(read, Err(Error::BlobUnknown { .. })));
    assert_eq!(content.mount_from_any(&Visible::Everything, web, &digest).await.unwrap(), None);

    house.put_blob(BYTES).await;
    assert!(content.stat_blob(web, &digest).await.unwrap().is_some());
    for mend in [true, false] {
        content.note_damage(&digest, true).await.unwrap();
        match mend {
            true => content.mend_blob(&digest, whole(BYTES)).await.unwrap(),
            false => content.note_damage(&digest, false).await.unwrap(),
        }
        assert!(content.stat_blob(web, &digest).await.unwrap().is_some());
    }
    assert_eq!(content.known_damage().await.unwrap(), [].into());
}

#[tokio::test]
async fn a_blob_that_is_pushed_again_replaces_a_damaged_or_lost_object() {
    let server = S3Server::start().await;
    let house = House::with(|_| server.store()).await;
    let digest = house.put_blob(BYTES).await;
    let spoils: [fn(&S3Server, &str); 3] = [
        |server, key| server.remove(key),
        |server, key| server.overwrite(key, b"what was"),
        |server, key| server.overwrite(key, b"what was Pushed"),
    ];
    for spoil in spoils {
        let before = server.objects();
        spoil(&server, &before[0]);
        // As the scrub does. A lost or truncated object is noticed without it.
        for (damaged, damage) in damaged(&house.content).await {
            house.content.note_damage(&damaged, matches!(damage, Damage::OtherBytes(_))).await.unwrap();
        }
        house.put_blob(BYTES).await;
        let (_, stream) = house.content.read_blob(&house.web, &digest, None).await.unwrap();
        assert_eq!(read(stream).await, BYTES);
        house.content.collect_garbage(&Retention::default()).await.unwrap();
        let after = server.objects();
        assert!(after.len() == 1 && after != before, "{after:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_pushed_again_replaces_damaged_bytes() {
    let house = House::new().await;
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    let digest = house.put_manifest(&index, &["v1"]).await.unwrap().digest;
    let (of, reference) = (digest.clone(), Reference::Digest(digest.clone()));
    let spoil = house.db.write(Priority::Normal, work!(|tx| manifests::mend(tx, &of, b"{}").await));
    spoil.await.unwrap();
    let damaged = house.content.damaged_manifests().await.unwrap();
    assert_eq!(damaged, [(digest.clone(), Damage::OtherBytes(sha256(b"{}")))]);
    assert_eq!(house.content.repositories_with_manifest(&digest).await.unwrap(), [house.web.name.clone()]);
    let wrong = house.content.mend_manifest(&digest, b"[]".as_slice().into()).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })), "{wrong:?}");
    house.put_manifest(&index, &["v1"]).await.unwrap();
    let stored = house.content.get_manifest(&house.web, &reference).await.unwrap().unwrap();
    assert_eq!(stored.bytes, index.to_string().as_bytes());
    assert_eq!(house.content.damaged_manifests().await.unwrap(), []);
}

#[tokio::test]
async fn only_bytes_that_no_row_names_are_removed_after_a_week() {
    let house = House::new().await;
    house.put_blob(BYTES).await;
    // As a crash between the store and the database leaves it.
    let store = longshore_content::DiskStore::open(house.folder.path()).unwrap();
    let upload = UploadId::new();
    let mut writer = store.begin(upload).await.unwrap();
    writer.append(vec![b"stray".as_slice().into()]).await.unwrap();
    writer.save().await.unwrap();
    store.commit(upload, &sha256(b"stray")).await.unwrap();
    assert_eq!(house.content.drop_stray_blobs().await.unwrap(), (0, 0));
    let months = house.later_over(store, SignedDuration::from_hours(24 * 90));
    assert_eq!(months.drop_stray_blobs().await.unwrap(), (1, 5));
    assert_eq!(damaged(&months).await, []);
    assert_eq!(house.files("blobs"), 1);
}
