//! The root component: what every page shares, and which page belongs to which address.

use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    components::{Outlet, ParentRoute, Redirect, Route, Router, Routes},
    path,
};

use crate::{
    arrival::Arrival,
    clock,
    components::{LeaveQuestion, SiteTitle, announce_hydration, provide_leaving, provide_notices},
    layout::Layout,
    pages::{
        Activity, ChangePassword, DeletedRepositories, DeletedTags, EditMirror, EditPromotion, EditRemote,
        Info, JobPage, Jobs, Mirrors, NewMirror, NewOrganization, NewPromotion, NewRemote, NewRepository,
        NewUser, NotFound, OrganizationStorage, Organizations, PausePage, Permissions, PromoteTag,
        Promotions, PurgeRepository, PushTag, Remotes, Repositories, RepositoryActivity, RepositoryFrame,
        RestoreDeletedTag, RollBackTag, Settings, SignIn, System, TagAnswers, Tags, UserStorage, Users,
    },
    pauses::PausesProvider,
    session::SessionProvider,
    shortcuts::Shortcuts,
};

/// The site.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    clock::provide();
    announce_hydration();
    provide_leaving();
    provide_notices();
    view! {
        <SiteTitle/>
        <Router>
            <Shortcuts/>
            <Arrival/>
            <SessionProvider>
                <PausesProvider>
                <Layout>
                    <Routes fallback=NotFound>
                        <Route path=path!("/") view=|| view! { <Redirect path="/repositories"/> }/>
                        <Route path=path!("/sign-in") view=SignIn/>
                        <AllRepositories/>
                        <AllDeleted/>
                        <OneRepository/>
                        <OneTag/>
                        <AllRemotes/>
                        <Route path=path!("/jobs") view=Jobs/>
                        <Route path=path!("/jobs/:id") view=JobPage/>
                        <Route path=path!("/activity") view=Activity/>
                        <AllOrganizations/>
                        <AllUsers/>
                        <Route path=path!("/system") view=System/>
                        <AllPauses/>
                    </Routes>
                </Layout>
                </PausesProvider>
            </SessionProvider>
            <LeaveQuestion/>
        </Router>
    }
}

/// The list of repositories, and the dialog over it.
#[component(transparent)]
fn AllRepositories() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/repositories") view=Repositories>
            <Route path=path!("") view=|| ()/>
            <Route path=path!("new") view=NewRepository/>
        </ParentRoute>
    }
    .into_inner()
}

/// The list of deleted repositories, and the dialog over it.
#[component(transparent)]
fn AllDeleted() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/deleted-repositories") view=DeletedRepositories>
            <Route path=path!("") view=|| ()/>
            <Route path=path!(":namespace/:name/purge") view=PurgeRepository/>
        </ParentRoute>
    }
    .into_inner()
}

/// A repository's tabs, and the dialogs over them.
#[component(transparent)]
fn OneRepository() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/repositories/:namespace/:name") view=RepositoryFrame>
            <Route path=path!("") view=Info/>
            <Route path=path!("tags") view=Tags/>
            <ParentRoute path=path!("deleted-tags") view=DeletedTags>
                <Route path=path!("") view=|| ()/>
                <Route path=path!(":tag/:revision") view=RestoreDeletedTag/>
            </ParentRoute>
            <ParentRoute path=path!("promotions") view=Promotions>
                <Route path=path!("") view=|| ()/>
                <Route path=path!("new") view=NewPromotion/>
                <Route path=path!(":id/edit") view=EditPromotion/>
            </ParentRoute>
            <ParentRoute path=path!("mirrors") view=Mirrors>
                <Route path=path!("") view=|| ()/>
                <Route path=path!("new") view=NewMirror/>
                <Route path=path!(":id/edit") view=EditMirror/>
            </ParentRoute>
            <Route path=path!("permissions") view=Permissions/>
            <Route path=path!("activity") view=RepositoryActivity/>
            <Route path=path!("settings") view=Settings/>
        </ParentRoute>
    }
    .into_inner()
}

/// A tag's answers, and the dialogs over them.
#[component(transparent)]
fn OneTag() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/repositories/:namespace/:name/tags/:tag") view=TagAnswers>
            <Route path=path!("") view=|| ()/>
            <Route path=path!("promote") view=PromoteTag/>
            <Route path=path!("push") view=PushTag/>
            <Route path=path!("changes/:revision") view=RollBackTag/>
        </ParentRoute>
    }
    .into_inner()
}

/// The list of remotes, and the dialogs over it.
#[component(transparent)]
fn AllRemotes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/remotes") view=Remotes>
            <Route path=path!("") view=|| ()/>
            <Route path=path!("new") view=NewRemote/>
            <Route path=path!(":id") view=EditRemote/>
        </ParentRoute>
    }
    .into_inner()
}

/// The list of organizations, and the dialog over it.
#[component(transparent)]
fn AllOrganizations() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/organizations") view=Organizations>
            <Route path=path!("") view=|| ()/>
            <Route path=path!("new") view=NewOrganization/>
            <Route path=path!(":name/storage") view=OrganizationStorage/>
        </ParentRoute>
    }
    .into_inner()
}

/// The list of users, and the dialogs over it.
#[component(transparent)]
fn AllUsers() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/users") view=Users>
            <Route path=path!("") view=|| ()/>
            <Route path=path!("new") view=NewUser/>
            <Route path=path!(":name/password") view=ChangePassword/>
            <Route path=path!(":name/storage") view=UserStorage/>
        </ParentRoute>
    }
    .into_inner()
}

/// What can be paused, each at an address of its own.
#[component(transparent)]
fn AllPauses() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/pauses") view=Outlet>
            <Route path=path!("system") view=PausePage/>
            <Route path=path!("namespaces/:namespace") view=PausePage/>
            <Route path=path!("remotes/:id") view=PausePage/>
        </ParentRoute>
    }
    .into_inner()
}
