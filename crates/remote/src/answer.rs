//! Reads responses: bounded bodies, error bodies, `Retry-After`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use longshore_oci::{ErrorBody, ErrorCode, media_type};
use reqwest::Response;
use tokio::time::Instant;

use crate::encoding::ContentEncoding;
use crate::transport::{Watched, network_error};
use crate::{Error, Failure, Refusal};

/// The most bytes of an error body that are read.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// The most characters of a registry's message that are quoted.
const MAX_WORDS: usize = 300;
/// The longest error code that is recognised, in bytes.
const MAX_CODE: usize = 64;
/// The minimum throughput of a body after [`GRACE`], in bytes per second.
const SLOWEST: u64 = 1024;
/// The time before [`SLOWEST`] applies to a body.
const GRACE: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is honoured.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// `Retry-After` numbers from here on are taken for Unix times in seconds; this one is in 2001.
const UNIX_TIMES_FROM: i64 = 1_000_000_000;

/// A header as text; `None` if it is missing or not readable.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

/// The value of a header with a URL, such as `Location` or `Link`, with everything outside ASCII percent-encoded,
/// since some servers do not encode names.
pub(crate) fn address(value: &HeaderValue) -> String {
    value.as_bytes().iter().fold(String::with_capacity(value.len()), |mut text, byte| {
        match byte.is_ascii() {
            true => text.push(char::from(*byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

/// The media type of a response, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<String> {
    header(headers, &CONTENT_TYPE).map(media_type::essence)
}

/// The throughput of a body. A body that is too slow is given up: a server that sends one byte a second would block
/// a listing, a token or a blob for ever.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn is_too_slow(self) -> bool {
        self.waited >= GRACE && self.bytes < self.waited.as_secs() * SLOWEST
    }
}

/// The next chunk of a body, if it arrives within [`crate::Patience::idle`] and the body keeps up with [`SLOWEST`].
pub(crate) async fn next_piece(
    response: &mut Response,
    host: &str,
    doing: &str,
) -> Result<Option<Bytes>, Error> {
    let watched = response.extensions().get::<Watched>().cloned();
    let under_way = watched.as_ref().map(|watched| watched.gate().under_way());
    let asked = Instant::now();
    let idle = watched.as_ref().map(Watched::patience).unwrap_or_default().idle;
    let piece = tokio::time::timeout(idle, response.chunk()).await;
    let bytes = piece.as_ref().ok().and_then(|piece| piece.as_ref().ok()?.as_ref()).map_or(0, Bytes::len);
    if let Some(watched) = &watched {
        watched.gate().came(bytes);
    }
    drop(under_way);
    let pace = response.extensions_mut().get_or_insert_default::<Pace>();
    pace.waited += asked.elapsed();
    pace.bytes += bytes as u64;
    let pace = *pace;
    let failure = match piece {
        Ok(Err(error)) => return Err(network_error(&error, host, doing)),
        Ok(Ok(Some(_))) if pace.is_too_slow() => {
            Failure::TooSlow { bytes: pace.bytes, seconds: pace.waited.as_secs() }
        }
        Ok(Ok(piece)) => return Ok(piece),
        Err(_) => Failure::Timeout { seconds: idle.as_secs() },
    };
    if let Some(watched) = watched {
        watched.fell_silent().await;
    }
    Err(Error::Network { host: host.to_owned(), doing: doing.to_owned(), failure })
}

/// Reads a whole body of at most `max` bytes.
pub(crate) async fn read_body(
    response: &mut Response,
    host: &str,
    doing: &str,
    max: usize,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(piece) = next_piece(response, host, doing).await? {
        if body.len() + piece.len() > max {
            let what = format!("more than {max} bytes");
            return Err(Error::BadAnswer { host: host.to_owned(), doing: doing.to_owned(), what });
        }
        body.extend_from_slice(&piece);
    }
    let body = body.freeze();
    plain(response.headers(), &body, max).map_err(|what| {
        let (host, doing) = (host.to_owned(), doing.to_owned());
        Error::BadAnswer { host, doing, what }
    })
}

/// Decodes a document that is known not to be a compressed file; encodings are never requested.
fn plain(headers: &HeaderMap, body: &Bytes, max: usize) -> Result<Bytes, String> {
    // Some servers name an encoding that was not applied. JSON and HTML never begin like compressed data.
    let is_text = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'{' | b'[' | b'<' | b'"');
    match ContentEncoding::of(headers) {
        Some(encoding) if body.first().is_some_and(|byte| !is_text(byte)) => {
            encoding.undo(body, max).ok_or_else(|| format!("what cannot be read: {}", encoding.remedy()))
        }
        Some(_) | None => Ok(body.clone()),
    }
}

/// The first `max` bytes of a body, and whether that is all of it. The rest is not read.
pub(crate) async fn read_up_to(
    response: &mut Response,
    host: &str,
    doing: &str,
    max: usize,
) -> Result<(Bytes, bool), Error> {
    let mut body = BytesMut::new();
    while let Some(piece) = next_piece(response, host, doing).await? {
        let room = max - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((body.freeze(), false));
        }
    }
    let body = body.freeze();
    // The caller reports what it cannot decode.
    Ok((plain(response.headers(), &body, max).unwrap_or(body), true))
}

/// The beginning of an error body; a truncated body is good enough for a message.
async fn read_error_body(response: &mut Response, host: &str, doing: &str) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BODY {
        match next_piece(response, host, doing).await {
            Ok(Some(piece)) => body.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BODY - body.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    body
}

/// Reads the body of an error response, and returns a response whose body can be read again.
pub(crate) async fn peeked(mut response: Response, host: &str, doing: &str) -> (Response, Bytes) {
    let body = Bytes::from(read_error_body(&mut response, host, doing).await);
    let mut again = http::Response::new(body.clone());
    *again.status_mut() = response.status();
    *again.headers_mut() = std::mem::take(response.headers_mut());
    (again.into(), body)
}

/// Whether an error response means that a token is invalid or expired: by its challenge, or by the text of its
/// body, which no specification defines.
pub(crate) fn is_about_token(headers: &HeaderMap, body: &[u8]) -> bool {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges = challenges.filter_map(|value| value.to_str().ok());
    let (code, message) = words_of(headers, body);
    let denied = code.is_some_and(|code| matches!(code, ErrorCode::Denied | ErrorCode::Unauthorized));
    let words = message.to_ascii_lowercase();
    challenges.any(|challenge| challenge.contains("invalid_token"))
        || words.contains("invalid_token")
        || (denied && words.contains("token") && (words.contains("expired") || words.contains("invalid")))
}

/// Turns an error response into a [`Refusal`].
pub(crate) async fn refusal(mut response: Response, host: &str, doing: &str) -> Refusal {
    let body = read_error_body(&mut response, host, doing).await;
    let (code, message) = words_of(response.headers(), &body);
    Refusal {
        host: host.to_owned(),
        doing: doing.to_owned(),
        status: response.status(),
        code,
        message,
        retry_after: retry_after(response.headers()),
    }
}

/// Code and message of an error body: the first error, if the body has the form that the specification defines.
/// Nothing else is quoted: the address may lead to a server that is not a registry, whose responses the user must
/// not see (semantics 44).
fn words_of(headers: &HeaderMap, body: &[u8]) -> (Option<longshore_oci::ErrorCode>, String) {
    let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
    match parsed.and_then(|parsed| parsed.errors.into_iter().next()) {
        Some(first) if is_code(first.code.as_str()) => (Some(first.code), tidy(&first.message)),
        _ => (None, markup(headers, body).map_or_else(String::new, |markup| markup.words().to_owned())),
    }
}

/// Whether a word has the form of the specification's error codes: other JSON has lists of errors, too.
fn is_code(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_CODE).contains(&word.len()) && word.bytes().all(fits)
}

/// A response that is markup instead of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markup {
    /// Typical of login pages and wrong addresses.
    WebPage,
    /// Typical of object stores: the errors of S3 and compatible services.
    Xml,
}

impl Markup {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::WebPage => "a web page",
            Self::Xml => "an XML document",
        }
    }
}

/// Recognises a web page or XML by media type or by the beginning of the body.
pub(crate) fn markup(headers: &HeaderMap, body: &[u8]) -> Option<Markup> {
    let kind = content_type(headers).unwrap_or_default();
    let begin = body.trim_ascii_start();
    match kind.as_str() {
        "text/html" | "application/xhtml+xml" => Some(Markup::WebPage),
        "application/xml" | "text/xml" => Some(Markup::Xml),
        _ if begin.starts_with(b"<?xml") || begin.starts_with(b"<Error") => Some(Markup::Xml),
        _ => begin.starts_with(b"<").then_some(Markup::WebPage),
    }
}

/// Sanitises foreign text for a message: one line, no control characters, shortened.
pub(crate) fn tidy(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().take(4 * MAX_WORDS).map(visible).collect();
    let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_WORDS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3), or as a Unix time, which some servers send. At most a
/// day; users can have the registry tried sooner. A date is relative to the `Date` of the response, so that a wrong
/// clock on either side does no harm; a response without one was [`dated`] on arrival.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = header(headers, &RETRY_AFTER)?;
    let until = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number with too many digits still is a number.
        let seconds = value.parse().unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            // Nobody means thirty years: it is a point in time.
            Ok(at) if seconds >= UNIX_TIMES_FROM => at,
            _ => return Some(Duration::from_secs(seconds.unsigned_abs()).min(LONGEST_WAIT)),
        }
    } else {
        date(value)?
    };
    let wait = until.duration_since(date(header(headers, &DATE)?)?);
    Some(wait.try_into().unwrap_or(Duration::ZERO).min(LONGEST_WAIT))
}

/// An HTTP date.
fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

/// Sets `Date` to the time of arrival if it is missing or not readable (RFC 9110 §6.6.1).
pub(crate) fn dated(headers: &mut HeaderMap, now: Timestamp) {
    if header(headers, &DATE).and_then(date).is_none()
        && let Ok(text) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
        && let Ok(value) = text.parse()
    {
        headers.insert(DATE, value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_oci::ErrorCode;

    #[test]
    fn a_slow_body_is_accepted_until_it_all_but_stops() {
        let pace = |seconds, bytes| Pace { waited: Duration::from_secs(seconds), bytes };
        assert!(!pace(59, 1).is_too_slow(), "it has just begun");
        assert!(pace(60, 60).is_too_slow());
        assert!(!pace(60, 60 * SLOWEST).is_too_slow());
        assert!(pace(600, 60 * SLOWEST).is_too_slow(), "it has all but stopped");
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn urls_in_headers_may_contain_unencoded_names() {
        let read = |bytes: &[u8]| address(&HeaderValue::from_bytes(bytes).unwrap());
        assert_eq!(read("/data?name=größe".as_bytes()), "/data?name=gr%C3%B6%C3%9Fe");
        assert_eq!(read(b"https://a.example/x%20y"), "https://a.example/x%20y");
        assert_eq!(read(b"/caf\xe9"), "/caf%E9", "it is kept as it came, though it is not UTF-8");
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "7")])), Some(Duration::from_secs(7)));
        let sent = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = headers(&[sent.clone(), (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT")]);
        assert_eq!(retry_after(&date), Some(Duration::from_secs(30)));
        let past = headers(&[sent, (RETRY_AFTER, "Sun, 06 Nov 1960 08:50:07 GMT")]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        let unix = headers(&[(DATE, "Sun, 06 Nov 2022 08:49:37 GMT"), (RETRY_AFTER, "1667724607")]);
        assert_eq!(retry_after(&unix), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon")])), None);
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "-7")])), None);
        for beyond in ["9999999999999999999", "99999999999999999999999", "86401"] {
            assert_eq!(retry_after(&headers(&[(RETRY_AFTER, beyond)])), Some(LONGEST_WAIT), "{beyond}");
        }
    }

    #[test]
    fn a_retry_after_date_without_a_date_header_counts_from_the_arrival() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let wait = |sent: Option<&str>, until: &str| {
            let sent = sent.map(|sent| (DATE, sent));
            let mut headers = headers(&sent.into_iter().chain([(RETRY_AFTER, until)]).collect::<Vec<_>>());
            dated(&mut headers, now);
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let soon = "Mon, 30 Nov 2026 12:00:30 GMT";
        assert_eq!(wait(None, soon), Some(30));
        assert_eq!(wait(Some("today"), soon), Some(30), "an invalid Date");
        assert_eq!(wait(Some("Mon, 30 Nov 2026 11:59:00 GMT"), soon), Some(90), "the other's clock is slow");
        assert_eq!(wait(None, "Mon, 30 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(wait(None, "Mon, 30 Nov 2037 12:00:00 GMT"), Some(LONGEST_WAIT.as_secs()));
        assert_eq!(wait(None, "tomorrow"), None);
        assert_eq!(wait(None, "7"), Some(7));
    }

    #[test]
    fn error_bodies_are_read_in_all_their_forms() {
        let none = HeaderMap::new();
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u0007 way\n at all"}]}"#;
        assert_eq!(words_of(&none, body), (Some(ErrorCode::Denied), "no way at all".into()));
        let long = format!(r#"{{"errors":[{{"code":"DENIED","message":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(words_of(&none, long.as_bytes()).1.chars().count(), MAX_WORDS + 1);
        assert_eq!(words_of(&none, b"  <!DOCTYPE html><title>hello</title>").1, "a web page");
        let s3 = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        assert_eq!(words_of(&none, s3).1, "an XML document");
    }

    #[test]
    fn semantics_44_what_is_not_the_specifications_error_is_not_quoted() {
        for body in [
            r#"{"details":"inner words"}"#,
            r#"{"message":"inner words"}"#,
            r#"{"errors":["inner words"]}"#,
            r#"{"errors":[{"message":"inner words"}]}"#,
            r#"{"errors":[{"code":"inner words","message":"inner words"}]}"#,
            r#"{"errors":[{"code":"graphql-validation-failed","message":"inner words"}]}"#,
            r#"{"errors":[]}"#,
            r#""inner words""#,
            "-ERR unknown command 'inner words'",
            "",
        ] {
            assert_eq!(words_of(&HeaderMap::new(), body.as_bytes()), (None, String::new()), "{body}");
        }
        assert!(!is_code(&"A".repeat(65)));
    }
}
