//! Redaction of views (semantics 17): names of repositories, tags and remotes that the reader may not see. Fields hold
//! "another repository" instead, and messages become sentences that say so.

use crate::Admin;
use longshore_access::Permission;
use longshore_metadata::{Conn, accounts, pull_mirrors, remotes, repositories, undo::Place};
use longshore_model::job::Job;
use longshore_model::message::{Eyes, Mentions, Message};
use longshore_model::policy::Mirror;
use longshore_model::stored::{self, Speaks};
use longshore_model::tag::{TagChange, TagSummary};
use longshore_model::view::{
    ANOTHER_REGISTRY, ANOTHER_REPOSITORY, another_remote_repository, another_repository,
};
use longshore_model::{
    AccountId, Actor, PolicyId, Problem, PromotionPolicy, Provenance, PullMirror, PushMirror, Remote,
    RemoteId, Repository, RepositoryId, Revision, UserActor,
};
use longshore_oci::RepositoryName;
use std::collections::HashMap;

/// Decides what one reader may see. The references of a response are looked up together, with one query for
/// repositories and one for remotes, and cached until the response is complete. The cache does not depend on the
/// reader.
pub(crate) struct Redaction<'a> {
    admin: &'a Admin,
    actor: &'a Actor,
    conn: Conn,
    known: Known,
}

/// Cached look-ups; `None` for what does not exist.
#[derive(Default)]
struct Known {
    remotes: HashMap<RemoteId, Option<Remote>>,
    mirrors: HashMap<PolicyId, Option<RemoteId>>,
    repositories: HashMap<RepositoryId, Option<Repository>>,
    names: HashMap<RepositoryName, Option<Repository>>,
}

impl Admin {
    /// A redaction for `actor`.
    pub(crate) async fn redaction<'a>(&'a self, actor: &'a Actor) -> Result<Redaction<'a>, Problem> {
        Ok(Redaction { admin: self, actor, conn: self.read().await?, known: Known::default() })
    }
}

/// Answers from the cached look-ups; anything not looked up is hidden.
impl Eyes for Redaction<'_> {
    fn everything(&self) -> bool {
        self.actor.is_admin()
    }

    fn repository(&self, id: RepositoryId) -> bool {
        let found = self.known.repositories.get(&id).and_then(Option::as_ref);
        self.everything() || found.is_some_and(|found| self.may_read(found))
    }

    fn remote(&self, id: RemoteId) -> bool {
        let found = self.known.remotes.get(&id).and_then(Option::as_ref);
        self.everything() || found.is_some_and(|found| self.admin.may_use(self.actor, found))
    }

    fn remote_of(&self, mirror: PolicyId) -> bool {
        let found = self.known.mirrors.get(&mirror).copied().flatten();
        self.everything() || found.is_some_and(|remote| self.remote(remote))
    }
}

impl<'a> Redaction<'a> {
    /// Changes the reader and keeps the cached look-ups.
    pub(crate) fn for_reader(self, actor: &'a Actor) -> Self {
        Self { actor, ..self }
    }
}

impl Redaction<'_> {
    pub(crate) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    fn may_read(&self, repository: &Repository) -> bool {
        self.admin.0.access.may(self.actor, Permission::Read, repository)
    }

    /// Looks up whether the reader may see these repositories and remotes.
    async fn look(&mut self, repositories: &[RepositoryId], remotes: &[RemoteId]) -> Result<(), Problem> {
        if self.everything() {
            return Ok(());
        }
        let known = &mut self.known;
        let unknown = |id: &&RepositoryId| !known.repositories.contains_key(*id);
        let unknown: Vec<RepositoryId> = repositories.iter().filter(unknown).copied().collect();
        let found = repositories::get_all(&mut self.conn, &unknown).await?;
        known.repositories.extend(unknown.into_iter().map(|id| (id, None)));
        known.repositories.extend(found.into_iter().map(|found| (found.id, Some(found))));
        let unknown = |id: &&RemoteId| !known.remotes.contains_key(*id);
        let unknown: Vec<RemoteId> = remotes.iter().filter(unknown).copied().collect();
        let found = remotes::get_all(&mut self.conn, &unknown).await?;
        known.remotes.extend(unknown.into_iter().map(|id| (id, None)));
        known.remotes.extend(found.into_iter().map(|found| (found.id, Some(found))));
        Ok(())
    }

    /// Looks up the remotes of these mirrors, for records that do not name the remote.
    async fn look_behind(&mut self, mirrors: &[PolicyId]) -> Result<(), Problem> {
        if self.everything() {
            return Ok(());
        }
        for mirror in mirrors {
            if !self.known.mirrors.contains_key(mirror) {
                let found = pull_mirrors::get(&mut self.conn, *mirror).await?.map(|mirror| mirror.remote);
                self.known.mirrors.insert(*mirror, found);
            }
        }
        let remotes: Vec<RemoteId> =
            mirrors.iter().filter_map(|mirror| self.known.mirrors.get(mirror).copied().flatten()).collect();
        self.look(&[], &remotes).await
    }

    /// Looks up everything that was mentioned.
    pub(crate) async fn look_at(&mut self, mentions: &Mentions) -> Result<(), Problem> {
        self.look(&mentions.repositories(), &mentions.remotes()).await?;
        self.look_behind(&mentions.mirrors()).await
    }

    /// Values with messages as the reader may see them.
    pub(crate) async fn shown<T: Speaks>(&mut self, things: Vec<T>) -> Result<Vec<T::Shown>, Problem> {
        let mentions = Mentions::default();
        things.iter().for_each(|thing| thing.mention(&mentions));
        self.look_at(&mentions).await?;
        Ok(things.into_iter().map(|thing| thing.shown(self)).collect())
    }

    /// The message as a sentence for the reader.
    pub(crate) async fn sentence(&mut self, message: &Message) -> Result<String, Problem> {
        let mentions = Mentions::default();
        mentions.note(message);
        self.look_at(&mentions).await?;
        Ok(message.sentence(self))
    }

    /// Whether the reader may see the repository. Deleted ones are visible only to administrators.
    pub(crate) async fn sees(&mut self, repository: RepositoryId) -> Result<bool, Problem> {
        self.look(&[repository], &[]).await?;
        Ok(self.repository(repository))
    }

    /// Whether the reader may see the repository that has this name now, for records without an identifier.
    async fn sees_name(&mut self, name: &RepositoryName) -> Result<bool, Problem> {
        if self.everything() {
            return Ok(true);
        }
        if !self.known.names.contains_key(name) {
            let found = repositories::find(&mut self.conn, name).await?;
            self.known.names.insert(name.clone(), found);
        }
        let found = self.known.names.get(name).and_then(Option::as_ref);
        Ok(found.is_some_and(|found| self.may_read(found)))
    }

    pub(crate) async fn sees_remote(&mut self, remote: RemoteId) -> Result<bool, Problem> {
        self.look(&[], &[remote]).await?;
        Ok(self.remote(remote))
    }

    /// A promotion policy as the reader may see it, with whether its author still has the required permissions.
    pub(crate) async fn promotion(
        &mut self,
        mut policy: stored::PromotionPolicy,
    ) -> Result<PromotionPolicy, Problem> {
        policy.common.orphaned =
            !self.author_administers(policy.common.author, &[policy.source, policy.target]).await?;
        self.look(&[policy.source, policy.target], &[]).await?;
        if !self.repository(policy.source) {
            policy.source_name = another_repository();
        }
        if !self.repository(policy.target) {
            policy.target_name = another_repository();
        }
        self.one(policy).await
    }

    /// A push mirror as the reader may see it.
    pub(crate) async fn push_mirror(
        &mut self,
        mut mirror: stored::PushMirror,
    ) -> Result<PushMirror, Problem> {
        mirror.common.orphaned =
            !self.author_uses(mirror.common.author, mirror.repository, mirror.remote).await?;
        if !self.sees_remote(mirror.remote).await? {
            mirror.remote_host = ANOTHER_REGISTRY.to_owned();
            mirror.remote_repository = another_remote_repository();
        }
        self.one(mirror).await
    }

    /// A pull mirror as the reader may see it.
    pub(crate) async fn pull_mirror(
        &mut self,
        mut mirror: stored::PullMirror,
    ) -> Result<PullMirror, Problem> {
        mirror.common.orphaned =
            !self.author_uses(mirror.common.author, mirror.repository, mirror.remote).await?;
        if !self.sees_remote(mirror.remote).await? {
            mirror.remote_host = ANOTHER_REGISTRY.to_owned();
            mirror.remote_repository = another_remote_repository();
        }
        self.one(mirror).await
    }

    /// A mirror of either direction as the reader may see it.
    pub(crate) async fn mirror(&mut self, mirror: stored::Mirror) -> Result<Mirror, Problem> {
        Ok(match mirror {
            stored::Mirror::Push { mirror } => Mirror::Push { mirror: self.push_mirror(mirror).await? },
            stored::Mirror::Pull { mirror } => Mirror::Pull { mirror: self.pull_mirror(mirror).await? },
        })
    }

    /// A value with messages as the reader may see it.
    pub(crate) async fn one<T: Speaks>(&mut self, thing: T) -> Result<T::Shown, Problem> {
        let mentions = Mentions::default();
        thing.mention(&mentions);
        self.look_at(&mentions).await?;
        Ok(thing.shown(self))
    }

    /// Looks up the repositories and remotes that tags came from.
    async fn look_at_sources(&mut self, provenances: &[&Provenance]) -> Result<(), Problem> {
        let (mut repositories, mut remotes) = (Vec::new(), Vec::new());
        for provenance in provenances {
            match provenance {
                Provenance::Promotion { source, .. } => repositories.extend(*source),
                Provenance::Mirror { remote, .. } => remotes.extend(*remote),
                Provenance::Push | Provenance::Restored { .. } => {}
            }
        }
        self.look(&repositories, &remotes).await
    }

    /// Whether the reader may see where a tag came from.
    async fn sees_source(&mut self, provenance: &Provenance) -> Result<bool, Problem> {
        match provenance {
            Provenance::Push | Provenance::Restored { .. } => Ok(true),
            Provenance::Promotion { source: Some(source), .. } => Ok(self.repository(*source)),
            Provenance::Promotion { source: None, source_repository, .. } => {
                self.sees_name(source_repository).await
            }
            Provenance::Mirror { remote: Some(remote), .. } => Ok(self.remote(*remote)),
            Provenance::Mirror { remote: None, policy, .. } => {
                self.look_behind(&[*policy]).await?;
                Ok(self.remote_of(*policy))
            }
        }
    }

    /// The history of a tag, without the sources that the reader may not see.
    pub(crate) async fn history(&mut self, mut changes: Vec<TagChange>) -> Result<Vec<TagChange>, Problem> {
        let provenances: Vec<&Provenance> =
            changes.iter().filter_map(|change| change.provenance.as_ref()).collect();
        self.look_at_sources(&provenances).await?;
        for change in &mut changes {
            if let Some(provenance) = &change.provenance
                && !self.sees_source(provenance).await?
            {
                change.provenance = None;
            }
        }
        Ok(changes)
    }

    /// The name of a place that holds images, as far as the reader may see it, and whether it is at another registry.
    pub(crate) async fn place(&mut self, place: Place) -> Result<(String, bool), Problem> {
        Ok(match place {
            Place::Here { id, name } if self.sees(id).await? => (name.to_string(), false),
            Place::Here { .. } => (ANOTHER_REPOSITORY.to_owned(), false),
            Place::Remote { remote, place } if self.sees_remote(remote).await? => (place, true),
            Place::Remote { .. } => (ANOTHER_REGISTRY.to_owned(), true),
        })
    }

    /// Summaries of tags, without the sources that the reader may not see.
    pub(crate) async fn summaries(
        &mut self,
        mut summaries: Vec<TagSummary>,
    ) -> Result<Vec<TagSummary>, Problem> {
        let provenances: Vec<&Provenance> = summaries.iter().map(|summary| &summary.tag.provenance).collect();
        self.look_at_sources(&provenances).await?;
        for summary in &mut summaries {
            summary.source_visible = self.sees_source(&summary.tag.provenance).await?;
            if summary.source_visible {
                continue;
            }
            match &mut summary.tag.provenance {
                Provenance::Push | Provenance::Restored { .. } => {}
                Provenance::Promotion { source, source_repository, source_tag, source_revision, .. } => {
                    *source = None;
                    *source_repository = another_repository();
                    *source_tag = summary.tag.name.clone();
                    *source_revision = Revision(0);
                }
                Provenance::Mirror { remote, remote_host, remote_repository, remote_tag, .. } => {
                    *remote = None;
                    *remote_host = ANOTHER_REGISTRY.to_owned();
                    *remote_repository = another_remote_repository();
                    *remote_tag = summary.tag.name.clone();
                }
            }
        }
        Ok(summaries)
    }

    /// The summary of a tag, without a source that the reader may not see.
    pub(crate) async fn summary(&mut self, summary: TagSummary) -> Result<TagSummary, Problem> {
        let shown = self.summaries(vec![summary]).await?.pop();
        Ok(shown.expect("one result per input"))
    }

    /// A job as the reader may see it.
    pub(crate) async fn job(&mut self, job: stored::Job) -> Result<Job, Problem> {
        let shown = self.jobs(vec![job]).await?.pop();
        Ok(shown.expect("one result per input"))
    }

    /// Jobs as the reader may see them.
    pub(crate) async fn jobs(&mut self, jobs: Vec<stored::Job>) -> Result<Vec<Job>, Problem> {
        self.shown(jobs).await
    }

    async fn author_administers(
        &mut self,
        author: Option<AccountId>,
        repositories: &[RepositoryId],
    ) -> Result<bool, Problem> {
        let Some(author) = self.author(author).await? else { return Ok(false) };
        for repository in repositories {
            if !self.admin.may_administer(&mut self.conn, &author, *repository).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn author_uses(
        &mut self,
        author: Option<AccountId>,
        repository: RepositoryId,
        remote: RemoteId,
    ) -> Result<bool, Problem> {
        let Some(author) = self.author(author).await? else { return Ok(false) };
        let remote = remotes::get(&mut self.conn, remote).await?;
        let uses = remote.is_some_and(|remote| self.admin.may_use(&author, &remote));
        Ok(uses && self.admin.may_administer(&mut self.conn, &author, repository).await?)
    }

    async fn author(&mut self, id: Option<AccountId>) -> Result<Option<Actor>, Problem> {
        let Some(id) = id else { return Ok(None) };
        let account = accounts::get(&mut self.conn, id).await?;
        Ok(account.map(|account| {
            Actor::User(UserActor { id: account.id, name: account.name, is_admin: account.is_admin })
        }))
    }
}
