//! JSON of other servers as text that a parser takes, where it is nearly so.

use std::borrow::Cow;

/// The byte order mark that some servers put before their JSON.
const MARK: char = '\u{feff}';
/// What stands for what is no Unicode.
const REPLACEMENT: &[u8] = b"fffd";

/// A document without its byte order mark, and with U+FFFD for bytes that are no UTF-8 and for escaped halves of
/// surrogate pairs. Copies only what has such things in it.
pub(crate) fn lenient(body: &[u8]) -> Cow<'_, str> {
    let text = match String::from_utf8_lossy(body) {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(MARK).unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(MARK).map(ToOwned::to_owned).unwrap_or(text)),
    };
    let halves = lone_halves(text.as_bytes());
    if halves.is_empty() {
        return text;
    }
    let mut bytes = text.into_owned().into_bytes();
    for at in halves {
        bytes[at..at + REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
    }
    // Four ASCII digits stand where four ASCII digits stood.
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where the digits of escaped surrogates stand that have no other half.
fn lone_halves(text: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(skipped) = text[at..].iter().position(|byte| *byte == b'\\') {
        at += skipped;
        match escaped(text, at) {
            Some(0xd800..0xdc00) if matches!(escaped(text, at + 6), Some(0xdc00..0xe000)) => at += 12,
            Some(0xd800..0xe000) => {
                found.push(at + 2);
                at += 6;
            }
            // Also past an escaped backslash.
            _ => at = text.len().min(at + 2),
        }
    }
    found
}

/// The code unit that `\uXXXX` at this place stands for.
fn escaped(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(br"\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u16::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_unicode_is_replaced_and_the_rest_stays() {
        for (body, text) in [
            (&br#"["a\ud83d\ude00b"]"#[..], r#"["a\ud83d\ude00b"]"#),
            (br#"["\ud83d","\uDE00","\ud83d\ud83d\ude00"]"#, r#"["\ufffd","\ufffd","\ufffd\ud83d\ude00"]"#),
            (br#"["\\ud800","\\\ud800"]"#, r#"["\\ud800","\\\ufffd"]"#),
            (b"\xef\xbb\xbf{}", "{}"),
            (b"caf\xe9", "caf\u{fffd}"),
            (br"\", r"\"),
            (br"\ud80", r"\ud80"),
        ] {
            assert_eq!(lenient(body), text);
        }
    }

    proptest! {
        #[test]
        fn what_a_parser_takes_is_left_as_it_is(text in r#"[a-z\\"ué😀]{0,20}"#) {
            let json = serde_json::to_string(&text).unwrap_or_default();
            prop_assert_eq!(lenient(json.as_bytes()), json.as_str());
        }

        #[test]
        fn no_bytes_make_it_panic(body in r#"[\\ud8c0-9é]{0,40}"#) {
            let _ = lenient(body.as_bytes());
        }
    }
}
