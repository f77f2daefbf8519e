//! Listing, creating, changing and deleting repositories.

use crate::Admin;
use crate::guard::{author, content_problem, no_such_repository, user};
use crate::pauses::of_repository;
use crate::policies::still_there;
use crate::validate::Fields;
use crate::versions::{Settings, Versioned};
use longshore_access::Permission;
use longshore_content::CreateError;
use longshore_metadata::{activity, pauses, repositories, work};
use longshore_model::activity::ActivityKind;
use longshore_model::message::ActivityMessage;
use longshore_model::repository::{NewRepository, RepositoryChange, RepositoryFilter, RepositorySummary};
use longshore_model::{
    Actor, Aspect, Code, LastChange, Page, PageRequest, Pause, Problem, Repository, RepositoryState,
};
use longshore_oci::{Namespace, RepositoryName};

/// The maximum length of a short description, in characters.
const MAX_SHORT: usize = 255;
/// The maximum length of a description, in characters.
const MAX_LONG: usize = 64 * 1024;

impl Admin {
    /// The repositories that the actor may read, ordered by name. With `filter.writable`, only those that the actor can
    /// push to now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn repositories(
        &self,
        actor: &Actor,
        mut filter: RepositoryFilter,
        page: &PageRequest,
    ) -> Result<Page<RepositorySummary>, Problem> {
        let access = &self.0.access;
        let visible = match filter.writable {
            true => access.administered(actor),
            false => access.visible(actor),
        };
        if filter.writable {
            filter.state.get_or_insert(RepositoryState::Normal);
        }
        let mut conn = self.read().await?;
        let found = repositories::list(&mut conn, &visible, &filter, page).await?;
        let pauses = pauses::all(&mut conn).await?;
        Ok(found.map(|summary| self.seen_by(actor, &pauses, summary)))
    }

    fn seen_by(&self, actor: &Actor, pauses: &[Pause], mut summary: RepositorySummary) -> RepositorySummary {
        let (access, repository) = (&self.0.access, &summary.repository);
        summary.held_by = of_repository(pauses, &repository.name).last().cloned();
        summary.may_write =
            access.may(actor, Permission::Write, repository) && repository.state == RepositoryState::Normal;
        summary.may_administer = access.may(actor, Permission::Administer, repository);
        summary
    }

    /// One repository, with the details that lists show.
    ///
    /// # Errors
    /// The repository does not exist, or the actor may not read it.
    pub async fn repository(
        &self,
        actor: &Actor,
        name: &RepositoryName,
    ) -> Result<RepositorySummary, Problem> {
        let repository = self.repository_for(actor, Permission::Read, name).await?;
        let mut conn = self.read().await?;
        let summary = repositories::summary(&mut conn, repository.id).await?;
        let pauses = pauses::all(&mut conn).await?;
        let gone = || Problem::new(Code::NoSuchRepository, no_such_repository(name));
        Ok(self.seen_by(actor, &pauses, summary.ok_or_else(gone)?))
    }

    /// Creates a repository in a namespace in which the actor may act.
    ///
    /// # Errors
    /// The name is invalid or taken, or the namespace does not exist or belongs to someone else.
    pub async fn create_repository(&self, actor: &Actor, new: NewRepository) -> Result<Repository, Problem> {
        user(actor)?;
        let mut fields = Fields::default();
        let code = Code::InvalidRepositoryName;
        let namespace = fields.take_as(code, "namespace", new.namespace.trim().parse::<Namespace>());
        let name = match &namespace {
            Some(namespace) => fields.take_as(code, "name", RepositoryName::new(namespace, new.name.trim())),
            None => None,
        };
        check_descriptions(&mut fields, Some(&new.short_description), Some(&new.long_description));
        let name = fields.finish_with(Code::InvalidRequest, name)?;
        self.namespace_for(actor, &name.to_namespace())?;
        let made = self.0.content.create_repository(&name, &new, &author(actor)).await;
        made.map_err(|error| match error {
            CreateError::NoSuchNamespace(_) => {
                Problem::field(Code::NoSuchAccount, "namespace", error.to_string())
            }
            CreateError::Exists(_) | CreateError::Reserved(_) => {
                Problem::field(Code::RepositoryExists, "name", error.to_string())
            }
            CreateError::Metadata(error) => error.into(),
        })
    }

    /// Changes a repository's settings; settings that the change omits are kept. For users who administer it.
    ///
    /// # Errors
    /// The actor lacks the permission; a description is too long; `REPOSITORY_CHANGED` if the settings have another
    /// version than the change is based on.
    pub async fn change_repository(
        &self,
        actor: &Actor,
        name: &RepositoryName,
        change: RepositoryChange,
    ) -> Result<Repository, Problem> {
        let repository = self.repository_for(actor, Permission::Administer, name).await?;
        let mut fields = Fields::default();
        let (short, long) = (change.short_description.as_deref(), change.long_description.as_deref());
        check_descriptions(&mut fields, short, long);
        fields.finish(Code::InvalidRequest)?;
        let (author, now) = (author(actor), self.now());
        self.write(work!(|tx| {
            let before = still_there(tx, &repository).await?;
            let before = Settings::read(tx, before).await?.over(change.based_on)?.of;
            repositories::update(tx, before.id, &change, now).await?;
            let entry = activity::NewActivity {
                repository: Some(before.id),
                detail: describe(&before, &change).into(),
                ..activity::NewActivity::new(now, author.clone(), ActivityKind::RepositoryChanged)
            };
            activity::add(tx, &entry).await?;
            let after = still_there(tx, &before).await?;
            let change = LastChange::new(author, difference(&before, &after));
            repositories::note_change(tx, before.id, &change).await?;
            Ok(after)
        }))
        .await
    }

    /// Deletes a repository and its tags. It can be restored for a while; until then its policies are suspended and its
    /// name stays reserved (semantics 23). For users who administer it.
    ///
    /// # Errors
    /// The actor lacks the permission.
    pub async fn delete_repository(&self, actor: &Actor, name: &RepositoryName) -> Result<(), Problem> {
        let repository = self.repository_for(actor, Permission::Administer, name).await?;
        let deleted = self.0.content.delete_repository(&repository, &author(actor)).await;
        deleted.map_err(content_problem)
    }
}

fn check_descriptions(fields: &mut Fields, short: Option<&str>, long: Option<&str>) {
    fields.text("shortDescription", short.unwrap_or_default(), MAX_SHORT);
    fields.text("longDescription", long.unwrap_or_default(), MAX_LONG);
}

/// The aspects that differ between two versions of the settings.
fn difference(before: &Repository, after: &Repository) -> Vec<Aspect> {
    let descriptions = |of: &Repository| (of.short_description.clone(), of.long_description.clone());
    [
        (before.visibility != after.visibility, Aspect::Visibility),
        (before.state != after.state, Aspect::State),
        (before.immutable_tags != after.immutable_tags, Aspect::ImmutableTags),
        (descriptions(before) != descriptions(after), Aspect::Descriptions),
    ]
    .into_iter()
    .filter_map(|(differs, aspect)| differs.then_some(aspect))
    .collect()
}

/// The activity message for a change of the settings.
fn describe(before: &Repository, change: &RepositoryChange) -> ActivityMessage {
    let visibility = change.visibility.filter(|new| *new != before.visibility);
    let state = change.state.filter(|new| *new != before.state);
    ActivityMessage::Settings {
        visibility: visibility.map(|new| (before.visibility, new)),
        state: state.map(|new| (before.state, new)),
        immutable_tags: change.immutable_tags.clone().filter(|new| *new != before.immutable_tags),
        description: change.short_description.is_some() || change.long_description.is_some(),
    }
}
