//! The `Link` header with which lists are paged (distribution-spec, "Listing Tags"; RFC 8288).

use std::fmt;

/// One link: a target, as written, and its relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// A URL, often relative to the request's.
    pub target: String,
    /// The relation, such as `next`.
    pub rel: String,
}

impl Link {
    /// The link to the next page. The target must be percent-encoded: no `>`, no control
    /// characters.
    pub fn next(target: impl Into<String>) -> Self {
        Self { target: target.into(), rel: "next".into() }
    }

    /// Reads all links of a header value, and leaves out what cannot be read.
    pub fn parse_all(header: &str) -> Vec<Self> {
        let mut links = Vec::new();
        let mut rest = header;
        while let Some((_, after)) = rest.split_once('<') {
            let Some((target, parameters)) = after.split_once('>') else { break };
            // Parameters reach to the comma before the next link; a comma within quotes does not end them.
            let end = parameters.find(",<").or_else(|| parameters.find(", <")).unwrap_or(parameters.len());
            let (parameters, following) = parameters.split_at(end);
            rest = following;
            if let Some(rel) = parameters.split(';').find_map(relation) {
                links.push(Self { target: target.trim().to_owned(), rel });
            }
        }
        links
    }

    /// The target of the first link to a next page.
    pub fn next_of(header: &str) -> Option<String> {
        let is_next =
            |link: &Link| link.rel.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"));
        Self::parse_all(header).into_iter().find(is_next).map(|link| link.target)
    }
}

fn relation(parameter: &str) -> Option<String> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"').to_owned())
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
    fn what_is_no_link_is_left_out() {
        for header in ["", "next", "<x", "<x>", "<x>; rel", r#"<x>; rel="prev""#] {
            assert_eq!(Link::next_of(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(target in "/v2/[a-z/]{1,20}\\?last=[a-zA-Z0-9%._-]{1,20}&n=[0-9]{1,4}") {
            prop_assert_eq!(Link::next_of(&Link::next(target.clone()).to_string()), Some(target));
        }

        #[test]
        fn no_header_makes_it_panic(header in "[<>;,=\"a-z \\PC]{0,60}") {
            let _ = Link::parse_all(&header);
        }
    }
}
