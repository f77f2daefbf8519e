//! The `Authorization` header with the two schemes that clients use (RFC 7617 and RFC 6750). Whether the credentials
//! are valid is decided elsewhere.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;

/// The credentials that a client sent.
#[derive(Debug)]
pub enum Credentials {
    /// Username and password.
    Basic {
        /// Without colons.
        user: String,
        /// May contain colons.
        password: SecretString,
    },
    Bearer(SecretString),
}

impl Credentials {
    /// Parses the value of the header; `None` if the scheme is unknown or the value is malformed.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.into()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), password: password.into() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_password_may_have_colons_and_the_scheme_may_have_any_case() {
        let header = format!("bAsIc {}", BASE64_STANDARD.encode("dev:a:b:ü"));
        let Some(Credentials::Basic { user, password }) = Credentials::parse(&header) else {
            panic!("Basic credentials were expected");
        };
        assert_eq!((user.as_str(), password.expose_secret()), ("dev", "a:b:ü"));
    }

    #[test]
    fn malformed_headers_give_no_credentials() {
        for header in ["", "Basic", "Digest x", "Basic %%%", "Basic eA==", "Basic /zo="] {
            assert!(Credentials::parse(header).is_none(), "{header}");
        }
        assert!(matches!(Credentials::parse("Bearer a.b.c"), Some(Credentials::Bearer(_))));
    }
}
