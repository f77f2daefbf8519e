//! Names of repositories and namespaces, here and at other registries (distribution-spec,
//! "Pulling manifests"). The list of reserved namespaces stands here and nowhere else.

use crate::text::validated_text;

/// The longest name of a repository, in characters.
pub const MAX_NAME: usize = 255;
/// The longest name of a namespace, in characters.
pub const MAX_NAMESPACE: usize = 55;

/// Namespaces that cannot be created, because the server's own addresses begin with them or
/// because they would read as somebody else's.
const RESERVED: &[&str] = &[
    "another", "api", "assets", "auth", "ca", "enzi", "events", "fn", "healthz", "login", "logout",
    "metrics", "new", "pkg", "public", "readyz", "system", "v2",
];

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no text at all.
    #[error("a name is missing; write it as namespace/name, for example dev/website")]
    Empty,
    /// Longer than the grammar allows; lengths in characters.
    #[error("a {what} has at most {max} characters, this one has {length}")]
    TooLong {
        /// `repository name` or `namespace`.
        what: &'static str,
        /// The longest allowed.
        max: usize,
        /// What was given.
        length: usize,
    },
    /// One part between slashes breaks the grammar.
    #[error(
        "{}: each part of a name has lower-case letters and digits, with single . or _, double __ or any \
         number of - between them (for example my-app_1.2)",
        quote_part(.part)
    )]
    Component {
        /// The part, cut to a length that fits a message.
        part: String,
    },
    /// A local repository name without its namespace.
    #[error("{name:?} lacks its namespace; write it as namespace/name, for example dev/{name}")]
    MissingNamespace {
        /// The only part that was given.
        name: String,
    },
    /// A namespace with a slash in it.
    #[error("a namespace is one word without a slash")]
    Slash,
}

impl NameError {
    /// Whether the specification allows such a name, and only this registry has none like it.
    pub fn is_legal_elsewhere(&self) -> bool {
        matches!(self, Self::MissingNamespace { .. } | Self::TooLong { .. })
    }
}

fn quote_part(part: &str) -> String {
    if part.is_empty() { "there is an empty part".into() } else { format!("{part:?} does not fit") }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let mut rest = part.as_bytes();
    loop {
        let word = rest.iter().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
        if word == 0 {
            return false;
        }
        rest = match &rest[word..] {
            [] => return true,
            [b'_', b'_', after @ ..] | [b'_', after @ ..] | [b'.', after @ ..] => after,
            after @ [b'-', ..] => &after[after.iter().take_while(|b| **b == b'-').count()..],
            _ => return false,
        };
    }
}

fn check_components(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let length = text.chars().count();
    if length > MAX_NAME {
        return Err(NameError::TooLong { what: "repository name", max: MAX_NAME, length });
    }
    match text.split('/').find(|part| !is_component(part)) {
        Some(part) => Err(NameError::Component { part: part.chars().take(64).collect() }),
        None => Ok(()),
    }
}

fn check_namespace_length(text: &str) -> Result<(), NameError> {
    let length = text.chars().count();
    if length > MAX_NAMESPACE {
        return Err(NameError::TooLong { what: "namespace", max: MAX_NAMESPACE, length });
    }
    Ok(())
}

/// A user's or organization's name: the first part of a repository name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);
validated_text!(Namespace, NameError);

impl Namespace {
    fn check(text: &str) -> Result<(), NameError> {
        check_namespace_length(text)?;
        if text.contains('/') {
            return Err(NameError::Slash);
        }
        check_components(text)
    }

    /// Whether the server keeps this name for itself; nobody may create such a namespace.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

/// A repository of this registry: `namespace/name`, where `name` may have further slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);
validated_text!(RepositoryName, NameError);

impl RepositoryName {
    fn check(text: &str) -> Result<(), NameError> {
        check_components(text)?;
        match text.split_once('/') {
            None => Err(NameError::MissingNamespace { name: text.to_owned() }),
            Some((namespace, _)) => check_namespace_length(namespace),
        }
    }

    /// Puts a namespace and the rest of the name together.
    pub fn new(namespace: &Namespace, name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        Self::checked(format!("{namespace}/{name}"))
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once('/').expect("checked: a repository name has a slash")
    }

    /// The first part.
    pub fn namespace(&self) -> &str {
        self.split().0
    }

    /// The first part as a value of its own.
    pub fn to_namespace(&self) -> Namespace {
        Namespace(self.namespace().to_owned())
    }

    /// Everything after the first slash.
    pub fn name(&self) -> &str {
        self.split().1
    }
}

/// A repository of any registry: one component or more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);
validated_text!(RemoteName, NameError);

impl RemoteName {
    fn check(text: &str) -> Result<(), NameError> {
        check_components(text)
    }
}

impl From<RepositoryName> for RemoteName {
    fn from(name: RepositoryName) -> Self {
        Self(name.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_slashes_splits_at_the_first() {
        let name: RepositoryName = "dev/team/web".parse().unwrap();
        assert_eq!((name.namespace(), name.name()), ("dev", "team/web"));
    }

    #[test]
    fn a_repository_needs_its_namespace() {
        let error = "website".parse::<RepositoryName>().unwrap_err();
        assert!(error.to_string().contains("dev/website"), "{error}");
        assert!("website".parse::<RemoteName>().is_ok());
    }

    #[test]
    fn separators_follow_the_grammar() {
        for good in ["a", "a.b", "a_b", "a__b", "a-b", "a---b", "0", "a1.b2_c3__d4--e5"] {
            assert!(is_component(good), "{good}");
        }
        for bad in ["", "A", "a..b", "a___b", "-a", "a-", "a.-b", "a b", "ä", "a/", "_a", "a._b"] {
            assert!(!is_component(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_with_256_characters_is_refused() {
        let long = format!("dev/{}", "a".repeat(252));
        assert_eq!(
            long.parse::<RepositoryName>(),
            Err(NameError::TooLong { what: "repository name", max: 255, length: 256 })
        );
        assert!(long[..255].parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn semantics_31_reserved_namespaces_stand_here() {
        for name in ["v2", "api", "fn", "events", "pkg", "system"] {
            assert!(name.parse::<Namespace>().unwrap().is_reserved(), "{name}");
        }
        assert!(!"library".parse::<Namespace>().unwrap().is_reserved());
    }

    #[test]
    fn serde_speaks_strings_and_checks_them() {
        let name: RepositoryName = serde_json::from_str("\"dev/web\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"dev/web\"");
        assert!(serde_json::from_str::<RepositoryName>("\"Dev/web\"").is_err());
    }

    proptest! {
        #[test]
        fn every_name_of_the_grammar_is_accepted(
            name in "[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}){1,4}"
        ) {
            let parsed: RepositoryName = name.parse().unwrap();
            prop_assert_eq!(format!("{}/{}", parsed.namespace(), parsed.name()), name);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<Namespace>();
        }
    }
}
