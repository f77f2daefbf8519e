//! The URL of a database: which kind of database it names, and how it may be shown.

use ::url::{Position, Url};

/// Whether it names a PostgreSQL database; otherwise it names a SQLite file.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The URL without user and password, including those in parameters, so that it may be shown. If it cannot be parsed,
/// only the scheme is shown, because any part could be the password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return url.to_owned();
    };
    // An `@` after the host belongs to a password that contains `/`, `?` or `#`.
    let Some(read) = Url::parse(url).ok().filter(|read| !read[Position::BeforePath..].contains('@')) else {
        return format!("{scheme}://…");
    };
    let user = if read[..Position::BeforeHost].ends_with('@') { "…@" } else { "" };
    let place = &read[Position::BeforeHost..Position::AfterPath];
    let parameters = read.query_pairs().map(|(name, value)| match &*name {
        "user" | "password" => format!("{name}=…"),
        _ => format!("{name}={value}"),
    });
    let parameters = parameters.collect::<Vec<_>>().join("&");
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{place}{question}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_the_database_contains_no_password() {
        for (url, shown) in [
            ("postgres://db:5433/longshore", "postgres://db:5433/longshore"),
            ("postgres://u:p@ss@db/longshore", "postgres://…@db/longshore"),
            ("postgres://u@db/longshore?sslmode=require", "postgres://…@db/longshore?sslmode=require"),
            ("postgres://u:p?ss@db/longshore", "postgres://…"),
            ("postgres://u:5?ss@db/longshore", "postgres://…"),
            ("postgres://u:5/ss@db/longshore", "postgres://…"),
            ("postgres://u:5#ss@db/longshore", "postgres://…"),
            ("mysql://u:p@db", "mysql://…@db"),
            (
                "postgres://db/x?user=u&password=p%40ss&sslmode=require",
                "postgres://db/x?user=…&password=…&sslmode=require",
            ),
            ("postgres://db/x?p%61ssword=geheim", "postgres://db/x?password=…"),
            ("sqlite:///srv/a@b.db", "sqlite:///srv/a@b.db"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
        assert_eq!(without_password("/var/lib/longshore.db"), "/var/lib/longshore.db");
    }
}
