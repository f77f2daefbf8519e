//! What a policy would do with existing tags: which match, what each would be called, and which would get the same
//! name. Dialogs show it while a person types; the plan shows it before anything happens.

use std::collections::BTreeMap;

use longshore_oci::Tag;
use serde::{Deserialize, Serialize};

use crate::decide::{Verdict, decide};
use crate::field::Facts;
use crate::moment::Moment;
use crate::rules::Rules;
use crate::template::Template;

/// One tag of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    pub tag: Tag,
    /// Whether the policy matches, and why.
    pub verdict: Verdict,
    /// The name that the tag would get, or why it cannot get one; `None` if the policy does not match.
    pub target: Option<Result<Tag, String>>,
}

/// Several source tags that would get the same name; the last one would keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collision {
    /// The shared name.
    pub target: Tag,
    /// The source tags, in the given order.
    pub sources: Vec<Tag>,
}

/// What a policy would do with a list of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// One row per tag, in the given order.
    pub rows: Vec<PreviewRow>,
    /// The names that several tags would get, sorted.
    pub collisions: Vec<Collision>,
}

impl Preview {
    /// The rows of matching tags.
    pub fn matches(&self) -> impl Iterator<Item = &PreviewRow> {
        self.rows.iter().filter(|row| row.verdict.is_match())
    }
}

/// Previews `rules` and `template` at `moment` for tags with these facts.
pub fn preview(rules: &Rules, template: &Template, tags: &[Facts], moment: &Moment) -> Preview {
    let rows: Vec<PreviewRow> = tags
        .iter()
        .map(|facts| {
            let (tag, verdict) = (&facts.tag, decide(rules, facts));
            let target =
                verdict.is_match().then(|| template.render(tag, moment).map_err(|error| error.to_string()));
            PreviewRow { tag: tag.clone(), verdict, target }
        })
        .collect();
    let named = rows.iter().filter_map(|row| match &row.target {
        Some(Ok(target)) => Some((&row.tag, target)),
        _ => None,
    });
    let collisions = collisions(named);
    Preview { rows, collisions }
}

/// The targets that several sources share, given pairs of source and target.
pub fn collisions<'a>(named: impl IntoIterator<Item = (&'a Tag, &'a Tag)>) -> Vec<Collision> {
    let mut sources_of: BTreeMap<&str, (&Tag, Vec<Tag>)> = BTreeMap::new();
    for (source, target) in named {
        sources_of.entry(target.as_str()).or_insert_with(|| (target, Vec::new())).1.push(source.clone());
    }
    sources_of
        .into_values()
        .filter(|(_, sources)| sources.len() > 1)
        .map(|(target, sources)| Collision { target: target.clone(), sources })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn stable(template: &str, names: &[&str]) -> Preview {
        let rules = serde_json::from_str(r#"[{"field":"tag","operator":"ew","values":["stable"]}]"#).unwrap();
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        let facts: Vec<Facts> = tags(names).into_iter().map(|tag| Facts::new(tag, now, now)).collect();
        preview(&rules, &Template::parse(template).unwrap(), &facts, &Moment::utc(now))
    }

    #[test]
    fn only_matching_tags_get_a_name_in_the_preview() {
        let preview = stable("%n-%Y%m%d", &["1.0-stable", "1.1-dev"]);
        assert_eq!(preview.rows[0].target, Some(Ok("1.0-stable-20261120".parse().unwrap())));
        assert_eq!(preview.rows[1].target, None);
        assert_eq!(preview.matches().count(), 1);
        assert!(preview.collisions.is_empty());
    }

    #[test]
    fn semantics_14_tags_that_would_get_the_same_name_are_shown() {
        let preview = stable("%y-%m-%d", &["1.0-stable", "1.1-dev", "2.0-stable"]);
        let shared =
            Collision { target: "26-11-20".parse().unwrap(), sources: tags(&["1.0-stable", "2.0-stable"]) };
        assert_eq!(preview.collisions, [shared]);
        assert!(!Template::parse("%y-%m-%d").unwrap().uses_source_tag());
    }

    #[test]
    fn a_name_that_would_be_too_long_is_shown_in_its_row() {
        let long = format!("{}stable", "a".repeat(122));
        let preview = stable("%n-%Y", &[&long]);
        assert!(matches!(&preview.rows[0].target, Some(Err(reason)) if reason.contains("not a valid tag")));
    }

    #[test]
    fn a_preview_is_read_as_it_is_written() {
        let preview = stable("%y", &["1.0-stable", "2.0-stable", "x"]);
        let wire = serde_json::to_string(&preview).unwrap();
        assert_eq!(serde_json::from_str::<Preview>(&wire).unwrap(), preview);
    }
}
