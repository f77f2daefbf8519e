//! The `WWW-Authenticate` header (RFC 9110 §11.6.1): how a registry wants clients to authenticate. It is parsed
//! leniently, since registries write it in many ways. An unreadable header gives no challenges, never an error.

use std::fmt;

/// An authentication scheme with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Username and password with each request.
    Basic {
        /// The name of the realm, for people.
        realm: String,
    },
    /// A token, which is fetched from the realm.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// The name by which the token service knows the registry.
        service: Option<String>,
        /// The scopes that the request needs, separated by spaces.
        scope: Option<String>,
        /// Why the token of the request is not sufficient, such as `insufficient_scope`.
        error: Option<String>,
        /// The same for people. Some clients, such as docker, show it instead of the message in the body.
        description: Option<String>,
    },
    /// A scheme that Longshore does not support.
    Other { scheme: String },
}

/// Parses all challenges of one header value.
pub fn parse_challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = Reader(header);
    while let Some(word) = rest.next_token() {
        if rest.take('=') {
            // A parameter of the preceding scheme. If there is none, the header begins in the middle.
            let value = rest.value();
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_ascii_lowercase(), value));
            }
        } else {
            found.push((word.to_owned(), Vec::new()));
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| Challenge::from_parts(scheme, parameters)).collect()
}

impl Challenge {
    fn from_parts(scheme: String, parameters: Vec<(String, String)>) -> Option<Self> {
        let mut parameters = parameters;
        let mut get = |name: &str| {
            let at = parameters.iter().position(|(key, _)| key == name)?;
            Some(parameters.swap_remove(at).1).filter(|value| !value.is_empty())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic { realm: get("realm").unwrap_or_default() });
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            // Without a realm, there is no place to fetch a token from.
            let realm = get("realm")?;
            return Some(Self::Bearer {
                realm,
                service: get("service"),
                scope: get("scope"),
                error: get("error"),
                description: get("error_description"),
            });
        }
        Some(Self::Other { scheme })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Challenge::Basic { realm } => write!(f, "Basic realm={}", Quoted(realm)),
            Challenge::Bearer { realm, service, scope, error, description } => {
                write!(f, "Bearer realm={}", Quoted(realm))?;
                let parameters = [
                    ("service", service),
                    ("scope", scope),
                    ("error", error),
                    ("error_description", description),
                ];
                for (name, value) in parameters {
                    if let Some(value) = value {
                        write!(f, ",{name}={}", Quoted(value))?;
                    }
                }
                Ok(())
            }
            Challenge::Other { scheme } => f.write_str(scheme),
        }
    }
}

/// Formats a quoted string without control characters, which headers must not contain.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('"')?;
        for c in self.0.chars().filter(|c| !c.is_control()) {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

/// The part of the header that has not been read yet.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn skip(&mut self, separators: &[char]) {
        self.0 = self.0.trim_start_matches(|c: char| c.is_whitespace() || separators.contains(&c));
    }

    /// The next token, after commas and anything else that cannot begin one.
    fn next_token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
        let start = self.0.find(is_token)?;
        let text = &self.0[start..];
        let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
        self.0 = &text[end..];
        Some(&text[..end])
    }

    fn take(&mut self, c: char) -> bool {
        let mut after = Reader(self.0);
        after.skip(&[]);
        match after.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A token or a quoted string; an unclosed string ends with the header.
    fn value(&mut self) -> String {
        self.skip(&[]);
        let Some(quoted) = self.0.strip_prefix('"') else {
            let end = self.0.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return value.to_owned();
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                c => value.push(c),
            }
        }
        self.0 = "";
        value
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
            error: None,
            description: None,
        }
    }

    #[test]
    fn challenges_of_known_registries_are_parsed() {
        assert_eq!(
            parse_challenges(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            [bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push")
            )]
        );
        assert_eq!(
            parse_challenges(r#"basic Realm="my \"best\" registry", charset="UTF-8""#),
            [Challenge::Basic { realm: "my \"best\" registry".into() }]
        );
        assert_eq!(
            parse_challenges(r#"bearer realm=https://a/t , service=x"#),
            [bearer("https://a/t", Some("x"), None)]
        );
    }

    #[test]
    fn one_header_may_have_several_challenges() {
        assert_eq!(
            parse_challenges(r#"Negotiate, Basic realm="a, b", Bearer realm="https://x/t""#),
            [
                Challenge::Other { scheme: "Negotiate".into() },
                Challenge::Basic { realm: "a, b".into() },
                bearer("https://x/t", None, None)
            ]
        );
    }

    #[test]
    fn malformed_headers_are_parsed_leniently() {
        assert_eq!(parse_challenges(""), []);
        assert_eq!(parse_challenges("Bearer"), []);
        assert_eq!(parse_challenges("realm=\"x\""), []);
        assert_eq!(parse_challenges("Bearer realm=\"https://x"), [bearer("https://x", None, None)]);
    }

    proptest! {
        #[test]
        fn a_formatted_challenge_is_parsed_back(realm in "[ -~]{1,30}", service in "[ -~]{1,20}") {
            let challenge = bearer(&realm, Some(&service), None);
            prop_assert_eq!(parse_challenges(&challenge.to_string()), vec![challenge]);
        }

        #[test]
        fn no_header_causes_a_panic(header in "\\PC{0,60}") {
            let _ = parse_challenges(&header);
        }
    }
}
