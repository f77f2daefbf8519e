//! The table of behaviours: which requests a rule is about, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::{Asked, Reply, reply};

type Answer = Arc<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;
type Condition = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;
type Edit = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// One line of the table. Without anything that it should do it lets requests through.
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

/// How a request ends without the registry.
#[derive(Clone)]
pub(super) enum End {
    Answer(Reply),
    Hang,
    Disconnect,
}

/// What is done to the answer of the registry.
#[derive(Clone)]
pub(super) enum Change {
    BreakAfter(usize),
    WrongBytes,
    Headers(Edit),
    WithoutLength,
    Gzipped,
}

/// All that the table says to one request.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) end: Option<End>,
    pub(super) changes: Vec<Change>,
}

/// A rule for requests of one method. In the path `*` stands for any characters, slashes too; a pattern with `?`
/// is compared with path and query, another with the path alone.
pub fn on(method: Method, path: impl Into<String>) -> Rule {
    Rule { method: Some(method), ..any(path) }
}

/// A rule for requests of every method.
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
    /// The same for requests of another path.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Only the n-th request that fits, counted from 1.
    #[must_use]
    pub fn nth(self, n: usize) -> Self {
        self.after(n - 1).times(1)
    }

    /// Not the first so many.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.passed_over = requests;
        self
    }

    /// Only so many.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.times = requests;
        self
    }

    /// Only where this holds.
    #[must_use]
    pub fn when(mut self, holds: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(holds));
        self
    }

    /// Also for requests without a token that is good for them.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Only after this time.
    #[must_use]
    pub fn late(mut self, by: Duration) -> Self {
        self.delay = by;
        self
    }

    /// Answers so.
    #[must_use]
    pub fn answer(self, reply: Reply) -> Self {
        self.ends(End::Answer(reply))
    }

    /// Answers with a status and nothing else.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.answer(reply(status))
    }

    /// Answers by what the request says; `None` lets it through.
    #[must_use]
    pub fn with(mut self, answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        self.act = Act::Ask(Arc::new(answer));
        self
    }

    /// Never answers.
    #[must_use]
    pub fn hang(self) -> Self {
        self.ends(End::Hang)
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn disconnect(self) -> Self {
        self.ends(End::Disconnect)
    }

    /// The registry's own answer, whose body breaks off after so many bytes.
    #[must_use]
    pub fn break_after(self, bytes: usize) -> Self {
        self.changes(Change::BreakAfter(bytes))
    }

    /// The registry's own answer with other bytes of the same length.
    #[must_use]
    pub fn wrong_bytes(self) -> Self {
        self.changes(Change::WrongBytes)
    }

    /// The registry's own answer as a proxy sends it that compresses whatever passes it.
    #[must_use]
    pub fn gzipped(self) -> Self {
        self.changes(Change::Gzipped)
    }

    /// The registry's own answer without these headers; `content-length` is one.
    #[must_use]
    pub fn without(self, name: &'static str) -> Self {
        match name.eq_ignore_ascii_case("content-length") {
            true => self.changes(Change::WithoutLength),
            false => self.headers(move |headers| drop(headers.remove(name))),
        }
    }

    /// The registry's own answer with other headers.
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

/// Reads the table for a request: `checked` says whether it is let in.
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

/// Whether a text fits a pattern in which `*` stands for any characters.
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
    fn a_star_stands_for_anything() {
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
