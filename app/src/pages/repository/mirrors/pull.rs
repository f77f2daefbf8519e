//! The fields of a pull mirror: tag patterns with a preview, sync interval, and write access to the repository.

use leptos::prelude::*;
use longshore_model::{policy::FOREIGN_LAYERS, view::RemoteTags};
use longshore_oci::Tag;
use longshore_policy::Patterns;

use super::input::{MirrorInput, UNITS};
use crate::{
    components::{Checkbox, Choice, Choices, FieldKind, SelectField, TextField},
    pages::connection::FieldErrors,
    server::Answer,
};

/// The maximum number of tags that the preview names; the rest is counted.
const SHOWN: usize = 12;

#[component]
pub(super) fn PullFields(
    input: MirrorInput,
    /// The name of the local repository.
    repository: String,
    /// The tags of the remote repository: `None` while they load, `Some(None)` until *Connect* has succeeded.
    tags: Signal<Option<Option<Answer<RemoteTags>>>>,
    errors: FieldErrors,
) -> impl IntoView {
    let refused = errors.about("patterns");
    let patterns_error = Signal::derive(move || {
        input.patterns.with(|typed| read_patterns(typed).err()).or_else(|| refused.get())
    });
    let refused = errors.about("interval");
    let interval_error = Signal::derive(move || match input.interval_seconds() {
        None => Some("enter a whole number, such as 30".to_owned()),
        Some(_) => refused.get(),
    });
    let preview = move || {
        input.patterns.with(|typed| match tags.get().flatten() {
            None => "Listing the tags of the remote repository…".to_owned(),
            Some(Err(error)) => format!("No preview: could not list the tags: {error}"),
            Some(Ok(listed)) => read_patterns(typed).map_or_else(
                |_| "Complete the patterns to see the matching tags.".to_owned(),
                |patterns| summarize(&patterns, &listed),
            ),
        })
    };
    let units = UNITS.map(|(word, label, _)| Choice::new(word, label)).to_vec();
    let writers = vec![
        Choice::new("true", "Only this mirror writes")
            .with_hint("Nobody else can push, so its tags match those of the remote registry."),
        Choice::new("false", "Allow other pushes")
            .with_hint("The mirror does not overwrite tags pushed by others; it reports them."),
    ];
    view! {
        <div>
            <TextField
                name="patterns"
                label="Tags"
                value=input.patterns
                kind=FieldKind::Code
                placeholder="*"
                hint="Comma-separated names and patterns, such as v3.*, 3.?-stable: * any characters, ? one character, [seq] one of these, [!seq] none of these."
                error=patterns_error
            />
            <p class="preview-summary" role="status">{preview}</p>
        </div>
        <div class="row interval">
            <TextField name="every" label="Sync every" value=input.every kind=FieldKind::Number error=interval_error/>
            <SelectField name="unit" label="Unit" value=input.unit choices=units/>
        </div>
        <Choices
            name="exclusive"
            legend=format!("Who may write to {repository}")
            value=input.exclusive
            choices=writers
        />
        <details>
            <summary>"More"</summary>
            <div class="stack">
                <Checkbox
                    name="referrers"
                    label="Include signatures, SBOMs and attestations"
                    value=input.referrers
                />
                <Checkbox
                    name="foreign_layers"
                    label=FOREIGN_LAYERS
                    value=input.foreign_layers
                    hint="Layers whose licence may forbid sharing them, such as those of Windows base images. They are fetched if the remote registry has them."
                />
            </div>
        </details>
    }
}

/// Parses the patterns; an empty field means every tag.
pub(super) fn read_patterns(typed: &str) -> Result<Patterns, String> {
    let list = if typed.trim().is_empty() { "*" } else { typed };
    Patterns::parse(list).map_err(|error| error.to_string())
}

/// A summary of the matching tags: "3 of 41 tags: v3.1, v3.2, v3.2-4beta".
fn summarize(patterns: &Patterns, listed: &RemoteTags) -> String {
    let matching: Vec<&Tag> = listed.tags.iter().filter(|tag| patterns.matches(tag)).collect();
    let of = match (listed.tags.len(), listed.complete) {
        (0, true) => return "There are no tags yet; new ones will be mirrored.".to_owned(),
        (1, true) => "1 tag".to_owned(),
        (count, true) => format!("{count} tags"),
        (count, false) => format!("the first {count} tags, since the listing is incomplete"),
    };
    let mut names: Vec<_> = matching.iter().take(SHOWN).map(ToString::to_string).collect();
    if matching.len() > SHOWN {
        names.push(format!("and {} more", matching.len() - SHOWN));
    }
    match names.is_empty() {
        true => format!("0 of {of}"),
        false => format!("{} of {of}: {}", matching.len(), names.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn summary(patterns: &str, tags: &[&str], complete: bool) -> String {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        summarize(&read_patterns(patterns).unwrap(), &RemoteTags { tags, complete })
    }

    #[test]
    fn the_preview_names_the_matching_tags() {
        let tags = ["v2.9", "v3.1", "v3.2", "v3.2-4beta", "latest"];
        assert_eq!(summary("v3.*", &tags, true), "3 of 5 tags: v3.1, v3.2, v3.2-4beta");
        assert_eq!(summary("", &tags, true), "5 of 5 tags: v2.9, v3.1, v3.2, v3.2-4beta, latest");
        assert_eq!(summary("v4", &tags, true), "0 of 5 tags");
        assert!(summary("*", &tags, false).contains("the listing is incomplete"));
        assert!(summary("*", &[], true).starts_with("There are no tags yet"));
    }

    #[test]
    fn a_long_preview_ends_with_a_count() {
        let tags: Vec<String> = (0..41).map(|number| format!("v{number}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        assert!(summary("*", &tags, true).ends_with("v11, and 29 more"));
    }
}
