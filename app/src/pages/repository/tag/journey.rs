//! The journey of a tag: its origin, the number of policies that evaluated it, and its destinations.

use leptos::{either::EitherOf3, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PolicyKind, Provenance,
    tag::{AnswerResult, PolicyAnswer, TagDetail},
};

use crate::{pages::repository::tags::by, paths};

/// The steps of the journey, in one line.
#[component]
pub(super) fn Journey<'detail>(detail: &'detail TagDetail) -> impl IntoView + use<> {
    // The policy that promoted the tag to this repository is part of its origin, not of its onward journey.
    let arrived_by = match &detail.summary.tag.provenance {
        Provenance::Promotion { policy, .. } => *policy,
        _ => None,
    };
    let onward = || detail.answers.iter().filter(move |answer| Some(answer.policy) != arrived_by);
    let asked = onward().filter(|answer| answer.verdict.is_some()).count();
    let stations: Vec<_> = onward().filter_map(station).collect();
    let nowhere = stations.is_empty().then_some("not promoted, not mirrored");
    view! {
        <ol class="journey">
            <li>{origin(detail)}</li>
            <li>{evaluated(asked, onward().count())}</li>
            {nowhere.map(|nowhere| view! { <li>{nowhere}</li> })}
            {stations}
        </ol>
    }
}

fn origin(detail: &TagDetail) -> impl IntoView + use<> {
    let record = &detail.summary.tag;
    let who = by(&record.author);
    match record.provenance.clone() {
        Provenance::Push => {
            EitherOf3::A(who.map_or_else(|| "pushed".to_owned(), |who| format!("pushed by {who}")))
        }
        Provenance::Restored { revision, .. } => {
            let who = who.map_or_else(String::new, |who| format!(" by {who}"));
            EitherOf3::A(format!("restored{who} from revision {}", revision.0))
        }
        Provenance::Promotion { source_repository, source_tag, policy, .. }
            if detail.summary.source_visible =>
        {
            let (source, tag) = (source_repository.to_string(), source_tag.to_string());
            let by = match (policy, who) {
                (Some(policy), _) => {
                    let href = paths::promotion(&source, policy);
                    Some(view! { " by " <A href=href>"a policy"</A> }.into_any())
                }
                (None, Some(who)) => Some(view! { " by " {who} }.into_any()),
                (None, None) => None,
            };
            EitherOf3::B(view! {
                "promoted from "
                <A href=paths::tag(&source, &tag, "")>{source.clone()} ":" {tag.clone()}</A>
                {by}
            })
        }
        Provenance::Promotion { .. } => EitherOf3::A("promoted from another repository".to_owned()),
        Provenance::Mirror { remote_host, remote_repository, remote_tag, .. }
            if detail.summary.source_visible =>
        {
            EitherOf3::A(format!("mirrored from {remote_host}/{remote_repository}:{remote_tag}"))
        }
        Provenance::Mirror { .. } => EitherOf3::C("mirrored from another registry"),
    }
}

fn evaluated(asked: usize, policies: usize) -> String {
    match (asked, policies) {
        (_, 0) => "no policies".to_owned(),
        (0, _) => "not evaluated yet".to_owned(),
        (1, _) => "evaluated by 1 policy".to_owned(),
        (asked, _) => format!("evaluated by {asked} policies"),
    }
}

/// A destination of the tag, with the state of its transfer; `None` if the tag is not copied there.
fn station(answer: &PolicyAnswer) -> Option<impl IntoView + use<>> {
    let moved = match answer.kind {
        PolicyKind::Promotion => "promoted to",
        PolicyKind::PushMirror | PolicyKind::PullMirror => "mirrored to",
    };
    let (class, text) = match answer.result {
        AnswerResult::Done => ("done", moved.to_owned()),
        AnswerResult::Running => ("running", "being copied to".to_owned()),
        AnswerResult::Failed => ("failed", format!("could not be {moved}")),
        AnswerResult::Waiting => ("running", "waiting for".to_owned()),
        AnswerResult::NotMatched | AnswerResult::Superseded | AnswerResult::NotEvaluated => return None,
    };
    let (destination, tag) = (answer.destination.clone(), answer.target_tag.clone());
    let name = match &tag {
        Some(tag) => format!("{destination}:{tag}"),
        None => destination.clone(),
    };
    let place = match (answer.kind, answer.result, tag) {
        (PolicyKind::Promotion, AnswerResult::Done, Some(tag)) => {
            view! { <A href=paths::tag(&destination, tag.as_str(), "")>{name}</A> }.into_any()
        }
        _ => name.into_any(),
    };
    Some(view! { <li class=class>{text} " " {place}</li> })
}
