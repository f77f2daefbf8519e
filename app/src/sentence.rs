//! Turns short server messages into complete sentences.

/// Capitalises `text` and ends it with a full stop. A first word that may be a name (a tag, a host) is left alone, and
/// so is a text that already ends with a full stop: it is a sentence, which may begin with a name.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = !text.ends_with('.')
        && first.len() < text.len()
        && first.chars().all(|letter| letter.is_ascii_lowercase());
    let mut told = match (is_word, text.split_at_checked(1)) {
        (true, Some((initial, rest))) => initial.to_ascii_uppercase() + rest,
        _ => text.to_owned(),
    };
    if told.ends_with(|last: char| last.is_alphanumeric() || ")”\"".contains(last)) {
        told.push('.');
    }
    told
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn words_become_a_sentence() {
        assert_eq!(sentence("4 tags mirrored"), "4 tags mirrored.");
        assert_eq!(sentence("no policies"), "No policies.");
        assert_eq!(sentence("Write it again. "), "Write it again.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn names_keep_their_letters() {
        assert_eq!(sentence("v3.1 is immutable"), "v3.1 is immutable.");
        assert_eq!(sentence("qa-example.com refused"), "qa-example.com refused.");
        assert_eq!(sentence("stable"), "stable.");
        assert_eq!(sentence("admin changed it."), "admin changed it.");
    }
}
