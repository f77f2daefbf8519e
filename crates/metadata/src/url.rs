//! A database's URL: which database it means, and what of it may be shown.

use ::url::{Position, Url};

/// Whether it means PostgreSQL; else it is a file of SQLite's.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// A database's URL as it may be shown: without user and password, also where these are parameters. Of one that
/// cannot be read the scheme alone is shown, as nobody knows which part of it is the password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return url.to_owned();
    };
    // An `@` that far behind belongs to a password with a `/`, `?` or `#` in it.
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
    fn a_message_about_the_database_holds_no_password() {
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
