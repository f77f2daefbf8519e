//! Pauses, for all pages: the banner shown while everything is paused, and the words and badges for a pause elsewhere.

use leptos::prelude::*;
use leptos_router::{components::A, hooks::use_location};
use longshore_model::{
    Actor, Pause, PauseScope,
    job::{Job, Status},
    pause::{PauseView, RepositoryPauses},
    view::ANOTHER_REGISTRY,
};
use longshore_oci::RepositoryName;

use crate::{
    components::{Alert, Awaited, Badge, RelativeTime, Tone},
    paths,
    server::{Answer, pauses, system_pause},
    session::use_session,
};

/// Whether everything is paused, and a trigger to read that again.
#[derive(Clone, Copy)]
pub(crate) struct Pauses {
    /// The pause of the system.
    pub(crate) system: Resource<Answer<Option<PauseView>>>,
    changes: RwSignal<usize>,
}

impl Pauses {
    /// Counts the pauses and resumptions that the page knows of; part of the sources of resources that show them.
    pub(crate) fn changes(self) -> usize {
        self.changes.get()
    }

    /// Counts a pause or resumption.
    pub(crate) fn changed(self) {
        self.changes.update(|changes| *changes += 1);
    }
}

/// The pauses of the page.
pub(crate) fn use_pauses() -> Pauses {
    use_context().expect("the app provides what is paused")
}

/// Provides the pauses to its children.
#[component]
pub(crate) fn PausesProvider(children: Children) -> impl IntoView {
    let changes = RwSignal::new(0);
    let path = use_location().pathname;
    // Read again on each navigation: an outdated banner would be worse than none.
    let system = Resource::new_blocking(move || (changes.get(), path.get()), |_| system_pause());
    provide_context(Pauses { system, changes });
    children()
}

/// A banner on every page while everything is paused.
#[component]
pub(crate) fn PauseBanner() -> impl IntoView {
    let (pauses, session, path) = (use_pauses(), use_session(), use_location().pathname);
    view! {
        <Awaited
            resource=(pauses.system, session.actor)
            children=move |(paused, actor): (Answer<Option<PauseView>>, Answer<Actor>)| {
                let view = paused.ok().flatten()?;
                let queue = paths::pause(&PauseScope::System);
                let there = path.with_untracked(|path| *path == queue);
                let may_resume = actor.is_ok_and(|actor| actor.is_admin());
                Some(view! { <Standstill pause=view.pause queue=(may_resume && !there).then_some(queue)/> })
            }
        />
    }
}

#[component]
fn Standstill(pause: Pause, queue: Option<String>) -> impl IntoView {
    let cause = pause.cause();
    view! {
        <aside class="pause-banner" aria-label="Pause">
            <p role="status">
                <strong>"Everything is paused "</strong>
                {cause} ", since " <RelativeTime at=pause.at/>
                ". Policies and mirrors are stopped, and their jobs wait. Pushes and pulls continue."
            </p>
            {queue.map(|queue| view! { <A href=queue attr:class="button">"See waiting jobs"</A> })}
        </aside>
    }
}

/// A notice on a repository's pages that its namespace is paused. The banner covers a pause of everything.
#[component]
pub(crate) fn RepositoryNotice(
    /// The pauses that hold its policies and mirrors.
    pauses: RepositoryPauses,
    /// Whether the user may resume the namespace.
    may_resume: bool,
) -> impl IntoView {
    let own = |view: &PauseView| matches!(view.pause.scope, PauseScope::Namespace(_));
    pauses
        .all
        .into_iter()
        .filter(own)
        .map(|view| {
            let (subject, cause) = (capitalised(&view.subject()), view.pause.cause());
            let queue = may_resume.then(|| paths::pause(&view.pause.scope));
            view! {
                <Alert tone=Tone::Warn>
                    <strong>{subject} " is paused "</strong>
                    {cause}
                    ", since "
                    <RelativeTime at=view.pause.at/>
                    ". Its policies and mirrors are stopped, and their jobs wait. "
                    {queue.map(|queue| view! { <A href=queue>"See waiting jobs"</A> })}
                </Alert>
            }
        })
        .collect_view()
}

/// The pause that holds a policy of `repository`; `remote` is the one that a mirror uses.
pub(crate) fn holding<'p>(
    pauses: &'p RepositoryPauses,
    repository: &RepositoryName,
    remote: Option<longshore_model::RemoteId>,
) -> Option<&'p PauseView> {
    let covers = |view: &&PauseView| match &view.pause.scope {
        PauseScope::System => true,
        PauseScope::Namespace(namespace) => *namespace == repository.to_namespace(),
        PauseScope::Remote(paused) => Some(*paused) == remote,
    };
    pauses.all.iter().chain(&pauses.remotes).find(covers)
}

/// Says beside a policy or mirror which pause holds it.
#[component]
pub(crate) fn HeldNote(pause: PauseView) -> impl IntoView {
    let subject = pause.subject();
    view! {
        <p class="note">
            <Badge tone=Tone::Warn>"Held"</Badge>
            " It acts again when " {subject} " is resumed."
        </p>
    }
}

/// The pauses that the user may see; read again whenever one changes.
pub(crate) fn known_pauses() -> Resource<Answer<Vec<PauseView>>> {
    let here = use_pauses();
    Resource::new_blocking(move || here.changes(), |_| pauses())
}

/// Whether one of the pauses has this scope.
pub(crate) fn is_paused(known: &[PauseView], scope: &PauseScope) -> bool {
    known.iter().any(|view| view.pause.scope == *scope)
}

/// A badge for a paused item in a list.
#[component]
pub(crate) fn PausedBadge() -> impl IntoView {
    view! { " " <Badge tone=Tone::Warn>"Paused"</Badge> }
}

/// Why a queued job is held: "everything is paused by admin".
pub(crate) fn held(job: &Job) -> Option<String> {
    let pause = job.held_by.as_ref().filter(|_| job.status == Status::Waiting)?;
    let remote = job.parameters.remote_host().filter(|host| *host != ANOTHER_REGISTRY);
    Some(format!("{} is paused {}", pause.subject(remote), pause.cause()))
}

/// Capitalises the first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// All pauses except that of the system, each with the number of jobs it holds.
#[component]
pub(crate) fn OtherPauses(
    /// All pauses.
    known: Vec<PauseView>,
) -> impl IntoView {
    let others: Vec<_> =
        known.into_iter().filter(|view| view.pause.scope != PauseScope::System).map(other).collect();
    (!others.is_empty()).then(|| view! { <ul class="other-pauses">{others}</ul> })
}

fn other(view: PauseView) -> impl IntoView {
    let (subject, cause, href) =
        (capitalised(&view.subject()), view.pause.cause(), paths::pause(&view.pause.scope));
    let waiting = view.held.map(|held| format!(", {}", waiting(held)));
    view! { <li><A href=href>{subject}</A> " is paused " {cause} {waiting}</li> }
}

/// The number of held jobs, as a phrase.
pub(crate) fn waiting(jobs: u64) -> String {
    match jobs {
        0 => "nothing waits".to_owned(),
        1 => "1 job waits".to_owned(),
        jobs => format!("{jobs} jobs wait"),
    }
}
