//! Scopes of registry tokens, such as `repository:dev/web:pull,push` (the token authentication that clients of the
//! distribution API use). Which scopes are granted is decided elsewhere.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use strum::VariantArray;

use serde::{Deserialize, Serialize};

use crate::{NameError, RemoteName};

/// An action on a repository through the distribution API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "lowercase")]
pub enum ScopeAction {
    Pull,
    Push,
    Delete,
}

impl ScopeAction {
    /// All actions, for which `*` is a short form.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word in a scope.
    pub fn as_str(self) -> &'static str {
        match self {
            ScopeAction::Pull => "pull",
            ScopeAction::Push => "push",
            ScopeAction::Delete => "delete",
        }
    }
}

impl fmt::Display for ScopeAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A scope of a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `repository:<name>:<actions>`, possibly with a class after `repository`.
    Repository {
        /// Names at this registry have at least two parts; at others, one is enough.
        name: RemoteName,
        /// The requested actions. Unknown actions are left out, since requesting them grants nothing.
        actions: BTreeSet<ScopeAction>,
    },
    /// `registry:catalog:*`
    Catalog,
}

/// Why a scope is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The scope does not have three parts, or has another type.
    #[error(
        "a scope is written repository:name:actions or registry:catalog:*, for example repository:dev/web:pull,push"
    )]
    Shape,
    /// The repository name is invalid.
    #[error("invalid repository name in a scope: {0}")]
    Name(#[from] NameError),
}

impl Scope {
    /// A scope for one repository.
    pub fn repository(name: impl Into<RemoteName>, actions: impl IntoIterator<Item = ScopeAction>) -> Self {
        Self::Repository { name: name.into(), actions: actions.into_iter().collect() }
    }

    /// Parses a list separated by spaces, as one `scope` parameter may contain.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ScopeError> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (kind, rest) = text.split_once(':').ok_or(ScopeError::Shape)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(ScopeError::Shape)?;
        // A type may have a class, such as `repository(plugin)`, which has no effect on permissions.
        let kind =
            kind.split_once('(').filter(|(_, class)| class.ends_with(')')).map_or(kind, |(kind, _)| kind);
        match (kind, name) {
            ("registry", "catalog") => Ok(Self::Catalog),
            ("repository", name) => {
                let mut granted = BTreeSet::new();
                for word in actions.split(',') {
                    match word.trim() {
                        "*" => granted.extend(ScopeAction::ALL.iter().copied()),
                        word => granted.extend(ScopeAction::ALL.iter().copied().find(|a| a.as_str() == word)),
                    }
                }
                Ok(Self::Repository { name: name.parse()?, actions: granted })
            }
            _ => Err(ScopeError::Shape),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Catalog => f.write_str("registry:catalog:*"),
            Scope::Repository { name, actions } => {
                write!(f, "repository:{name}:")?;
                for (i, action) in actions.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(action.as_str())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_class_of_a_repository_is_ignored() {
        let plain: Scope = "repository:dev/web:pull,push".parse().unwrap();
        assert_eq!("repository(plugin):dev/web:pull,push".parse(), Ok(plain));
        for odd in ["repository(plugin:dev/web:pull", "repositories(plugin):dev/web:pull", "(x):dev/web:pull"]
        {
            assert_eq!(odd.parse::<Scope>(), Err(ScopeError::Shape), "{odd}");
        }
    }

    #[test]
    fn scopes_are_parsed_as_clients_write_them() {
        let name: RemoteName = "dev/web".parse().unwrap();
        assert_eq!(
            "repository:dev/web:push,pull".parse(),
            Ok(Scope::repository(name.clone(), [ScopeAction::Pull, ScopeAction::Push]))
        );
        assert_eq!(
            "repository:dev/web:*".parse(),
            Ok(Scope::repository(name.clone(), ScopeAction::ALL.iter().copied()))
        );
        assert_eq!("repository:dev/web:fly".parse(), Ok(Scope::repository(name, [])));
        assert_eq!("registry:catalog:*".parse(), Ok(Scope::Catalog));
        assert_eq!(Scope::parse_list(" registry:catalog:*  repository:a/b:pull ").unwrap().len(), 2);
    }

    #[test]
    fn an_invalid_scope_is_rejected() {
        assert_eq!("".parse::<Scope>(), Err(ScopeError::Shape));
        assert_eq!("repository:dev".parse::<Scope>(), Err(ScopeError::Shape));
        assert_eq!("plugin:a/b:pull".parse::<Scope>(), Err(ScopeError::Shape));
        assert!(matches!("repository:Dev:pull".parse::<Scope>(), Err(ScopeError::Name(_))));
    }

    proptest! {
        #[test]
        fn a_formatted_scope_is_parsed_back(name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", bits in 0u8..8) {
            let actions = ScopeAction::ALL.iter().copied().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, a)| a);
            let scope = Scope::repository(name.parse::<RemoteName>().unwrap(), actions);
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }

        #[test]
        fn no_text_causes_a_panic(text in "(repository:|registry:)?\\PC{0,30}") {
            let _ = text.parse::<Scope>();
        }
    }
}
