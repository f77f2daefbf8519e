//! Calls to server functions from forms and buttons: pending state, errors, and what follows on success.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::{focus_first_error, use_notices};
use crate::{error::AppError, server::Answer};

/// A server function that a form or button calls with an `I` and that returns an `O`. Cheap to copy.
pub struct Call<I, O>(Action<I, Answer<O>>);

impl<I, O> Clone for Call<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Call<I, O> {}

/// What follows a successful call.
#[derive(Default)]
pub struct Done {
    said: Option<String>,
    way: Option<(String, NavigateOptions)>,
}

impl Done {
    /// Stays on the page.
    #[must_use]
    pub fn here() -> Self {
        Self::default()
    }

    /// Closes the dialog: the page behind it replaces it in the history.
    #[must_use]
    pub fn back_to(page: impl Into<String>) -> Self {
        let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
        Self { said: None, way: Some((page.into(), options)) }
    }

    /// Navigates to another page, which shows the result.
    #[must_use]
    pub fn on_to(page: impl Into<String>) -> Self {
        Self { said: None, way: Some((page.into(), NavigateOptions::default())) }
    }

    /// Also shows a notice.
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self { said: Some(text.into()), ..self }
    }
}

/// A call made by a form: if it fails, the first invalid field gets the focus.
pub fn use_form<I, O, A>(
    ask: impl Fn(&I) -> A + Send + Sync + 'static,
    done: impl Fn(O) -> Done + 'static,
) -> Call<I, O>
where
    I: Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
    A: Future<Output = Answer<O>> + Send + 'static,
{
    called(ask, done, focus_first_error)
}

/// A call made by a button, or by a form without fields to validate: the focus does not move.
pub fn use_call<I, O, A>(
    ask: impl Fn(&I) -> A + Send + Sync + 'static,
    done: impl Fn(O) -> Done + 'static,
) -> Call<I, O>
where
    I: Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
    A: Future<Output = Answer<O>> + Send + 'static,
{
    called(ask, done, || {})
}

fn called<I, O, A>(
    ask: impl Fn(&I) -> A + Send + Sync + 'static,
    done: impl Fn(O) -> Done + 'static,
    refused: fn(),
) -> Call<I, O>
where
    I: Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
    A: Future<Output = Answer<O>> + Send + 'static,
{
    let call = Call(Action::new(ask));
    let go_on = go_on();
    Effect::new(move |_| match call.answer() {
        Some(Ok(answer)) => go_on(done(answer)),
        Some(Err(_)) => refused(),
        None => {}
    });
    call
}

/// Shows the notice and navigates.
fn go_on() -> impl Fn(Done) {
    let (navigate, notices) = (use_navigate(), use_notices());
    move |Done { said, way }| {
        if let Some(said) = said {
            notices.say(said);
        }
        if let Some((page, options)) = way {
            navigate(&page, options);
        }
    }
}

impl<I, O> Call<I, O>
where
    I: Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
{
    /// Calls the server function.
    pub fn send(self, input: I) {
        self.0.dispatch(input);
    }

    /// Whether the call is running.
    #[must_use]
    pub fn pending(self) -> Memo<bool> {
        self.0.pending()
    }

    /// The result of the last call.
    #[must_use]
    pub fn answer(self) -> Option<Answer<O>> {
        self.0.value().get()
    }

    /// The error of the last call, if it failed.
    #[must_use]
    pub fn problem(self) -> Signal<Option<AppError>> {
        problem_of(self.0)
    }

    /// The last call's error for one field.
    #[must_use]
    pub fn about(self, field: &'static str) -> Signal<Option<String>> {
        about(self.problem(), field)
    }

    /// Whether the last call succeeded and no new one is running.
    #[must_use]
    pub fn is_done(self) -> Signal<bool> {
        let Self(action) = self;
        Signal::derive(move || {
            action.value().with(|answer| matches!(answer, Some(Ok(_)))) && !action.pending().get()
        })
    }

    /// Clears the result.
    pub fn forget(self) {
        self.0.clear();
    }
}

impl<I, O> Call<I, O>
where
    I: Clone + Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
{
    /// The input of the running call.
    #[must_use]
    pub fn sent(self) -> Option<I> {
        self.0.input().get()
    }
}

/// The error of an action's last call.
#[must_use]
pub fn problem_of<I, O>(action: Action<I, Answer<O>>) -> Signal<Option<AppError>>
where
    I: Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    Signal::derive(move || action.value().with(|answer| answer.as_ref()?.as_ref().err().cloned()))
}

fn about(problem: Signal<Option<AppError>>, field: &'static str) -> Signal<Option<String>> {
    Signal::derive(move || problem.with(|problem| problem.as_ref()?.about(field)))
}
