//! The pages of a repository: a frame with tabs, and a page for each tab.

mod activity;
mod follow;
mod info;
mod mirrors;
mod permissions;
mod policy_row;
mod promotions;
mod settings;
mod tab;
mod tag;
mod tags;
mod target_field;

pub(crate) use follow::{
    changes_anything, changes_tags, follow_and_reload, follow_everything, follow_repository, turns,
};
pub(super) use tag::PAGE as TAG_PAGE;

use leptos::{either::Either, prelude::*};
use leptos_router::{
    components::{A, Outlet},
    hooks::use_params_map,
};
use longshore_model::{
    ImmutableTags, RepositoryState, pause::RepositoryPauses, repository::RepositorySummary,
};

use super::repositories::{state_label, visibility_label};
use crate::{
    components::{Awaited, Badge, PageHeader, PageTitle, Tabs, Tone},
    paths,
    pauses::{RepositoryNotice, use_pauses},
    routes::Route,
    server::{Answer, pauses_of, repository_summary},
};
use tab::RepositoryTab;

/// The tabs, in the order of display.
const TABS: &[RepositoryTab] =
    &[info::TAB, tags::TAB, promotions::TAB, mirrors::TAB, permissions::TAB, activity::TAB, settings::TAB];

/// The route of the frame; the routes of the tabs are nested in it.
pub(super) const PAGE: Route = Route::new("/repositories/:namespace/:name", || RepositoryFrame().into_any())
    .around(|| TABS.iter().flat_map(RepositoryTab::pages).collect());

/// The current repository, provided as context by [`RepositoryFrame`].
#[derive(Clone, Copy)]
pub struct RepositoryPage {
    /// `namespace/name`, from the address.
    pub name: Memo<String>,
    pub summary: Resource<Answer<RepositorySummary>>,
    changes: RwSignal<usize>,
}

impl RepositoryPage {
    /// The address of a page below the repository, such as `promotions/new`.
    #[must_use]
    pub fn path(self, page: &str) -> String {
        self.name.with(|name| paths::below(name, page))
    }

    /// As [`Self::path`], without subscribing to changes of the name.
    #[must_use]
    pub fn path_untracked(self, page: &str) -> String {
        self.name.with_untracked(|name| paths::below(name, page))
    }

    /// A counter of changes. Resources about the repository depend on it, so that they are reloaded.
    #[must_use]
    pub fn changes(self) -> usize {
        self.changes.get()
    }

    /// Reports a change of the repository, so that its resources are reloaded.
    pub fn changed(self) {
        self.changes.update(|changes| *changes += 1);
    }
}

/// The current repository.
///
/// # Panics
/// Outside [`RepositoryFrame`].
#[must_use]
pub fn use_repository() -> RepositoryPage {
    use_context().expect("a repository's frame is around its pages")
}

/// Which tags are immutable, if any.
fn immutable_badge(immutable: &ImmutableTags) -> Option<impl IntoView + use<>> {
    let words = match immutable {
        ImmutableTags::Off => return None,
        ImmutableTags::All => "Immutable tags".to_owned(),
        ImmutableTags::Matching(patterns) => format!("Immutable tags: {patterns}"),
    };
    Some(view! { <Badge>{words}</Badge> })
}

/// The full name of the repository in the address.
pub(crate) fn repository_in_address() -> Memo<String> {
    let params = use_params_map();
    Memo::new(move |_| {
        params.with(|params| {
            let part = |name| params.get_str(name).unwrap_or_default();
            format!("{}/{}", part("namespace"), part("name"))
        })
    })
}

/// The heading and the tabs around the pages of a repository. If the repository cannot be loaded, only the page inside
/// shows the error, so that it appears once.
#[component]
pub fn RepositoryFrame() -> impl IntoView {
    let name = repository_in_address();
    let changes = RwSignal::new(0);
    let summary =
        Resource::new_blocking(move || (name.get(), changes.get()), |(name, _)| repository_summary(name));
    let here = use_pauses();
    let pauses = Resource::new_blocking(
        move || (name.get(), changes.get(), here.changes()),
        |(name, ..)| pauses_of(name),
    );
    provide_context(RepositoryPage { name, summary, changes });
    view! {
        <PageTitle text=move || name.get()/>
        <Awaited
            resource=(summary, pauses)
            children=move |(summary, pauses): (Answer<RepositorySummary>, Answer<RepositoryPauses>)| match summary {
                Ok(summary) => {
                    let may_resume = summary.may_administer;
                    Either::Left(view! {
                        <Head summary=summary/>
                        <RepositoryNotice pauses=pauses.unwrap_or_default() may_resume=may_resume/>
                    })
                }
                Err(_) => Either::Right(view! { <PageHeader title=name/> }),
            }
        />
        <Outlet/>
    }
}

#[component]
fn Head(summary: RepositorySummary) -> impl IntoView {
    let repository = summary.repository.clone();
    let (namespace, name) = (repository.name.namespace().to_owned(), repository.name.name().to_owned());
    let in_namespace = paths::with_query("/repositories", &[("namespace", Some(&namespace))]);
    let about = repository.short_description.clone();
    let tabs: Vec<_> = TABS.iter().filter_map(|tab| tab.link(&summary)).collect();
    view! {
        <header class="page-head">
            <div>
                <h1>
                    <A href=in_namespace attr:class="quiet-link">{namespace}</A>
                    <span class="muted">" / "</span>
                    {name}
                </h1>
                <div class="page-detail">
                    <Badge>{visibility_label(repository.visibility)}</Badge>
                    {(repository.state != RepositoryState::Normal)
                        .then(|| view! { <Badge tone=Tone::Info>{state_label(repository.state)}</Badge> })}
                    {immutable_badge(&repository.immutable_tags)}
                    {(!about.is_empty()).then_some(about)}
                </div>
            </div>
        </header>
        <Tabs label="Repository" tabs=tabs/>
    }
}
