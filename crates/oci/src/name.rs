//! Names of repositories and namespaces, here and at other registries (distribution-spec, "Pulling manifests"). This
//! is the only list of reserved namespaces.

use crate::text::validated_text;

/// The maximum number of characters of a repository name.
pub const MAX_NAME: usize = 255;
/// The maximum number of characters of a namespace.
pub const MAX_NAMESPACE: usize = 55;

/// Namespaces that cannot be created, because URLs of the server begin with them or because they would be misleading.
const RESERVED: &[&str] = &[
    "another", "api", "assets", "auth", "ca", "enzi", "events", "fn", "healthz", "login", "logout",
    "metrics", "new", "pkg", "public", "readyz", "system", "v2",
];

/// Why a name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name is missing; write it as namespace/name, for example dev/website")]
    Empty,
    /// The name is too long; lengths are in characters.
    #[error("a {what} has at most {max} characters, this one has {length}")]
    TooLong {
        /// `repository name` or `namespace`.
        what: &'static str,
        max: usize,
        /// The length of the text.
        length: usize,
    },
    /// A part between slashes does not follow the grammar.
    #[error(
        "{}: each part of a name has lower-case letters and digits, with single . or _, double __ or any \
         number of - between them (for example my-app_1.2)",
        quote_part(.part)
    )]
    Component {
        /// The part, cut to fit into a message.
        part: String,
    },
    /// The name of a local repository lacks its namespace.
    #[error("{name:?} lacks its namespace; write it as namespace/name, for example dev/{name}")]
    MissingNamespace {
        /// The only part.
        name: String,
    },
    /// A namespace contains a slash.
    #[error("a namespace is one word without a slash")]
    Slash,
}

impl NameError {
    /// Whether the specification allows the name and only this registry does not.
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

    /// Whether the server reserves this name, so that nobody can create the namespace.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

/// A repository of this registry: `namespace/name`, where `name` may contain further slashes.
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

    /// Combines a namespace and the rest of the name.
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

    /// The first part as a [`Namespace`].
    pub fn to_namespace(&self) -> Namespace {
        Namespace(self.namespace().to_owned())
    }

    /// Everything after the first slash.
    pub fn name(&self) -> &str {
        self.split().1
    }
}

/// A repository of any registry: one part or more.
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
    fn a_name_with_256_characters_is_rejected() {
        let long = format!("dev/{}", "a".repeat(252));
        assert_eq!(
            long.parse::<RepositoryName>(),
            Err(NameError::TooLong { what: "repository name", max: 255, length: 256 })
        );
        assert!(long[..255].parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn semantics_31_some_namespaces_are_reserved() {
        for name in ["v2", "api", "fn", "events", "pkg", "system"] {
            assert!(name.parse::<Namespace>().unwrap().is_reserved(), "{name}");
        }
        assert!(!"library".parse::<Namespace>().unwrap().is_reserved());
    }

    #[test]
    fn names_are_serialised_as_strings_and_validated() {
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
        fn no_text_causes_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<Namespace>();
        }
    }
}
