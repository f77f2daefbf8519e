//! What a pull mirror brings in, how often, and who else may write here.

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

/// More names than this are counted, not shown.
const SHOWN: usize = 12;

/// Patterns with their preview, schedule, and the repository's state.
#[component]
pub(super) fn PullFields(
    input: MirrorInput,
    /// The repository of this server.
    repository: String,
    /// The tags of the repository at the other registry, once they are here.
    tags: Signal<Option<Option<Answer<RemoteTags>>>>,
    errors: FieldErrors,
) -> impl IntoView {
    let refused = errors.about("patterns");
    let patterns_error = Signal::derive(move || {
        input.patterns.with(|typed| read_patterns(typed).err()).or_else(|| refused.get())
    });
    let refused = errors.about("interval");
    let interval_error = Signal::derive(move || match input.interval_seconds() {
        None => Some("write a whole number, such as 30".to_owned()),
        Some(_) => refused.get(),
    });
    let preview = move || {
        input.patterns.with(|typed| match tags.get().flatten() {
            None => "The tags of that repository are being listed…".to_owned(),
            Some(Err(error)) => format!("No preview, since the tags cannot be listed: {error}"),
            Some(Ok(listed)) => read_patterns(typed).map_or_else(
                |_| "Complete the patterns to see which tags match.".to_owned(),
                |patterns| summarize(&patterns, &listed),
            ),
        })
    };
    let units = UNITS.map(|(word, label, _)| Choice::new(word, label)).to_vec();
    let writers = vec![
        Choice::new("true", "Only this mirror writes")
            .with_hint("Nobody can push to it, and its tags are those of the other registry."),
        Choice::new("false", "Others may push too")
            .with_hint("A tag that somebody else has pushed is left alone and reported."),
    ];
    view! {
        <div>
            <TextField
                name="patterns"
                label="Tags"
                value=input.patterns
                kind=FieldKind::Code
                placeholder="*"
                hint="Names and patterns between commas, such as v3.*, 3.?-stable: * any characters, ? one, [seq] one of these, [!seq] none of these."
                error=patterns_error
            />
            <p class="preview-summary" role="status">{preview}</p>
        </div>
        <div class="row interval">
            <TextField name="every" label="Every" value=input.every kind=FieldKind::Number error=interval_error/>
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
                    label="Signatures, SBOMs and attestations come along"
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

/// The patterns that were typed; none mean every tag.
pub(super) fn read_patterns(typed: &str) -> Result<Patterns, String> {
    let list = if typed.trim().is_empty() { "*" } else { typed };
    Patterns::parse(list).map_err(|error| error.to_string())
}

/// Which of the tags match: "3 of 41 tags: v3.1, v3.2, v3.2-4beta".
fn summarize(patterns: &Patterns, listed: &RemoteTags) -> String {
    let matching: Vec<&Tag> = listed.tags.iter().filter(|tag| patterns.matches(tag)).collect();
    let of = match (listed.tags.len(), listed.complete) {
        (0, true) => return "There are no tags yet; the mirror brings in those to come.".to_owned(),
        (1, true) => "1 tag".to_owned(),
        (count, true) => format!("{count} tags"),
        (count, false) => format!("the first {count} tags, since the listing broke off"),
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

    fn told(patterns: &str, tags: &[&str], complete: bool) -> String {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        summarize(&read_patterns(patterns).unwrap(), &RemoteTags { tags, complete })
    }

    #[test]
    fn the_preview_names_the_tags_that_match() {
        let tags = ["v2.9", "v3.1", "v3.2", "v3.2-4beta", "latest"];
        assert_eq!(told("v3.*", &tags, true), "3 of 5 tags: v3.1, v3.2, v3.2-4beta");
        assert_eq!(told("", &tags, true), "5 of 5 tags: v2.9, v3.1, v3.2, v3.2-4beta, latest");
        assert_eq!(told("v4", &tags, true), "0 of 5 tags");
        assert!(told("*", &tags, false).contains("the listing broke off"));
        assert!(told("*", &[], true).starts_with("There are no tags yet"));
    }

    #[test]
    fn many_names_are_counted() {
        let tags: Vec<String> = (0..41).map(|number| format!("v{number}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        assert!(told("*", &tags, true).ends_with("v11, and 29 more"));
    }
}
