//! The document with which a token service answers, in every form that carries a token (semantics 40).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::text::lenient;

/// How long a token lives whose service does not say, or says nonsense (token authentication specification).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// What claims to live longer, in seconds, is nonsense.
const LONGEST_CLAIM: f64 = 10.0 * 366.0 * 86_400.0;

/// What a token service gave; without `Debug`, for it holds a secret.
pub(crate) struct TokenDocument {
    pub(crate) token: String,
    pub(crate) lifetime: Duration,
}

impl TokenDocument {
    /// Reads the answer of a token service. `issued_at` is not heeded: it is another's clock.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let members: Map<String, Value> =
            serde_json::from_str(&lenient(body)).map_err(|_| "no JSON with a token")?;
        let named = ["token", "access_token"].into_iter().find_map(|name| {
            let text = members.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        });
        let lifetime = members.get("expires_in").and_then(lifetime).unwrap_or(DEFAULT_LIFETIME);
        Ok(Self { token: named.ok_or("no token")?, lifetime })
    }
}

/// A number of seconds, also as text; `None` where it makes no sense.
fn lifetime(claimed: &Value) -> Option<Duration> {
    let seconds = match claimed {
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        other => other.as_f64()?,
    };
    (seconds > 0.0 && seconds <= LONGEST_CLAIM).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(body: &str) -> Result<(String, u64), &'static str> {
        TokenDocument::parse(body.as_bytes()).map(|found| (found.token, found.lifetime.as_secs()))
    }

    #[test]
    fn semantics_40_every_document_that_carries_a_token_is_taken() {
        for body in [
            r#"{"token":"t"}"#,
            "\u{feff}{\"token\":\"t\"}",
            r#"{"access_token":"t"}"#,
            r#"{"token":"","access_token":"t"}"#,
            r#"{"token":"t","access_token":""}"#,
            r#"{"token":null,"access_token":"t","refresh_token":7}"#,
            r#"{"token":["x"],"access_token":" t\n","issued_at":"yesterday"}"#,
        ] {
            assert_eq!(parse(body), Ok(("t".into(), 60)), "{body}");
        }
        for body in ["", "t", "[]", "null", "{}", r#"{"token":""}"#, r#"{"token":7}"#, "<html>"] {
            assert!(parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn semantics_40_a_nonsensical_expiry_counts_as_a_minute() {
        for (claim, seconds) in [
            ("300", 300),
            (r#""300""#, 300),
            (r#"" 300 ""#, 300),
            ("299.9", 299),
            ("1", 1),
            ("86400", 86_400),
        ] {
            assert_eq!(
                parse(&format!(r#"{{"token":"t","expires_in":{claim}}}"#)).unwrap().1,
                seconds,
                "{claim}"
            );
        }
        for claim in
            ["0", "-5", "null", r#""soon""#, r#""""#, "1e300", "true", "[300]", r#""NaN""#, r#""inf""#]
        {
            assert_eq!(parse(&format!(r#"{{"token":"t","expires_in":{claim}}}"#)).unwrap().1, 60, "{claim}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(body in r#"\{"(token|expires_in)":["0-9a-z\-.eE+\[\]]{0,20}\}?"#) {
            let _ = parse(&body);
        }
    }
}
