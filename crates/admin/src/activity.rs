//! The activity feed.

use crate::Admin;
use longshore_access::Permission;
use longshore_metadata::activity;
use longshore_model::activity::{Activity, ActivityFilter, ActivityKind};
use longshore_model::{Actor, Message, Page, PageRequest, Problem};
use longshore_oci::RepositoryName;
use std::collections::HashMap;

/// Whether the message of this kind of activity mentions the other end of a policy or mirror.
fn speaks_of_elsewhere(kind: ActivityKind) -> bool {
    matches!(
        kind,
        ActivityKind::PolicyCreated
            | ActivityKind::PolicyChanged
            | ActivityKind::PolicyDeleted
            | ActivityKind::PolicyStopped
            | ActivityKind::TagSent
            | ActivityKind::TagMirrored
            | ActivityKind::TagPromoted
    )
}

impl Admin {
    /// The activity in the repositories that the actor may read, newest first. Messages about the other end of a policy
    /// are shown only to users who administer the repository.
    ///
    /// # Errors
    /// The repository does not exist, or the actor may not see it.
    pub async fn activity(
        &self,
        actor: &Actor,
        filter: &ActivityFilter,
        page: &PageRequest,
    ) -> Result<Page<Activity>, Problem> {
        if let Some(name) = &filter.repository {
            self.repository_for(actor, Permission::Read, name).await?;
        }
        let visible = self.0.access.visible(actor);
        let mut redaction = self.redaction(actor).await?;
        let found = activity::list(redaction.conn(), &visible, filter, page).await?;
        let (found, page) = found.split();
        let mut items = Vec::with_capacity(found.len());
        let mut administered: HashMap<RepositoryName, bool> = HashMap::new();
        for mut entry in found {
            let administers = match &entry.repository {
                Some(name) => *administered
                    .entry(name.clone())
                    .or_insert_with(|| self.0.access.may_in_namespace(actor, &name.to_namespace())),
                None => actor.is_admin(),
            };
            if !administers {
                entry.job = None;
                if speaks_of_elsewhere(entry.kind) {
                    entry.detail = Message::Nothing;
                }
            }
            items.push(entry);
        }
        Ok(page.with(redaction.shown(items).await?))
    }
}
