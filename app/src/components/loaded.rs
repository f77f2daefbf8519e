//! Data from the server: rendered when it arrives, or replaced by an explanation of the failure.

use std::time::Duration;

use leptos::{either::Either, prelude::*};
use leptos_router::{
    components::Redirect,
    hooks::{use_location, use_url},
};
use longshore_model::{Code, version::Version};
use serde::{Serialize, de::DeserializeOwned};

use super::{Alert, Awaitable, Awaited, Button, ButtonLink, EmptyState, Tone};
use crate::{error::AppError, paths, sentence::sentence, server::Answer, session::use_session};

/// Renders the value of a resource. The previous view stays on screen while it reloads.
#[component]
pub fn Loaded<T, V, F>(
    /// Must be blocking if the page's status or a redirect depends on it.
    resource: Resource<Answer<T>>,
    /// Renders the value.
    children: F,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    V: IntoView + 'static,
    F: Fn(T) -> V + Clone + Send + Sync + 'static,
{
    let failures = Failures::of(move || resource.refetch());
    view! {
        <Awaited
            resource=resource
            fallback=loading
            children=move |loaded| match loaded {
                Ok(loaded) => Either::Left(failures.none(children(loaded).into_any())),
                Err(error) => Either::Right(failures.shown(error)),
            }
        />
    }
}

/// Like [`Loaded`], with a second value that the view needs and that may have failed.
#[component]
pub fn LoadedBeside<T, B, V, F>(
    /// Must be blocking if the page's status or a redirect depends on it.
    resource: Resource<Answer<T>>,
    /// Awaited together with the resource.
    beside: B,
    /// Renders both.
    children: F,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    B: Awaitable,
    V: IntoView + 'static,
    F: Fn(T, B::Output) -> V + Clone + Send + Sync + 'static,
{
    let failures = Failures::of(move || resource.refetch());
    view! {
        <Awaited
            resource=(resource, beside)
            fallback=loading
            children=move |(loaded, beside): (Answer<T>, B::Output)| match loaded {
                Ok(loaded) => Either::Left(failures.none(children(loaded, beside).into_any())),
                Err(error) => Either::Right(failures.shown(error)),
            }
        />
    }
}

/// The last failure of a resource, so that screen readers do not read the same one out on each attempt.
#[derive(Clone, Copy)]
struct Failures {
    again: Callback<()>,
    last: StoredValue<Option<AppError>>,
}

impl Failures {
    fn of(again: impl Fn() + Send + Sync + 'static) -> Self {
        Self { again: Callback::new(move |()| again()), last: StoredValue::new(None) }
    }

    fn none(self, view: AnyView) -> AnyView {
        self.remember(None);
        view
    }

    fn shown(self, error: AppError) -> impl IntoView {
        let repeated = self.remember(Some(error.clone()));
        view! { <Failure error=error again=self.again repeated=repeated/> }
    }

    /// Stores the error and returns whether it is the same as before. The page may have been left meanwhile.
    fn remember(self, error: Option<AppError>) -> bool {
        self.last.try_update_value(|last| std::mem::replace(last, error.clone()) == error).unwrap_or_default()
    }
}

fn loading() -> impl IntoView {
    view! { <p class="loading">"Loading…"</p> }
}

/// Why there is nothing to show. Users who are not signed in are redirected to the sign-in page, and back afterwards.
#[component]
pub fn Failure(
    error: AppError,
    /// Loads it again. If not given, a button reloads the whole page and there is no automatic retry: while the server
    /// is down, the browser would show its own error page instead.
    #[prop(optional, into)]
    again: Option<Callback<()>>,
    /// Whether the error was already announced.
    #[prop(optional)]
    repeated: bool,
) -> impl IntoView {
    let AppError(problem) = error;
    if problem.code == Code::NotAuthenticated {
        let here = use_location();
        let search = here.search.get_untracked();
        let path = here.pathname.get_untracked();
        let next = if search.is_empty() { path } else { format!("{path}?{search}") };
        return view! { <Redirect path=paths::with_query("/sign-in", &[("next", Some(&next))])/> }.into_any();
    }
    set_status(problem.code.status());
    let path = use_url().with_untracked(|url| url.path().to_owned());
    match problem.code.status() {
        404 => view! {
            <EmptyState title=sentence(&problem.message)>
                <p>"It may have been renamed or deleted, or you no longer have access."</p>
                <ButtonLink href="/repositories">"Go to the repositories"</ButtonLink>
            </EmptyState>
        }
        .into_any(),
        403 => view! {
            <EmptyState title="You may not see this">
                <p>{sentence(&problem.message)}</p>
                <ButtonLink href=paths::with_query("/sign-in", &[("next", Some(&path))])>
                    "Sign in as another user"
                </ButtonLink>
            </EmptyState>
        }
        .into_any(),
        status => {
            // Any other error would be returned again.
            let passes = status >= 500 || status == 429;
            view! { <Later problem=sentence(&problem.message) again=again passes=passes repeated=repeated/> }
                .into_any()
        }
    }
}

/// A load failure. A transient one is retried automatically while the page is visible.
#[component]
fn Later(problem: String, again: Option<Callback<()>>, passes: bool, repeated: bool) -> impl IntoView {
    let session = use_session();
    let by_itself = passes && again.is_some();
    let again = move || {
        // If the session could not be read either, the user may still be signed in.
        if session.actor.with_untracked(|actor| matches!(actor, Some(Err(_)))) {
            session.actor.refetch();
        }
        match again {
            Some(again) => again.run(()),
            None => reload(),
        }
    };
    Effect::new(move |_| {
        if !by_itself {
            return;
        }
        let timer = set_interval_with_handle(
            move || {
                if !document().hidden() {
                    again();
                }
            },
            AGAIN,
        );
        on_cleanup(move || {
            if let Ok(timer) = timer {
                timer.clear();
            }
        });
    });
    view! {
        <div class=format!("alert {}", Tone::Bad.class()) role=(!repeated).then_some("alert")>
            <p>{problem}</p>
            <div class="actions ways-on">
                <Button on_press=again>"Try again"</Button>
            </div>
        </div>
    }
}

/// The interval between retries.
const AGAIN: Duration = Duration::from_secs(10);

/// Sets the HTTP status of the response. Does nothing in the browser, or once the response has started.
fn set_status(status: u16) {
    #[cfg(feature = "ssr")]
    if let (Some(response), Ok(status)) =
        (use_context::<leptos_axum::ResponseOptions>(), http::StatusCode::from_u16(status))
    {
        response.set_status(status);
    }
    #[cfg(not(feature = "ssr"))]
    let _ = status;
}

/// The errors of a form that none of its fields shows.
#[component]
pub fn FormProblem(
    /// The last error.
    #[prop(into)]
    problem: Signal<Option<AppError>>,
    /// Prefixes of the field names whose errors the form shows itself.
    fields: &'static [&'static str],
    /// Overwrites a concurrent change; called with the version it replaces.
    #[prop(optional, into)]
    overwrite: Option<Callback<Version>>,
) -> impl IntoView {
    move || {
        let AppError(problem) = problem.get()?;
        let shown = |field: &str| fields.iter().any(|known| field.starts_with(known));
        let mut rest: Vec<_> = problem
            .fields
            .iter()
            .filter(|error| !shown(&error.field))
            .map(|error| sentence(&error.message))
            .collect();
        if problem.fields.is_empty() {
            rest.push(sentence(&problem.message));
        }
        // If no field is invalid, the focus goes here.
        (!rest.is_empty()).then(|| {
            view! {
                <div class="form-problem" tabindex="-1">
                    <Alert tone=Tone::Bad>
                        {rest.join(" ")}
                        {problem.newer.map(|newer| view! { <WaysOn newer=newer overwrite=overwrite/> })}
                    </Alert>
                </div>
            }
        })
    }
}

/// The choices after a concurrent change. Typed input stays until the user decides.
#[component]
fn WaysOn(newer: Version, overwrite: Option<Callback<Version>>) -> impl IntoView {
    view! {
        <div class="actions ways-on">
            <Button on_press=reload>"Discard mine and load theirs"</Button>
            {overwrite.map(|overwrite| view! {
                <Button on_press=move || overwrite.run(newer)>"Save mine over theirs"</Button>
            })}
        </div>
    }
}

/// Loads the page afresh and discards typed input. A plain reload would not do: browsers restore field values.
fn reload() {
    let location = window().location();
    // With its fragment, the address would only scroll this page. If navigation fails, the page stays as it is.
    let _ = location.href().and_then(|here| location.replace(here.split('#').next().unwrap_or_default()));
}
