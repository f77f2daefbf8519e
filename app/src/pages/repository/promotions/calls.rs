//! Promotion policies: what the tab and its dialogs ask of the server.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PolicyId, PromotionPolicy,
    policy::{Loaded, PromotionDraft, Save},
    view::Side,
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// The policies that have the repository as source or as target.
#[server(input = Json)]
pub(super) async fn promotions(repository_name: String, side: Side) -> Answer<Vec<PromotionPolicy>> {
    let (admin, actor) = asked()?;
    Ok(admin.promotions(&actor, &repository(&repository_name)?, side).await?)
}

/// One policy.
#[server(input = Json)]
pub(super) async fn promotion(repository_name: String, id: PolicyId) -> Answer<PromotionPolicy> {
    let (admin, actor) = asked()?;
    Ok(admin.promotion(&actor, &repository(&repository_name)?, id).await?)
}

/// Makes a policy, or changes the one that was loaded.
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

/// Switches a policy off, or on as it was loaded: one that has stopped itself since stays off.
#[server(input = Json)]
pub(super) async fn enable_promotion(repository_name: String, loaded: Loaded, enabled: bool) -> Answer<()> {
    let (admin, actor) = asked()?;
    let based_on = enabled.then_some(loaded.version);
    let source = repository(&repository_name)?;
    admin.enable_promotion(&actor, &source, loaded.id, based_on, enabled).await?;
    Ok(())
}

/// Deletes a policy; what it promoted stays.
#[server(input = Json)]
pub(super) async fn delete_promotion(repository_name: String, id: PolicyId) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.delete_promotion(&actor, &repository(&repository_name)?, id).await?)
}
