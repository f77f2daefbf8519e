//! A live preview of what a policy would do with existing tags, computed in the browser by the code that decides on the
//! server.

use leptos::{either::Either, prelude::*};
use longshore_model::view::PreviewFacts;
use longshore_policy::{Collision, Preview, PreviewRow, preview};

use super::{Alert, RulesInput, Tone, read_template};
use crate::sentence::sentence;

/// Tags beyond this number are counted, not listed.
const SHOWN: usize = 100;

/// What rules and template would do with the existing tags; `None` if either is invalid.
#[must_use]
pub fn previewed(rules: RulesInput, template: RwSignal<String>, facts: &PreviewFacts) -> Option<Preview> {
    let rules = rules.parsed().ok()?;
    let template = template.with(|typed| read_template(typed)).ok()?;
    Some(preview(&rules, &template, &facts.tags, &facts.moment))
}

/// Which tags match, their names in the target, and collisions between those names.
#[component]
pub fn PolicyPreview(
    rules: RulesInput,
    template: RwSignal<String>,
    /// The existing tags, and the server's time.
    facts: PreviewFacts,
) -> impl IntoView {
    let facts = StoredValue::new(facts);
    let result = Memo::new(move |_| facts.with_value(|facts| previewed(rules, template, facts)));
    let summary = move || facts.with_value(|facts| result.with(|result| summarize(result.as_ref(), facts)));
    let moment = facts.with_value(|facts| {
        format!("Names as of {} {}.", facts.moment.local.strftime("%Y-%m-%d %H:%M"), facts.moment.zone)
    });
    view! {
        <section class="preview" aria-label="Preview">
            <h3>"Preview"</h3>
            <p class="preview-summary" role="status">{summary}</p>
            {move || {
                result.with(|result| {
                    result.as_ref().map(|result| {
                        view! {
                            {result.collisions.iter().map(collision).collect_view()}
                            {rows(result)}
                        }
                    })
                })
            }}
            <p class="hint">{moment}</p>
        </section>
    }
}

/// The number of matching tags, as a sentence.
fn summarize(result: Option<&Preview>, facts: &PreviewFacts) -> String {
    let Some(result) = result else {
        return "Complete the rules and the template to see which tags match.".to_owned();
    };
    let known = facts.tags.len();
    let of = match facts.total {
        0 => return "There are no tags yet; the policy will apply to new ones.".to_owned(),
        1 => "1 tag".to_owned(),
        total if total > known as u64 => format!("the newest {known} tags (there are {total})"),
        total => format!("{total} tags"),
    };
    let count = result.matches().count();
    let verb = if count == 1 { "matches" } else { "match" };
    format!("{count} of {of} {verb}.")
}

fn collision(collision: &Collision) -> impl IntoView + use<> {
    let sources: Vec<_> = collision.sources.iter().take(5).map(ToString::to_string).collect();
    let (target, count) = (collision.target.to_string(), collision.sources.len());
    let more = count - sources.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    view! {
        <Alert tone=Tone::Warn>
            {count} " tags would be named " <code>{target}</code> ": "
            {sources.join(", ")} {more} ". The newest keeps the name. "
            <code>"%n"</code> " in the template keeps them apart."
        </Alert>
    }
}

/// The matching tags, then the others, each newest first.
fn rows(result: &Preview) -> impl IntoView + use<> {
    let (matching, others): (Vec<_>, Vec<_>) = result.rows.iter().partition(|row| row.verdict.is_match());
    let more = result.rows.len().saturating_sub(SHOWN);
    let shown: Vec<_> = matching.into_iter().chain(others).take(SHOWN).map(row).collect();
    view! {
        <ul class="preview-rows" tabindex="0" aria-label="Tags">
            {shown}
            {(more > 0).then(|| view! { <li class="muted">"and " {more} " more"</li> })}
        </ul>
    }
}

fn row(row: &PreviewRow) -> impl IntoView + use<> {
    let outcome = match &row.target {
        Some(Ok(target)) => {
            Either::Left(view! { <span class="preview-target">"→ " <code>{target.to_string()}</code></span> })
        }
        Some(Err(why)) => Either::Right(Either::Left(view! { <span class="error">{sentence(why)}</span> })),
        None => Either::Right(Either::Right(
            row.verdict
                .reasons
                .iter()
                .map(|reason| {
                    let (class, mark) = match reason.holds {
                        Some(true) => ("reason holds", "✓ "),
                        _ => ("reason fails", "✗ "),
                    };
                    view! { <span class=class>{mark} {reason.rule.clone()}</span> }
                })
                .collect_view(),
        )),
    };
    view! {
        <li class:matches=row.verdict.is_match()>
            <code>{row.tag.to_string()}</code>
            {outcome}
        </li>
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use longshore_policy::{Facts, Moment, Rules, Template};

    use super::*;

    fn facts(tags: &[&str], total: u64) -> PreviewFacts {
        let now = "2026-11-21T14:30:00Z".parse().unwrap();
        PreviewFacts {
            tags: tags.iter().map(|tag| Facts::new(tag.parse().unwrap(), now, now)).collect(),
            total,
            moment: Moment::utc(now),
        }
    }

    #[test]
    fn the_summary_says_how_many_tags_it_counted() {
        let every = |facts: &PreviewFacts| {
            let result = preview(&Rules::EveryTag, &Template::source_tag(), &facts.tags, &facts.moment);
            summarize(Some(&result), facts)
        };
        assert_eq!(every(&facts(&["a", "b"], 2)), "2 of 2 tags match.");
        assert_eq!(every(&facts(&["a"], 1)), "1 of 1 tag matches.");
        assert_eq!(every(&facts(&["a", "b"], 900)), "2 of the newest 2 tags (there are 900) match.");
        assert!(every(&facts(&[], 0)).starts_with("There are no tags yet"));
        assert!(summarize(None, &facts(&["a"], 1)).starts_with("Complete the rules"));
    }
}
