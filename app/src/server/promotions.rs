//! Promotion policies, and the facts for their preview.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PolicyId, PromotionPolicy,
    policy::{PromotionDraft, Save},
    view::{self, Side},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository};

/// The policies that have the repository as source or as target.
#[server(input = Json)]
pub async fn promotions(repository_name: String, side: Side) -> Answer<Vec<PromotionPolicy>> {
    let (admin, actor) = asked().await?;
    Ok(admin.promotions(&actor, &repository(&repository_name)?, side).await?)
}

/// One policy.
#[server(input = Json)]
pub async fn promotion(repository_name: String, id: PolicyId) -> Answer<PromotionPolicy> {
    let (admin, actor) = asked().await?;
    Ok(admin.promotion(&actor, &repository(&repository_name)?, id).await?)
}

/// Makes a policy, or changes the one with this id.
#[server(input = Json)]
pub async fn save_promotion(
    repository_name: String,
    id: Option<PolicyId>,
    draft: PromotionDraft,
    save: Save,
) -> Answer<PromotionPolicy> {
    let (admin, actor) = asked().await?;
    let source = repository(&repository_name)?;
    Ok(match id {
        None => admin.create_promotion(&actor, &source, draft, save).await?,
        Some(id) => admin.change_promotion(&actor, &source, id, draft, save).await?,
    })
}

/// Switches a policy on or off.
#[server(input = Json)]
pub async fn enable_promotion(repository_name: String, id: PolicyId, enabled: bool) -> Answer<()> {
    let (admin, actor) = asked().await?;
    admin.enable_promotion(&actor, &repository(&repository_name)?, id, enabled).await?;
    Ok(())
}

/// Deletes a policy; what it promoted stays.
#[server(input = Json)]
pub async fn delete_promotion(repository_name: String, id: PolicyId) -> Answer<()> {
    let (admin, actor) = asked().await?;
    Ok(admin.delete_promotion(&actor, &repository(&repository_name)?, id).await?)
}

/// The tags and the moment that the live preview is computed from.
#[server(input = Json)]
pub async fn preview_facts(repository_name: String) -> Answer<view::PreviewFacts> {
    let (admin, actor) = asked().await?;
    Ok(admin.preview_tags(&actor, &repository(&repository_name)?).await?)
}
