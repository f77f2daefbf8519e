//! Requests to a token service: the query of a GET, or the form of a POST as in OAuth 2 (RFC 6749 §4.3). What is
//! granted is decided elsewhere.

use secrecy::SecretString;

use crate::Scope;

/// The maximum number of scopes of one token; a client that mounts a blob requests two.
pub const MAX_SCOPES: usize = 50;

/// A request for a token.
#[derive(Debug, Default)]
pub struct TokenRequest {
    /// `scope`, each of which may contain several. Unreadable ones, such as types of other registries or invalid
    /// names, would grant nothing and are left out.
    pub scopes: Vec<Scope>,
    /// `grant_type` of a form.
    pub grant_type: Option<String>,
    /// `username` of a form.
    pub username: Option<String>,
    /// `password` of a form.
    pub password: Option<SecretString>,
}

/// The request has more than [`MAX_SCOPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has at most {MAX_SCOPES} scopes, {count} were requested")]
pub struct TooManyScopes {
    pub count: usize,
}

impl TokenRequest {
    /// Parses an encoded query or form (`application/x-www-form-urlencoded`). If a parameter other than the scope
    /// occurs several times, the first value that is not empty counts.
    ///
    /// # Errors
    /// [`TooManyScopes`]; everything else is accepted.
    pub fn parse(encoded: &[u8]) -> Result<Self, TooManyScopes> {
        let mut request = Self::default();
        for (name, value) in form_urlencoded::parse(encoded).filter(|(_, value)| !value.is_empty()) {
            match &*name {
                "scope" => {
                    let listed = value.split_ascii_whitespace();
                    request.scopes.extend(listed.filter_map(|scope| scope.parse::<Scope>().ok()));
                }
                "grant_type" => request.grant_type = request.grant_type.or(Some(value.into_owned())),
                "username" => request.username = request.username.or(Some(value.into_owned())),
                "password" => request.password = request.password.or(Some(value.into_owned().into())),
                _ => {}
            }
        }
        match request.scopes.len() {
            count if count > MAX_SCOPES => Err(TooManyScopes { count }),
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_form_is_parsed_as_clients_write_it() {
        let form = b"grant_type=password&username=&username=dev&password=a%26b+c&service=x\
                     &scope=repository:dev/web:pull%20registry:catalog:*&scope=plugin:x:y&scope=repository:qa:push";
        let request = TokenRequest::parse(form).unwrap();
        assert_eq!(request.grant_type.as_deref(), Some("password"));
        assert_eq!(request.username.as_deref(), Some("dev"));
        assert_eq!(request.password.unwrap().expose_secret(), "a&b c");
        assert_eq!(request.scopes.len(), 3);
    }

    #[test]
    fn too_many_scopes_are_rejected() {
        let query = |count| "scope=repository:a/b:pull&".repeat(count);
        assert_eq!(TokenRequest::parse(query(50).as_bytes()).unwrap().scopes.len(), 50);
        assert_eq!(TokenRequest::parse(query(51).as_bytes()).unwrap_err(), TooManyScopes { count: 51 });
    }
}
