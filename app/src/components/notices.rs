//! Notices at the edge of the page: what was just saved or deleted, and how to undo it.

use std::{sync::Arc, time::Duration};

use leptos::{prelude::*, task::spawn_local};

use super::{Button, ButtonKind};
use crate::server::Answer;

/// How long a notice is shown.
const SAID: Duration = Duration::from_secs(6);
/// How long a notice offers to undo; there are other ways afterwards.
const UNDOABLE: Duration = Duration::from_secs(20);

/// The current notice. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Notices(RwSignal<Option<Notice>>);

#[derive(Clone)]
struct Notice {
    text: String,
    is_problem: bool,
    undo: Option<Undo>,
}

/// Undoes the action and reports the result. It outlives the page where the action was taken.
type Undo = Arc<dyn Fn() + Send + Sync>;

/// Provides notices to the whole page. Called once, by the root component.
pub(crate) fn provide_notices() {
    provide_context(Notices(RwSignal::new(None)));
}

/// The notices of the page.
///
/// # Panics
/// Outside the app.
#[must_use]
pub fn use_notices() -> Notices {
    use_context().expect("the app provides what is said")
}

impl Notices {
    /// Shows a notice.
    pub fn say(self, text: impl Into<String>) {
        self.0.set(Some(Notice { text: text.into(), is_problem: false, undo: None }));
    }

    /// Shows a notice with an *Undo* button that calls `undo`, and then the notice `undone`.
    pub fn say_undoable<F>(
        self,
        text: impl Into<String>,
        undone: String,
        undo: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Answer<()>> + 'static,
    {
        let undo: Undo = Arc::new(move || {
            let (coming, undone) = (undo(), undone.clone());
            self.0.set(None);
            spawn_local(async move {
                match coming.await {
                    Ok(()) => self.say(undone),
                    Err(error) => {
                        let notice = Notice { text: error.to_string(), is_problem: true, undo: None };
                        self.0.set(Some(notice));
                    }
                }
            });
        });
        self.0.set(Some(Notice { text: text.into(), is_problem: false, undo: Some(undo) }));
    }
}

/// Renders the current notice.
#[component]
pub(crate) fn NoticeBoard() -> impl IntoView {
    let Notices(notice) = use_notices();
    Effect::new(move |_| {
        let time = notice.with(|notice| {
            notice.as_ref().filter(|notice| !notice.is_problem).map(|notice| match notice.undo {
                Some(_) => UNDOABLE,
                None => SAID,
            })
        });
        let timer = time.and_then(|time| set_timeout_with_handle(move || notice.set(None), time).ok());
        on_cleanup(move || {
            if let Some(timer) = timer {
                timer.clear();
            }
        });
    });
    let shown = move || {
        notice.get().map(|Notice { text, is_problem, undo }| {
            let undo = undo.map(|undo| view! { <Button on_press=move || undo()>"Undo"</Button> });
            view! {
                <div class="notice" class:problem=is_problem>
                    <p>{text}</p>
                    {undo}
                    <Button kind=ButtonKind::Quiet on_press=move || notice.set(None)>"Dismiss"</Button>
                </div>
            }
        })
    };
    // A live region must exist before its text changes, or screen readers do not announce it.
    view! { <div class="notices" role="status">{shown}</div> }
}
