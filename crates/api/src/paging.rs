//! Pages as DTR cut them: `pageStart` and `pageSize` in the query, where the next page starts in the
//! header `X-Next-Page-Start`, how many there are in all in `X-Resource-Count`.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Json, Response};
use longshore_model::{Page, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

const NEXT: HeaderName = HeaderName::from_static("x-next-page-start");
const COUNT: HeaderName = HeaderName::from_static("x-resource-count");

const DEFAULT_SIZE: u32 = 10;

/// Which page is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// What `X-Next-Page-Start` of the page before said; absent for the first page.
    #[serde(alias = "start")]
    page_start: Option<String>,
    /// How many items, at most 500.
    #[serde(alias = "limit")]
    #[param(default = 10, minimum = 1, maximum = 500)]
    page_size: Option<u32>,
    /// Whether `X-Resource-Count` shall tell how many items there are on all pages.
    #[param(default = false)]
    count: Option<bool>,
}

impl Paging {
    pub(crate) fn request(&self) -> PageRequest {
        PageRequest {
            start: self.page_start.clone().filter(|start| !start.is_empty()),
            size: self.page_size.unwrap_or(DEFAULT_SIZE).clamp(1, PageRequest::MAX),
        }
    }

    /// Cuts a page out of a list that is at hand as a whole.
    pub(crate) fn cut<T>(&self, all: Vec<T>) -> Page<T> {
        let request = self.request();
        let total = all.len();
        let begin = usize::try_from(request.offset()).unwrap_or(usize::MAX).min(total);
        let end = begin.saturating_add(request.size as usize).min(total);
        Page {
            items: all.into_iter().skip(begin).take(end - begin).collect(),
            next: (end < total).then(|| end.to_string()),
            total: total as u64,
        }
    }

    /// The answer: the items as `present` shapes them, and the headers.
    pub(crate) fn answer<T, B: Serialize>(
        &self,
        page: Page<T>,
        present: impl FnOnce(Vec<T>) -> B,
    ) -> Response {
        let Page { items, next, total } = page;
        let mut response = Json(present(items)).into_response();
        let headers = response.headers_mut();
        if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
            headers.insert(NEXT, next);
        }
        if self.count.unwrap_or(false) {
            headers.insert(COUNT, HeaderValue::from(total));
        }
        response
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn paging(start: Option<&str>, size: u32) -> Paging {
        Paging { page_start: start.map(str::to_owned), page_size: Some(size), count: Some(true) }
    }

    #[test]
    fn a_list_is_cut_into_pages_that_lead_to_each_other() {
        let first = paging(None, 2).cut(vec!['a', 'b', 'c']);
        assert_eq!((first.items, first.next.as_deref(), first.total), (vec!['a', 'b'], Some("2"), 3));
        let last = paging(Some("2"), 2).cut(vec!['a', 'b', 'c']);
        assert_eq!((last.items, last.next), (vec!['c'], None));
        assert!(paging(Some("9"), 2).cut(vec!['a']).items.is_empty());
    }

    #[test]
    fn the_headers_tell_the_next_page_and_the_count() {
        let page = Page { items: vec![1], next: Some("abc".to_owned()), total: 7 };
        let response = paging(None, 1).answer(page, |items| items);
        assert_eq!(response.headers()[NEXT], "abc");
        assert_eq!(response.headers()[COUNT], "7");
    }

    #[test]
    fn a_size_beyond_the_limit_is_cut() {
        assert_eq!(paging(None, 100_000).request().size, 500);
        assert_eq!(paging(None, 0).request().size, 1);
    }
}
