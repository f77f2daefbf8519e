//! What somebody has the server do: a form that is sent, a button that is pressed. It is carried out, says what went
//! wrong, and leads on when it is done.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use super::{focus_first_error, use_notices};
use crate::{error::AppError, server::Answer};

/// A server function that a form or a button calls with an `I`, and that answers with an `O`. Cheap to copy.
pub struct Call<I, O>(Action<I, Answer<O>>);

impl<I, O> Clone for Call<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Call<I, O> {}

/// What follows once the server has done what it was asked for.
#[derive(Default)]
pub struct Done {
    said: Option<String>,
    way: Option<(String, NavigateOptions)>,
}

impl Done {
    /// One stays on the page.
    #[must_use]
    pub fn here() -> Self {
        Self::default()
    }

    /// The dialog is closed: the page behind takes its place in the history.
    #[must_use]
    pub fn back_to(page: impl Into<String>) -> Self {
        let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
        Self { said: None, way: Some((page.into(), options)) }
    }

    /// Another page shows what has become of it.
    #[must_use]
    pub fn on_to(page: impl Into<String>) -> Self {
        Self { said: None, way: Some((page.into(), NavigateOptions::default())) }
    }

    /// It is also said at the edge of the page.
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self { said: Some(text.into()), ..self }
    }
}

/// The call behind a form: when it is refused, the focus goes to the first field that is wrong.
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

/// The call behind a button, or behind a form without fields that could be wrong: the focus stays.
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

/// Says what is to be said, and goes where it leads.
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
    /// Asks the server.
    pub fn send(self, input: I) {
        self.0.dispatch(input);
    }

    /// Whether the server is still at work.
    #[must_use]
    pub fn pending(self) -> Memo<bool> {
        self.0.pending()
    }

    /// What the server answered the last time.
    #[must_use]
    pub fn answer(self) -> Option<Answer<O>> {
        self.0.value().get()
    }

    /// Why it was refused the last time.
    #[must_use]
    pub fn problem(self) -> Signal<Option<AppError>> {
        problem_of(self.0)
    }

    /// What was wrong with one field the last time.
    #[must_use]
    pub fn about(self, field: &'static str) -> Signal<Option<String>> {
        about(self.problem(), field)
    }

    /// Whether it is done, and not being done once more.
    #[must_use]
    pub fn is_done(self) -> Signal<bool> {
        let Self(action) = self;
        Signal::derive(move || {
            action.value().with(|answer| matches!(answer, Some(Ok(_)))) && !action.pending().get()
        })
    }

    /// Forgets what the server answered.
    pub fn forget(self) {
        self.0.clear();
    }
}

impl<I, O> Call<I, O>
where
    I: Clone + Send + Sync + 'static,
    O: Clone + Send + Sync + 'static,
{
    /// What the server is asked with now.
    #[must_use]
    pub fn sent(self) -> Option<I> {
        self.0.input().get()
    }
}

/// Why an action was refused the last time.
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
