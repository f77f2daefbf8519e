//! The list of tags, followed to its end (distribution-spec end-8), however a registry pages it.

mod page;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use http::header::LINK;
use http::{Method, StatusCode};
use longshore_oci::{NextPage, RemoteName, ScopeAction, Tag};
use url::Url;

use crate::answer::{address, markup, read_up_to, tidy};
use crate::transport::Call;
use crate::{Allowance, Budget, Error, OverBudget, Registry};

use page::{Brought, Collector};

/// How many pages in a row may bring nothing new where a `Link` leads on: some registries filter their pages.
const MAX_FRUITLESS: u32 = 10;

/// As many names as registries give at once that refuse to give more.
const MODEST_PAGE: u32 = 100;

/// How often pages after the first are asked for again in one listing where the registry failed,
const RETRIES: u32 = 2;
/// and how long is waited before.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The tags of a repository, as far as the registry lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Without duplicates, in the registry's order.
    pub tags: Vec<Tag>,
    /// Why these may not be all. What is listed may be brought in all the same, but nothing may be
    /// removed or taken for a baseline on the strength of such a listing (semantics 21, 38).
    pub incomplete: Option<Incomplete>,
    /// Names that are not valid tags; they were skipped.
    pub odd_names: OddNames,
}

/// Why a listing may be incomplete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// The pages lead back to one that was there.
    #[error("its pages go round in a circle")]
    Circle,
    /// A page has only names that were there.
    #[error("it repeats a page")]
    Repeated,
    /// The header that names the next page.
    #[error("the Link to its next page cannot be read: {0}")]
    UnreadableLink(String),
    /// A page after the first failed, for a reason that will not pass.
    #[error("a further page failed: {0}")]
    PageFailed(String),
    /// It exceeds the budget.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

/// Listed names that are not valid tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddNames {
    /// How many there are, each name once.
    pub count: u64,
    /// The first few, fit for a message.
    pub examples: Vec<String>,
}

impl OddNames {
    /// The most examples that are kept.
    pub const EXAMPLES: usize = 5;
}

impl fmt::Display for OddNames {
    /// `2 names that are not valid tags: "a+b", "c d"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str("1 name that is no tag")?,
            many => write!(f, "{many} names that are not valid tags")?,
        }
        for (at, example) in self.examples.iter().enumerate() {
            write!(f, "{} {example:?}", if at == 0 { ":" } else { "," })?;
        }
        match self.count - self.examples.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Listing {
    /// Whether all tags were listed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_none()
    }
}

/// What comes after a page.
enum Step {
    End,
    Stop(Incomplete),
    Next(Url),
}

/// The first page of a listing.
struct FirstPage {
    url: Url,
    /// What it was asked for; `None` where the registry takes no `n`.
    size: Option<u32>,
    brought: Brought,
    next: NextPage,
}

/// The state of a listing.
struct Walk {
    /// Names that are asked for on a page; `None` leaves it to the registry.
    page_size: Option<u32>,
    visited: HashSet<Url>,
    /// Whether a `Link` has led on: then the registry names every page itself, and one without `Link` is the last.
    linked: bool,
    /// Names on the page before, if this one was asked for without a `Link`.
    probed_after: Option<u64>,
    fruitless: u32,
    retries: u32,
}

impl Registry {
    /// Lists the tags, `page_size` at a time, within the endpoint's budget. The first page must be readable,
    /// and a registry that is away (overloaded, not reached) is an error on every page; anything else that is
    /// wrong further on makes the listing incomplete.
    pub async fn list_tags(&self, repository: &RemoteName, page_size: u32) -> Result<Listing, Error> {
        self.list_tags_within(repository, page_size, self.endpoint().budget).await
    }

    /// The same within a budget of one's own, for a sample. Costs no more memory than the budget has bytes,
    /// and stops reading in mid-page.
    pub async fn list_tags_within(
        &self,
        repository: &RemoteName,
        page_size: u32,
        budget: Budget,
    ) -> Result<Listing, Error> {
        let doing = format!("listing the tags of {repository}");
        let allowance = Allowance::from(budget);
        let mut collector = Collector::new(&allowance);
        let FirstPage { url, size, brought, next } =
            self.first_page(repository, page_size, &doing, &mut collector, &allowance).await?;
        let mut walk = Walk::new(size);
        let mut step = self.after(&mut walk, url, brought, next);
        let incomplete = loop {
            let url = match step {
                Step::End => break None,
                Step::Stop(why) => break Some(why),
                Step::Next(url) => url,
            };
            if let Err(over) = allowance.take_page() {
                break Some(over.into());
            }
            step = match self.page(repository, &url, &doing, &mut collector, &allowance).await {
                Ok((brought, next)) => self.after(&mut walk, url, brought, next),
                Err(error) if self.is_away(&error) => return Err(error),
                Err(error) if error.is_transient() && walk.may_retry() => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    Step::Next(url)
                }
                Err(error) if walk.asked_too_much(&error) => Step::End,
                Err(error) => match walk.detour(&url, &self.page_url(repository, None), &error) {
                    Some(own) => Step::Next(own),
                    None => Step::Stop(Incomplete::PageFailed(error.to_string())),
                },
            };
        };
        Ok(Listing { tags: collector.tags, incomplete, odd_names: collector.odd_names })
    }

    /// Whether any tag is listed, by the beginning of one page.
    pub(crate) async fn has_tags(&self, repository: &RemoteName) -> Result<bool, Error> {
        let doing = format!("listing the tags of {repository}");
        let allowance = Allowance::from(Budget { bytes: 64 * 1024, entries: 1, pages: 1 });
        let mut collector = Collector::new(&allowance);
        let first = self.first_page(repository, 1, &doing, &mut collector, &allowance).await?;
        Ok(first.brought.names > 0)
    }

    /// Asks for the first page. Some registries refuse an `n` beyond 100, and some any `n` (400): they are asked
    /// again for less, and what they take is remembered.
    async fn first_page(
        &self,
        repository: &RemoteName,
        page_size: u32,
        doing: &str,
        collector: &mut Collector<'_>,
        allowance: &Allowance,
    ) -> Result<FirstPage, Error> {
        let mut size = self.learned().page_size(page_size);
        loop {
            let url = self.page_url(repository, size);
            // The first page is always read.
            let _ = allowance.take_page();
            match self.page(repository, &url, doing, collector, allowance).await {
                Ok((brought, next)) => {
                    self.learned().note_page_size(page_size, size);
                    return Ok(FirstPage { url, size, brought, next });
                }
                Err(error) if error.status() == Some(StatusCode::BAD_REQUEST) && size.is_some() => {
                    size = smaller(size);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn page_url(&self, repository: &RemoteName, size: Option<u32>) -> Url {
        let mut url = self.repository_url(repository, "tags/list");
        if let Some(size) = size {
            url.query_pairs_mut().append_pair("n", &size.to_string());
        }
        url
    }

    async fn page(
        &self,
        repository: &RemoteName,
        url: &Url,
        doing: &str,
        collector: &mut Collector<'_>,
        allowance: &Allowance,
    ) -> Result<(Brought, NextPage), Error> {
        let scopes = vec![self.scope(repository, &[ScopeAction::Pull])];
        let call = Call::new(Method::GET, url.clone(), scopes, doing.to_owned());
        let mut response = self.expect(call, &[StatusCode::OK]).await?;
        let most = allowance.bytes_left();
        let (body, is_whole) = read_up_to(&mut response, self.host(), doing, most).await?;
        let links: Vec<String> = response.headers().get_all(LINK).iter().map(address).collect();
        // Addresses of pages are kept, too. Where nothing is left, the next page is cut off at once.
        let _ = allowance.take_bytes(body.len() + links.iter().map(String::len).sum::<usize>());
        if let Some(markup) = markup(response.headers(), &body) {
            return Err(self.bad_answer(doing, markup.words()));
        }
        let brought = collector.read(&body, is_whole);
        let brought = brought.map_err(|_| self.bad_answer(doing, "no list of tags"))?;
        Ok((brought, NextPage::of(links.iter().map(String::as_str))))
    }

    /// Decides how a listing goes on after a page.
    fn after(&self, walk: &mut Walk, url: Url, brought: Brought, next: NextPage) -> Step {
        let probed_after = walk.probed_after.take();
        let longest = self.learned().longest_page();
        self.learned().note_page(brought.names);
        if let Some(over) = brought.over_budget {
            return Step::Stop(over.into());
        }
        walk.fruitless = if brought.new == 0 { walk.fruitless + 1 } else { 0 };
        let current = url.clone();
        walk.visited.insert(url);
        match next {
            NextPage::Unreadable(link) => Step::Stop(Incomplete::UnreadableLink(tidy(&link))),
            NextPage::At(_) if walk.linked && brought.new == 0 && brought.names > 0 => {
                Step::Stop(Incomplete::Repeated)
            }
            NextPage::At(target) => match self.next_page(&current, &target) {
                None => Step::Stop(Incomplete::UnreadableLink(tidy(&target))),
                Some(next) if walk.visited.contains(&next) || walk.fruitless > MAX_FRUITLESS => {
                    Step::Stop(Incomplete::Circle)
                }
                Some(next) => {
                    walk.linked = true;
                    Step::Next(next)
                }
            },
            NextPage::None if walk.linked => Step::End,
            NextPage::None => {
                let Some(last) = brought.last else { return Step::End };
                if brought.new == 0 {
                    // A page again that was there: what was asked for was ignored. One name again is only a
                    // `last` that is taken as "from here on".
                    if probed_after.is_some_and(|before| brought.names >= before.max(2)) {
                        self.learned().note_ignores_last();
                    }
                    return Step::End;
                }
                // Longer pages were seen here, or more came than was asked for: this one was not cut.
                let most = walk.most();
                let may_go_on = brought.names >= longest.min(most) && brought.names <= most;
                if !may_go_on || self.learned().ignores_last() {
                    return Step::End;
                }
                walk.probed_after = Some(brought.names);
                Step::Next(walk.page_after(current, &last))
            }
        }
    }
}

/// What is asked for where the registry refused to give so many names at once.
fn smaller(size: Option<u32>) -> Option<u32> {
    size.filter(|size| *size > MODEST_PAGE).map(|_| MODEST_PAGE)
}

impl Walk {
    fn new(page_size: Option<u32>) -> Self {
        let visited = HashSet::new();
        Self { page_size, visited, linked: false, probed_after: None, fruitless: 0, retries: 0 }
    }

    /// The most names that a page has that was cut.
    fn most(&self) -> u64 {
        self.page_size.map_or(u64::MAX, u64::from)
    }

    /// The address of the names after one, asked for without a `Link`.
    fn page_after(&self, mut url: Url, last: &str) -> Url {
        {
            let mut query = url.query_pairs_mut();
            query.clear();
            if let Some(size) = self.page_size {
                query.append_pair("n", &size.to_string());
            }
            query.append_pair("last", last);
        }
        url
    }

    /// Whether a page that failed is asked for again.
    fn may_retry(&mut self) -> bool {
        self.retries += 1;
        self.retries <= RETRIES
    }

    /// Where a page may be that the registry refuses at the address which it gave. Behind a proxy it may not know its
    /// own paths (Artifactory leaves out the name of a virtual repository, Nexus puts `/repository/name` in front);
    /// the query is right all the same.
    fn detour(&self, refused: &Url, own: &Url, error: &Error) -> Option<Url> {
        let is_refusal =
            !error.is_transient() && error.status().is_some_and(|status| status.is_client_error());
        let mut detour = own.clone();
        detour.set_query(refused.query());
        (is_refusal && refused.path() != own.path() && !self.visited.contains(&detour)).then_some(detour)
    }

    /// Whether a page that failed was Longshore's own idea, and asking for it the mistake: the registry does not
    /// know `last`, or not this one. Nothing is missing for that, unless a full page went before and the registry
    /// did not refuse but failed.
    fn asked_too_much(&self, error: &Error) -> bool {
        let refused = !error.is_transient() && error.status().is_some_and(|status| status.is_client_error());
        self.probed_after.is_some_and(|names| refused || names != self.most())
    }
}
