//! Paging as in DTR: `pageStart` and `pageSize` in the query, the start of the next page in the header
//! `X-Next-Page-Start`, the total in `X-Resource-Count`.
//!
//! A page size above the maximum is an error: a client could take a shorter page for the whole list.

use std::future::ready;

use axum::BoxError;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Json, Response};
use futures::stream::{self, Stream, StreamExt};
use longshore_model::{Code, Cursor, Page, PageRequest, Problem, Total};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::error::ApiError;
use crate::extract::Query;

const NEXT: HeaderName = HeaderName::from_static("x-next-page-start");
const COUNT: HeaderName = HeaderName::from_static("x-resource-count");

const DEFAULT_SIZE: u32 = 10;

/// The page that a request asks for.
#[derive(Debug)]
pub(crate) struct Paging {
    request: PageRequest,
    count: bool,
}

/// The page that is requested, as given in the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PagingQuery {
    /// The value of `X-Next-Page-Start` of the previous page; omitted for the first page. Also `start`.
    #[serde(alias = "start")]
    page_start: Option<String>,
    /// The number of items on the page, at most 500; more is an error. Also `limit`.
    #[serde(alias = "limit")]
    #[param(value_type = Option<u32>, default = 10, minimum = 1, maximum = 500)]
    page_size: Option<String>,
    /// Whether to return the number of items on all pages in `X-Resource-Count`. Items are counted up to 1,000, and
    /// longer lists have no such header; the tags of a repository are always counted.
    #[param(default = false)]
    count: Option<bool>,
}

impl PagingQuery {
    fn checked(self) -> Result<Paging, Problem> {
        let wrong = |field: &str, message: String| Problem::field(Code::InvalidRequest, field, message);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let size = match given(self.page_size) {
            None => DEFAULT_SIZE,
            Some(text) => page_size(&text).map_err(|message| wrong("pageSize", message))?,
        };
        let start = given(self.page_start);
        let start = start.map(|start| {
            start.parse::<Cursor>().map_err(|_| {
                let message = format!(
                    "“{start}” is not the start of a page; send the value of the header {NEXT} of the previous page, or \
                     nothing for the first page"
                );
                wrong("pageStart", message)
            })
        });
        Ok(Paging {
            request: PageRequest { start: start.transpose()?, size },
            count: self.count.unwrap_or(false),
        })
    }
}

/// Parses a page size.
fn page_size(text: &str) -> Result<u32, String> {
    let max = PageRequest::MAX;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(size @ 1..=PageRequest::MAX) if is_number => Ok(size),
        // A number that does not fit into a `u32` is too large.
        Ok(1..) | Err(_) if is_number => Err(format!(
            "a page has at most {max} items, not {text}; request {max}, and then, with pageStart, the page that \
             the header {NEXT} names, until a response has no such header"
        )),
        _ => Err(format!("the page size must be 1 to {max}, not “{text}”")),
    }
}

impl IntoParams for Paging {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        PagingQuery::into_params(place)
    }
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(query) = Query::<PagingQuery>::from_request_parts(parts, state).await?;
        Ok(query.checked()?)
    }
}

impl Paging {
    pub(crate) fn request(&self) -> &PageRequest {
        &self.request
    }

    /// Cuts a page out of a complete list.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> Page<T> {
        let total = all.len();
        let position = self.request.start.as_ref().map_or(0, |start| start.position);
        let begin = usize::try_from(position).unwrap_or(usize::MAX).min(total);
        let end = begin.saturating_add(self.request.limit()).min(total);
        let at = |position: usize| Cursor { back: false, position: position as u64, key: String::new() };
        Page {
            items: all.into_iter().skip(begin).take(end - begin).collect(),
            start: begin as u64,
            previous: (begin > 0).then(|| at(begin.saturating_sub(self.request.limit()))),
            next: (end < total).then(|| at(end)),
            total: Total::Exactly(total as u64),
        }
    }

    /// The response: the items in the form that `present` gives them, and the headers.
    pub(crate) fn answer<T, B: Serialize>(
        &self,
        page: Page<T>,
        present: impl FnOnce(Vec<T>) -> B,
    ) -> Response {
        let Page { items, next, total, .. } = page;
        let mut response = Json(present(items)).into_response();
        let headers = response.headers_mut();
        if let Some(next) = next.and_then(|next| HeaderValue::try_from(next.to_string()).ok()) {
            headers.insert(NEXT, next);
        }
        if let (true, Some(total)) = (self.count, total.exact()) {
            headers.insert(COUNT, HeaderValue::from(total));
        }
        response
    }
}

/// A streamed response of which only a part is in memory at a time. It is aborted if a part fails, so that no client
/// takes it for complete.
pub(crate) fn json_array<T: Serialize, E: std::error::Error + Send + Sync + 'static>(
    parts: impl Stream<Item = Result<Vec<T>, E>> + Send + 'static,
) -> Response {
    let mut opened = false;
    let items = parts.map(move |part| {
        let mut bytes = Vec::new();
        for item in part? {
            if std::mem::replace(&mut opened, true) {
                bytes.push(b',');
            }
            serde_json::to_writer(&mut bytes, &item)?;
        }
        Ok::<_, BoxError>(bytes)
    });
    let bracket = |bracket: u8| stream::once(ready(Ok::<_, BoxError>(vec![bracket])));
    let body = Body::from_stream(bracket(b'[').chain(items).chain(bracket(b']')));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(start: Option<&str>, size: &str) -> Result<Paging, Problem> {
        let query = PagingQuery {
            page_start: start.map(str::to_owned),
            page_size: Some(size.to_owned()),
            count: Some(true),
        };
        query.checked()
    }

    fn paging(start: Option<&str>, size: &str) -> Paging {
        asked(start, size).unwrap()
    }

    #[test]
    fn a_list_is_cut_into_pages_that_lead_to_each_other() {
        let first = paging(None, "2").cut(vec!['a', 'b', 'c']);
        assert_eq!((first.items, first.total), (vec!['a', 'b'], Total::Exactly(3)));
        let next = first.next.unwrap().to_string();
        let last = paging(Some(&next), "2").cut(vec!['a', 'b', 'c']);
        assert_eq!((last.items, last.next), (vec!['c'], None));
        assert!(paging(Some(&next), "2").cut(vec!['a']).items.is_empty());
    }

    #[test]
    fn the_headers_contain_the_next_page_and_the_count() {
        let page = paging(None, "1").cut(vec![1; 7]);
        let next = page.next.clone().unwrap().to_string();
        let response = paging(None, "1").answer(page, |items| items);
        assert_eq!(response.headers()[NEXT], next);
        assert_eq!(response.headers()[COUNT], "7");
    }

    #[test]
    fn the_count_header_is_absent_if_the_items_were_not_counted() {
        let page = Page { total: Total::MoreThan(1_000), ..paging(None, "1").cut(vec![1]) };
        assert!(!paging(None, "1").answer(page, |items| items).headers().contains_key(COUNT));
    }

    #[test]
    fn the_error_for_too_large_a_page_explains_how_to_get_the_rest() {
        assert_eq!(paging(None, "500").request().size, 500);
        for size in ["501", "100000000", "4294967296", "99999999999999999999999"] {
            let refused = asked(None, size).unwrap_err();
            let message = refused.about("pageSize").unwrap();
            for part in ["at most 500", size, "pageStart", "x-next-page-start"] {
                assert!(message.contains(part), "{size}: {message}");
            }
        }
        for size in ["0", "00", "-1", "+1", "many", "1.5", "0x10"] {
            let refused = asked(None, size).unwrap_err();
            assert!(refused.about("pageSize").unwrap().contains("1 to 500"), "{size}: {refused}");
        }
    }

    #[test]
    fn a_streamed_list_is_complete_or_aborted() {
        let body = |parts: Vec<Result<Vec<u8>, Problem>>| {
            let body = json_array(stream::iter(parts)).into_body();
            futures::executor::block_on(axum::body::to_bytes(body, usize::MAX))
        };
        let whole = body(vec![Ok(vec![1, 2]), Ok(vec![]), Ok(vec![3])]).unwrap();
        assert_eq!(&whole[..], b"[1,2,3]");
        assert_eq!(&body(vec![]).unwrap()[..], b"[]");
        assert!(body(vec![Ok(vec![1]), Err(Problem::new(Code::Internal, "it failed"))]).is_err());
    }

    #[test]
    fn an_invalid_page_start_is_not_taken_for_the_first_page() {
        for start in ["abc", "25", "-1", "1.5", "99999999999999999999999"] {
            assert!(asked(Some(start), "10").unwrap_err().about("pageStart").is_some(), "{start}");
        }
        assert_eq!(paging(Some(""), "").request().start, None);
    }
}
