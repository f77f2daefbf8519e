//! The list of tags, followed to its end (distribution-spec end-8).

use std::collections::{BTreeSet, HashSet};

use http::header::{HeaderMap, LINK};
use http::{Method, StatusCode};
use longshore_oci::{Action, Link, RemoteName, Tag};
use serde::Deserialize;
use url::Url;

use crate::answer::{is_html, read_body};
use crate::transport::Call;
use crate::{Error, Registry};

/// The largest page, in bytes: some registries do not page at all.
const MAX_PAGE: usize = 64 * 1024 * 1024;
/// The most pages, for registries that never end.
const MAX_PAGES: usize = 20_000;

/// All tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Each once, in the registry's order.
    pub tags: Vec<Tag>,
    /// Whether these are all. Nothing may be removed on the strength of a listing that is not
    /// complete (semantics 21).
    pub complete: bool,
    /// Why it is not complete.
    pub incomplete_because: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Lists the tags, `page_size` at a time. A page that was there before, or a name that is no
    /// tag, makes the listing incomplete; an error of any page is an error of the whole.
    pub async fn list_tags(&self, repository: &RemoteName, page_size: u32) -> Result<Listing, Error> {
        let doing = format!("listing the tags of {repository}");
        let mut next = Some(self.first_page(repository, page_size));
        let mut visited = HashSet::new();
        let mut known = BTreeSet::new();
        let mut listing = Listing { tags: Vec::new(), complete: true, incomplete_because: None };
        while let Some(url) = next.take() {
            if !visited.insert(url.clone()) || visited.len() > MAX_PAGES {
                listing.stop("the registry's pages go round in a circle".into());
                break;
            }
            let (names, link) = self.page(repository, url, &doing).await?;
            let (before, given) = (known.len(), names.len());
            for name in names {
                match name.parse::<Tag>() {
                    Ok(tag) => {
                        if known.insert(tag.clone()) {
                            listing.tags.push(tag);
                        }
                    }
                    Err(error) => listing.stop(format!("the registry lists a name that is no tag: {error}")),
                }
            }
            if known.len() == before && given > 0 && visited.len() > 1 {
                listing.stop("the registry repeats a page".into());
                break;
            }
            next = link;
        }
        Ok(listing)
    }

    /// Whether tags can be listed, by one page with one tag.
    pub(crate) async fn first_tag(&self, repository: &RemoteName) -> Result<Option<String>, Error> {
        let doing = format!("listing the tags of {repository}");
        let (names, _) = self.page(repository, self.first_page(repository, 1), &doing).await?;
        Ok(names.into_iter().next())
    }

    fn first_page(&self, repository: &RemoteName, page_size: u32) -> Url {
        let mut url = self.repository_url(repository, "tags/list");
        url.query_pairs_mut().append_pair("n", &page_size.to_string());
        url
    }

    async fn page(
        &self,
        repository: &RemoteName,
        url: Url,
        doing: &str,
    ) -> Result<(Vec<String>, Option<Url>), Error> {
        let scopes = vec![self.scope(repository, &[Action::Pull])];
        let call = Call::new(Method::GET, url.clone(), scopes, doing.to_owned());
        let mut response = self.expect(call, &[StatusCode::OK]).await?;
        let body = read_body(&mut response, self.host(), doing, MAX_PAGE).await?;
        if is_html(response.headers(), &body) {
            return Err(self.bad_answer(doing, "a web page"));
        }
        let page: Page =
            serde_json::from_slice(&body).map_err(|_| self.bad_answer(doing, "no list of tags"))?;
        let next = match next_link(response.headers()) {
            None => None,
            Some(target) => Some(self.next_page(&url, &target, doing)?),
        };
        Ok((page.tags.unwrap_or_default(), next))
    }

    /// The next page's address; it must be at the registry itself.
    pub(crate) fn next_page(&self, current: &Url, target: &str, doing: &str) -> Result<Url, Error> {
        let url =
            current.join(target).map_err(|_| self.bad_answer(doing, "a next page that is no address"))?;
        let url = self.own_address(url);
        if crate::transport::same_origin(&url, current) {
            Ok(url)
        } else {
            Err(self.bad_answer(doing, "a next page at another host"))
        }
    }
}

impl Listing {
    /// Notes the first reason why the listing is not complete.
    fn stop(&mut self, reason: String) {
        self.complete = false;
        self.incomplete_because.get_or_insert(reason);
    }
}

pub(crate) fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().find_map(|value| Link::next_of(value.to_str().ok()?))
}
