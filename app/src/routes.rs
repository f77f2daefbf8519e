//! Pages as they declare themselves, and the route table that is made of what they declare.
//!
//! Each page is a constant beside its component. Its parent lists it: `pages/mod.rs` the pages of the site, a
//! repository's frame its tabs, a list the dialogs over it. Nothing else has to know that it exists.

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

/// What a page shows where it has its `Outlet`, by the rest of the address.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    /// Nothing at the address of the page itself, one of these at the addresses below it.
    Dialogs(&'static [Route]),
    /// One of these; the page has no address without them.
    Pages(fn() -> Vec<Route>),
}

impl Route {
    /// A page at an address below that of its parent. A segment of the address that begins with `:` stands for any
    /// text, which the page finds among its parameters.
    pub(crate) const fn new(path: &'static str, view: fn() -> AnyView) -> Self {
        Self { path, view, inside: Inside::Nothing }
    }

    /// The same page with dialogs over it.
    pub(crate) const fn with_dialogs(self, dialogs: &'static [Self]) -> Self {
        Self { inside: Inside::Dialogs(dialogs), ..self }
    }

    /// The same page as a frame around others.
    pub(crate) const fn around(self, pages: fn() -> Vec<Self>) -> Self {
        Self { inside: Inside::Pages(pages), ..self }
    }

    /// The address below that of its parent.
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

    /// All addresses that lead to the page or to something inside of it, below that of its parent.
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

/// A part of the site that the rail leads to.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    /// What the rail and the page call it.
    pub(crate) label: &'static str,
    /// Who can use it.
    pub(crate) reader: Reader,
    /// The key that leads there after `g`.
    pub(crate) key: Option<&'static str>,
    /// Where the rail leads.
    pub(crate) page: Route,
    /// Its other pages.
    pub(crate) more: &'static [Route],
}

impl Section {
    /// All its pages.
    pub(crate) fn pages(&self) -> impl Iterator<Item = Route> + use<> {
        std::iter::once(self.page).chain(self.more.iter().copied())
    }
}

/// Who can use a part of the site. Here it decides what is offered; the server decides what is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    Anybody,
    User,
    Administrator,
}

impl Reader {
    /// What somebody can use.
    pub(crate) fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Anonymous => Self::Anybody,
            Actor::User(user) if user.is_admin => Self::Administrator,
            Actor::User(_) => Self::User,
        }
    }
}

/// An address as it is declared, such as `tags/:tag`, for the router. All have the same type, other than those that the
/// router's macro makes.
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
