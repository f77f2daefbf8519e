//! The fields for immutable tags: none, all, or those that match patterns, with a preview of the affected tags.

use leptos::prelude::*;
use longshore_model::{ImmutableTags, view::PreviewFacts};
use longshore_policy::Patterns;

use crate::{
    components::{Choice, Choices, FieldKind, TextField, in_browser},
    pages::repository::use_repository,
    server::preview_facts,
};

/// The maximum number of tags that the preview names; the rest is counted.
const SHOWN: usize = 12;

/// The state of the fields.
#[derive(Clone, Copy)]
pub(super) struct ImmutableInput {
    which: RwSignal<String>,
    patterns: RwSignal<String>,
}

impl ImmutableInput {
    /// The fields for a stored setting.
    pub(super) fn of(immutable: &ImmutableTags) -> Self {
        let which = match immutable {
            ImmutableTags::Off => "off",
            ImmutableTags::All => "all",
            ImmutableTags::Matching(_) => "matching",
        };
        let patterns = immutable.patterns().unwrap_or_default();
        Self { which: RwSignal::new(which.to_owned()), patterns: RwSignal::new(patterns) }
    }

    /// The setting that the fields describe, or the error in the patterns.
    pub(super) fn read(self) -> Result<ImmutableTags, String> {
        match self.which.get().as_str() {
            "all" => Ok(ImmutableTags::All),
            "matching" => self.patterns.with(|typed| parse(typed)).map(ImmutableTags::Matching),
            _ => Ok(ImmutableTags::Off),
        }
    }
}

fn parse(typed: &str) -> Result<Patterns, String> {
    Patterns::parse(typed).map_err(|error| error.to_string())
}

#[component]
pub(super) fn ImmutableFields(input: ImmutableInput) -> impl IntoView {
    let here = use_repository();
    let facts = in_browser(move || preview_facts(here.name.get_untracked()));
    let error = Signal::derive(move || input.read().err());
    let preview = move || {
        let (Ok(immutable), Some(Ok(facts))) = (input.read(), facts.get()) else { return String::new() };
        summarize(&immutable, &facts)
    };
    let choices = vec![
        Choice::new("off", "None").with_hint("Tags can be moved and deleted."),
        Choice::new("all", "All").with_hint("Tags cannot be moved or deleted once they are pushed."),
        Choice::new("matching", "Those that match").with_hint("All other tags can be moved and deleted."),
    ];
    view! {
        <Choices name="immutable" legend="Immutable tags" value=input.which choices=choices/>
        <Show when=move || input.which.with(|which| which == "matching")>
            <TextField
                name="immutable-patterns"
                label="Tags that are immutable"
                value=input.patterns
                kind=FieldKind::Code
                placeholder="v*, 3.?-stable"
                hint="Comma-separated names and patterns: * any characters, ? one character, [seq] one of these, [!seq] none of these."
                error=error
            />
        </Show>
        <p class="preview-summary" role="status">{preview}</p>
    }
}

/// A summary of the immutable tags: "2 of 3 tags: v1.0, v1.1".
fn summarize(immutable: &ImmutableTags, facts: &PreviewFacts) -> String {
    if !immutable.is_on() {
        return String::new();
    }
    let known = facts.tags.len();
    let of = match facts.total {
        0 => return "There are no tags yet; this applies to new ones.".to_owned(),
        1 => "1 tag".to_owned(),
        total if total > known as u64 => format!("the newest {known} tags (there are {total})"),
        total => format!("{total} tags"),
    };
    let covered: Vec<_> =
        facts.tags.iter().map(|facts| &facts.tag).filter(|tag| immutable.covers(tag)).collect();
    let mut names: Vec<_> = covered.iter().take(SHOWN).map(ToString::to_string).collect();
    if covered.len() > SHOWN {
        names.push(format!("and {} more", covered.len() - SHOWN));
    }
    match names.is_empty() {
        true => format!("0 of {of}"),
        false => format!("{} of {of}: {}", covered.len(), names.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use longshore_policy::{Facts, Moment};

    fn summary(immutable: &ImmutableTags, tags: &[&str]) -> String {
        let now = "2026-11-21T14:30:00Z".parse().unwrap();
        let facts = PreviewFacts {
            tags: tags.iter().map(|tag| Facts::new(tag.parse().unwrap(), now, now)).collect(),
            total: tags.len() as u64,
            moment: Moment::utc(now),
        };
        summarize(immutable, &facts)
    }

    #[test]
    fn the_preview_names_the_immutable_tags() {
        let matching = ImmutableTags::Matching(parse("v*").unwrap());
        assert_eq!(summary(&matching, &["v1", "latest", "v2"]), "2 of 3 tags: v1, v2");
        assert_eq!(summary(&matching, &["latest"]), "0 of 1 tag");
        assert_eq!(summary(&ImmutableTags::Off, &["latest"]), "");
        assert!(summary(&ImmutableTags::All, &[]).starts_with("There are no tags yet"));
        assert!(parse("").is_err() && parse("v[").is_err());
    }
}
