//! Pages declare themselves, and the route table is built from their declarations.
//!
//! Each page is a constant beside its component and is listed by its parent: the site's pages in `pages/mod.rs`, tabs
//! in the repository's frame, dialogs in the list they open over. Nothing else needs to know that it exists.

use leptos::{prelude::*, tachys::view::iterators::StaticVec};
use leptos_router::{
    NestedRoute, ParamSegment, PartialPathMatch, PathSegment, PossibleRouteMatch, StaticSegment,
    any_nested_route::{AnyNestedRoute, IntoAnyNestedRoute},
};
use longshore_model::Actor;

/// Something with an address: a page, a tab or a dialog.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    path: &'static str,
    view: fn() -> AnyView,
    inside: Inside,
}

/// What a page renders in its `Outlet`, depending on the rest of the address.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    /// Nothing at the page's own address, and one of these below it.
    Dialogs(&'static [Route]),
    /// One of these; the page has no address of its own.
    Pages(fn() -> Vec<Route>),
}

impl Route {
    /// A page at an address below that of its parent. A segment that begins with `:` matches any text, which becomes a
    /// parameter.
    pub(crate) const fn new(path: &'static str, view: fn() -> AnyView) -> Self {
        Self { path, view, inside: Inside::Nothing }
    }

    /// Adds dialogs over the page.
    pub(crate) const fn with_dialogs(self, dialogs: &'static [Self]) -> Self {
        Self { inside: Inside::Dialogs(dialogs), ..self }
    }

    /// Makes the page a frame around others.
    pub(crate) const fn around(self, pages: fn() -> Vec<Self>) -> Self {
        Self { inside: Inside::Pages(pages), ..self }
    }

    /// The address below the parent's.
    pub(crate) const fn path(&self) -> &'static str {
        self.path
    }

    fn inside(&self) -> Vec<Self> {
        const BARE: Route = Route::new("", || ().into_any());
        match self.inside {
            Inside::Nothing => Vec::new(),
            Inside::Dialogs(dialogs) => std::iter::once(&BARE).chain(dialogs).copied().collect(),
            Inside::Pages(pages) => pages(),
        }
    }

    fn route(&self) -> AnyNestedRoute {
        let route = NestedRoute::new(Pattern(self.path), self.view);
        match self.inside().as_slice() {
            [] => route.into_any_nested_route(),
            inside => route.child(routes(inside)).into_any_nested_route(),
        }
    }

    /// All addresses of the page and its children, below the parent's.
    pub(crate) fn addresses(&self, parent: &str) -> Vec<String> {
        let here = match (parent, self.path) {
            ("", path) => path.to_owned(),
            (parent, "") => parent.to_owned(),
            (parent, path) => format!("{parent}/{path}"),
        };
        match self.inside().as_slice() {
            [] => vec![here],
            inside => inside.iter().flat_map(|page| page.addresses(&here)).collect(),
        }
    }
}

/// The routes to pages.
pub(crate) fn routes(pages: &[Route]) -> StaticVec<AnyNestedRoute> {
    pages.iter().map(Route::route).collect::<Vec<_>>().into()
}

/// A section of the site with a link in the navigation.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// Its name in the navigation and on the page.
    pub(crate) label: &'static str,
    /// The users it is offered to.
    pub(crate) reader: Reader,
    /// The key that leads there after `g`.
    pub(crate) key: Option<&'static str>,
    /// The page that the navigation links to.
    pub(crate) page: Route,
    pub(crate) more: &'static [Route],
}

impl Section {
    pub(crate) fn pages(&self) -> impl Iterator<Item = Route> + use<> {
        std::iter::once(self.page).chain(self.more.iter().copied())
    }
}

/// The users that a section is offered to. The server still checks access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    Anybody,
    User,
    Administrator,
}

impl Reader {
    /// The kind of user for an actor.
    pub(crate) fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Anonymous => Self::Anybody,
            Actor::User(user) if user.is_admin => Self::Administrator,
            Actor::User(_) => Self::User,
        }
    }
}

/// A declared address, such as `tags/:tag`, for the router. Unlike the router's macro, all addresses share one type.
#[derive(Clone, Copy, Debug)]
struct Pattern(&'static str);

impl Pattern {
    fn segments(self) -> impl Iterator<Item = &'static str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

impl PossibleRouteMatch for Pattern {
    fn optional(&self) -> bool {
        false
    }

    fn test<'path>(&self, path: &'path str) -> Option<PartialPathMatch<'path>> {
        let (mut rest, mut parameters) = (path, Vec::new());
        for segment in self.segments() {
            let found = match segment.strip_prefix(':') {
                Some(name) => ParamSegment(name).test(rest)?,
                None => StaticSegment(segment).test(rest)?,
            };
            rest = found.remaining();
            parameters.extend(found.params());
        }
        let (matched, rest) = path.split_at(path.len() - rest.len());
        Some(PartialPathMatch::new(rest, parameters, matched))
    }

    fn generate_path(&self, path: &mut Vec<PathSegment>) {
        for segment in self.segments() {
            match segment.strip_prefix(':') {
                Some(name) => ParamSegment(name).generate_path(path),
                None => StaticSegment(segment).generate_path(path),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Route = Route::new("/lists/:name", || ().into_any()).with_dialogs(&[NEW]);
    const NEW: Route = Route::new("new", || ().into_any());
    const FRAME: Route = Route::new("/frame", || ().into_any()).around(|| vec![LIST_INSIDE, NEW]);
    const LIST_INSIDE: Route = Route::new("", || ().into_any());

    #[test]
    fn a_page_has_an_address_and_so_has_each_dialog_over_it() {
        assert_eq!(LIST.addresses(""), ["/lists/:name", "/lists/:name/new"]);
        assert_eq!(FRAME.addresses(""), ["/frame", "/frame/new"]);
    }

    #[test]
    fn a_pattern_takes_whole_segments_and_leaves_the_rest() {
        let test = |pattern, path| {
            let found = Pattern(pattern).test(path)?;
            let (matched, rest) = (found.matched().to_owned(), found.remaining().to_owned());
            Some((matched, rest, found.params().into_iter().map(|(_, value)| value).collect::<Vec<_>>()))
        };
        let of = |matched: &str, rest: &str, parameters: &[&str]| {
            Some((
                matched.to_owned(),
                rest.to_owned(),
                parameters.iter().map(|&value| value.to_owned()).collect::<Vec<_>>(),
            ))
        };
        assert_eq!(test("/jobs", "/jobs"), of("/jobs", "", &[]));
        assert_eq!(test("/jobs", "/jobs/7"), of("/jobs", "/7", &[]));
        assert_eq!(test("/jobs", "/jobsite"), None);
        assert_eq!(test("/jobs/:id", "/jobs"), None);
        assert_eq!(test("/jobs/:id", "/jobs/a%2Fb"), of("/jobs/a%2Fb", "", &["a%2Fb"]));
        assert_eq!(test(":id/edit", "/7/edit"), of("/7/edit", "", &["7"]));
        assert_eq!(test("", "/7"), of("", "/7", &[]));
        assert_eq!(test("/", "/"), of("", "/", &[]));
    }
}
