//! Creating and changing pull mirrors. Both first check that the registry can be used with the given settings
//! (semantics 27), and decide whether existing remote tags are mirrored (semantics 3).

use crate::Admin;
use crate::connection::{Connection, keep};
use crate::guard::{author, user};
use crate::mirrors::no_such_mirror;
use crate::policies::{changed_common, difference, new_common, note, still_there};
use crate::validate::{self, Fields};
use crate::versions::Versioned;
use jiff::SignedDuration;
use longshore_access::Permission;
use longshore_metadata::{Tx, jobs, pull_mirrors, repositories, work};
use longshore_model::activity::ActivityKind;
use longshore_model::connect::Direction;
use longshore_model::job::orders;
use longshore_model::job::{Cause, JobAction};
use longshore_model::message::{PlaceRef, PolicyMessage, RemoteRef};
use longshore_model::policy::{Baseline, PullMirrorDraft, Save};
use longshore_model::repository::RepositoryChange;
use longshore_model::{
    Actor, Aspect, Author, Code, LastChange, PolicyId, Problem, PullMirror, RemoteId, Repository,
    RepositoryState, Timestamp, Version, stored,
};
use longshore_oci::{RemoteName, RepositoryName};

/// A valid draft.
struct Checked {
    connection: Connection,
    remote_repository: RemoteName,
    patterns: String,
}

impl Admin {
    /// Creates a pull mirror. The actor must administer the repository and be allowed to use the remote. With
    /// `draft.exclusive`, only the mirrors of the repository can write to it.
    ///
    /// # Errors
    /// `INVALID_POLL_MIRRORING_POLICY` with every invalid field; `REMOTE_REGISTRY_INVALID_PERMISSIONS` with the
    /// findings of Connect; the actor lacks the permission.
    pub async fn create_pull_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        draft: PullMirrorDraft,
        save: Save,
    ) -> Result<PullMirror, Problem> {
        let by = user(actor)?;
        let repository = self.repository_for(actor, Permission::Administer, repository).await?;
        let checked = self.check_pull(actor, &repository, &draft, None).await?;
        let proof = self.prove(&checked.connection, &checked.remote_repository, Direction::Pull).await?;
        let now = self.now();
        let common = new_common(by, draft.enabled, draft.referrers, now);
        let author = author(actor);
        let made = self.write(work!(|tx| {
            let remote = keep(tx, checked.connection, Some(proof), author.clone(), now).await?;
            set_state(tx, &repository, draft.exclusive, &author, now).await?;
            let mirror = PullMirror {
                common,
                repository: repository.id,
                repository_name: repository.name,
                remote: remote.id,
                remote_host: remote.host().to_owned(),
                remote_repository: checked.remote_repository,
                patterns: checked.patterns,
                interval_seconds: draft.interval_seconds,
                foreign_layers: draft.foreign_layers,
                baseline: baseline(save),
                known_patterns: None,
                next_run_at: now + SignedDuration::from_secs(draft.interval_seconds.into()),
                last_mirrored_at: None,
            };
            pull_mirrors::insert(tx, &mirror).await?;
            saved(tx, author, &mirror, ActivityKind::PolicyCreated, now).await?;
            Ok(mirror)
        }));
        self.redaction(actor).await?.pull_mirror(made.await?).await
    }

    /// Changes a pull mirror. `based_on` is the version that the caller saw; the whole draft is checked, and Connect is
    /// repeated if the connection or the remote repository changes. *Save & Apply* mirrors existing tags too. *Save*
    /// mirrors only tags that change from now on: for another registry or repository its tags are listed again, and new
    /// patterns ignore the existing tags that only they match (semantics 35).
    ///
    /// # Errors
    /// As [`Admin::create_pull_mirror`]; the mirror does not exist; `SECRET_NEEDED` if the stored password may not be
    /// used with the changed settings; `POLICY_CHANGED` or `REMOTE_CHANGED` if the mirror or its remote has another
    /// version.
    pub async fn change_pull_mirror(
        &self,
        actor: &Actor,
        name: &RepositoryName,
        id: PolicyId,
        based_on: Version,
        draft: PullMirrorDraft,
        save: Save,
    ) -> Result<PullMirror, Problem> {
        let by = user(actor)?.clone();
        let repository = self.repository_for(actor, Permission::Administer, name).await?;
        let found = pull_mirrors::get(&mut self.read().await?, id).await?;
        let seen = found
            .filter(|mirror| mirror.repository == repository.id)
            .ok_or_else(|| no_such_mirror(Code::NoSuchPollMirroringPolicy, name))?;
        seen.check(based_on)?;
        let checked = self.check_pull(actor, &repository, &draft, Some(seen.remote)).await?;
        let connection = &checked.connection;
        let change = self.change_of_place(connection, seen.remote).await?;
        let same_repository = checked.remote_repository == seen.remote_repository;
        let proof = match change.is_none() && same_repository {
            // Settings that were checked before are not checked again: a registry that is briefly down must not keep
            // anyone from changing an interval.
            true => None,
            false => Some(self.prove(connection, &checked.remote_repository, Direction::Pull).await?),
        };
        let same_place = change != Some(Aspect::Registry) && same_repository;
        let (author, now, name) = (author(actor), self.now(), name.clone());
        let made = self.write(work!(|tx| {
            let before = pull_mirrors::get_for_change(tx, id)
                .await?
                .ok_or_else(|| no_such_mirror(Code::NoSuchPollMirroringPolicy, &name))?
                .over(based_on)?;
            let remote = keep(tx, checked.connection, proof, author.clone(), now).await?;
            set_state(tx, &repository, draft.exclusive, &author, now).await?;
            let other_patterns = checked.patterns != before.patterns;
            let other_layers = draft.foreign_layers != before.foreign_layers;
            let own = [
                (change == Some(Aspect::Registry), Aspect::Registry),
                (!same_repository, Aspect::RemoteRepository),
                (other_patterns, Aspect::Patterns),
                (change == Some(Aspect::Credentials), Aspect::Credentials),
                (draft.interval_seconds != before.interval_seconds, Aspect::Interval),
                (other_layers, Aspect::ForeignLayers),
            ];
            let (baseline, known_patterns) = baseline_after(&before, save, same_place, other_patterns);
            let acts_anew = !same_place || other_patterns || other_layers || baseline != before.baseline;
            let common = changed_common(&before.common, &by, draft.enabled, draft.referrers, acts_anew, now);
            let change = difference(author.clone(), &before.common, &common, &own);
            let after = PullMirror {
                common,
                remote: remote.id,
                remote_host: remote.host().to_owned(),
                remote_repository: checked.remote_repository,
                patterns: checked.patterns,
                interval_seconds: draft.interval_seconds,
                foreign_layers: draft.foreign_layers,
                baseline,
                known_patterns,
                next_run_at: now + SignedDuration::from_secs(draft.interval_seconds.into()),
                ..before.clone()
            };
            let mirror = pull_mirrors::update(tx, &before, after, change).await?;
            saved(tx, author, &mirror, ActivityKind::PolicyChanged, now).await?;
            Ok(mirror)
        }));
        self.redaction(actor).await?.pull_mirror(made.await?).await
    }

    async fn check_pull(
        &self,
        actor: &Actor,
        repository: &Repository,
        draft: &PullMirrorDraft,
        present: Option<RemoteId>,
    ) -> Result<Checked, Problem> {
        let mut fields = Fields::default();
        let owner = repository.name.to_namespace();
        let connection = self.choose(actor, &owner, &draft.remote, present).await;
        let connection = fields.take_problem(connection)?;
        let remote_repository = validate::remote_repository(&mut fields, &draft.remote_repository);
        let patterns = validate::patterns(&mut fields, &draft.patterns);
        validate::interval(&mut fields, draft.interval_seconds);
        if repository.state == RepositoryState::ReadOnly
            && draft.exclusive.is_none()
            && draft.enabled != Some(false)
        {
            fields.refuse(
                "exclusive",
                format!(
                    "{} is read-only, so nothing can be mirrored into it; make it a mirror or change its state",
                    repository.name
                ),
            );
        }
        let all = connection.zip(remote_repository).zip(patterns);
        let ((connection, remote_repository), patterns) =
            fields.finish_with(Code::InvalidPollMirroringPolicy, all)?;
        Ok(Checked { connection, remote_repository, patterns })
    }
}

/// *Save* ignores the tags that exist at the remote, *Save & Apply* mirrors them (semantics 3).
fn baseline(save: Save) -> Baseline {
    match save {
        Save::Future => Baseline::Pending,
        Save::Apply => Baseline::None,
    }
}

/// The baseline of a changed mirror (semantics 35), and, while it is pending, the earlier patterns, whose tags need no
/// record.
fn baseline_after(
    before: &stored::PullMirror,
    save: Save,
    same_place: bool,
    other_patterns: bool,
) -> (Baseline, Option<String>) {
    match (save, same_place) {
        (Save::Apply, _) => (Baseline::None, None),
        (Save::Future, false) => (Baseline::Pending, None),
        (Save::Future, true) if !other_patterns => (before.baseline, before.known_patterns.clone()),
        (Save::Future, true) => match before.baseline {
            // The baseline is not recorded yet, so no tags were decided on under the patterns that were set meanwhile.
            Baseline::Pending => (Baseline::Pending, before.known_patterns.clone()),
            Baseline::None | Baseline::Complete => (Baseline::Pending, Some(before.patterns.clone())),
        },
    }
}

/// Sets whether only mirrors write to the repository, if the form says so (semantics 18).
async fn set_state(
    tx: &mut Tx,
    repository: &Repository,
    exclusive: Option<bool>,
    author: &Author,
    now: Timestamp,
) -> Result<(), Problem> {
    let present = still_there(tx, repository).await?;
    let Some(exclusive) = exclusive else { return Ok(()) };
    let state = if exclusive { RepositoryState::Mirror } else { RepositoryState::Normal };
    if state != present.state {
        let change = RepositoryChange { state: Some(state), ..RepositoryChange::default() };
        repositories::update(tx, repository.id, &change, now).await?;
        let change = LastChange::new(author.clone(), vec![Aspect::State]);
        repositories::note_change(tx, repository.id, &change).await?;
    }
    Ok(())
}

/// Records that a pull mirror was saved, and polls it once to record or mirror the remote's tags.
async fn saved(
    tx: &mut Tx,
    author: Author,
    mirror: &stored::PullMirror,
    kind: ActivityKind,
    now: Timestamp,
) -> Result<(), Problem> {
    let id = mirror.common.id;
    let remote = RemoteRef::new(mirror.remote, mirror.remote_host.clone());
    let place = PlaceRef::new(remote, mirror.remote_repository.clone());
    let detail = PolicyMessage::PullMirror { place, patterns: mirror.patterns.clone() };
    note(tx, author.clone(), kind, mirror.repository, id, detail, now).await?;
    // A poll that is still queued is reused: it survives only if the settings did not change.
    let active = jobs::active_for_policy(tx, id, JobAction::PollMirror).await?;
    if mirror.common.enabled && mirror.common.stopped.is_none() && active.is_none() {
        jobs::enqueue(tx, orders::poll(mirror, Cause::Asked { author }, None, now), now).await?;
    }
    Ok(())
}
