//! Creating and changing push mirrors. Both first check that the registry can be used with the given settings
//! (semantics 27).

use crate::Admin;
use crate::connection::{Connection, keep};
use crate::guard::{author, user};
use crate::mirrors::no_such_mirror;
use crate::policies::{apply, changed_common, difference, new_common, note, still_there};
use crate::validate::{self, Fields};
use crate::versions::Versioned;
use longshore_access::Permission;
use longshore_metadata::{Tx, push_mirrors, work};
use longshore_model::activity::ActivityKind;
use longshore_model::connect::Direction;
use longshore_model::message::{PlaceRef, PolicyMessage, RemoteRef};
use longshore_model::policy::{PushMirrorDraft, Save};
use longshore_model::{
    Actor, Aspect, Author, Code, PolicyId, PolicyKind, Problem, PushMirror, RemoteId, Repository, Timestamp,
    Version, stored,
};
use longshore_oci::{RemoteName, RepositoryName};
use longshore_policy::{Rules, Template};

/// A valid draft.
struct Checked {
    connection: Connection,
    remote_repository: RemoteName,
    rules: Rules,
    template: Template,
}

impl Admin {
    /// Creates a push mirror. The actor must administer the repository and be allowed to use the remote.
    ///
    /// # Errors
    /// `INVALID_PUSH_MIRRORING_POLICY` with every invalid field; `REMOTE_REGISTRY_INVALID_PERMISSIONS` with the
    /// findings of Connect; the actor lacks the permission.
    pub async fn create_push_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        draft: PushMirrorDraft,
        save: Save,
    ) -> Result<PushMirror, Problem> {
        let by = user(actor)?;
        let repository = self.repository_for(actor, Permission::Administer, repository).await?;
        let checked = self.check_push(actor, &repository, &draft, None).await?;
        let proof = self.prove(&checked.connection, &checked.remote_repository, Direction::Push).await?;
        let now = self.now();
        let common = new_common(by, draft.enabled, draft.referrers, now);
        let author = author(actor);
        let made = self.write(work!(|tx| {
            still_there(tx, &repository).await?;
            let remote = keep(tx, checked.connection, Some(proof), author.clone(), now).await?;
            let mirror = PushMirror {
                common,
                repository: repository.id,
                repository_name: repository.name,
                remote: remote.id,
                remote_host: remote.host().to_owned(),
                remote_repository: checked.remote_repository,
                rules: checked.rules.into(),
                template: checked.template.to_string(),
                overwrite: draft.overwrite,
                foreign_layers: draft.foreign_layers,
                last_mirrored_at: None,
            };
            push_mirrors::insert(tx, &mirror).await?;
            saved(tx, author, &mirror, ActivityKind::PolicyCreated, save, now).await?;
            Ok(mirror)
        }));
        self.redaction(actor).await?.push_mirror(made.await?).await
    }

    /// Changes a push mirror. `based_on` is the version that the caller saw; the whole draft is checked, and Connect is
    /// repeated if the connection or the remote repository changes.
    ///
    /// # Errors
    /// As [`Admin::create_push_mirror`]; the mirror does not exist; `SECRET_NEEDED` if the stored password may not be
    /// used with the changed settings; `POLICY_CHANGED` or `REMOTE_CHANGED` if the mirror or its remote has another
    /// version.
    pub async fn change_push_mirror(
        &self,
        actor: &Actor,
        name: &RepositoryName,
        id: PolicyId,
        based_on: Version,
        draft: PushMirrorDraft,
        save: Save,
    ) -> Result<PushMirror, Problem> {
        let by = user(actor)?.clone();
        let repository = self.repository_for(actor, Permission::Administer, name).await?;
        let found = push_mirrors::get(&mut self.read().await?, id).await?;
        let seen = found
            .filter(|mirror| mirror.repository == repository.id)
            .ok_or_else(|| no_such_mirror(Code::NoSuchPushMirroringPolicy, name))?;
        seen.check(based_on)?;
        let checked = self.check_push(actor, &repository, &draft, Some(seen.remote)).await?;
        let connection = &checked.connection;
        let change = self.change_of_place(connection, seen.remote).await?;
        let same_repository = checked.remote_repository == seen.remote_repository;
        let proof = match change.is_none() && same_repository {
            // Settings that were checked before are not checked again: a registry that is briefly down must not keep
            // anyone from changing a rule.
            true => None,
            false => Some(self.prove(connection, &checked.remote_repository, Direction::Push).await?),
        };
        let (author, now, name) = (author(actor), self.now(), name.clone());
        let made = self.write(work!(|tx| {
            let before = push_mirrors::get_for_change(tx, id)
                .await?
                .ok_or_else(|| no_such_mirror(Code::NoSuchPushMirroringPolicy, &name))?
                .over(based_on)?;
            still_there(tx, &repository).await?;
            let remote = keep(tx, checked.connection, proof, author.clone(), now).await?;
            let rules = checked.rules.into();
            let template = checked.template.to_string();
            let own = [
                (change == Some(Aspect::Registry), Aspect::Registry),
                (!same_repository, Aspect::RemoteRepository),
                (rules != before.rules, Aspect::Rules),
                (template != before.template, Aspect::Template),
                // Images that were pushed before lack these layers.
                (draft.foreign_layers != before.foreign_layers, Aspect::ForeignLayers),
                // These change how the mirror works, not which tags it pushes, so nothing is pushed again.
                (change == Some(Aspect::Credentials), Aspect::Credentials),
                (draft.overwrite != before.overwrite, Aspect::Overwrite),
            ];
            let acts_anew = own[..5].iter().any(|(differs, _)| *differs);
            let common = changed_common(&before.common, &by, draft.enabled, draft.referrers, acts_anew, now);
            let change = difference(author.clone(), &before.common, &common, &own);
            let after = PushMirror {
                common,
                remote: remote.id,
                remote_host: remote.host().to_owned(),
                remote_repository: checked.remote_repository,
                rules,
                template,
                overwrite: draft.overwrite,
                foreign_layers: draft.foreign_layers,
                ..before.clone()
            };
            let mirror = push_mirrors::update(tx, &before, after, change).await?;
            saved(tx, author, &mirror, ActivityKind::PolicyChanged, save, now).await?;
            Ok(mirror)
        }));
        self.redaction(actor).await?.push_mirror(made.await?).await
    }

    async fn check_push(
        &self,
        actor: &Actor,
        repository: &Repository,
        draft: &PushMirrorDraft,
        present: Option<RemoteId>,
    ) -> Result<Checked, Problem> {
        let mut fields = Fields::default();
        let owner = repository.name.to_namespace();
        let connection = self.choose(actor, &owner, &draft.remote, present).await;
        let connection = fields.take_problem(connection)?;
        let remote_repository = validate::remote_repository(&mut fields, &draft.remote_repository);
        let rules = validate::rules(&mut fields, &draft.rules, draft.every_tag);
        let template = validate::template(&mut fields, &draft.template, &self.0.engine.moment());
        let all = connection.zip(remote_repository).zip(rules.zip(template));
        let ((connection, remote_repository), (rules, template)) =
            fields.finish_with(Code::InvalidPushMirroringPolicy, all)?;
        Ok(Checked { connection, remote_repository, rules, template })
    }
}

/// Records that a push mirror was saved, and applies it on request.
async fn saved(
    tx: &mut Tx,
    author: Author,
    mirror: &stored::PushMirror,
    kind: ActivityKind,
    save: Save,
    now: Timestamp,
) -> Result<(), Problem> {
    let (id, repository) = (mirror.common.id, mirror.repository);
    let rules = mirror.rules.describe();
    let remote = RemoteRef::new(mirror.remote, mirror.remote_host.clone());
    let place = PlaceRef::new(remote, mirror.remote_repository.clone());
    let detail = PolicyMessage::PushMirror { place, rules };
    note(tx, author.clone(), kind, repository, id, detail, now).await?;
    if save == Save::Apply && mirror.common.enabled {
        apply(tx, id, PolicyKind::PushMirror, repository, author, now).await?;
    }
    Ok(())
}
