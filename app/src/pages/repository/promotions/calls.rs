//! Server functions of the Promotions tab and its dialogs.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PolicyId, PromotionPolicy,
    policy::{Loaded, PromotionDraft, Save},
    view::Side,
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// The promotion policies whose source or target is the repository.
#[server(input = Json)]
pub(super) async fn promotions(repository_name: String, side: Side) -> Answer<Vec<PromotionPolicy>> {
    let (admin, actor) = asked()?;
    Ok(admin.promotions(&actor, &repository(&repository_name)?, side).await?)
}

/// One promotion policy.
#[server(input = Json)]
pub(super) async fn promotion(repository_name: String, id: PolicyId) -> Answer<PromotionPolicy> {
    let (admin, actor) = asked()?;
    Ok(admin.promotion(&actor, &repository(&repository_name)?, id).await?)
}

/// Creates a promotion policy, or changes the loaded one.
#[server(input = Json)]
pub(super) async fn save_promotion(
    repository_name: String,
    loaded: Option<Loaded>,
    draft: PromotionDraft,
    save: Save,
) -> Answer<PromotionPolicy> {
    let (admin, actor) = asked()?;
    let source = repository(&repository_name)?;
    Ok(match loaded {
        None => admin.create_promotion(&actor, &source, draft, save).await?,
        Some(Loaded { id, version }) => {
            admin.change_promotion(&actor, &source, id, version, draft, save).await?
        }
    })
}

/// Enables or disables a policy. Enabling fails if the policy has changed since it was loaded, so that one that has
/// stopped in the meantime is not restarted by accident.
#[server(input = Json)]
pub(super) async fn enable_promotion(repository_name: String, loaded: Loaded, enabled: bool) -> Answer<()> {
    let (admin, actor) = asked()?;
    let based_on = enabled.then_some(loaded.version);
    let source = repository(&repository_name)?;
    admin.enable_promotion(&actor, &source, loaded.id, based_on, enabled).await?;
    Ok(())
}

/// Deletes a policy. The tags that it promoted are kept.
#[server(input = Json)]
pub(super) async fn delete_promotion(repository_name: String, id: PolicyId) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.delete_promotion(&actor, &repository(&repository_name)?, id).await?)
}
