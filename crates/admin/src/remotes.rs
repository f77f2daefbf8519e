//! Saved connections to other registries (semantics 15). A remote belongs to a namespace or to the system; only
//! administrators of its owner may see, test, edit or use it.

use crate::Admin;
use crate::connection::{Connection, failed, present, same_place, to_remote};
use crate::guard::{author, user};
use crate::validate::{Fields, remote_repository};
use crate::versions::Versioned;
use longshore_access::Permission;
use longshore_metadata::remotes::{OwnerFilter, SecretChange};
use longshore_metadata::{Tx, activity, back_offs, pauses, policies, remotes, work};
use longshore_model::activity::ActivityKind;
use longshore_model::connect::{CheckKind, ConnectReport, ConnectRequest, Direction};
use longshore_model::message::{ActivityMessage, RemoteRef};
use longshore_model::remote::RemoteDraft;
use longshore_model::view::RemoteTags;
use longshore_model::{
    Actor, Aspect, Author, Code, LastChange, Page, PageRequest, PauseScope, Problem, Queued, Remote,
    RemoteId, Timestamp, Version,
};
use longshore_oci::RepositoryName;
use longshore_remote::{self as remote, Authorities, Budget};
use std::time::Duration;
use tokio::time::timeout;

/// The page size when listing tags.
const PAGE_SIZE: u32 = 1000;
/// Limits on the listing for a preview, which any user may request as often as they like.
const SAMPLE_TIME: Duration = Duration::from_secs(30);
const SAMPLE: Budget = Budget { bytes: 512 * 1024, entries: 5_000, pages: 8 };

impl Admin {
    /// The remotes that the actor may use, ordered by name.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn remotes(
        &self,
        actor: &Actor,
        search: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Remote>, Problem> {
        let user = user(actor)?;
        let owners = match user.is_admin {
            true => OwnerFilter::All,
            false => OwnerFilter::Namespaces(vec![user.name.clone()]),
        };
        Ok(remotes::list(&mut self.read().await?, &owners, search, page).await?)
    }

    /// One remote.
    ///
    /// # Errors
    /// The remote does not exist, or the actor may not use it.
    pub async fn remote(&self, actor: &Actor, id: RemoteId) -> Result<Remote, Problem> {
        self.remote_for(&mut self.read().await?, actor, id).await
    }

    /// Saves a connection without testing it. If no owner is given, it belongs to the actor, or to the system if the
    /// actor is an administrator.
    ///
    /// # Errors
    /// Invalid settings, or a namespace in which the actor may not act.
    pub async fn create_remote(&self, actor: &Actor, draft: RemoteDraft) -> Result<Remote, Problem> {
        let connection = self.new_remote(actor, &draft).await?;
        let (author, now) = (author(actor), self.now());
        let remote = to_remote(&connection, RemoteId::new(), now);
        self.write(work!(|tx| {
            remotes::insert(tx, &remote, connection.settings.secret.as_ref()).await?;
            note(tx, author, ActivityMessage::RemoteCreated { remote: reference(&remote) }, now).await?;
            Ok(remote)
        }))
        .await
    }

    /// Reduces stored certificate authorities to the certificates alone. Earlier versions stored the text as it was
    /// entered, including anything beside the certificates. Returns the number of remotes that changed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tidy_authorities(&self) -> Result<usize, Problem> {
        let stored = remotes::authorities(&mut self.read().await?).await?;
        let mut changed = 0;
        for (remote, from) in stored {
            let to = match Authorities::stored(&from) {
                Ok(kept) => Some(kept.to_pem()),
                // No connection with these can have succeeded.
                Err(error) => {
                    tracing::warn!(%remote, %error, "the invalid certificate authorities of a remote were removed");
                    None
                }
            };
            if to.as_ref() == Some(&from) {
                continue;
            }
            changed += 1;
            self.write(move |tx| {
                Box::pin(
                    async move { Ok(remotes::rewrite_authorities(tx, remote, &from, to.as_deref()).await?) },
                )
            })
            .await?;
        }
        Ok(changed)
    }

    /// Changes a remote for all mirrors that use it. `based_on` is the version that the caller saw. The stored secret
    /// is kept if none is entered, unless scheme, host, port, proxy, CA or verification change. If the address changes,
    /// its mirrors start over there, as if each of them had been saved with it (semantics 35).
    ///
    /// # Errors
    /// `SECRET_NEEDED` in that case; invalid settings; the remote does not exist; `REMOTE_CHANGED` if it has another
    /// version.
    pub async fn change_remote(
        &self,
        actor: &Actor,
        id: RemoteId,
        based_on: Version,
        draft: RemoteDraft,
    ) -> Result<Remote, Problem> {
        let edited = self.edited(actor, id, &draft).await?;
        let (author, now) = (author(actor), self.now());
        self.write(work!(|tx| {
            let before = present(tx, id).await?.over(based_on)?;
            // A stored secret was read for the settings of that version.
            if let Some(seen) = &edited.saved {
                before.check(seen.version)?;
            }
            let stays = same_place(&before, &edited.settings);
            let after = Remote {
                created_at: before.created_at,
                last_contact: before.last_contact,
                last_error: before.last_error.clone(),
                used_by: before.used_by,
                back_off: None,
                // A realm is pinned for one address and one secret.
                realm: before.realm.clone().filter(|_| stays && !edited.has_new_secret()),
                ..to_remote(&edited, id, now)
            };
            let secret = match edited.settings.secret.clone() {
                Some(typed) => SecretChange::Replace(typed),
                None if after.has_secret => SecretChange::Keep,
                None => SecretChange::Discard,
            };
            let moves = after.url != before.url;
            let change = LastChange::new(author.clone(), difference(&before, &after, &secret));
            let after = remotes::update(tx, based_on, after, secret, change.clone()).await?;
            if moves {
                policies::start_over(tx, id, &change, now).await?;
            }
            note(tx, author, ActivityMessage::RemoteChanged { remote: reference(&after) }, now).await?;
            Ok(after)
        }))
        .await
    }

    /// Deletes a remote that no mirror uses.
    ///
    /// # Errors
    /// Mirrors use it; the remote does not exist.
    pub async fn delete_remote(&self, actor: &Actor, id: RemoteId) -> Result<(), Problem> {
        let remote = self.remote(actor, id).await?;
        let (author, now) = (author(actor), self.now());
        self.write(work!(|tx| {
            // Jobs that a pause of the remote holds are released and then fail, instead of waiting for ever.
            pauses::end(tx, &PauseScope::Remote(id), Queued::Run, &author, now).await?;
            let used_by = remotes::get(tx, id).await?.map_or(0, |remote| remote.used_by);
            if used_by > 0 {
                let mirrors = match used_by {
                    1 => "1 mirror uses".to_owned(),
                    many => format!("{many} mirrors use"),
                };
                return Err(Problem::new(
                    Code::RemoteInUse,
                    format!("{mirrors} the remote {}; delete or change them first", remote.name),
                ));
            }
            remotes::delete(tx, id, now).await?;
            note(tx, author, ActivityMessage::RemoteDeleted { remote: reference(&remote) }, now).await
        }))
        .await
    }

    /// Tests a saved remote without a repository: whether the registry responds and accepts the credentials. The result
    /// is recorded with the remote.
    ///
    /// # Errors
    /// The remote does not exist.
    pub async fn test_remote(&self, actor: &Actor, id: RemoteId) -> Result<ConnectReport, Problem> {
        let connection = self.saved(actor, id).await?;
        let mut report = self.try_out(&connection, &probe_repository(), Direction::Pull).await;
        // The repository is not known here, so checks of it do not count.
        report.checks.retain(|check| {
            !matches!(check.kind, CheckKind::Repository | CheckKind::Read | CheckKind::Write)
        });
        let error = report.failure().map(|check| check.message.clone());
        report.usable = error.is_none();
        // The first realm that was seen with these credentials is the only one that they are sent to (semantics 15).
        let asked = connection.saved.map(|remote| remote.version);
        let realm = report.realm.clone().filter(|_| report.usable);
        let now = self.now();
        self.write(work!(|tx| {
            let present = present(tx, id).await?;
            // The result applies only to the settings that were tested.
            if asked != Some(present.version) {
                return Ok(());
            }
            if let Some(realm) = realm.filter(|_| present.realm.is_none()) {
                remotes::pin_realm(tx, id, &realm).await?;
            }
            if error.is_none() {
                back_offs::forget(tx, id, now).await?;
            }
            Ok(remotes::record_contact(tx, id, now, error.as_deref()).await?)
        }))
        .await?;
        Ok(report)
    }

    /// Connect: tests exactly the settings of a form. `repository` is the local repository whose mirror is being set
    /// up, which the actor must administer; `None` for a test without a mirror, open to every signed-in user.
    ///
    /// # Errors
    /// Invalid settings, or a stored secret that may not be used with them. Failures at the registry are no error; they
    /// are in the report.
    pub async fn connect(
        &self,
        actor: &Actor,
        repository: Option<&RepositoryName>,
        request: &ConnectRequest,
    ) -> Result<ConnectReport, Problem> {
        let mut fields = Fields::default();
        let remote_repository = remote_repository(&mut fields, &request.remote_repository);
        let connection = self.requested(actor, repository, request).await;
        let connection = fields.take_problem(connection)?;
        let both = remote_repository.zip(connection);
        let (name, connection) = fields.finish_with(Code::RemoteRegistryInvalidPermissions, both)?;
        Ok(self.try_out(&connection, &name, request.direction).await)
    }

    /// The tags of a repository at another registry, for the preview of a pull mirror.
    ///
    /// # Errors
    /// As [`Admin::connect`]; the registry cannot list them.
    pub async fn remote_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        request: &ConnectRequest,
    ) -> Result<RemoteTags, Problem> {
        let mut fields = Fields::default();
        let remote_repository = remote_repository(&mut fields, &request.remote_repository);
        let connection = self.requested(actor, Some(repository), request).await;
        let connection = fields.take_problem(connection)?;
        let both = remote_repository.zip(connection);
        let (name, connection) = fields.finish_with(Code::RemoteRegistryInvalidPermissions, both)?;
        let registry = self.registry(&connection)?;
        let listing = timeout(SAMPLE_TIME, registry.list_tags_within(&name, PAGE_SIZE, SAMPLE)).await;
        let listing = listing.unwrap_or_else(|_| {
            Err(remote::Error::Network {
                host: registry.host().to_owned(),
                doing: format!("listing the tags of {name}"),
                failure: remote::Failure::Timeout { seconds: SAMPLE_TIME.as_secs() },
            })
        });
        let listing = listing.map_err(failed)?;
        let complete = listing.is_complete();
        let tags = listing.tags.into_iter().filter(|tag| !tag.is_digest_tag()).collect();
        Ok(RemoteTags { tags, complete })
    }

    async fn requested(
        &self,
        actor: &Actor,
        repository: Option<&RepositoryName>,
        request: &ConnectRequest,
    ) -> Result<Connection, Problem> {
        let user = user(actor)?;
        let owner = match repository {
            Some(name) => self.repository_for(actor, Permission::Administer, name).await?.name.to_namespace(),
            None => user.name.clone(),
        };
        match (request.saved, &request.remote) {
            (Some(id), None) => self.saved(actor, id).await,
            (Some(id), Some(draft)) => self.edited(actor, id, draft).await,
            (None, Some(draft)) => self.typed(actor, &owner, draft, None).await,
            (None, None) => Err(Problem::field(
                Code::InvalidRemote,
                "remoteHost",
                "choose a saved remote or enter the address of a registry",
            )),
        }
    }
}

/// The aspects that differ between two versions of a remote.
fn difference(before: &Remote, after: &Remote, secret: &SecretChange) -> Vec<Aspect> {
    let transport = |remote: &Remote| (remote.ca_pem.clone(), remote.skip_tls_verify, remote.proxy.clone());
    let other_secret = match secret {
        SecretChange::Replace(_) => true,
        SecretChange::Discard => before.has_secret,
        SecretChange::Keep => false,
    };
    [
        (before.name != after.name, Aspect::Name),
        (before.owner != after.owner, Aspect::Owner),
        (before.url != after.url || before.kind != after.kind, Aspect::Registry),
        (before.username != after.username || other_secret, Aspect::Credentials),
        (transport(before) != transport(after), Aspect::Transport),
    ]
    .into_iter()
    .filter_map(|(differs, aspect)| differs.then_some(aspect))
    .collect()
}

/// A name that is valid everywhere and need not exist.
fn probe_repository() -> longshore_oci::RemoteName {
    "library/longshore-probe".parse().expect("a constant name")
}

/// A reference to a remote, under the name that its owners gave it.
fn reference(remote: &Remote) -> RemoteRef {
    RemoteRef::new(remote.id, remote.name.clone())
}

async fn note(tx: &mut Tx, author: Author, detail: ActivityMessage, now: Timestamp) -> Result<(), Problem> {
    let entry = activity::NewActivity {
        detail: detail.into(),
        ..activity::NewActivity::new(now, author, ActivityKind::RemoteChanged)
    };
    Ok(activity::add(tx, &entry).await?)
}
