//! The pages, one file each.

mod accounts;
mod activity;
mod connection;
mod jobs;
mod not_found;
mod pause;
mod remotes;
mod repositories;
mod repository;
mod sign_in;
mod system;

pub use accounts::{
    ChangePassword, NewOrganization, NewUser, OrganizationStorage, Organizations, UserStorage, Users,
};
pub use activity::Activity;
pub use jobs::{JobPage, Jobs};
pub use not_found::NotFound;
pub use pause::PausePage;
pub use remotes::{EditRemote, NewRemote, Remotes};
pub use repositories::{DeletedRepositories, NewRepository, PurgeRepository, Repositories};
pub use repository::{
    DeletedTags, EditMirror, EditPromotion, Info, Mirrors, NewMirror, NewPromotion, Permissions, PromoteTag,
    Promotions, PushTag, RepositoryActivity, RepositoryFrame, RestoreDeletedTag, RollBackTag, Settings,
    TagAnswers, Tags,
};
pub use sign_in::SignIn;
pub use system::System;
