//! Isolates requests from each other while their pages are rendered.
//!
//! Leptos finds the values of a page through two thread-local variables, the current owner and the current arena. It
//! sets them around most of its work, but not around all: the title is read, and the end of a page is rendered, with
//! whatever the thread was left with, which under load is another request's page. So every poll of a request's future
//! starts inside the request's own owner and leaves none behind: reads outside an owner find nothing, never the values
//! of another request.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use leptos::prelude::Owner;
use leptos::reactive::owner::WeakOwner;

/// The owner of one request, once Leptos has created it.
#[derive(Clone, Default)]
pub(super) struct Home(Arc<OnceLock<WeakOwner>>);

impl Home {
    /// Makes the current owner that of the request. Must be called first in the request's context.
    pub(super) fn settle(&self) {
        if let Some(owner) = Owner::current() {
            // A request has one context, so this happens once.
            let _ = self.0.set(owner.downgrade());
        }
    }

    /// Runs the work of a request, with each poll inside its owner.
    pub(super) async fn alone<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            vacate();
            let _left = Left;
            match self.0.get().and_then(WeakOwner::upgrade) {
                Some(owner) => owner.with(|| work.as_mut().poll(context)),
                // The first poll, which creates the owner.
                None => work.as_mut().poll(context),
            }
        })
        .await
    }
}

/// Leaves the thread without owner and arena, even if a poll panics.
struct Left;

impl Drop for Left {
    fn drop(&mut self) {
        vacate();
    }
}

/// Sets an owner that is dropped immediately: the thread keeps only weak references.
fn vacate() {
    drop(Owner::new_root(None));
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Poll, Waker};

    use leptos::prelude::{GetUntracked, RwSignal, provide_context, use_context};

    use super::*;

    /// A page: it creates its owner, and reads its values again in each later poll, as titles do.
    async fn page(home: Home, name: &'static str) -> (Option<&'static str>, &'static str) {
        let owner = Owner::new_root(None);
        let signal = owner.with(|| {
            home.settle();
            provide_context(name);
            RwSignal::new(name)
        });
        yield_once().await;
        let seen = (use_context::<&'static str>(), signal.get_untracked());
        drop(owner);
        seen
    }

    async fn yield_once() {
        let mut yielded = false;
        poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    #[test]
    fn pages_that_take_turns_on_one_thread_read_their_own_values() {
        let homes = [Home::default(), Home::default()];
        let [one, other] = &homes;
        let mut one = pin!(one.alone(page(one.clone(), "mine")));
        let mut other = pin!(other.alone(page(other.clone(), "theirs")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(other.as_mut().poll(&mut context).is_pending());
        assert_eq!(one.as_mut().poll(&mut context), Poll::Ready((Some("mine"), "mine")));
        assert_eq!(other.as_mut().poll(&mut context), Poll::Ready((Some("theirs"), "theirs")));
    }

    #[test]
    fn a_request_leaves_nothing_on_the_thread_even_if_it_panics() {
        let mut context = Context::from_waker(Waker::noop());
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let home = Home::default();
            let work = async {
                let owner = Owner::new_root(None);
                owner.with(|| provide_context("mine"));
                owner.set();
                // Something else keeps it alive beyond the request.
                std::mem::forget(owner);
                panic!("a page that cannot be rendered")
            };
            let _: Poll<()> = pin!(home.alone(work)).poll(&mut context);
        }));
        assert!(broken.is_err());
        assert!(Owner::current().is_none());
        assert_eq!(use_context::<&'static str>(), None);
        // The next request starts with nothing either.
        assert!(pin!(Home::default().alone(ready(()))).poll(&mut context).is_ready());
    }
}
