//! What a reader may see in lists, as a type and as a condition of statements.

use longshore_oci::Namespace;

/// The condition that a reader may see the repository of `repositories`, by the parameters of [`Visible::columns`];
/// without the first of them, for readers who do not see everything.
macro_rules! visible {
    ($repository:literal, $everything:literal, $public:literal, $namespaces:literal) => {
        concat!("(", $everything, " OR ", $crate::visible::visible!($repository, $public, $namespaces), ")")
    };
    ($repository:literal, $public:literal, $namespaces:literal) => {
        concat!(
            "((",
            $public,
            " AND ",
            $repository,
            ".visibility = 'public') OR ",
            $crate::visible::among!(concat!($repository, ".namespace"), $namespaces),
            ")"
        )
    };
}

/// The condition that a column has one of these namespaces, given as a JSON array. No form of `IN` works on both
/// databases.
macro_rules! among {
    ($column:expr, $namespaces:literal) => {
        concat!("REPLACE(", $namespaces, r#", '"' || "#, $column, r#" || '"', '') <> "#, $namespaces)
    };
}

pub(crate) use {among, visible};

/// What a reader may see in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    Everything,
    /// Only some of it.
    Of {
        /// Everything that is public.
        public: bool,
        /// Everything in these namespaces.
        namespaces: Vec<Namespace>,
    },
}

impl Visible {
    /// Whether the reader sees everything, whether public repositories, and the namespaces as a JSON array, in which
    /// both databases can search for a quoted one.
    pub(crate) fn columns(&self) -> (bool, bool, String) {
        match self {
            Self::Everything => (true, true, "[]".to_owned()),
            Self::Of { public, namespaces } => (false, *public, crate::convert::json(namespaces)),
        }
    }
}
