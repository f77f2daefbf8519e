//! The label of the store, and its copy of the database's epoch. A registry labels its store with a name from its
//! database and refuses to use a store with another label: it would take another registry's data for leftovers and
//! remove it.

use crate::Content;
use crate::error::Error;
use crate::store::{Note, StoreError};
use futures::FutureExt;
use longshore_metadata::settings;
use longshore_model::StoreId;

/// The key of the name in the database's settings.
const KEY: &str = "name of the store";

impl Content {
    /// Labels the store as this registry's. Must be called before anything is stored or removed.
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

    /// Checks that the store belongs to this registry without labelling it, for tools that read both beside the server.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], also if one of the two has no name yet; the store and the database.
    pub async fn check_store(&self) -> Result<(), Error> {
        let ours = settings::get(&mut self.0.db.read().await?, KEY).await?;
        let theirs = self.0.store.note(Note::Label).await?;
        if ours == theirs {
            return Ok(());
        }
        let [ours, theirs] = [ours, theirs].map(|name| name.unwrap_or_else(|| "unnamed".to_owned()));
        Err(StoreError::Foreign { ours, theirs }.into())
    }

    /// The name with which this registry labels its store. It is created if it does not exist yet.
    ///
    /// # Errors
    /// The database.
    pub async fn name_of_store(&self) -> Result<String, Error> {
        let new = StoreId::new().to_string();
        self.write(move |tx| async move { Ok::<_, Error>(settings::put_new(tx, KEY, &new).await?) }.boxed())
            .await
    }

    /// The epoch that was last kept in the store; `None` if there is none or it is not a number.
    ///
    /// # Errors
    /// The store.
    pub async fn noted_epoch(&self) -> Result<Option<u64>, Error> {
        Ok(self.0.store.note(Note::Epoch).await?.and_then(|epoch| epoch.parse().ok()))
    }

    /// Keeps a copy of the database's epoch in the store.
    ///
    /// # Errors
    /// The store.
    pub async fn note_epoch(&self, epoch: u64) -> Result<(), Error> {
        Ok(self.0.store.set_note(Note::Epoch, epoch.to_string()).await?)
    }

    /// Labels the store with the name of the registry that is being moved here.
    ///
    /// # Errors
    /// Like [`Content::own_store`].
    pub async fn own_store_of(&self, mover: &Self) -> Result<(), Error> {
        if let Some(name) = settings::get(&mut mover.0.db.read().await?, KEY).await? {
            self.write(move |tx| async move { Ok::<_, Error>(settings::put(tx, KEY, &name).await?) }.boxed())
                .await?;
        }
        self.own_store().await
    }
}
