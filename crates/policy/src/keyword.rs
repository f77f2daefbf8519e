//! The keywords of tag templates: DTR's nineteen, a subset of strftime's with the source tag added. English
//! names whatever the server's language, since a tag is for machines too. How they are mixed with text is in
//! `template`.

use std::fmt::Write as _;

use jiff::civil;
use longshore_oci::Tag;

use crate::moment::Moment;

/// What a keyword stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "KEYWORDS says of each what it means")]
pub enum Keyword {
    SourceTag,
    WeekdayFull,
    WeekdayShort,
    WeekdayNumber,
    Day,
    MonthFull,
    MonthShort,
    Month,
    Year,
    YearShort,
    Hour,
    Hour12,
    AmPm,
    Minute,
    Second,
    Microsecond,
    Zone,
    DayOfYear,
    WeekOfYear,
}

/// A keyword as the legend shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeywordInfo {
    /// What it stands for.
    pub keyword: Keyword,
    /// The character after the `%`.
    pub letter: char,
    /// Its meaning in words.
    pub meaning: &'static str,
    /// Examples of what it makes.
    pub example: &'static str,
}

const fn info(keyword: Keyword, letter: char, meaning: &'static str, example: &'static str) -> KeywordInfo {
    KeywordInfo { keyword, letter, meaning, example }
}

/// Every keyword, in the order of the legend.
pub const KEYWORDS: [KeywordInfo; 19] = [
    info(Keyword::SourceTag, 'n', "the source tag", "1, 4.5, latest"),
    info(Keyword::WeekdayFull, 'A', "weekday", "Sunday"),
    info(Keyword::WeekdayShort, 'a', "weekday, short", "Sun"),
    info(Keyword::WeekdayNumber, 'w', "weekday as a number, Sunday is 0", "0, 1, 6"),
    info(Keyword::Day, 'd', "day of the month", "01, 31"),
    info(Keyword::MonthFull, 'B', "month", "January"),
    info(Keyword::MonthShort, 'b', "month, short", "Jan"),
    info(Keyword::Month, 'm', "month as a number", "01, 12"),
    info(Keyword::Year, 'Y', "year", "2026"),
    info(Keyword::YearShort, 'y', "year, two digits", "26"),
    info(Keyword::Hour, 'H', "hour, 24 hours", "00, 23"),
    info(Keyword::Hour12, 'I', "hour, 12 hours", "01, 12"),
    info(Keyword::AmPm, 'p', "AM or PM", "AM"),
    info(Keyword::Minute, 'M', "minute", "00, 59"),
    info(Keyword::Second, 'S', "second", "00, 59"),
    info(Keyword::Microsecond, 'f', "microsecond", "000000, 999999"),
    info(
        Keyword::Zone,
        'Z',
        "time zone; without letters its offset, p for plus, m for minus",
        "UTC, CEST, UTCp4",
    ),
    info(Keyword::DayOfYear, 'j', "day of the year", "001, 366"),
    info(Keyword::WeekOfYear, 'W', "week of the year, weeks begin on Monday", "00, 53"),
];

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
pub(crate) fn write_keyword(out: &mut String, keyword: Keyword, source: &Tag, moment: &Moment) {
    let local = &moment.local;
    let written = match keyword {
        Keyword::SourceTag => out.write_str(source.as_str()),
        Keyword::WeekdayFull => out.write_str(weekday(local)),
        Keyword::WeekdayShort => out.write_str(&weekday(local)[..3]),
        Keyword::WeekdayNumber => write!(out, "{}", local.weekday().to_sunday_zero_offset()),
        Keyword::Day => write!(out, "{:02}", local.day()),
        Keyword::MonthFull => out.write_str(month(local)),
        Keyword::MonthShort => out.write_str(&month(local)[..3]),
        Keyword::Month => write!(out, "{:02}", local.month()),
        Keyword::Year => write!(out, "{:04}", local.year()),
        Keyword::YearShort => write!(out, "{:02}", local.year().rem_euclid(100)),
        Keyword::Hour => write!(out, "{:02}", local.hour()),
        Keyword::Hour12 => write!(out, "{:02}", (local.hour() + 11) % 12 + 1),
        Keyword::AmPm => out.write_str(if local.hour() < 12 { "AM" } else { "PM" }),
        Keyword::Minute => write!(out, "{:02}", local.minute()),
        Keyword::Second => write!(out, "{:02}", local.second()),
        Keyword::Microsecond => write!(out, "{:06}", local.subsec_nanosecond() / 1000),
        Keyword::Zone => write_zone(out, &moment.zone),
        Keyword::DayOfYear => write!(out, "{:03}", local.day_of_year()),
        Keyword::WeekOfYear => write!(out, "{:02}", week_of_year(local)),
    };
    written.expect("writing to a String does not fail");
}

/// The abbreviation of a zone as a tag can hold it. Where the tz database knows none but the offset, such as
/// `+04` in Dubai or `-0930` in the Marquesas, that is `UTCp4` and `UTCm0930`: a tag has no plus, and a minus
/// would read as a separator.
fn write_zone(out: &mut String, zone: &str) -> std::fmt::Result {
    let (sign, digits) = match zone.as_bytes().first() {
        Some(b'+') => ('p', &zone[1..]),
        Some(b'-') => ('m', &zone[1..]),
        _ => return out.write_str(zone),
    };
    let digits = digits.replace(':', "");
    // Whole hours are written as people do.
    let offset = if digits.len() == 2 { digits.trim_start_matches('0') } else { &digits };
    match offset {
        "" => out.write_str("UTC"),
        offset => write!(out, "UTC{sign}{offset}"),
    }
}

fn weekday(local: &civil::DateTime) -> &'static str {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    NAMES[usize::from(local.weekday().to_monday_zero_offset().unsigned_abs())]
}

fn month(local: &civil::DateTime) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES[usize::from(local.month().unsigned_abs()) - 1]
}

/// Weeks begin on Monday; the days before the year's first Monday are week 0, as in strftime.
fn week_of_year(local: &civil::DateTime) -> i16 {
    (local.day_of_year() + 6 - i16::from(local.weekday().to_monday_zero_offset())) / 7
}
