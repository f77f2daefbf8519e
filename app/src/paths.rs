//! The addresses of the site's pages, made in one place.
//!
//! A repository's name after the namespace is one segment: `dev/a/b` stands at
//! `/repositories/dev/a%2Fb`, so a name can never be taken for a tab.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What stands in a path segment as it is: all but what ends it or means something in it.
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

/// A text as one segment of a path.
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
}
