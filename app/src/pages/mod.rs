//! The pages, one file each.

mod accounts;
mod activity;
mod connection;
mod jobs;
mod mirrors;
mod not_found;
mod pause;
mod remotes;
mod repositories;
mod repository;
mod sign_in;
mod system;
mod tag;

pub use accounts::{
    ChangePassword, NewOrganization, NewUser, OrganizationStorage, Organizations, UserStorage, Users,
};
pub use activity::Activity;
pub use jobs::{JobPage, Jobs};
pub use mirrors::{EditMirror, Mirrors, NewMirror};
pub use not_found::NotFound;
pub use pause::PausePage;
pub use remotes::{EditRemote, NewRemote, Remotes};
pub use repositories::{DeletedRepositories, NewRepository, PurgeRepository, Repositories};
pub use repository::{
    DeletedTags, EditPromotion, Info, NewPromotion, Permissions, Promotions, RepositoryActivity,
    RepositoryFrame, RestoreDeletedTag, Settings, Tags,
};
pub use sign_in::SignIn;
pub use system::System;
pub use tag::{PromoteTag, PushTag, RollBackTag, TagAnswers};
