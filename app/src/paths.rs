//! The addresses of the site's pages, all built here.
//!
//! The part of a repository's name after the namespace is one segment: `dev/a/b` is at `/repositories/dev/a%2Fb`, so a
//! name can never be mistaken for a tab.

use longshore_model::{JobId, PauseScope};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Characters escaped in a path segment: those that end it or have a meaning in it.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Encodes a text as one path segment.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// The first page of a repository: its Info tab.
#[must_use]
pub fn repository(namespace: &str, name: &str) -> String {
    format!("/repositories/{}/{}", segment(namespace), segment(name))
}

/// A page below a repository, such as `tags` or `mirrors/new`.
#[must_use]
pub fn in_repository(namespace: &str, name: &str, page: &str) -> String {
    format!("{}/{page}", repository(namespace, name))
}

/// A page below the repository with this full name, `namespace/name`; the first page if `page` is empty.
#[must_use]
pub fn below(repository: &str, page: &str) -> String {
    let (namespace, name) = repository.split_once('/').unwrap_or((repository, ""));
    match page {
        "" => self::repository(namespace, name),
        page => in_repository(namespace, name, page),
    }
}

/// The page of a tag, or one below it such as `promote`.
#[must_use]
pub fn tag(repository: &str, tag: &str, page: &str) -> String {
    let tag = below(repository, &format!("tags/{}", segment(tag)));
    if page.is_empty() { tag } else { format!("{tag}/{page}") }
}

/// A promotion policy in the list of its source repository.
#[must_use]
pub fn promotion(source: &str, policy: impl std::fmt::Display) -> String {
    below(source, &format!("promotions#policy-{policy}"))
}

/// A mirror in the list of its repository.
#[must_use]
pub fn mirror(repository: &str, policy: impl std::fmt::Display) -> String {
    below(repository, &format!("mirrors#policy-{policy}"))
}

/// The page of a job.
#[must_use]
pub fn job(job: JobId) -> String {
    format!("/jobs/{job}")
}

/// The page that pauses and resumes something.
#[must_use]
pub fn pause(scope: &PauseScope) -> String {
    match scope {
        PauseScope::System => "/pauses/system".to_owned(),
        PauseScope::Namespace(namespace) => format!("/pauses/namespaces/{}", segment(namespace.as_str())),
        PauseScope::Remote(remote) => format!("/pauses/remotes/{remote}"),
    }
}

/// A path with a query; parts without a value are left out.
#[must_use]
pub fn with_query(path: &str, parts: &[(&str, Option<&str>)]) -> String {
    // Unreserved characters and the slash need no escaping.
    const QUERY: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    let given =
        parts.iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let query: Vec<String> =
        given.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// A query without its empty parts: forms also send their empty fields.
#[must_use]
pub fn without_empty(query: &str) -> String {
    let says =
        |part: &&str| part.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
    query.split('&').filter(says).collect::<Vec<_>>().join("&")
}

/// A decoded query value. Unlike the router, which decodes twice and turns `a/b%2Fc` into `a/b/c`, this decodes once.
#[must_use]
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let (_, value) =
        query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name)?;
    let value = value.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_segment() {
        assert_eq!(repository("dev", "a/b/c/d/e"), "/repositories/dev/a%2Fb%2Fc%2Fd%2Fe");
        assert_eq!(in_repository("dev", "website", "tags"), "/repositories/dev/website/tags");
    }

    #[test]
    fn what_would_end_a_segment_is_escaped() {
        assert_eq!(segment("100% a?b#c"), "100%25%20a%3Fb%23c");
    }

    #[test]
    fn a_repository_is_found_by_its_whole_name() {
        assert_eq!(below("dev/a/b", ""), "/repositories/dev/a%2Fb");
        assert_eq!(below("dev/a/b", "mirrors/new"), "/repositories/dev/a%2Fb/mirrors/new");
        assert_eq!(tag("dev/website", "1.0", ""), "/repositories/dev/website/tags/1.0");
        assert_eq!(tag("dev/website", "1.0", "promote"), "/repositories/dev/website/tags/1.0/promote");
    }

    #[test]
    fn a_query_leaves_out_what_is_empty_and_escapes_the_rest() {
        assert_eq!(with_query("/repositories", &[("q", None), ("state", Some(""))]), "/repositories");
        assert_eq!(
            with_query("/r", &[("q", Some("a&b=c d")), ("start", Some("25"))]),
            "/r?q=a%26b%3Dc%20d&start=25"
        );
    }

    #[test]
    fn what_a_form_sends_for_empty_fields_says_nothing() {
        assert_eq!(without_empty("q=a%26b&state=&=&namespace=dev&alone"), "q=a%26b&namespace=dev");
        assert_eq!(without_empty("q=&state=&="), "");
    }

    #[test]
    fn an_address_in_a_query_keeps_its_own_escapes() {
        let address = below("dev/a/b", "tags");
        let query = with_query("/sign-in", &[("from", Some("x")), ("next", Some(&address))]);
        let query = query.split_once('?').map_or("", |(_, query)| query);
        assert_eq!(query_value(query, "next"), Some(address));
        assert_eq!(query_value("q=a+b%2Bc", "q").as_deref(), Some("a b+c"));
        assert_eq!(query_value(query, "missing"), None);
    }
}
