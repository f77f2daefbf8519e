//! The `Link` header, by which lists are paged (distribution-spec, "Listing Tags"; RFC 8288). It is parsed leniently,
//! since registries and the proxies in front of them write it in many ways.

use std::fmt;

/// A link: the target as written, and its relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// A URL, often relative to that of the request.
    pub target: String,
    /// The relations, such as `next`, separated by spaces; empty if there are none.
    pub rel: String,
}

/// What the `Link` headers of a response say about the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPage {
    /// There is no `Link`, or none to a next page.
    None,
    /// The URL of the next page, as written.
    At(String),
    /// There is an unreadable `Link`, so there may be a next page.
    Unreadable(String),
}

impl Link {
    /// A link to the next page. The target must be percent-encoded: no `>`, no control characters.
    pub fn next(target: impl Into<String>) -> Self {
        Self { target: target.into(), rel: "next".into() }
    }

    /// Parses all links of a header value, with or without angle brackets, and skips what is unreadable.
    pub fn parse_all(header: &str) -> Vec<Self> {
        let mut links = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if rest.is_empty() {
                return links;
            }
            let (target, after) = split_target(rest);
            let (parameters, following) = split_outside_quotes(after, ',');
            rest = following;
            if let Some(target) = target {
                links.push(Self { target: target.to_owned(), rel: relations(parameters) });
            }
        }
    }

    /// The target of the first link to a next page.
    pub fn next_of(header: &str) -> Option<String> {
        Self::parse_all(header).into_iter().find(Self::is_next).map(|link| link.target)
    }

    fn is_next(&self) -> bool {
        self.rel.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    }
}

impl NextPage {
    /// Parses all `Link` headers of a response. A link without a relation can only lead to the next page; it counts
    /// if there is no other.
    pub fn of<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut unnamed, mut unreadable) = (None, None);
        for header in headers {
            let links = Link::parse_all(header);
            if links.is_empty() && !header.trim().is_empty() {
                unreadable.get_or_insert(header);
            }
            for link in links {
                if link.is_next() {
                    return Self::At(link.target);
                }
                if link.rel.is_empty() {
                    unnamed.get_or_insert(link.target);
                }
            }
        }
        match (unnamed, unreadable) {
            (Some(target), _) => Self::At(target),
            (None, Some(header)) => Self::Unreadable(header.to_owned()),
            (None, None) => Self::None,
        }
    }
}

/// The target at the beginning of a link, if it has one, and the rest.
fn split_target(link: &str) -> (Option<&str>, &str) {
    let (target, after) = match link.strip_prefix('<') {
        Some(open) => match open.split_once('>') {
            Some(found) => found,
            None => split_outside_quotes(open, ';'),
        },
        None => {
            let (target, after) = split_outside_quotes(link, ';');
            if !looks_like_address(target.trim()) {
                // Not a target: skip to the next link.
                return (None, link);
            }
            (target, after)
        }
    };
    (Some(target.trim()).filter(|target| !target.is_empty()), after)
}

/// Whether a text without brackets begins like a target.
fn looks_like_address(text: &str) -> bool {
    text.starts_with(['/', '?']) || text.starts_with("http://") || text.starts_with("https://")
}

/// Splits at the first separator outside double quotes.
fn split_outside_quotes(text: &str, separator: char) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c == separator && !quoted => return (&text[..at], &text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

/// The value of the first `rel` parameter.
fn relations(mut parameters: &str) -> String {
    while !parameters.is_empty() {
        let (parameter, rest) = split_outside_quotes(parameters, ';');
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("rel")
        {
            return value.trim().trim_matches(['"', '\'']).trim().to_owned();
        }
        parameters = rest;
    }
    String::new()
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>; rel=\"{}\"", self.target, self.rel)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_among_others() {
        let header =
            r#"</v2/a/tags/list?n=2>; rel="prev", </v2/a/tags/list?last=b,c&n=2>; title="x"; rel=next"#;
        assert_eq!(Link::next_of(header).as_deref(), Some("/v2/a/tags/list?last=b,c&n=2"));
        assert_eq!(Link::parse_all(header).len(), 2);
    }

    #[test]
    fn unreadable_links_are_skipped() {
        for header in ["", "next", "<x", "<x>", "<x>; rel", r#"<x>; rel="prev""#] {
            assert_eq!(Link::next_of(header), None, "{header}");
        }
    }

    #[test]
    fn semantics_38_a_link_is_parsed_in_every_form() {
        for header in [
            r#"</v2/a/tags/list?last=b>; rel="next""#,
            "/v2/a/tags/list?last=b; rel=next",
            r#"/v2/a/tags/list?last=b; rel="next""#,
            r#"</v2/a/tags/list?last=b;rel="next""#,
            "</v2/a/tags/list?last=b>;REL=Next",
            r#"</v2/a/tags/list?last=b>; title="a, b; c"; rel = "last NEXT""#,
            "</v2/a/tags/list?last=b> ; rel='next'",
            r#"</v2/a>; rel="first", </v2/a/tags/list?last=b>; rel="next", </c>; rel=last"#,
            r#"/v2/a; rel=first, /v2/a/tags/list?last=b; rel=next"#,
            "</v2/a/tags/list?last=b>",
            "/v2/a/tags/list?last=b",
        ] {
            let expected = NextPage::At("/v2/a/tags/list?last=b".into());
            assert_eq!(NextPage::of([header]), expected, "{header}");
        }
        let query_only = NextPage::of([r#"<?last=b&n=2>; rel="next""#]);
        assert_eq!(query_only, NextPage::At("?last=b&n=2".into()));
        let second = NextPage::of(["<a.css>; rel=preload", "</v2/b>; rel=next"]);
        assert_eq!(second, NextPage::At("/v2/b".into()));
    }

    #[test]
    fn semantics_38_an_unreadable_link_does_not_end_the_list() {
        for header in ["next", r#"rel="next""#, "<>; rel=next", "%%%"] {
            assert_eq!(NextPage::of([header]), NextPage::Unreadable(header.into()), "{header}");
        }
        for header in ["", " ", r#"</v2/a>; rel="prev""#, "<https://cdn.example/a.js>; rel=preload"] {
            assert_eq!(NextPage::of([header]), NextPage::None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_link_is_parsed_back(target in "/v2/[a-z/]{1,20}\\?last=[a-zA-Z0-9%._-]{1,20}&n=[0-9]{1,4}") {
            prop_assert_eq!(Link::next_of(&Link::next(target.clone()).to_string()), Some(target));
        }

        #[test]
        fn no_header_causes_a_panic(header in "[<>;,=\"a-z \\PC]{0,60}") {
            let _ = Link::parse_all(&header);
            let _ = NextPage::of([header.as_str(), "</b>; rel=next"]);
        }
    }
}
