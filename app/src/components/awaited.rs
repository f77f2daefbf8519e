//! The one place where a page waits for a resource.
//!
//! What is shown stays while its successor is on its way, and people click on it meanwhile. So it must
//! own all that it made: signals, actions, resources, titles. In a bare `Suspend` these belong to the
//! closure around it, which drops them as soon as it begins to wait again; a click on what is still
//! shown then panics, and a panic in the browser ends the whole page. A resource, too, may be gone
//! with its page before the future that waits for it is asked for the first time.

use leptos::{
    prelude::*,
    suspense::Transition,
    tachys::reactive_graph::{OwnedView, Suspend},
};

/// Shows what a resource brings, with the former content in place, and alive, while it is brought anew.
#[component]
pub fn Awaited<R, V, F>(
    /// What is awaited: a resource, or two. Blocking ones, where the page's status or a redirect depends on it.
    resource: R,
    /// What is shown before anything has come; nothing where it is not given.
    #[prop(optional, into)]
    fallback: ViewFnOnce,
    /// What is made of it.
    children: F,
) -> impl IntoView
where
    R: Awaitable,
    V: IntoView + 'static,
    F: Fn(R::Output) -> V + Clone + Send + Sync + 'static,
{
    assert_outside();
    let resource = resource.keep();
    view! {
        <Transition fallback=fallback>
            {
                let around = Owner::current().unwrap_or_default();
                #[expect(clippy::disallowed_methods, reason = "this is what everything else uses instead")]
                move || {
                    let (around, children) = (around.clone(), children.clone());
                    let arriving = R::arrival(&resource);
                    Suspend::new(async move {
                        let value = arriving.await;
                        // It lives until its view is replaced or removed.
                        let own = around.child();
                        let view = own.with(|| {
                            provide_context(Inside);
                            children(value).into_any()
                        });
                        OwnedView::new_with_owner(view, own)
                    })
                }
            }
        </Transition>
    }
}

/// Marks what is inside of an [`Awaited`].
#[derive(Clone, Copy)]
struct Inside;

/// Fails inside of another `Awaited`, whose contents must be numbered in the order of the page.
///
/// The server numbers what is inside when it arrives, which is after all that follows on the page; the browser,
/// which has it at once, before. The browser would then look for resources under the wrong numbers, and could not
/// take the page over. What two resources bring together is awaited together instead.
fn assert_outside() {
    #[cfg(feature = "ssr")]
    debug_assert!(use_context::<Inside>().is_none(), "an `Awaited` or `Loaded` inside of another one");
}

/// What can be awaited: a resource, two that are shown together, or nothing.
pub trait Awaitable {
    /// The same, held by itself and not by the page's arena.
    type Kept: Send + Sync + 'static;
    /// What it brings.
    type Output: Send + 'static;

    /// Takes it out of the arena. Called while the page is there.
    fn keep(self) -> Self::Kept;

    /// The arrival of what it brings; it needs nothing of the page.
    fn arrival(kept: &Self::Kept) -> impl Future<Output = Self::Output> + Send + 'static;
}

impl<T: Clone + Send + Sync + 'static> Awaitable for Resource<T> {
    type Kept = ArcResource<T>;
    type Output = T;

    fn keep(self) -> ArcResource<T> {
        self.into()
    }

    fn arrival(kept: &ArcResource<T>) -> impl Future<Output = T> + Send + 'static {
        kept.clone().into_future()
    }
}

/// Nothing; it is there at once.
impl Awaitable for () {
    type Kept = ();
    type Output = ();

    fn keep(self) {}

    fn arrival((): &()) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }
}

impl<A: Awaitable, B: Awaitable> Awaitable for (A, B) {
    type Kept = (A::Kept, B::Kept);
    type Output = (A::Output, B::Output);

    fn keep(self) -> Self::Kept {
        (self.0.keep(), self.1.keep())
    }

    fn arrival(kept: &Self::Kept) -> impl Future<Output = Self::Output> + Send + 'static {
        futures::future::join(A::arrival(&kept.0), B::arrival(&kept.1))
    }
}
