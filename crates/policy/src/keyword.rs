//! The keywords of tag templates: DTR's nineteen, a subset of strftime's with the source tag added. jiff's strftime
//! writes them, in English whatever the server's language, since a tag is for machines too. How they are mixed with
//! text is in `template`.

use jiff::fmt::strtime;
use longshore_oci::Tag;

use crate::moment::Moment;
use Written::Time;

/// A keyword of a template.
#[derive(Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The character after the `%`.
    pub letter: char,
    /// Its meaning in words.
    pub meaning: &'static str,
    /// Examples of what it makes.
    pub example: &'static str,
    written: Written,
}

/// What a keyword is replaced by.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    SourceTag,
    Zone,
    /// jiff writes those of 1969 to 2068 only, which are the ones that it reads.
    ShortYear,
    /// What strftime writes for this.
    Time(&'static str),
}

const fn keyword(letter: char, written: Written, meaning: &'static str, example: &'static str) -> Keyword {
    Keyword { letter, meaning, example, written }
}

/// Every keyword, in the order of the legend.
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

/// The keyword that stands for the name of the source tag.
pub(crate) fn source_tag() -> &'static Keyword {
    &KEYWORDS[0]
}

/// What other date formats call things that have another spelling here.
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

/// What was probably meant by a letter that is no keyword.
pub(crate) fn advice(letter: char) -> String {
    if let Some((_, advice)) = ADVICE.iter().find(|(known, _)| *known == letter) {
        return (*advice).to_owned();
    }
    let other_case = KEYWORDS.iter().find(|known| known.letter.eq_ignore_ascii_case(&letter));
    match other_case {
        Some(known) => format!("%{} is the {}", known.letter, known.meaning.trim_start_matches("the ")),
        None => {
            let letters: Vec<String> = KEYWORDS.iter().map(|known| format!("%{}", known.letter)).collect();
            format!("the keywords are {}", letters.join(" "))
        }
    }
}

/// Writes what `keyword` stands for.
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

/// The abbreviation of a zone as a tag can hold it. Where the tz database knows none but the offset, such as
/// `+04` in Dubai or `-0930` in the Marquesas, that is `UTCp4` and `UTCm0930`: a tag has no plus, and a minus
/// would read as a separator.
fn zone(zone: &str) -> String {
    let (sign, digits) = match zone.as_bytes().first() {
        Some(b'+') => ('p', &zone[1..]),
        Some(b'-') => ('m', &zone[1..]),
        _ => return zone.to_owned(),
    };
    let digits = digits.replace(':', "");
    // Whole hours are written as people do.
    let offset = if digits.len() == 2 { digits.trim_start_matches('0') } else { &digits };
    match offset {
        "" => "UTC".to_owned(),
        offset => format!("UTC{sign}{offset}"),
    }
}
