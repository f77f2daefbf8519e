//! The `Authorization` header: the two schemes with which clients prove who they are (RFC 7617 and
//! RFC 6750). Whether the proof holds is decided elsewhere.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;

/// What a client sent to prove who it is.
#[derive(Debug)]
pub enum Credentials {
    /// User name and password.
    Basic {
        /// The name; it has no colon.
        user: String,
        /// The password, which may have any.
        password: SecretString,
    },
    /// A token.
    Bearer(SecretString),
}

impl Credentials {
    /// Reads the value of the header; nothing, when it is of another scheme or malformed.
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
    fn a_password_may_hold_colons_and_the_scheme_any_case() {
        let header = format!("bAsIc {}", BASE64_STANDARD.encode("dev:a:b:ü"));
        let Some(Credentials::Basic { user, password }) = Credentials::parse(&header) else {
            panic!("Basic credentials were expected");
        };
        assert_eq!((user.as_str(), password.expose_secret()), ("dev", "a:b:ü"));
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        for header in ["", "Basic", "Digest x", "Basic %%%", "Basic eA==", "Basic /zo="] {
            assert!(Credentials::parse(header).is_none(), "{header}");
        }
        assert!(matches!(Credentials::parse("Bearer a.b.c"), Some(Credentials::Bearer(_))));
    }
}
