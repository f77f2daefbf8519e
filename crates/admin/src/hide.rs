//! What a view does not tell (semantics 17): the names of repositories, tags and remotes that the
//! reader may not see. They become "another repository", in fields and within sentences.

use crate::Admin;
use longshore_access::Action;
use longshore_metadata::{Conn, accounts, pull_mirrors, remotes, repositories};
use longshore_model::job::{Job, LogLine, Parameters};
use longshore_model::policy::{Mirror, PolicyCommon};
use longshore_model::tag::TagSummary;
use longshore_model::view::{ANOTHER_REGISTRY, ANOTHER_REPOSITORY};
use longshore_model::{
    AccountId, Actor, PolicyId, Problem, PromotionPolicy, Provenance, PullMirror, PushMirror, RemoteId,
    RepositoryId, Revision, UserActor,
};
use longshore_oci::{RemoteName, RepositoryName};
use std::collections::HashMap;

/// "another repository", where a name of this server is expected.
pub(crate) fn another_repository() -> RepositoryName {
    ANOTHER_REPOSITORY.parse().expect("the stand-in is a name")
}

/// The same, where a name of another registry is expected.
fn another_remote_repository() -> RemoteName {
    another_repository().into()
}

/// Decides what one actor may be told, and remembers it for the length of one answer.
pub(crate) struct Curtain<'a> {
    admin: &'a Admin,
    actor: &'a Actor,
    conn: Conn,
    remotes: HashMap<RemoteId, bool>,
    mirrors: HashMap<PolicyId, Option<RemoteId>>,
    repositories: HashMap<RepositoryId, bool>,
    names: HashMap<RepositoryName, bool>,
}

impl Admin {
    /// A curtain before what `actor` may not see.
    pub(crate) async fn curtain<'a>(&'a self, actor: &'a Actor) -> Result<Curtain<'a>, Problem> {
        Ok(Curtain {
            admin: self,
            actor,
            conn: self.read().await?,
            remotes: HashMap::new(),
            mirrors: HashMap::new(),
            repositories: HashMap::new(),
            names: HashMap::new(),
        })
    }
}

impl Curtain<'_> {
    pub(crate) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Whether the reader may see the repository; a deleted one only administrators may.
    pub(crate) async fn sees(&mut self, repository: RepositoryId) -> Result<bool, Problem> {
        if self.actor.is_admin() {
            return Ok(true);
        }
        if let Some(known) = self.repositories.get(&repository) {
            return Ok(*known);
        }
        let sees = self.admin.may_read(&mut self.conn, self.actor, repository).await?;
        self.repositories.insert(repository, sees);
        Ok(sees)
    }

    /// Whether the reader may see the repository of that name. A name that nobody has is no secret.
    async fn sees_name(&mut self, name: &RepositoryName) -> Result<bool, Problem> {
        if self.actor.is_admin() {
            return Ok(true);
        }
        if let Some(known) = self.names.get(name) {
            return Ok(*known);
        }
        let found = repositories::find(&mut self.conn, name).await?;
        let sees = found.is_none_or(|found| self.admin.0.access.may(self.actor, Action::Read, &found));
        self.names.insert(name.clone(), sees);
        Ok(sees)
    }

    /// Whether the reader may see the remote.
    pub(crate) async fn sees_remote(&mut self, remote: RemoteId) -> Result<bool, Problem> {
        if self.actor.is_admin() {
            return Ok(true);
        }
        if let Some(known) = self.remotes.get(&remote) {
            return Ok(*known);
        }
        let found = remotes::get(&mut self.conn, remote).await?;
        let sees = found.is_some_and(|found| self.admin.may_use(self.actor, &found));
        self.remotes.insert(remote, sees);
        Ok(sees)
    }

    /// Whether the reader may see the remote of a pull mirror; none where there is no such mirror.
    async fn sees_remote_behind(&mut self, mirror: PolicyId) -> Result<Option<bool>, Problem> {
        if self.actor.is_admin() {
            return Ok(Some(true));
        }
        let remote = match self.mirrors.get(&mirror) {
            Some(known) => *known,
            None => {
                let found = pull_mirrors::get(&mut self.conn, mirror).await?.map(|mirror| mirror.remote);
                self.mirrors.insert(mirror, found);
                found
            }
        };
        match remote {
            Some(remote) => self.sees_remote(remote).await.map(Some),
            None => Ok(None),
        }
    }

    /// A promotion policy as the reader may see it, and whether its author still has the right.
    pub(crate) async fn promotion(
        &mut self,
        mut policy: PromotionPolicy,
    ) -> Result<PromotionPolicy, Problem> {
        policy.common.orphaned =
            !self.author_administers(policy.common.author, &[policy.source, policy.target]).await?;
        if !self.sees(policy.source).await? {
            policy.source_name = another_repository();
        }
        if !self.sees(policy.target).await? {
            policy.target_name = another_repository();
        }
        self.common(&mut policy.common, None).await?;
        Ok(policy)
    }

    /// A push mirror as the reader may see it.
    pub(crate) async fn push_mirror(&mut self, mut mirror: PushMirror) -> Result<PushMirror, Problem> {
        mirror.common.orphaned =
            !self.author_uses(mirror.common.author, mirror.repository, mirror.remote).await?;
        let mut hidden = None;
        if !self.sees_remote(mirror.remote).await? {
            hidden = Some(std::mem::replace(&mut mirror.remote_host, ANOTHER_REGISTRY.to_owned()));
            mirror.remote_repository = another_remote_repository();
        }
        self.common(&mut mirror.common, hidden.as_deref()).await?;
        Ok(mirror)
    }

    /// A pull mirror as the reader may see it.
    pub(crate) async fn pull_mirror(&mut self, mut mirror: PullMirror) -> Result<PullMirror, Problem> {
        mirror.common.orphaned =
            !self.author_uses(mirror.common.author, mirror.repository, mirror.remote).await?;
        let mut hidden = None;
        if !self.sees_remote(mirror.remote).await? {
            hidden = Some(std::mem::replace(&mut mirror.remote_host, ANOTHER_REGISTRY.to_owned()));
            mirror.remote_repository = another_remote_repository();
        }
        self.common(&mut mirror.common, hidden.as_deref()).await?;
        Ok(mirror)
    }

    /// A mirror of either direction as the reader may see it.
    pub(crate) async fn mirror(&mut self, mirror: Mirror) -> Result<Mirror, Problem> {
        Ok(match mirror {
            Mirror::Push { mirror } => Mirror::Push { mirror: self.push_mirror(mirror).await? },
            Mirror::Pull { mirror } => Mirror::Pull { mirror: self.pull_mirror(mirror).await? },
        })
    }

    async fn common(&mut self, common: &mut PolicyCommon, host: Option<&str>) -> Result<(), Problem> {
        common.last_run.detail = self.text(std::mem::take(&mut common.last_run.detail), host).await?;
        if let Some(why) = common.paused.take() {
            common.paused = Some(self.text(why, host).await?);
        }
        Ok(())
    }

    /// Where a tag came from, as far as the reader may know.
    pub(crate) async fn summary(&mut self, mut summary: TagSummary) -> Result<TagSummary, Problem> {
        let sees = match &summary.tag.provenance {
            Provenance::Push => true,
            Provenance::Promotion { source_repository, .. } => self.sees_name(source_repository).await?,
            // Where the mirror is gone: who administers the repository knew it.
            Provenance::Mirror { policy, .. } => match self.sees_remote_behind(*policy).await? {
                Some(sees) => sees,
                None => {
                    let repository = summary.tag.repository;
                    self.admin.may_administer(&mut self.conn, self.actor, repository).await?
                }
            },
        };
        summary.source_visible = sees;
        if !sees {
            match &mut summary.tag.provenance {
                Provenance::Push => {}
                Provenance::Promotion { source_repository, source_tag, source_revision, .. } => {
                    *source_repository = another_repository();
                    *source_tag = summary.tag.name.clone();
                    *source_revision = Revision(0);
                }
                Provenance::Mirror { remote_host, remote_repository, remote_tag, .. } => {
                    *remote_host = ANOTHER_REGISTRY.to_owned();
                    *remote_repository = another_remote_repository();
                    *remote_tag = summary.tag.name.clone();
                }
            }
        }
        Ok(summary)
    }

    /// A job as the reader may see it.
    pub(crate) async fn job(&mut self, mut job: Job) -> Result<Job, Problem> {
        let mut hidden = None;
        if !self.sees_remote_of(&job).await? {
            match &mut job.parameters {
                Parameters::PushTag { remote_host, remote_repository, target_tag, .. } => {
                    hidden = Some(std::mem::replace(remote_host, ANOTHER_REGISTRY.to_owned()));
                    *remote_repository = another_remote_repository();
                    *target_tag = None;
                }
                Parameters::Poll { remote_host, remote_repository, .. } => {
                    hidden = Some(std::mem::replace(remote_host, ANOTHER_REGISTRY.to_owned()));
                    *remote_repository = another_remote_repository();
                }
                Parameters::EvaluateTag { .. }
                | Parameters::ApplyPolicy { .. }
                | Parameters::FollowSubject { .. }
                | Parameters::PollAll
                | Parameters::CollectGarbage { .. }
                | Parameters::Scrub => {}
            }
        }
        for sentence in [&mut job.error, &mut job.outcome] {
            if let Some(text) = sentence.take() {
                *sentence = Some(self.text(text, hidden.as_deref()).await?);
            }
        }
        Ok(job)
    }

    /// The log of `job` as the reader may see it.
    pub(crate) async fn log(&mut self, job: &Job, lines: Vec<LogLine>) -> Result<Vec<LogLine>, Problem> {
        let hidden = match &job.parameters {
            Parameters::PushTag { remote_host, .. } | Parameters::Poll { remote_host, .. } => {
                (!self.sees_remote_of(job).await?).then(|| remote_host.clone())
            }
            _ => None,
        };
        let mut shown = Vec::with_capacity(lines.len());
        for line in lines {
            let message = self.text(line.message, hidden.as_deref()).await?;
            shown.push(LogLine { message, ..line });
        }
        Ok(shown)
    }

    async fn sees_remote_of(&mut self, job: &Job) -> Result<bool, Problem> {
        match &job.parameters {
            Parameters::PushTag { remote, .. } => self.sees_remote(*remote).await,
            // Where the mirror is gone: who sees the job administered it.
            Parameters::Poll { policy, .. } => Ok(self.sees_remote_behind(*policy).await?.unwrap_or(true)),
            _ => Ok(true),
        }
    }

    /// A sentence without the names that the reader may not see. `host` is one that is hidden.
    pub(crate) async fn text(&mut self, text: String, host: Option<&str>) -> Result<String, Problem> {
        if self.actor.is_admin() {
            return Ok(text);
        }
        let mut shown = String::with_capacity(text.len());
        for piece in pieces(&text) {
            let hides_host = host.is_some_and(|host| piece.contains(host));
            if hides_host {
                shown.push_str(ANOTHER_REGISTRY);
            } else if let Some(name) = repository_in(piece)
                && !self.sees_name(&name).await?
            {
                shown.push_str("another repository");
            } else {
                shown.push_str(piece);
            }
        }
        Ok(shown)
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

/// The text cut into runs of characters that names have, and what is between them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let inside = in_name(first);
        let end = rest.find(|c| in_name(c) != inside).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// The repository that a run of such characters names, with or without tag or digest.
fn repository_in(piece: &str) -> Option<RepositoryName> {
    let name = piece.trim_end_matches(['.', ':', '/']);
    let name = name.split('@').next().unwrap_or(name);
    let name = match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => name,
    };
    name.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_17_names_are_found_within_sentences() {
        let text = "dev/website:1.0 promoted as qa/website:1.0-stable, see https://r.example/a/b@sha256:00.";
        let found: Vec<_> = pieces(text).filter_map(repository_in).map(|name| name.to_string()).collect();
        assert_eq!(found, ["dev/website", "qa/website"]);
        assert_eq!(pieces(text).collect::<String>(), text);
        assert_eq!(repository_in("website"), None);
        assert_eq!(repository_in("qa/website.").unwrap().as_str(), "qa/website");
    }

    #[test]
    fn the_stand_in_is_nobodys_name() {
        assert!(another_repository().to_namespace().is_reserved());
    }
}
