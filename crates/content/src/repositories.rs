//! Creates repositories, for a first push and for the site, and checks which writes a repository's state permits
//! (semantics 18).

use crate::Content;
use crate::error::Error;
use futures::FutureExt;
use longshore_metadata::activity::{self, NewActivity};
use longshore_metadata::{Tx, accounts, repositories};
use longshore_model::activity::ActivityKind;
use longshore_model::repository::NewRepository;
use longshore_model::{Author, PolicyKind, Provenance, Repository, RepositoryState, Timestamp};
use longshore_oci::{Namespace, RepositoryName};

/// Checks that a repository's state permits writing tags with this provenance. A mirror's provenance is taken to be
/// that of one of the repository's own pull mirrors.
///
/// # Errors
/// [`Error::NotWritable`]
pub fn may_write_tags(repository: &Repository, provenance: &Provenance) -> Result<(), Error> {
    check_state(repository, matches!(provenance, Provenance::Mirror { .. }))
}

/// Checks that a repository's state permits a person to restore a tag whose lost provenance was `lost`. In a mirror,
/// only tags that its pull mirrors wrote can be restored (semantics 18, 22).
///
/// # Errors
/// [`Error::NotWritable`]
pub fn may_restore_tags(repository: &Repository, lost: Option<&Provenance>) -> Result<(), Error> {
    check_state(repository, lost.is_some_and(|lost| lost.mirror().is_some()))
}

/// Checks that a repository's state permits `author` to delete tags and manifests.
///
/// # Errors
/// [`Error::NotWritable`]
pub fn may_delete_tags(repository: &Repository, author: &Author) -> Result<(), Error> {
    check_state(repository, matches!(author, Author::Policy { policy: PolicyKind::PullMirror, .. }))
}

fn check_state(repository: &Repository, by_own_mirror: bool) -> Result<(), Error> {
    match repository.state {
        RepositoryState::Normal => Ok(()),
        RepositoryState::Mirror if by_own_mirror => Ok(()),
        state => Err(Error::NotWritable { repository: repository.name.clone(), state }),
    }
}

/// The number of attempts to find or create a repository that others create and remove at the same time.
const ATTEMPTS: usize = 5;

/// Whether a push found its repository or created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It already existed.
    Before,
    /// This push created it.
    Now,
}

/// Why a repository was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No user or organization has this name.
    #[error("there is no user or organization {0}; a repository's name begins with one that exists")]
    NoSuchNamespace(Namespace),
    /// The name is taken.
    #[error("the name {0} is taken; choose another one")]
    Exists(RepositoryName),
    /// The name is reserved for a deleted repository.
    #[error("the name {0} is reserved for a deleted repository; restore or purge that one first")]
    Reserved(RepositoryName),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] longshore_metadata::Error),
}

impl Content {
    /// Creates a repository, with its entry in the activity. The caller checks permissions. `name` decides; the
    /// namespace and name in `new` are ignored.
    ///
    /// # Errors
    /// [`CreateError`]
    pub async fn create_repository(
        &self,
        name: &RepositoryName,
        new: &NewRepository,
        author: &Author,
    ) -> Result<Repository, CreateError> {
        let (name, new, author, now) = (name.clone(), new.clone(), author.clone(), self.now());
        self.write(move |tx| async move { create(tx, name, &new, author, now).await }.boxed()).await
    }

    /// The repository of this name, which is created as a private one if it does not exist. A first push needs this,
    /// and several of its requests may arrive at once. The request that created the repository may
    /// [forget](Content::forget_unused) it, which has no effect if another request has used it in the meantime.
    ///
    /// # Errors
    /// [`CreateError`]
    pub async fn repository_for_push(
        &self,
        name: &RepositoryName,
        author: &Author,
    ) -> Result<(Repository, Made), CreateError> {
        let (name, author, now) = (name.clone(), author.clone(), self.now());
        self.write(move |tx| find_or_create(tx, name, author, now).boxed()).await
    }

    /// Removes a repository that a push created, if nothing was pushed to it. Any other repository stays.
    ///
    /// # Errors
    /// The database.
    pub async fn forget_unused(&self, repository: &Repository) -> Result<(), Error> {
        let id = repository.id;
        self.write(move |tx| {
            async move { Ok::<_, Error>(repositories::forget_unused(tx, id).await.map(drop)?) }.boxed()
        })
        .await
    }
}

async fn find_or_create(
    tx: &mut Tx,
    name: RepositoryName,
    author: Author,
    now: Timestamp,
) -> Result<(Repository, Made), CreateError> {
    for _ in 0..ATTEMPTS {
        if let Some(found) = repositories::find(tx, &name).await?
            && repositories::note_by_push(tx, found.id, false).await?
        {
            return Ok((found, Made::Before));
        }
        match create(tx, name.clone(), &NewRepository::default(), author.clone(), now).await {
            Ok(made) => {
                repositories::note_by_push(tx, made.id, true).await?;
                return Ok((made, Made::Now));
            }
            // Another request was faster.
            Err(CreateError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(CreateError::Exists(name))
}

async fn create(
    tx: &mut Tx,
    name: RepositoryName,
    new: &NewRepository,
    author: Author,
    now: Timestamp,
) -> Result<Repository, CreateError> {
    let namespace = name.to_namespace();
    if accounts::find(tx, &namespace).await?.is_none() {
        return Err(CreateError::NoSuchNamespace(namespace));
    }
    let repository = match repositories::create(tx, &name, new, now).await {
        Err(longshore_metadata::Error::Exists { .. }) => {
            // Anyone who may create repositories here may know of the deleted ones.
            return Err(match repositories::find(tx, &name).await? {
                Some(_) => CreateError::Exists(name),
                None => CreateError::Reserved(name),
            });
        }
        made => made?,
    };
    let entry = NewActivity {
        repository: Some(repository.id),
        ..NewActivity::new(now, author, ActivityKind::RepositoryCreated)
    };
    activity::add(tx, &entry).await?;
    Ok(repository)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::{ImmutableTags, Pin, PolicyId, RepositoryId, Revision, Visibility};

    fn repository(state: RepositoryState) -> Repository {
        Repository {
            id: RepositoryId::new(),
            name: "dev/web".parse().unwrap(),
            visibility: Visibility::Private,
            state,
            short_description: String::new(),
            long_description: String::new(),
            immutable_tags: ImmutableTags::Off,
            version: longshore_model::Version::FIRST,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn from_mirror() -> Provenance {
        Provenance::Mirror {
            policy: PolicyId::new(),
            remote: None,
            remote_host: "registry.example".into(),
            remote_repository: "a/b".parse().unwrap(),
            remote_tag: "1".parse().unwrap(),
        }
    }

    #[test]
    fn semantics_18_a_mirror_accepts_tags_only_from_its_pull_mirrors() {
        let mirror = repository(RepositoryState::Mirror);
        assert!(may_write_tags(&mirror, &from_mirror()).is_ok());
        let error = may_write_tags(&mirror, &Provenance::Push).unwrap_err().to_string();
        assert!(error.starts_with("dev/web is a mirror"), "{error}");
        let own = Author::Policy { id: PolicyId::new(), policy: PolicyKind::PullMirror };
        let promotion = Author::Policy { id: PolicyId::new(), policy: PolicyKind::Promotion };
        assert!(may_delete_tags(&mirror, &own).is_ok());
        assert!(may_delete_tags(&mirror, &promotion).is_err());
    }

    #[test]
    fn semantics_22_in_a_mirror_only_tags_of_its_pull_mirrors_can_be_restored() {
        let mirror = repository(RepositoryState::Mirror);
        let pin = Some(Pin { mirror: PolicyId::new(), released: true });
        let restored = |pin| Provenance::Restored { revision: Revision(1), quietly: false, pin };
        for (lost, may) in [
            (Some(from_mirror()), true),
            (Some(restored(pin)), true),
            (Some(restored(None)), false),
            (Some(Provenance::Push), false),
            (None, false),
        ] {
            assert_eq!(may_restore_tags(&mirror, lost.as_ref()).is_ok(), may, "{lost:?}");
        }
        assert!(may_restore_tags(&repository(RepositoryState::Normal), Some(&Provenance::Push)).is_ok());
    }

    #[test]
    fn semantics_18_nobody_writes_to_a_read_only_repository() {
        let locked = repository(RepositoryState::ReadOnly);
        for provenance in [Provenance::Push, from_mirror()] {
            assert!(may_write_tags(&locked, &provenance).is_err());
        }
        assert!(may_delete_tags(&locked, &Author::System).is_err());
        assert!(may_restore_tags(&locked, Some(&from_mirror())).is_err());
        assert!(may_write_tags(&repository(RepositoryState::Normal), &Provenance::Push).is_ok());
    }
}
