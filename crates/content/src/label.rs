//! Whose store it is, and how far its registry has come. A registry labels its store with a name that its
//! database keeps, and no other registry touches a store that is labelled otherwise: what one does not know
//! it would take for leftovers, and remove.

use crate::Content;
use crate::error::Error;
use crate::store::{Note, StoreError};
use futures::FutureExt;
use longshore_metadata::settings;
use longshore_model::StoreId;

/// Under this key the database keeps the name.
const KEY: &str = "name of the store";

impl Content {
    /// Labels the store as this registry's. To be called before anything is stored or removed.
    ///
    /// # Errors
    /// [`StoreError::Foreign`]; the store and the database.
    pub async fn own_store(&self) -> Result<(), Error> {
        let ours = self.name_of_store().await?;
        match self.0.store.note(Note::Label).await? {
            None => Ok(self.0.store.set_note(Note::Label, ours).await?),
            Some(label) if label == ours => Ok(()),
            Some(theirs) => Err(StoreError::Foreign { ours, theirs }.into()),
        }
    }

    /// Whether the store is this registry's, for who reads both beside its server and labels nothing.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], also where one of the two has no name yet; the store and the database.
    pub async fn check_store(&self) -> Result<(), Error> {
        let ours = settings::get(&mut self.0.db.read().await?, KEY).await?;
        let theirs = self.0.store.note(Note::Label).await?;
        if ours == theirs {
            return Ok(());
        }
        let [ours, theirs] = [ours, theirs].map(|name| name.unwrap_or_else(|| "without a name".to_owned()));
        Err(StoreError::Foreign { ours, theirs }.into())
    }

    /// The name with which this registry labels its store, and by which it is told from others; made where there
    /// is none yet.
    ///
    /// # Errors
    /// The database.
    pub async fn name_of_store(&self) -> Result<String, Error> {
        let new = StoreId::new().to_string();
        self.write(move |tx| async move { Ok::<_, Error>(settings::put_new(tx, KEY, &new).await?) }.boxed())
            .await
    }

    /// How far the registry had come when the store was last told; nothing, when it never was or when what
    /// it keeps is no number.
    ///
    /// # Errors
    /// The store.
    pub async fn noted_epoch(&self) -> Result<Option<u64>, Error> {
        Ok(self.0.store.note(Note::Epoch).await?.and_then(|epoch| epoch.parse().ok()))
    }

    /// Keeps beside the blobs how far the registry has come.
    ///
    /// # Errors
    /// The store.
    pub async fn note_epoch(&self, epoch: u64) -> Result<(), Error> {
        Ok(self.0.store.set_note(Note::Epoch, epoch.to_string()).await?)
    }

    /// Labels the store as that of the registry which moves here.
    ///
    /// # Errors
    /// As [`Content::own_store`].
    pub async fn own_store_of(&self, mover: &Self) -> Result<(), Error> {
        if let Some(name) = settings::get(&mut mover.0.db.read().await?, KEY).await? {
            self.write(move |tx| async move { Ok::<_, Error>(settings::put(tx, KEY, &name).await?) }.boxed())
                .await?;
        }
        self.own_store().await
    }
}
