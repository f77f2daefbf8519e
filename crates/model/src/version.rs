//! Versions of what people and the server change: policies, remotes and the settings of repositories
//! (semantics 33). Who changes something names the version that the change is based on; if that has moved on,
//! the change is refused, and the refusal says who was faster.

use crate::account::Author;
use crate::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How often something has been changed, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// Of what has just been made.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! aspects {
    ($($(#[$doc:meta])* $name:ident = $words:literal;)*) => {
        /// A part of something that can be changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Aspect {$(
            $(#[$doc])*
            $name,
        )*}

        impl Aspect {
            /// What a person calls it.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

aspects! {
    /// Which tags a policy acts on.
    Rules = "the rules";
    /// The name that a tag gets.
    Template = "the tag template";
    /// Where promotions lead.
    Target = "the target";
    /// The registry of a mirror.
    Registry = "the registry";
    /// The repository at that registry.
    RemoteRepository = "the remote repository";
    /// User name, password or token.
    Credentials = "the credentials";
    /// Which tags a pull mirror takes.
    Patterns = "the tag patterns";
    /// How often a pull mirror polls.
    Interval = "the interval";
    /// Whether tags that somebody else has set are moved.
    Overwrite = "overwriting";
    /// Whether signatures and the like go along.
    Referrers = "what goes along";
    /// Whether non-distributable layers are mirrored.
    ForeignLayers = "foreign layers";
    /// It acts again.
    Enabled = "“enabled” (on)";
    /// It acts no more.
    Disabled = "“enabled” (off)";
    /// It stopped itself.
    #[serde(rename = "paused")]
    Stopped = "“enabled” (it stopped itself)";
    /// What it is called.
    Name = "the name";
    /// To whom it belongs.
    Owner = "the owner";
    /// Who answers for where a remote leads.
    Author = "who answers for it";
    /// Certificates and the proxy.
    Transport = "TLS or proxy settings";
    /// Who may read.
    Visibility = "the visibility";
    /// Who may write.
    State = "the state";
    /// What a repository says of itself.
    Descriptions = "a description";
    /// Which tags cannot be moved.
    ImmutableTags = "immutable tags";
}

/// The last change of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    /// Who made it.
    pub by: Author,
    /// What was changed; empty where everything stayed as it was.
    pub what: Vec<Aspect>,
}

impl LastChange {
    /// That `what` was changed by `by`.
    #[must_use]
    pub fn new(by: Author, what: Vec<Aspect>) -> Self {
        Self { by, what }
    }

    /// The refusal of a change that is based on an older version of `thing`, such as "push mirror".
    #[must_use]
    pub fn conflict(
        last: Option<&Self>,
        code: Code,
        thing: &str,
        based_on: Version,
        now: Version,
    ) -> Problem {
        let who = match last {
            Some(Self { by: Author::Policy { .. } | Author::System, .. }) => "Longshore".to_owned(),
            Some(Self { by, .. }) => by.to_string(),
            None => "somebody".to_owned(),
        };
        let what = last.map(|last| enumerate(&last.what)).filter(|what| !what.is_empty());
        let what = what.unwrap_or_else(|| "its settings".to_owned());
        let message = format!(
            "{who} changed {what} of this {thing} after you loaded it. Load the latest version ({now}; yours is \
             {based_on}) and make your change again."
        );
        Problem { newer: Some(now), ..Problem::new(code, message) }
    }
}

/// "a", "a and b", "a, b and c".
fn enumerate(what: &[Aspect]) -> String {
    let words: Vec<&str> = what.iter().map(|aspect| aspect.words()).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_33_a_conflict_says_who_changed_what() {
        let by = Author::User { name: "alice".parse().unwrap() };
        let last = LastChange::new(by, vec![Aspect::Template, Aspect::Rules, Aspect::Disabled]);
        let problem =
            LastChange::conflict(Some(&last), Code::PolicyChanged, "push mirror", Version(3), Version(5));
        assert_eq!(problem.code.status(), 409);
        assert_eq!(problem.newer, Some(Version(5)));
        let said = "alice changed the tag template, the rules and “enabled” (off) of this push mirror";
        assert!(problem.message.starts_with(said), "{}", problem.message);
        let unknown = LastChange::conflict(None, Code::PolicyChanged, "push mirror", Version(1), Version(2));
        assert!(unknown.message.starts_with("somebody changed its settings"), "{}", unknown.message);
    }
}
