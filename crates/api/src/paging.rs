//! Pages as DTR cut them: `pageStart` and `pageSize` in the query, where the next page starts in the
//! header `X-Next-Page-Start`, how many there are in all in `X-Resource-Count`.
//!
//! An answer is either the page that was asked for or an error: who asks for more than a page holds
//! would take a shorter answer for the whole list.

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

/// Which page is wanted, as it stands in the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PagingQuery {
    /// What `X-Next-Page-Start` of the page before said; absent for the first page. Also `start`.
    #[serde(alias = "start")]
    page_start: Option<String>,
    /// How many items, at most 500; more is an error, and the rest is on the next pages. Also `limit`.
    #[serde(alias = "limit")]
    #[param(value_type = Option<u32>, default = 10, minimum = 1, maximum = 500)]
    page_size: Option<String>,
    /// Whether `X-Resource-Count` shall tell how many items there are on all pages. Lists are counted up to 1,000,
    /// except all tags of a repository, which are always counted: a longer list has no such header.
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
                    "“{start}” is not where a page starts; send what the header {NEXT} of the page before said, or \
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

/// How many items a page shall have.
fn page_size(text: &str) -> Result<u32, String> {
    let max = PageRequest::MAX;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(size @ 1..=PageRequest::MAX) if is_number => Ok(size),
        // Digits alone that are no `u32` are too many of them.
        Ok(1..) | Err(_) if is_number => Err(format!(
            "a page has at most {max} items, not {text}; ask for {max}, and then with pageStart for the page that \
             the header {NEXT} of the answer names, until an answer has no such header"
        )),
        _ => Err(format!("the number of items on a page is 1 to {max}, not “{text}”")),
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

    /// Cuts a page out of a list that is at hand as a whole.
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

    /// The answer: the items as `present` shapes them, and the headers.
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

/// An answer as long as its list, of which a part at a time is in memory. It breaks off where a part
/// cannot be had, so that nobody takes it for the whole.
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
    fn the_headers_tell_the_next_page_and_the_count() {
        let page = paging(None, "1").cut(vec![1; 7]);
        let next = page.next.clone().unwrap().to_string();
        let response = paging(None, "1").answer(page, |items| items);
        assert_eq!(response.headers()[NEXT], next);
        assert_eq!(response.headers()[COUNT], "7");
    }

    #[test]
    fn a_number_that_nobody_has_counted_is_not_told() {
        let page = Page { total: Total::MoreThan(1_000), ..paging(None, "1").cut(vec![1]) };
        assert!(!paging(None, "1").answer(page, |items| items).headers().contains_key(COUNT));
    }

    #[test]
    fn who_asks_for_more_than_a_page_is_told_how_to_get_the_rest() {
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
    fn a_list_without_pages_is_answered_as_it_comes_and_never_short() {
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
    fn what_is_no_beginning_of_a_page_is_not_taken_for_the_first() {
        for start in ["abc", "25", "-1", "1.5", "99999999999999999999999"] {
            assert!(asked(Some(start), "10").unwrap_err().about("pageStart").is_some(), "{start}");
        }
        assert_eq!(paging(Some(""), "").request().start, None);
    }
}
