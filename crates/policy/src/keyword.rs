//! The variables of tag templates: the nineteen of DTR, which are the source tag and a subset of strftime's. jiff's
//! strftime formats them, always in English, since tags are also for machines. `template` parses them.

use jiff::fmt::strtime;
use longshore_oci::Tag;

use crate::moment::Moment;
use Written::Time;

/// A variable of a template.
#[derive(Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The character after the `%`.
    pub letter: char,
    pub meaning: &'static str,
    /// Examples of its values.
    pub example: &'static str,
    written: Written,
}

/// The value of a variable.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    SourceTag,
    Zone,
    /// Not by jiff, which only formats the years that it can parse, 1969 to 2068.
    ShortYear,
    /// The result of strftime for this format.
    Time(&'static str),
}

const fn keyword(letter: char, written: Written, meaning: &'static str, example: &'static str) -> Keyword {
    Keyword { letter, meaning, example, written }
}

/// Every variable, in the order of the legend.
pub static KEYWORDS: [Keyword; 19] = [
    keyword('n', Written::SourceTag, "the source tag", "1, 4.5, latest"),
    keyword('A', Time("%A"), "weekday", "Sunday"),
    keyword('a', Time("%a"), "weekday, short", "Sun"),
    keyword('w', Time("%w"), "weekday as a number, Sunday is 0", "0, 1, 6"),
    keyword('d', Time("%d"), "day of the month", "01, 31"),
    keyword('B', Time("%B"), "month", "January"),
    keyword('b', Time("%b"), "month, short", "Jan"),
    keyword('m', Time("%m"), "month as a number", "01, 12"),
    keyword('Y', Time("%Y"), "year", "2026"),
    keyword('y', Written::ShortYear, "year, two digits", "26"),
    keyword('H', Time("%H"), "hour, 24 hours", "00, 23"),
    keyword('I', Time("%I"), "hour, 12 hours", "01, 12"),
    keyword('p', Time("%p"), "AM or PM", "AM"),
    keyword('M', Time("%M"), "minute", "00, 59"),
    keyword('S', Time("%S"), "second", "00, 59"),
    keyword('f', Time("%6f"), "microsecond", "000000, 999999"),
    keyword(
        'Z',
        Written::Zone,
        "time zone; without letters its offset, p for plus, m for minus",
        "UTC, CEST, UTCp4",
    ),
    keyword('j', Time("%j"), "day of the year", "001, 366"),
    keyword('W', Time("%W"), "week of the year, weeks begin on Monday", "00, 53"),
];

/// The variable for the source tag.
pub(crate) fn source_tag() -> &'static Keyword {
    &KEYWORDS[0]
}

/// Advice for letters of other date formats.
const ADVICE: [(char, &str); 16] = [
    ('D', "write %m%d%y"),
    ('F', "write %Y-%m-%d"),
    ('T', "write %H%M%S; a tag has no colons"),
    ('R', "write %H%M; a tag has no colons"),
    ('e', "%d is the day of the month"),
    ('h', "%b is the short month, %H the hour"),
    ('k', "%H is the hour"),
    ('l', "%I is the hour of 12"),
    ('G', "%Y is the year, %W the week"),
    ('g', "%y is the short year, %W the week"),
    ('V', "%W is the week of the year"),
    ('U', "%W is the week of the year"),
    ('u', "%w is the weekday as a number"),
    ('P', "%p is AM or PM"),
    ('t', "%n is the source tag"),
    ('s', "%S is the second"),
];

/// Advice for a letter that is not a variable.
pub(crate) fn advice(letter: char) -> String {
    if let Some((_, advice)) = ADVICE.iter().find(|(known, _)| *known == letter) {
        return (*advice).to_owned();
    }
    let other_case = KEYWORDS.iter().find(|known| known.letter.eq_ignore_ascii_case(&letter));
    match other_case {
        Some(known) => format!("%{} is the {}", known.letter, known.meaning.trim_start_matches("the ")),
        None => {
            let letters: Vec<String> = KEYWORDS.iter().map(|known| format!("%{}", known.letter)).collect();
            format!("the variables are {}", letters.join(" "))
        }
    }
}

/// Appends the value of `keyword`.
pub(crate) fn write_keyword(out: &mut String, keyword: &Keyword, source: &Tag, moment: &Moment) {
    let local = &moment.local;
    match keyword.written {
        Written::SourceTag => out.push_str(source.as_str()),
        Written::Zone => out.push_str(&zone(&moment.zone)),
        Written::ShortYear => out.push_str(&format!("{:02}", local.year().rem_euclid(100))),
        Time(format) => out.push_str(
            &strtime::format(format, *local).expect("a date and time has all that these formats need"),
        ),
    }
}

/// The abbreviation of a time zone in a form that is valid in a tag. For zones without an abbreviation, the tz
/// database has only the offset, such as `+04` in Dubai or `-0930` in the Marquesas. It becomes `UTCp4` or
/// `UTCm0930`: a tag cannot contain a plus, and a minus would look like a separator.
fn zone(zone: &str) -> String {
    let (sign, digits) = match zone.as_bytes().first() {
        Some(b'+') => ('p', &zone[1..]),
        Some(b'-') => ('m', &zone[1..]),
        _ => return zone.to_owned(),
    };
    let digits = digits.replace(':', "");
    // Whole hours are written without a leading zero.
    let offset = if digits.len() == 2 { digits.trim_start_matches('0') } else { &digits };
    match offset {
        "" => "UTC".to_owned(),
        offset => format!("UTC{sign}{offset}"),
    }
}
