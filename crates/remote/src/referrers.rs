//! What refers to a manifest at another registry: by the referrers API (distribution-spec
//! end-12), else by the referrers tag that stands in for it. Referrers are extras: a registry that cannot or will
//! not list them lists none, and what cannot be read is told as a warning (semantics 37, 40, 41).

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::{ACCEPT, HeaderValue, LINK};
use http::{Method, StatusCode};
use longshore_oci::{Descriptor, Digest, NextPage, Reference, RemoteName, ScopeAction, Tag, media_type};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::answer::{address, markup, read_up_to, tidy};
use crate::text::lenient;
use crate::transport::Call;
use crate::{Allowance, Error, OverBudget, Registry};

/// The most bytes of one page.
const MAX_PAGE: usize = 4 * 1024 * 1024;
/// How many pages in a row may bring nothing new.
const MAX_FRUITLESS: u32 = 10;

/// The referrers of a manifest, as far as the registry lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referrers {
    /// Without duplicates.
    pub descriptors: Vec<Descriptor>,
    /// Why there may be more. None of these is a reason to fail.
    pub warnings: Vec<ReferrersWarning>,
}

/// Why referrers may be missing from a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferrersWarning {
    /// The registry refused, or answered what is no list.
    #[error("{0}")]
    Unreadable(String),
    /// Some entries are not valid descriptors.
    #[error("{} of the list cannot be read and {} passed over: {}", .0.entries(), .0.were(), .0)]
    Skipped(Skipped),
    /// The header that names the next page cannot be read.
    #[error("the Link to the next page of the list cannot be read: {0}")]
    UnreadableLink(String),
    /// The pages lead back to one that was there.
    #[error("the pages of the list go round in a circle")]
    Circle,
    /// A page has only entries that were there.
    #[error("the list repeats a page")]
    Repeated,
    /// It exceeds the budget.
    #[error("the list of referrers is not read to its end: {0}")]
    OverBudget(#[from] OverBudget),
}

/// Entries of a list that are not valid descriptors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    count: u64,
    /// The digests of the first few, as received.
    examples: Vec<String>,
}

impl Skipped {
    const EXAMPLES: usize = 5;

    fn add(&mut self, entry: &Value) {
        self.count += 1;
        if self.examples.len() < Self::EXAMPLES {
            let digest = entry.get("digest").and_then(Value::as_str);
            self.examples.push(digest.map_or_else(|| "one without a digest".to_owned(), tidy));
        }
    }

    fn entries(&self) -> String {
        if self.count == 1 { "1 entry".to_owned() } else { format!("{} entries", self.count) }
    }

    fn were(&self) -> &'static str {
        if self.count == 1 { "was" } else { "were" }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.examples.join(", "))?;
        match self.count - self.examples.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// In which ways a repository tells what refers to its manifests, as far as a run knows: nothing is asked for in vain.
#[derive(Debug, Default)]
pub struct ReferrersWays {
    /// How often the API was missing; [`ITS_THERE`] once it was not.
    missing: AtomicU32,
    /// The referrers tags that there are; none: it is not known which.
    tags: Option<HashSet<Tag>>,
}

/// The API counts as missing when so many answers in a row say so. A registry that has it must not answer 404
/// (distribution-spec), but some say it of a single manifest.
const MISSING: u32 = 3;
const ITS_THERE: u32 = u32::MAX;

impl ReferrersWays {
    /// Of a repository that listed its tags, all of them: a referrers tag that is not among these does not exist.
    pub fn listed<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Self {
        Self { missing: AtomicU32::default(), tags: Some(tags.into_iter().cloned().collect()) }
    }

    fn asks_api(&self) -> bool {
        !(MISSING..ITS_THERE).contains(&self.missing.load(Ordering::Relaxed))
    }

    fn asks_for(&self, tag: &Tag) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.contains(tag))
    }

    /// The API answered.
    fn note_there(&self) {
        self.missing.store(ITS_THERE, Ordering::Relaxed);
    }

    /// The API was refused. Who is not let in to one manifest may be let in to another; the rest says that there is
    /// no such address.
    fn note_refused(&self, error: &Error) {
        let no_address = [
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::NOT_IMPLEMENTED,
        ];
        if error.status().is_some_and(|status| no_address.contains(&status)) {
            let step = |seen: u32| (seen != ITS_THERE).then(|| (seen + 1).min(MISSING));
            // Where it was there once, nothing changes.
            let _ = self.missing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        }
    }
}

/// An index as far as it matters here; its entries are read one by one.
#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Value>>,
}

#[derive(Default)]
struct Gathered {
    referrers: Referrers,
    known: HashSet<Digest>,
    skipped: Skipped,
}

/// The contents of one page.
#[derive(Default)]
struct Brought {
    /// Referrers that earlier pages had.
    again: u64,
    /// New referrers.
    new: u64,
}

/// The response of the API.
enum ByApi {
    /// With a list, good or bad.
    Listed,
    /// There is no such API, or not for us.
    Missing(Option<ReferrersWarning>),
}

impl Registry {
    /// The descriptors of all that refers to `subject`, or of those with one artifact type, within what the run
    /// may still read. `ways` is one for the whole run, which is asked for nothing that it knows to be missing.
    ///
    /// # Errors
    /// Only where the registry as a whole is away: overloaded, or not reached.
    pub async fn referrers(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        artifact_type: Option<&str>,
        allowance: &Allowance,
        ways: &ReferrersWays,
    ) -> Result<Referrers, Error> {
        let mut gathered = Gathered::default();
        let by_api = match ways.asks_api() {
            true => {
                let ask =
                    self.referrers_by_api(repository, subject, artifact_type, allowance, &mut gathered, ways);
                ask.await?
            }
            false => ByApi::Missing(None),
        };
        if let ByApi::Missing(warning) = by_api {
            let found = match ways.asks_for(&Tag::referrers_of(subject)) {
                true => self.referrers_by_tag(repository, subject, allowance, &mut gathered).await?,
                false => false,
            };
            // A registry without the API answers in many ways; where the tag is there, nothing is missing.
            gathered.referrers.warnings.extend(warning.filter(|_| !found));
        }
        let mut referrers = gathered.finish();
        // Filtering is the registry's choice, so it is done again here.
        referrers
            .descriptors
            .retain(|d| artifact_type.is_none() || d.artifact_type.as_deref() == artifact_type);
        Ok(referrers)
    }

    async fn referrers_by_api(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        artifact_type: Option<&str>,
        allowance: &Allowance,
        gathered: &mut Gathered,
        ways: &ReferrersWays,
    ) -> Result<ByApi, Error> {
        let doing = format!("listing what refers to {} in {repository}", subject.short());
        let mut url = self.repository_url(repository, &format!("referrers/{subject}"));
        if let Some(wanted) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let (mut visited, mut fruitless) = (HashSet::new(), 0);
        loop {
            if let Err(over) = allowance.take_page() {
                gathered.warn(over.into());
                return Ok(ByApi::Listed);
            }
            let (brought, next) =
                match self.referrers_page(repository, subject, &url, &doing, allowance, gathered).await {
                    Ok(found) => {
                        ways.note_there();
                        found
                    }
                    Err(error) if self.is_away(&error) => return Err(error),
                    Err(error) if visited.is_empty() => {
                        // No such API (404 and its like), or not for everybody: Artifactory, Nexus and others say so
                        // with 400, 401, 403 or 405.
                        ways.note_refused(&error);
                        let ordinary = error.status().is_some_and(means_unsupported);
                        let warning = ReferrersWarning::Unreadable(error.to_string());
                        return Ok(ByApi::Missing((!ordinary).then_some(warning)));
                    }
                    Err(error) => {
                        gathered.warn(ReferrersWarning::Unreadable(error.to_string()));
                        return Ok(ByApi::Listed);
                    }
                };
            let target = match next {
                NextPage::None => return Ok(ByApi::Listed),
                NextPage::At(target) => target,
                NextPage::Unreadable(link) => {
                    gathered.warn(ReferrersWarning::UnreadableLink(tidy(&link)));
                    return Ok(ByApi::Listed);
                }
            };
            let Some(following) = self.next_page(&url, &target) else {
                gathered.warn(ReferrersWarning::UnreadableLink(tidy(&target)));
                return Ok(ByApi::Listed);
            };
            // A registry that names ever new pages would else be asked for thousands.
            fruitless = if brought.new == 0 { fruitless + 1 } else { 0 };
            if !visited.is_empty() && brought.new == 0 && brought.again > 0 {
                gathered.warn(ReferrersWarning::Repeated);
                return Ok(ByApi::Listed);
            }
            visited.insert(url);
            if visited.contains(&following) || fruitless > MAX_FRUITLESS {
                gathered.warn(ReferrersWarning::Circle);
                return Ok(ByApi::Listed);
            }
            url = following;
        }
    }

    /// One page of the API.
    async fn referrers_page(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        url: &Url,
        doing: &str,
        allowance: &Allowance,
        gathered: &mut Gathered,
    ) -> Result<(Brought, NextPage), Error> {
        let scopes = vec![self.scope(repository, &[ScopeAction::Pull])];
        let call = Call::new(Method::GET, url.clone(), scopes, doing.to_owned())
            .header(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let mut response = self.expect(call, &[StatusCode::OK]).await?;
        let (body, is_whole) =
            read_up_to(&mut response, self.host(), doing, MAX_PAGE.min(allowance.bytes_left())).await?;
        let links = response.headers().get_all(LINK).iter();
        let links: Vec<_> = links.map(address).collect();
        let counted = allowance.take_bytes(body.len() + links.iter().map(String::len).sum::<usize>());
        if !is_whole && body.len() == MAX_PAGE {
            return Err(self.bad_answer(doing, format!("a page of more than {MAX_PAGE} bytes")));
        }
        if !is_whole {
            gathered.warn(allowance.out_of_bytes().into());
            return Ok((Brought::default(), NextPage::None));
        }
        if let Some(markup) = markup(response.headers(), &body) {
            return Err(self.bad_answer(doing, markup.words()));
        }
        let index: Index = serde_json::from_str(&lenient(&body))
            .map_err(|_| self.bad_answer(doing, "no list of referrers"))?;
        let entries = index.manifests.ok_or_else(|| self.bad_answer(doing, "no list of referrers"))?;
        let within = counted.and_then(|()| gathered.take(entries, subject, allowance, |_| true));
        match within {
            Ok(brought) => Ok((brought, NextPage::of(links.iter().map(String::as_str)))),
            Err(over) => {
                gathered.warn(over.into());
                Ok((Brought::default(), NextPage::None))
            }
        }
    }

    /// The list under the tag that stands in for the API; `false` if there is none. What answers to that tag and
    /// is no list of referrers (the subject itself, any other image) belongs to somebody else.
    async fn referrers_by_tag(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        allowance: &Allowance,
        gathered: &mut Gathered,
    ) -> Result<bool, Error> {
        let tag = Reference::Tag(Tag::referrers_of(subject));
        let fetched = match self.get_manifest(repository, &tag).await {
            Ok(fetched) => fetched,
            Err(error) if self.is_away(&error) => return Err(error),
            Err(error) if error.status().is_some_and(means_unsupported) => return Ok(false),
            Err(error) => {
                gathered.warn(ReferrersWarning::Unreadable(error.to_string()));
                return Ok(true);
            }
        };
        if fetched.digest == *subject {
            return Ok(false);
        }
        let index = serde_json::from_slice::<Index>(&fetched.bytes).ok();
        let Some(entries) = index.and_then(|index| index.manifests) else { return Ok(false) };
        let within = allowance.take_bytes(fetched.bytes.len());
        let within =
            within.and_then(|()| gathered.take(entries, subject, allowance, |entry| !is_platform(entry)));
        if let Err(over) = within {
            gathered.warn(over.into());
        }
        Ok(true)
    }
}

/// Whether a status says that there is nothing of the kind, or nothing for us.
fn means_unsupported(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED
}

/// Whether an entry is one platform of an image, and no referrer: those have an artifact type and no platform.
fn is_platform(entry: &Descriptor) -> bool {
    entry.platform.is_some() && entry.artifact_type.is_none()
}

impl Gathered {
    fn warn(&mut self, warning: ReferrersWarning) {
        self.referrers.warnings.push(warning);
    }

    fn take(
        &mut self,
        entries: Vec<Value>,
        subject: &Digest,
        allowance: &Allowance,
        is_referrer: impl Fn(&Descriptor) -> bool,
    ) -> Result<Brought, OverBudget> {
        let mut brought = Brought::default();
        for entry in entries {
            allowance.take_entry()?;
            match Descriptor::deserialize(&entry) {
                Ok(found) if found.digest == *subject || !is_referrer(&found) => {}
                Ok(found) => {
                    if self.known.insert(found.digest.clone()) {
                        self.referrers.descriptors.push(found);
                        brought.new += 1;
                    } else {
                        brought.again += 1;
                    }
                }
                Err(_) => self.skipped.add(&entry),
            }
        }
        Ok(brought)
    }

    fn finish(mut self) -> Referrers {
        if self.skipped.count > 0 {
            self.referrers.warnings.push(ReferrersWarning::Skipped(self.skipped));
        }
        self.referrers
    }
}
