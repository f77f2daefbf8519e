//! What came from the server: shown when it is there, explained when it could not be had.

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

/// Shows what a resource brings, with the former content in place while it is brought anew.
#[component]
pub fn Loaded<T, V, F>(
    /// What is loaded. A blocking one, where the page's status or a redirect depends on it.
    resource: Resource<Answer<T>>,
    /// What is made of it.
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

/// As [`Loaded`], with something else that the content is made of, and that may have failed.
#[component]
pub fn LoadedBeside<T, B, V, F>(
    /// What is loaded. A blocking one, where the page's status or a redirect depends on it.
    resource: Resource<Answer<T>>,
    /// What is awaited beside it.
    beside: B,
    /// What is made of both.
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

/// Why a resource could not be had the last time, so that the same is not read out at each attempt.
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

    /// Answers whether it is the same as before. The page may have been left meanwhile.
    fn remember(self, error: Option<AppError>) -> bool {
        self.last.try_update_value(|last| std::mem::replace(last, error.clone()) == error).unwrap_or_default()
    }
}

fn loading() -> impl IntoView {
    view! { <p class="loading">"Loading…"</p> }
}

/// Why there is nothing to show. Who is not signed in is led to the sign-in, and back afterwards.
#[component]
pub fn Failure(
    /// What went wrong.
    error: AppError,
    /// Tries to load it again. Where it is not given, a button loads the whole page again, and nothing does so by
    /// itself: while the server is away, the browser would show an error of its own instead.
    #[prop(optional, into)]
    again: Option<Callback<()>>,
    /// Whether this was said already.
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
                <p>"It may have been renamed or deleted, or be yours to see no longer."</p>
                <ButtonLink href="/repositories">"Go to the repositories"</ButtonLink>
            </EmptyState>
        }
        .into_any(),
        403 => view! {
            <EmptyState title="You may not see this">
                <p>{sentence(&problem.message)}</p>
                <ButtonLink href=paths::with_query("/sign-in", &[("next", Some(&path))])>
                    "Sign in as somebody else"
                </ButtonLink>
            </EmptyState>
        }
        .into_any(),
        status => {
            // What is refused for another reason will be refused the next time as well.
            let passes = status >= 500 || status == 429;
            view! { <Later problem=sentence(&problem.message) again=again passes=passes repeated=repeated/> }
                .into_any()
        }
    }
}

/// What could not be loaded. Where that may pass, it is tried again by itself for as long as somebody looks at it.
#[component]
fn Later(problem: String, again: Option<Callback<()>>, passes: bool, repeated: bool) -> impl IntoView {
    let session = use_session();
    let by_itself = passes && again.is_some();
    let again = move || {
        // Who could not be asked for either, may be somebody.
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

/// How often it is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The answer's HTTP status; nothing in the browser, or once the answer has begun.
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

/// What a form's server said and no field of the form can show.
#[component]
pub fn FormProblem(
    /// What went wrong with the last attempt.
    #[prop(into)]
    problem: Signal<Option<AppError>>,
    /// The beginnings of the field names that the form shows errors of.
    fields: &'static [&'static str],
    /// Saves what is typed over what somebody else saved meanwhile; told the version that it replaces.
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
        // Where no field is wrong, the focus goes here.
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

/// What one can do where somebody else was faster. What is typed stays until one decides.
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

/// Goes to the page once more; what is typed in it is gone. A mere reload would not do: browsers put back what stood
/// in the fields.
fn reload() {
    let location = window().location();
    // With its fragment, the address would be no more than a place on this page. A page that cannot be gone to stays as
    // it is.
    let _ = location.href().and_then(|here| location.replace(here.split('#').next().unwrap_or_default()));
}
