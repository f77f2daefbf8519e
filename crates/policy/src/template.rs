//! Tag templates: literal text and `%` variables that make the name of a tag at its destination. The variables are
//! DTR's. A mistake is found when the template is saved, not when it is first used.

use std::str::FromStr;

use jiff::civil;
use longshore_oci::Tag;
use serde::{Deserialize, Serialize};

use crate::keyword::{KEYWORDS, Keyword, advice, source_tag, write_keyword};
use crate::moment::Moment;

/// The maximum length of a template, in characters.
pub const MAX_TEMPLATE_LENGTH: usize = 255;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Keyword(&'static Keyword),
}

/// A template that renders valid tags, at least for ordinary source tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// Why a template is invalid, or why it rendered no valid tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is empty.
    #[error("the template is empty; %n keeps the name of the source tag")]
    Empty,
    /// The template is longer than [`MAX_TEMPLATE_LENGTH`].
    #[error("the template has {length} characters; at most {MAX_TEMPLATE_LENGTH} are allowed")]
    TooLong {
        /// In characters.
        length: usize,
    },
    /// A variable does not exist.
    #[error("unknown variable %{letter} at character {position}: {advice}")]
    UnknownKeyword {
        /// The character after the `%`.
        letter: char,
        /// The position of the `%`, in characters from 1.
        position: usize,
        /// What was probably meant.
        advice: String,
    },
    /// The template ends with `%`.
    #[error("the template ends with a lone %; write a variable after it, such as %n, or leave it out")]
    LonePercent,
    /// The result is not a valid tag.
    #[error("the template makes “{}”, which is not a valid tag: {reason}", crate::rule::excerpt(result))]
    IllegalResult {
        result: String,
        /// Why it is not a valid tag.
        reason: String,
    },
}

impl Template {
    /// Parses a template and renders it for a sample tag.
    ///
    /// # Errors
    /// An unknown variable, an invalid length, or text that no tag can contain.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.is_empty() {
            return Err(TemplateError::Empty);
        }
        let length = source.chars().count();
        if length > MAX_TEMPLATE_LENGTH {
            return Err(TemplateError::TooLong { length });
        }
        let template = Self { source: source.to_owned(), parts: parts(source)? };
        template.render(&sample_tag(), &sample_moment())?;
        Ok(template)
    }

    /// Renders it for a sample tag at `moment`, to check what [`Self::parse`] cannot: the server's time zone.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn try_at(self, moment: &Moment) -> Result<Self, TemplateError> {
        self.render(&sample_tag(), moment).map(|_| self)
    }

    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The template that keeps the source tag, `%n`.
    pub fn source_tag() -> Self {
        Self { source: "%n".to_owned(), parts: vec![Part::Keyword(source_tag())] }
    }

    /// Whether the result contains the source tag. If not, all tags that match at the same time get the same name.
    pub fn uses_source_tag(&self) -> bool {
        self.parts.contains(&Part::Keyword(source_tag()))
    }

    /// Renders the name of `source` at `moment`.
    ///
    /// # Errors
    /// [`TemplateError::IllegalResult`], for instance if the result is too long for a tag.
    pub fn render(&self, source: &Tag, moment: &Moment) -> Result<Tag, TemplateError> {
        let mut result = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => result.push_str(text),
                Part::Keyword(keyword) => write_keyword(&mut result, keyword, source, moment),
            }
        }
        let reason = match Tag::from_str(&result) {
            Ok(tag) if tag.is_digest_tag() => {
                "it has the form of a digest tag, which names a referrer".to_owned()
            }
            Ok(tag) => return Ok(tag),
            Err(error) => error.to_string(),
        };
        Err(TemplateError::IllegalResult { result, reason })
    }
}

fn parts(source: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = source.chars().enumerate();
    while let Some((index, char)) = chars.next() {
        if char != '%' {
            literal.push(char);
            continue;
        }
        let (_, letter) = chars.next().ok_or(TemplateError::LonePercent)?;
        if letter == '%' {
            literal.push('%');
            continue;
        }
        let known = KEYWORDS.iter().find(|known| known.letter == letter).ok_or_else(|| {
            TemplateError::UnknownKeyword { letter, position: index + 1, advice: advice(letter) }
        })?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Keyword(known));
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn sample_tag() -> Tag {
    Tag::from_str("1.0").expect("1.0 is a tag")
}

/// A Wednesday in September, whose names are the longest.
fn sample_moment() -> Moment {
    Moment { local: civil::datetime(2026, 9, 30, 23, 59, 59, 999_999_000), zone: "UTC".to_owned() }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        Self::parse(source)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, source: &str, utc: &str) -> String {
        let moment = Moment::utc(utc.parse().unwrap());
        Template::parse(template).unwrap().render(&source.parse().unwrap(), &moment).unwrap().to_string()
    }

    fn refusal(template: &str) -> String {
        Template::parse(template).unwrap_err().to_string()
    }

    #[test]
    fn each_of_the_nineteen_variables_is_rendered() {
        let afternoon = "2026-11-20T15:04:05.000678Z";
        let expected = [
            ("n", "1.0-stable"),
            ("A", "Friday"),
            ("a", "Fri"),
            ("w", "5"),
            ("d", "20"),
            ("B", "November"),
            ("b", "Nov"),
            ("m", "11"),
            ("Y", "2026"),
            ("y", "26"),
            ("H", "15"),
            ("I", "03"),
            ("p", "PM"),
            ("M", "04"),
            ("S", "05"),
            ("f", "000678"),
            ("Z", "UTC"),
            ("j", "324"),
            ("W", "46"),
        ];
        assert_eq!(expected.len(), KEYWORDS.len());
        for (letter, result) in expected {
            assert_eq!(render(&format!("%{letter}"), "1.0-stable", afternoon), result, "%{letter}");
        }
    }

    #[test]
    fn text_and_variables_are_combined() {
        assert_eq!(render("%n-%Y%m%d-%H%M%S", "1.0", "2026-01-02T03:04:05Z"), "1.0-20260102-030405");
        assert_eq!(render("release_%y.%j", "x", "2026-01-02T03:04:05Z"), "release_26.002");
    }

    #[test]
    fn midnight_and_noon_are_twelve_on_a_twelve_hour_clock() {
        assert_eq!(render("%I%p", "x", "2026-01-01T00:00:00Z"), "12AM");
        assert_eq!(render("%I%p", "x", "2026-01-01T12:00:00Z"), "12PM");
    }

    #[test]
    fn an_unknown_variable_is_reported_with_its_position_and_advice() {
        assert_eq!(
            refusal("%n-%h"),
            "unknown variable %h at character 4: %b is the short month, %H the hour"
        );
        assert_eq!(refusal("%N"), "unknown variable %N at character 1: %n is the source tag");
        assert!(refusal("ä%q").contains("unknown variable %q at character 2: the variables are %n %A"));
        assert!(refusal("%-d").starts_with("unknown variable %- at character 1"));
    }

    #[test]
    fn a_template_that_cannot_render_a_valid_tag_is_rejected_when_it_is_parsed() {
        assert_eq!(Template::parse(""), Err(TemplateError::Empty));
        assert_eq!(Template::parse("%n-%"), Err(TemplateError::LonePercent));
        assert_eq!(Template::parse(&"a".repeat(256)), Err(TemplateError::TooLong { length: 256 }));
        for illegal in ["%n stable", ".%n", "-%n", "%n%%", "%H:%M", "ünï", &"a".repeat(129)] {
            let error = Template::parse(illegal).unwrap_err();
            assert!(matches!(error, TemplateError::IllegalResult { .. }), "{illegal}: {error}");
        }
        assert!(refusal("%n stable").contains("“1.0 stable”"));
    }

    #[test]
    fn semantics_06_templates_never_render_digest_tags() {
        assert!(refusal(&format!("sha256-{}", "0".repeat(64))).contains("digest tag"));
    }

    #[test]
    fn semantics_14_the_result_is_validated_again_when_it_is_rendered() {
        let template = Template::parse("%n-%Y").unwrap();
        let source = "a".repeat(126).parse().unwrap();
        let moment = Moment::utc(jiff::Timestamp::UNIX_EPOCH);
        let error = template.render(&source, &moment).unwrap_err();
        assert!(
            matches!(error, TemplateError::IllegalResult { ref result, .. } if result.ends_with("-1970"))
        );
    }

    #[test]
    fn semantics_14_a_zone_is_rendered_with_its_abbreviation_and_its_local_time() {
        let noon = "2026-07-01T12:00:00Z".parse().unwrap();
        let summer = Moment::new(noon, jiff::tz::Offset::constant(2), "CEST");
        let rendered = Template::parse("%H%Z").unwrap().render(&"x".parse().unwrap(), &summer).unwrap();
        assert_eq!(rendered.as_str(), "14CEST");
    }

    #[test]
    fn semantics_14_every_zone_is_rendered_in_a_form_that_is_valid_in_a_tag() {
        let render = |zone: &str| {
            let moment = Moment::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::Offset::UTC, zone);
            Template::parse("%Z").unwrap().render(&sample_tag(), &moment).unwrap().to_string()
        };
        for (zone, written) in [
            ("+04", "UTCp4"),
            ("-03", "UTCm3"),
            ("+0530", "UTCp0530"),
            ("+05:30", "UTCp0530"),
            ("-0930", "UTCm0930"),
            ("+13", "UTCp13"),
            ("-00", "UTC"),
            ("EAT", "EAT"),
        ] {
            assert_eq!(render(zone), written, "{zone}");
        }
        let instants = ["2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"];
        for name in jiff::tz::db().available() {
            let zone = jiff::tz::TimeZone::get(name.as_str()).unwrap();
            for instant in instants {
                let moment = Moment::in_zone(instant.parse().unwrap(), &zone);
                let rendered = Template::parse("%Z").unwrap().render(&sample_tag(), &moment);
                assert!(rendered.is_ok(), "{}: {rendered:?}", name.as_str());
            }
        }
    }

    proptest! {
        #[test]
        fn time_variables_agree_with_strftime(seconds in 0_i64..4_102_444_800, micros in 0_i32..1_000_000) {
            let timestamp = jiff::Timestamp::new(seconds, micros * 1000).unwrap();
            let moment = Moment::utc(timestamp);
            for letter in "AawdBbmYyHIpMSjW".chars().filter(|letter| *letter != 'y' || moment.local.year() < 2069) {
                let format = format!("%{letter}");
                let ours = Template::parse(&format).unwrap().render(&sample_tag(), &moment).unwrap();
                let theirs = moment.local.strftime(&format).to_string();
                prop_assert_eq!(ours.as_str(), theirs.as_str(), "{}", format);
            }
        }

        #[test]
        fn any_text_is_parsed_or_rejected_without_panic(text in ".{0,40}") {
            let _ = Template::parse(&text);
        }

        #[test]
        fn a_template_is_read_as_it_is_written(text in "[a-z]([a-z.-]|%[nYmdHMS]){0,20}") {
            if let Ok(template) = Template::parse(&text) {
                let wire = serde_json::to_string(&template).unwrap();
                prop_assert_eq!(serde_json::from_str::<Template>(&wire).unwrap(), template);
            }
        }
    }
}
