//! The table of rules: which requests a rule applies to, and what it does with them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::{Asked, Reply, reply};

type Answer = Arc<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;
type Condition = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;
type Edit = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// A row of the table. Without an action, it lets requests pass.
pub struct Rule {
    method: Option<Method>,
    path: String,
    condition: Option<Condition>,
    passed_over: usize,
    times: usize,
    seen: usize,
    delay: Duration,
    unchecked: bool,
    act: Act,
}

#[derive(Clone)]
enum Act {
    Pass,
    End(End),
    Ask(Answer),
    Change(Change),
}

/// Ends a request without the registry.
#[derive(Clone)]
pub(super) enum End {
    Answer(Reply),
    Hang,
    Disconnect,
}

/// A change of the registry's response.
#[derive(Clone)]
pub(super) enum Change {
    BreakAfter(usize),
    WrongBytes,
    Headers(Edit),
    WithoutLength,
    Gzipped,
}

/// The effect of all rules on one request.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) end: Option<End>,
    pub(super) changes: Vec<Change>,
}

/// A rule for requests with one method. In the path, `*` matches any characters, including slashes. A pattern with
/// `?` is compared with path and query, any other with the path only.
pub fn on(method: Method, path: impl Into<String>) -> Rule {
    Rule { method: Some(method), ..any(path) }
}

/// A rule for requests with any method.
pub fn any(path: impl Into<String>) -> Rule {
    Rule {
        method: None,
        path: path.into(),
        condition: None,
        passed_over: 0,
        times: usize::MAX,
        seen: 0,
        delay: Duration::ZERO,
        unchecked: false,
        act: Act::Pass,
    }
}

impl Rule {
    /// The same rule for another path.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Applies to the n-th matching request only, counted from 1.
    #[must_use]
    pub fn nth(self, n: usize) -> Self {
        self.after(n - 1).times(1)
    }

    /// Skips this number of matching requests.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.passed_over = requests;
        self
    }

    /// Applies to at most this number of matching requests.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.times = requests;
        self
    }

    /// Applies only if this condition holds.
    #[must_use]
    pub fn when(mut self, holds: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(holds));
        self
    }

    /// Also applies to requests without a valid token for them.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Delays the response.
    #[must_use]
    pub fn late(mut self, by: Duration) -> Self {
        self.delay = by;
        self
    }

    /// Returns this response.
    #[must_use]
    pub fn answer(self, reply: Reply) -> Self {
        self.ends(End::Answer(reply))
    }

    /// Returns a status and nothing else.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.answer(reply(status))
    }

    /// Returns a response that depends on the request; `None` lets it pass.
    #[must_use]
    pub fn with(mut self, answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        self.act = Act::Ask(Arc::new(answer));
        self
    }

    /// Never responds.
    #[must_use]
    pub fn hang(self) -> Self {
        self.ends(End::Hang)
    }

    /// Closes the connection instead of responding.
    #[must_use]
    pub fn disconnect(self) -> Self {
        self.ends(End::Disconnect)
    }

    /// Breaks the body of the registry's response off after this number of bytes.
    #[must_use]
    pub fn break_after(self, bytes: usize) -> Self {
        self.changes(Change::BreakAfter(bytes))
    }

    /// Replaces the body of the registry's response by other bytes of the same length.
    #[must_use]
    pub fn wrong_bytes(self) -> Self {
        self.changes(Change::WrongBytes)
    }

    /// Compresses the registry's response, as some proxies do.
    #[must_use]
    pub fn gzipped(self) -> Self {
        self.changes(Change::Gzipped)
    }

    /// Removes a header from the registry's response, which may be `content-length`.
    #[must_use]
    pub fn without(self, name: &'static str) -> Self {
        match name.eq_ignore_ascii_case("content-length") {
            true => self.changes(Change::WithoutLength),
            false => self.headers(move |headers| drop(headers.remove(name))),
        }
    }

    /// Changes the headers of the registry's response.
    #[must_use]
    pub fn headers(self, edit: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.changes(Change::Headers(Arc::new(edit)))
    }

    fn ends(mut self, end: End) -> Self {
        self.act = Act::End(end);
        self
    }

    fn changes(mut self, change: Change) -> Self {
        self.act = Act::Change(change);
        self
    }

    fn fits(&self, asked: &Asked) -> bool {
        let target = if self.path.contains('?') { asked.target() } else { asked.path.clone() };
        self.method.as_ref().is_none_or(|method| *method == asked.method)
            && matches(&self.path, &target)
            && self.condition.as_ref().is_none_or(|holds| holds(asked))
    }
}

/// Applies the table to a request; `checked` says whether its token is valid for it.
pub(super) fn judge(rules: &mut [Rule], asked: &Asked, checked: bool) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in rules.iter_mut().filter(|rule| rule.unchecked != checked) {
        if !rule.fits(asked) {
            continue;
        }
        rule.seen += 1;
        if rule.seen <= rule.passed_over || rule.seen - rule.passed_over > rule.times {
            continue;
        }
        verdict.delay += rule.delay;
        match &rule.act {
            Act::Pass => {}
            Act::Change(change) => verdict.changes.push(change.clone()),
            Act::Ask(answer) => verdict.end = answer(asked).map(End::Answer),
            Act::End(end) => verdict.end = Some(end.clone()),
        }
        if verdict.end.is_some() {
            break;
        }
    }
    verdict
}

impl Change {
    pub(super) fn apply(&self, mut reply: Reply) -> Reply {
        match self {
            Change::BreakAfter(bytes) => return reply.broken(*bytes),
            Change::WrongBytes => return reply.spoiled(),
            Change::WithoutLength => return reply.without_length(),
            Change::Gzipped => return reply.gzipped(),
            Change::Headers(edit) => edit(&mut reply.headers),
        }
        reply
    }
}

/// Whether a text matches a pattern in which `*` matches any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, text) in
            [("*", ""), ("/v2/*/tags/list", "/v2/a/b/tags/list"), ("*x*y", "axbyy"), ("/v2/", "/v2/")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("/v2/", "/v2/a"), ("*ab*b", "ab"), ("a*", "b"), ("*/list", "/list/")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
