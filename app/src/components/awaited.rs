//! The only place where a page waits for a resource.
//!
//! The current view stays on screen while its successor loads, and people click on it meanwhile, so it must own
//! everything it created: signals, actions, resources, titles. In a bare `Suspend` these belong to the surrounding
//! closure, which drops them as soon as it waits again; a click on the view still shown then panics, and a panic in the
//! browser kills the whole page. A resource, too, may be dropped with its page before the future that waits for it is
//! first polled.

use leptos::{
    prelude::*,
    suspense::Transition,
    tachys::reactive_graph::{OwnedView, Suspend},
};

/// Renders the value of a resource. While it reloads, the previous view stays on screen and alive.
#[component]
pub fn Awaited<R, V, F>(
    /// One resource or two. They must be blocking if the page's status or a redirect depends on them.
    resource: R,
    /// Shown until the first value arrives; empty by default.
    #[prop(optional, into)]
    fallback: ViewFnOnce,
    /// Renders the value.
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

/// Marks the contents of an [`Awaited`].
#[derive(Clone, Copy)]
struct Inside;

/// Panics in debug builds if called inside another `Awaited`, whose contents must be numbered in page order.
///
/// The server numbers the contents when they arrive, after everything that follows on the page; the browser, which has
/// them at once, numbers them first. It would then look up resources under the wrong numbers and hydration would fail.
/// Await two resources together instead of nesting.
fn assert_outside() {
    #[cfg(feature = "ssr")]
    debug_assert!(use_context::<Inside>().is_none(), "an `Awaited` or `Loaded` inside of another one");
}

/// Something that can be awaited: one resource, two shown together, or `()`.
pub trait Awaitable {
    /// The same value, owned by itself rather than by the page's arena.
    type Kept: Send + Sync + 'static;
    type Output: Send + 'static;

    /// Takes it out of the arena. Must be called while the page exists.
    fn keep(self) -> Self::Kept;

    /// Resolves to the value; needs nothing of the page.
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

/// Ready at once.
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
