//! Byte ranges: the `Range` header of blob GETs (RFC 9110 §14) and the `Content-Range` header of
//! chunked uploads (distribution-spec, "Pushing a blob in chunks").

use std::fmt;
use std::str::FromStr;

/// A range header is unreadable. RFC 9110 requires a GET to ignore such a Range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("a range is written bytes=first-last, bytes=first- or bytes=-count")]
    Range,
    #[error("a content range is written first-last, both inclusive, for example 0-1023")]
    ContentRange,
}

/// The range is outside of the content; the response is 416.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range lies outside of the content of {length} bytes")]
pub struct Unsatisfiable {
    /// The length of the content in bytes.
    pub length: u64,
}

/// One requested range. Several ranges in one header are not supported and count as unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both inclusive. If the last precedes the first, the range is outside of any content (RFC
    /// 9110 §14.1.1 lets the server choose to reject or ignore it).
    Between(u64, u64),
    /// `bytes=first-`
    From(u64),
    /// `bytes=-count`
    Last(u64),
}

/// A range within the content; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u64,
    /// The number of bytes.
    pub length: u64,
}

impl Span {
    /// The offset of the last byte.
    pub fn last(self) -> u64 {
        self.start + self.length - 1
    }

    /// The Content-Range header of a 206 response.
    pub fn content_range(self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.last())
    }
}

/// Parses decimal digits only: `u64::from_str` would also accept a plus sign. A number that is too large for any
/// content counts as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

impl ByteRange {
    /// The part of the content of `length` bytes that the range selects.
    pub fn resolve(self, length: u64) -> Result<Span, Unsatisfiable> {
        let (start, end) = match self {
            ByteRange::Between(first, last) => (first, last.saturating_add(1).min(length)),
            ByteRange::From(first) => (first, length),
            ByteRange::Last(count) => (length.saturating_sub(count), length),
        };
        if start < end { Ok(Span { start, length: end - start }) } else { Err(Unsatisfiable { length }) }
    }
}

impl FromStr for ByteRange {
    type Err = RangeError;

    fn from_str(header: &str) -> Result<Self, RangeError> {
        let (unit, range) = header.split_once('=').ok_or(RangeError::Range)?;
        let (first, last) = range.trim().split_once('-').ok_or(RangeError::Range)?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Err(RangeError::Range);
        }
        Ok(match (first, last) {
            ("", count) => ByteRange::Last(number(count).ok_or(RangeError::Range)?),
            (first, "") => ByteRange::From(number(first).ok_or(RangeError::Range)?),
            (first, last) => ByteRange::Between(
                number(first).ok_or(RangeError::Range)?,
                number(last).ok_or(RangeError::Range)?,
            ),
        })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ByteRange::Between(first, last) => write!(f, "bytes={first}-{last}"),
            ByteRange::From(first) => write!(f, "bytes={first}-"),
            ByteRange::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

/// The position of a chunk of an upload: `first-last`, both inclusive. The prefix `bytes ` and a suffix `/total`, as
/// in HTTP, are also accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The offset of the first byte.
    pub first: u64,
    /// The offset of the last byte.
    pub last: u64,
}

impl ContentRange {
    /// The number of bytes of the chunk.
    pub fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl FromStr for ContentRange {
    type Err = RangeError;

    fn from_str(header: &str) -> Result<Self, RangeError> {
        let text = header.trim();
        let text = text.strip_prefix("bytes ").unwrap_or(text);
        let range = text.split_once('/').map_or(text, |(range, _total)| range);
        let (first, last) = range.split_once('-').ok_or(RangeError::ContentRange)?;
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(RangeError::ContentRange),
        }
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_resolve_against_a_length() {
        let span = |text: &str, length| text.parse::<ByteRange>().unwrap().resolve(length);
        assert_eq!(span("bytes=0-3", 10), Ok(Span { start: 0, length: 4 }));
        assert_eq!(span("bytes=8-99", 10), Ok(Span { start: 8, length: 2 }));
        assert_eq!(span("bytes=4-", 10), Ok(Span { start: 4, length: 6 }));
        assert_eq!(span("bytes=-3", 10), Ok(Span { start: 7, length: 3 }));
        assert_eq!(span("bytes=-30", 10), Ok(Span { start: 0, length: 10 }));
        let (endless, huge) = ("bytes=4-99999999999999999999", "bytes=99999999999999999999-");
        assert_eq!(span(endless, 10), Ok(Span { start: 4, length: 6 }));
        assert_eq!(span(huge, 10), Err(Unsatisfiable { length: 10 }));
        for (text, length) in
            [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-0", 0), ("bytes=-1", 0), ("bytes=3-1", 10)]
        {
            assert_eq!(span(text, length), Err(Unsatisfiable { length }), "{text}");
        }
        assert_eq!(span("bytes=8-99", 10).unwrap().content_range(10), "bytes 8-9/10");
    }

    #[test]
    fn only_a_single_byte_range_is_accepted() {
        for text in ["", "bytes", "bytes=", "bytes=-", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2"] {
            assert_eq!(text.parse::<ByteRange>(), Err(RangeError::Range), "{text}");
        }
    }

    #[test]
    fn the_position_of_a_chunk_is_parsed_in_every_form() {
        let expected = ContentRange { first: 5, last: 9 };
        for text in ["5-9", "bytes 5-9", "bytes 5-9/10", "5-9/*"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.length(), 5);
        for text in ["", "9-5", "5-", "-5", "a-b"] {
            assert_eq!(text.parse::<ContentRange>(), Err(RangeError::ContentRange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_span_is_always_within_the_content(first: u64, last: u64, length: u64) {
            for range in [ByteRange::Between(first, last), ByteRange::From(first), ByteRange::Last(last)] {
                prop_assert_eq!(range.to_string().parse(), Ok(range));
                if let Ok(span) = range.resolve(length) {
                    prop_assert!(span.length > 0 && span.last() < length);
                }
            }
        }

        #[test]
        fn no_text_causes_a_panic(text in "(bytes[ =])?\\PC{0,20}") {
            let _ = text.parse::<ByteRange>();
            let _ = text.parse::<ContentRange>();
        }
    }
}
