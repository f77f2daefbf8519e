//! Lists: tags, referrers, and the catalog of repositories (end-8, end-12, and `_catalog`).

use crate::dispatch::json;
use crate::error::Failure;
use crate::gate::Asking;
use crate::headers::{self, FILTERS_APPLIED};
use crate::query::Query;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use longshore_metadata::manifests::ReferrersPage;
use longshore_metadata::repositories;
use longshore_oci::{Digest, ErrorCode, Link, RepositoryName, media_type};
use serde_json::json;
use url::form_urlencoded;

/// The maximum page size, which is also the default.
const MAX_PAGE: usize = 10_000;

impl Asking<'_> {
    /// The tags of a repository, in byte order.
    pub(crate) async fn list_tags(&self, name: &RepositoryName, query: &Query) -> Result<Response, Failure> {
        let repository = self.to_read(name).await?;
        let page = Wanted::of(query)?;
        let tags = self.registry.content.list_tags(&repository, page.last, Some(page.one_more())).await?;
        let (tags, link) = page.cut(tags, &format!("/v2/{name}/tags/list"));
        Ok(linked(json(&json!({ "name": name, "tags": tags })), link))
    }

    /// The repositories that the actor may see, in byte order.
    pub(crate) async fn catalog(&self, query: &Query) -> Result<Response, Failure> {
        self.to_list()?;
        let page = Wanted::of(query)?;
        let visible = self.registry.access.visible(&self.who.actor);
        let names = {
            let mut conn = self.registry.db.read().await?;
            repositories::names(&mut conn, &visible, page.last, page.one_more()).await?
        };
        let (names, link) = page.cut(names, "/v2/_catalog");
        Ok(linked(json(&json!({ "repositories": names })), link))
    }

    /// The referrers of a digest as an image index, ordered by digest. If the repository does not exist but the actor
    /// could create it, the list is empty.
    pub(crate) async fn list_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        query: &Query,
    ) -> Result<Response, Failure> {
        let (artifact_type, page) = (query.get("artifactType"), Wanted::of(query)?);
        let found = match self.to_read_if_there(name).await? {
            // No artifact type contains a NUL, and PostgreSQL does not accept one.
            Some(_) if artifact_type.is_some_and(|kind| kind.contains('\0')) => ReferrersPage::default(),
            Some(repository) => {
                let (after, limit) = (page.last, Some(page.count as i64));
                self.registry.content.referrers(&repository, subject, artifact_type, after, limit).await?
            }
            None => ReferrersPage::default(),
        };
        let last = found.descriptors.last().filter(|_| found.more);
        let link = last.map(|last| {
            let filter = artifact_type.map(|kind| ("artifactType", kind));
            page.next(&format!("/v2/{name}/referrers/{subject}"), filter, last.digest.as_str())
        });
        let manifests = found.descriptors;
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
        let mut response = json(&index);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
        if artifact_type.is_some() {
            headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        Ok(linked(response, link))
    }
}

fn linked(mut response: Response, link: Option<Link>) -> Response {
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, headers::value(link.to_string()));
    }
    response
}

/// The part of a list that a client requests.
struct Wanted<'a> {
    count: usize,
    last: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a Query) -> Result<Self, Failure> {
        let count = match query.get("n") {
            None => MAX_PAGE,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                // A number that is too large to parse is larger than a page.
                digits.parse().unwrap_or(MAX_PAGE).min(MAX_PAGE)
            }
            Some(other) => {
                let message = format!("the parameter n must be a number, not {other:?}");
                return Err(Failure::new(ErrorCode::Unsupported, message).status(StatusCode::BAD_REQUEST));
            }
        };
        // No name contains a NUL, and PostgreSQL does not accept one, so the text is cut before it; the order is the
        // same.
        let last = query.get("last").map(|last| last.split('\0').next().unwrap_or_default());
        Ok(Self { count, last })
    }

    /// One item more than requested, to detect whether there is another page.
    fn one_more(&self) -> i64 {
        self.count as i64 + 1
    }

    fn cut<T: AsRef<str>>(&self, mut items: Vec<T>, path: &str) -> (Vec<T>, Option<Link>) {
        let more = items.len() > self.count;
        items.truncate(self.count);
        let link = items.last().filter(|_| more).map(|last| self.next(path, None, last.as_ref()));
        (items, link)
    }

    /// The link to the page after `last`, with the other parameters of the request.
    fn next(&self, path: &str, filter: Option<(&str, &str)>, last: &str) -> Link {
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(filter).append_pair("n", &self.count.to_string()).append_pair("last", last);
        Link::next(format!("{path}?{}", next.finish()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn page(query: &str, items: &[&'static str]) -> (Vec<&'static str>, Option<String>) {
        let query = Query::parse(query.as_bytes());
        let wanted = Wanted::of(&query).unwrap();
        let (items, link) = wanted.cut(items.to_vec(), "/v2/a/b/tags/list");
        (items, link.map(|link| link.target))
    }

    #[test]
    fn a_page_that_is_not_the_last_has_a_relative_link_to_the_next() {
        let (items, link) = page("n=2", &["a", "b", "c"]);
        assert_eq!(items, ["a", "b"]);
        assert_eq!(link.as_deref(), Some("/v2/a/b/tags/list?n=2&last=b"));
        assert_eq!(page("n=3", &["a", "b", "c"]), (vec!["a", "b", "c"], None));
    }

    #[test]
    fn an_empty_page_has_no_next() {
        assert_eq!(page("n=0", &["a"]), (vec![], None));
    }

    #[test]
    fn too_large_a_count_returns_a_full_page() {
        let items = vec!["a"; MAX_PAGE + 1];
        assert_eq!(page("n=99999999999999999999999", &items).0.len(), MAX_PAGE);
    }

    #[test]
    fn an_invalid_count_is_rejected() {
        for query in ["n=x", "n=-1", "n=+1", "n=1.5"] {
            assert!(Wanted::of(&Query::parse(query.as_bytes())).is_err(), "{query}");
        }
    }
}
