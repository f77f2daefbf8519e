//! What each policy and mirror would do if all held jobs ran.

use std::collections::HashMap;

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PolicyId, PolicyKind,
    pause::{PausePlan, PlannedStep, PolicyPlan, PollPlan},
};
use longshore_oci::Tag;

use super::calls::plan_poll;
use crate::{
    components::{Button, ButtonKind, Table},
    paths,
    server::Answer,
};

/// The number of tags named for a pull mirror; further ones are counted.
const NAMED: usize = 10;

/// The answers of other registries, kept while the user stays on the page, which reloads whenever a job is held or
/// resumed.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked(RwSignal<HashMap<PolicyId, Answer<PollPlan>>>);

/// A row for each policy with something to do; empty if there is none.
#[component]
pub(super) fn Plan(plan: PausePlan) -> impl IntoView {
    let PausePlan { policies, untold } = plan;
    (!policies.is_empty()).then(|| {
        let rows = policies.into_iter().map(|plan| view! { <Row plan=plan/> }).collect_view();
        view! {
            <h2 class="queue-title">"What each policy would do"</h2>
            <Table label="What each policy would do" columns=vec!["Policy", "Would do"]>
                {rows}
            </Table>
            {(untold > 0).then(|| view! { <p class="muted plan-untold">{more(untold)}</p> })}
        }
    })
}

#[component]
fn Row(plan: PolicyPlan) -> impl IntoView {
    let name = plan.repository.to_string();
    let page = match plan.kind {
        PolicyKind::Promotion => "promotions",
        PolicyKind::PushMirror | PolicyKind::PullMirror => "mirrors",
    };
    let (href, which) = (paths::below(&name, page), title(&plan));
    let does = match plan.kind {
        PolicyKind::PullMirror => Either::Left(view! { <Poll repository=name.clone() mirror=plan.policy/> }),
        PolicyKind::Promotion | PolicyKind::PushMirror => {
            let left = plan.total.saturating_sub(plan.steps.len() as u64);
            let steps =
                plan.steps.into_iter().map(|planned| view! { <li>{step(planned)}</li> }).collect_view();
            Either::Right(view! {
                <ul class="plan-steps">
                    {steps}
                    {(left > 0).then(|| view! { <li class="muted">{format!("and {left} more")}</li> })}
                </ul>
            })
        }
    };
    view! {
        <tr>
            <th scope="row"><A href=href>{which}</A></th>
            <td>{does}</td>
        </tr>
    }
}

/// Source and target of a policy.
fn title(plan: &PolicyPlan) -> String {
    let PolicyPlan { repository, place, .. } = plan;
    match plan.kind {
        PolicyKind::Promotion => format!("Promote {repository} to {place}"),
        PolicyKind::PushMirror => format!("Push {repository} to {place}"),
        PolicyKind::PullMirror => format!("Pull {place} into {repository}"),
    }
}

fn step(step: PlannedStep) -> impl IntoView {
    let PlannedStep { tag, target } = step;
    let target = target.filter(|target| *target != tag);
    view! {
        <code>{tag.to_string()}</code>
        {target.map(|target| view! { " as " <code>{target.to_string()}</code> })}
    }
}

fn more(untold: u64) -> String {
    match untold {
        1 => "1 more job waits, which this does not tell of.".to_owned(),
        many => format!("{many} more jobs wait, which this does not tell of."),
    }
}

/// Only the other registry knows what a poll would do, so it is contacted on request.
#[component]
fn Poll(repository: String, mirror: PolicyId) -> impl IntoView {
    let Asked(answers) = expect_context();
    let ask = Action::new(move |(): &()| {
        let plan = plan_poll(repository.clone(), mirror);
        async move {
            let answer = plan.await;
            answers.update(|answers| {
                answers.insert(mirror, answer);
            });
        }
    });
    let answer = move || {
        answers.with(|answers| answers.get(&mirror).cloned()).map(|answer| match answer {
            Ok(plan) => Either::Left(view! {
                <ul class="plan-steps">
                    {foretold(&plan).into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}
                </ul>
            }),
            Err(error) => Either::Right(view! { <p class="error" role="alert">{error.to_string()}</p> }),
        })
    };
    view! {
        <p>"Poll the registry for new and moved tags."</p>
        <Button
            kind=ButtonKind::Plain
            busy=ask.pending()
            on_press=move || {
                ask.dispatch(());
            }
        >
            "Show plan"
        </Button>
        <div aria-live="polite">{answer}</div>
    }
}

/// The plan of a poll, one line for each change.
fn foretold(plan: &PollPlan) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |tags: &[Tag], one: &str, many: &str| match tags {
        [] => {}
        [tag] => lines.push(format!("1 tag {one}: {tag}")),
        tags => lines.push(format!("{} tags {many}: {}", tags.len(), named(tags))),
    };
    add(&plan.new, "would be mirrored", "would be mirrored");
    add(&plan.moved, "would move", "would move");
    add(
        &plan.left_alone,
        "is another there and stays as it is here",
        "are others there and stay as they are here",
    );
    for unread in &plan.unread {
        lines.push(format!("{} could not be read and would be skipped: {}", unread.tag, unread.why));
    }
    match plan.unread_total.saturating_sub(plan.unread.len() as u64) {
        0 => {}
        1 => lines.push("1 more tag could not be read".to_owned()),
        more => lines.push(format!("{more} more tags could not be read")),
    }
    if plan.baseline_only {
        lines.push(format!("{} existing tags would be noted; only later ones are mirrored", plan.unchanged));
    } else if lines.is_empty() {
        lines.push("nothing: no tag is new or has moved".to_owned());
    }
    if let Some(why) = &plan.incomplete {
        lines.push(format!("there may be more: {why}"));
    }
    lines
}

fn named(tags: &[Tag]) -> String {
    let names: Vec<&str> = tags.iter().take(NAMED).map(Tag::as_str).collect();
    match tags.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        left => format!("{} and {left} more", names.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tags(names: std::ops::Range<u32>) -> Vec<Tag> {
        names.map(|number| format!("1.{number}").parse().unwrap()).collect()
    }

    #[test]
    fn semantics_29_the_plan_of_a_poll_names_a_limited_number_of_tags() {
        let plan = PollPlan { new: tags(0..12), moved: tags(20..21), unchanged: 3, ..PollPlan::default() };
        assert_eq!(
            foretold(&plan),
            [
                "12 tags would be mirrored: 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9 and 2 more",
                "1 tag would move: 1.20",
            ]
        );
        assert_eq!(foretold(&PollPlan::default()), ["nothing: no tag is new or has moved"]);
        let mut plan = PollPlan::default();
        for tag in tags(0..21) {
            plan.add_unread(tag, "403 Forbidden".to_owned());
        }
        let lines = foretold(&plan);
        assert_eq!(lines[0], "1.0 could not be read and would be skipped: 403 Forbidden");
        assert_eq!((lines.len(), lines[20].as_str()), (21, "1 more tag could not be read"));
        let first = PollPlan { unchanged: 4, baseline_only: true, ..PollPlan::default() };
        assert_eq!(foretold(&first), ["4 existing tags would be noted; only later ones are mirrored"]);
    }
}
