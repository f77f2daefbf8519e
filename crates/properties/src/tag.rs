//! What people write to select and to name tags: patterns, regular expressions, templates.

use jiff::Timestamp;
use longshore_oci::Tag;
use longshore_policy::{Moment, Patterns, TagRegex, Template};

use crate::{comes_back, is_brief, parts, text};

/// A list of patterns (second line) and a regular expression (third line) against a tag (first line).
pub(crate) fn patterns(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let [tag, list, expression] = parts(text);
    let tag = tag.parse::<Tag>().ok();
    match list.parse::<Patterns>() {
        Ok(patterns) => {
            comes_back(&patterns, &patterns.to_string());
            if let Some(tag) = &tag {
                let named = patterns.plain_names().is_some_and(|names| names.contains(&tag));
                assert!(!named || tag.is_digest_tag() || patterns.matches(tag));
                assert!(!(patterns.matches(tag) && tag.is_digest_tag()));
            }
        }
        Err(error) => is_brief(&error),
    }
    match TagRegex::parse(expression) {
        Ok(regex) => {
            assert_eq!(regex.as_str(), expression);
            if let Some(tag) = &tag {
                regex.is_match(tag.as_str());
            }
        }
        Err(error) => is_brief(&error),
    }
}

/// A template (second line) for a tag (first line), at an instant in seconds (third line).
pub(crate) fn templates(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let [tag, template, instant] = parts(text);
    let template = match Template::parse(template) {
        Ok(parsed) => {
            assert_eq!(parsed.as_str(), template);
            parsed
        }
        Err(error) => return is_brief(&error),
    };
    let instant = instant.trim().parse().ok().and_then(|second| Timestamp::from_second(second).ok());
    let Ok(tag) = tag.parse::<Tag>() else { return };
    match template.render(&tag, &Moment::utc(instant.unwrap_or_default())) {
        Ok(made) => {
            comes_back(&made, made.as_str());
            assert!(!made.is_digest_tag());
            assert!(template != Template::source_tag() || made == tag);
        }
        Err(error) => is_brief(&error),
    }
}
