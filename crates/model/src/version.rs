//! Versions of policies, remotes and repository settings (semantics 33). A change names the version that it is based
//! on. If that is no longer the current version, the change is rejected with a message that names the author of the
//! newer version.

use crate::account::Author;
use crate::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of changes of something, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The version of a new object.
    pub const FIRST: Self = Self(1);

    /// The next version.
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
        /// A part of an object that can be changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Aspect {$(
            $(#[$doc])*
            $name,
        )*}

        impl Aspect {
            /// The name of the part in sentences.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

aspects! {
    Rules = "the rules";
    Template = "the tag template";
    Target = "the target";
    Registry = "the registry";
    RemoteRepository = "the remote repository";
    /// Username, password or token.
    Credentials = "the credentials";
    Patterns = "the tag patterns";
    Interval = "the interval";
    /// Whether tags are overwritten that the mirror did not set.
    Overwrite = "overwriting";
    /// Whether signatures, SBOMs and attestations are included.
    Referrers = "the included referrers";
    /// Whether non-distributable layers are mirrored.
    ForeignLayers = "foreign layers";
    Enabled = "“enabled” (on)";
    Disabled = "“enabled” (off)";
    #[serde(rename = "paused")]
    Stopped = "“enabled” (it stopped itself)";
    Name = "the name";
    Owner = "the owner";
    /// The user whose permissions decide which addresses a remote may have.
    Author = "the accountable user";
    /// Certificates and the proxy.
    Transport = "TLS or proxy settings";
    Visibility = "the visibility";
    State = "the state";
    Descriptions = "a description";
    ImmutableTags = "immutable tags";
}

/// The last change of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    pub by: Author,
    /// Empty if nothing was changed.
    pub what: Vec<Aspect>,
}

impl LastChange {
    #[must_use]
    pub fn new(by: Author, what: Vec<Aspect>) -> Self {
        Self { by, what }
    }

    /// The error for a change that is based on an older version of `thing`, such as "push mirror".
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
