//! Storage used by namespaces, and their quotas.

use crate::Admin;
use crate::accounts::no_such_account;
use crate::guard::{administrator, author};
use longshore_metadata::{accounts, activity, storage, work};
use longshore_model::activity::ActivityKind;
use longshore_model::message::ActivityMessage;
use longshore_model::repository::NamespaceStorage;
use longshore_model::{Actor, Code, Problem, check_size};
use longshore_oci::Namespace;

impl Admin {
    /// The storage that the repositories of a namespace use together, and its quota. For users who may act in it.
    ///
    /// # Errors
    /// The namespace does not exist; the actor lacks the permission.
    pub async fn namespace_storage(
        &self,
        actor: &Actor,
        namespace: &Namespace,
    ) -> Result<NamespaceStorage, Problem> {
        self.namespace_for(actor, namespace)?;
        let mut conn = self.read().await?;
        if accounts::find(&mut conn, namespace).await?.is_none() {
            return Err(no_such_account(namespace));
        }
        Ok(storage::of_namespace(&mut conn, namespace).await?)
    }

    /// Sets the maximum number of bytes that the repositories of a namespace may use together; `None` means unlimited.
    /// Existing data is kept. Only for administrators.
    ///
    /// # Errors
    /// The actor is not an administrator; the namespace does not exist; the quota is too large.
    pub async fn set_quota(
        &self,
        actor: &Actor,
        namespace: &Namespace,
        quota: Option<u64>,
    ) -> Result<NamespaceStorage, Problem> {
        administrator(actor)?;
        let quota = quota.map(check_size).transpose();
        let quota =
            quota.map_err(|error| Problem::field(Code::InvalidRequest, "quotaBytes", error.to_string()))?;
        let (author, now, name) = (author(actor), self.now(), namespace.clone());
        self.write(work!(|tx| {
            if !storage::set_quota(tx, &name, quota).await? {
                return Err(no_such_account(&name));
            }
            let detail = ActivityMessage::Quota { namespace: name, quota }.into();
            let entry = activity::NewActivity {
                detail,
                ..activity::NewActivity::new(now, author, ActivityKind::QuotaChanged)
            };
            Ok(activity::add(tx, &entry).await?)
        }))
        .await?;
        self.namespace_storage(actor, namespace).await
    }
}
