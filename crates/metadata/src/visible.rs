//! What of a list its reader may see. Who that is and why is `access`' business; here it is a
//! condition in SQL.

use crate::column::list;
use longshore_oci::Namespace;

/// Which repositories (and what belongs to them) a reader may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// All of them.
    Everything,
    /// Some of them.
    Of {
        /// Whether public ones are among them.
        public: bool,
        /// Namespaces whose repositories are among them.
        namespaces: Vec<Namespace>,
    },
}

/// [`Visible`] as three parameters of a statement, see [`visible_repository!`].
pub(crate) struct Bounds {
    pub(crate) everything: bool,
    pub(crate) public: bool,
    pub(crate) namespaces: String,
}

impl Visible {
    pub(crate) fn bounds(&self) -> Bounds {
        match self {
            Self::Everything => Bounds { everything: true, public: true, namespaces: list::<&str>([]) },
            Self::Of { public, namespaces } => {
                Bounds { everything: false, public: *public, namespaces: list(namespaces) }
            }
        }
    }
}
