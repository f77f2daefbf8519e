//! The page of a tag: its contents, where it came from, where it was copied, and the verdict of each policy, rule by
//! rule.

mod answers;
mod calls;
mod contents;
mod history;
mod journey;
mod promote;
mod push;

use leptos::prelude::*;
use leptos_router::{
    components::{A, Outlet},
    hooks::use_params_map,
};
use longshore_model::tag::TagDetail;

use self::{
    answers::Answers,
    calls::{release_tag, tag_detail},
    contents::Contents,
    history::History,
    journey::Journey,
};
use super::{
    changes_tags, follow_repository, repository_in_address,
    tags::{by, what},
};
use crate::{
    components::{
        Alert, Button, ButtonLink, Commands, DigestText, Done, FormProblem, LoadedBeside, PageTitle, Panel,
        RelativeTime, Tone, size, use_call,
    },
    host::registry_host,
    live::ConnectionNotice,
    paths,
    routes::Route,
    session::use_session,
};

/// The route of the page, with its dialogs.
pub(crate) const PAGE: Route =
    Route::new("/repositories/:namespace/:name/tags/:tag", || TagAnswers().into_any()).with_dialogs(&[
        promote::PAGE,
        push::PAGE,
        history::ROLL_BACK,
    ]);

/// The current tag, provided as context to the dialogs of its page.
#[derive(Clone, Copy)]
struct TagPage {
    repository: Memo<String>,
    tag: Memo<String>,
    changes: RwSignal<usize>,
}

impl TagPage {
    /// The address of the page, or of one of its dialogs.
    fn path(self, page: &str) -> String {
        self.repository
            .with_untracked(|repository| self.tag.with_untracked(|tag| paths::tag(repository, tag, page)))
    }
}

impl TagPage {
    /// Reports a change of the tag, so that the page is reloaded.
    fn changed(self) {
        self.changes.update(|changes| *changes += 1);
    }
}

fn use_tag() -> TagPage {
    use_context().expect("a tag's page is around its dialogs")
}

/// The page of a tag.
#[component]
pub fn TagAnswers() -> impl IntoView {
    let params = use_params_map();
    let repository = repository_in_address();
    let tag = Memo::new(move |_| params.with(|params| params.get("tag").unwrap_or_default()));
    let changes = RwSignal::new(0);
    let detail = Resource::new_blocking(
        move || (repository.get(), tag.get(), changes.get()),
        |(repository, tag, _)| tag_detail(repository, tag),
    );
    let lost = follow_repository(repository, changes_tags, move || detail.refetch());
    provide_context(TagPage { repository, tag, changes });
    view! {
        <PageTitle text=move || format!("{}:{}", repository.get(), tag.get())/>
        <nav class="trail" aria-label="Trail">
            <A href=move || repository.with(|repository| paths::below(repository, ""))>{repository}</A>
            <span aria-hidden="true">"›"</span>
            <A href=move || repository.with(|repository| paths::below(repository, "tags"))>"Tags"</A>
        </nav>
        <ConnectionNotice lost=lost/>
        <LoadedBeside
            resource=detail
            beside=use_session().actor
            children=|detail, actor| {
                let may_act = actor.is_ok_and(|actor| actor.user().is_some());
                view! { <Detail detail=detail may_act=may_act/> }
            }
        />
        <Outlet/>
    }
}

#[component]
fn Detail(detail: TagDetail, may_act: bool) -> impl IntoView {
    let here = use_tag();
    let repository = here.repository.get_untracked();
    let summary = &detail.summary;
    let record = &summary.tag;
    let tag = record.name.to_string();
    let journey = view! { <Journey detail=&detail/> };
    let history = view! { <History detail=&detail/> };
    let pinned = record.provenance.pinned_from().is_some();
    let answers = view! { <Answers answers=detail.answers.clone() repository=repository.clone()/> };
    let pull = format!("docker pull {}/{repository}:{tag}", registry_host());
    view! {
        <header class="page-head">
            <div>
                <h1>{repository.clone()} <span class="muted">" : "</span> {tag}</h1>
                <div class="page-detail">
                    <DigestText digest=record.digest.to_string()/>
                    <span>{what(summary)}</span>
                    <span>{size(summary.size_bytes)}</span>
                    <span>
                        {by(&record.author).map(|author| format!("updated by {author} "))} <RelativeTime at=record.updated_at/>
                    </span>
                </div>
            </div>
            {may_act.then(|| view! {
                <div class="actions">
                    <ButtonLink href=here.path("promote") dialog=true>"Promote…"</ButtonLink>
                    <ButtonLink href=here.path("push") dialog=true>"Push to a remote…"</ButtonLink>
                </div>
            })}
        </header>
        {pinned.then(|| view! { <Pinned/> })}
        <Commands text=pull label="Copy the pull command"/>
        <Panel title="Journey">{journey}</Panel>
        <Panel title="Why">{answers}</Panel>
        {history}
        <Contents detail=detail/>
    }
}

/// The note that the tag is pinned, with the button that releases it.
#[component]
fn Pinned() -> impl IntoView {
    let here = use_tag();
    let release = use_call(
        move |(): &()| release_tag(here.repository.get_untracked(), here.tag.get_untracked()),
        move |()| {
            here.changed();
            Done::here()
        },
    );
    view! {
        <Alert tone=Tone::Info>
            <div class="pinned">
                <span>
                    <strong>"Pinned."</strong>
                    " A user restored this tag, so its pull mirror does not move it. Once released, the next poll may move it."
                </span>
                <Button
                    busy=release.pending()
                    on_press=move || release.send(())
                >
                    "Release"
                </Button>
            </div>
            <FormProblem problem=release.problem() fields=&[]/>
        </Alert>
    }
}
