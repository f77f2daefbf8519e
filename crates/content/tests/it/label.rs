//! The label of a store.

use crate::fixture::{Bucket, House};
use longshore_content::{DiskStore, Error, StoreError};
use longshore_testkit::S3Server;

fn is_foreign(refused: Result<(), Error>) {
    assert!(matches!(refused, Err(Error::Storage(StoreError::Foreign { .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_folder_belongs_to_one_registry() {
    let (ours, theirs) = (House::new().await, House::new().await);
    for _ in 0..2 {
        ours.content.own_store().await.unwrap();
        ours.restarted().own_store().await.unwrap();
    }
    is_foreign(theirs.restarted_over(DiskStore::open(ours.folder.path()).unwrap()).own_store().await);
    theirs.content.own_store().await.unwrap();
}

#[tokio::test]
async fn each_prefix_of_a_bucket_belongs_to_one_registry() {
    let server = S3Server::start().await;
    let (ours, theirs) = (House::with(|_| server.store()).await, House::with(|_| server.store()).await);
    ours.content.own_store().await.unwrap();
    ours.restarted_over(server.store()).own_store().await.unwrap();
    is_foreign(theirs.content.own_store().await);
}

#[tokio::test]
async fn a_registry_that_moves_keeps_the_name_of_its_store() {
    let (old, new) = (House::new().await, House::new().await);
    old.content.own_store().await.unwrap();
    new.content.own_store_of(&old.content).await.unwrap();
    old.restarted_over(DiskStore::open(new.folder.path()).unwrap()).own_store().await.unwrap();
}
