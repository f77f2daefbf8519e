//! The *Why* panel: the verdict of each policy about the tag, rule by rule.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::{
    PolicyKind,
    tag::{AnswerResult, PolicyAnswer},
};
use longshore_policy::Reason;

use crate::{
    components::{Badge, RelativeTime, Tone},
    paths,
    sentence::sentence,
};

/// The verdicts of all promotion policies and push mirrors of the repository.
#[component]
pub(super) fn Answers(answers: Vec<PolicyAnswer>, repository: String) -> impl IntoView {
    if answers.is_empty() {
        let promotions = paths::below(&repository, "promotions");
        let mirrors = paths::below(&repository, "mirrors");
        return Either::Left(view! {
            <p class="muted">
                "The repository has neither a "
                <A href=promotions>"promotion policy"</A>
                " nor a "
                <A href=mirrors>"push mirror"</A>
                ", so its tags are not copied automatically."
            </p>
        });
    }
    Either::Right(
        answers
            .into_iter()
            .map(|answer| view! { <PolicySays answer=answer repository=repository.clone()/> })
            .collect_view(),
    )
}

#[component]
fn PolicySays(answer: PolicyAnswer, repository: String) -> impl IntoView {
    let (kind, href) = match answer.kind {
        PolicyKind::Promotion => ("Policy", paths::promotion(&repository, answer.policy)),
        PolicyKind::PushMirror | PolicyKind::PullMirror => {
            ("Mirror", paths::mirror(&repository, answer.policy))
        }
    };
    let (tone, word) = outcome(answer.kind, answer.result);
    let lapsed = answer.result == AnswerResult::Done && answer.would_qualify_today == Some(false);
    let reasons = answer.verdict.map(|verdict| verdict.reasons).unwrap_or_default();
    // If the tag did not match, the reasons already say why.
    let consequence = (answer.result != AnswerResult::NotMatched).then_some(answer.consequence);
    view! {
        <section class="answer">
            <header>
                <h3>
                    <A href=href>{kind}</A>
                    " → "
                    {answer.destination}
                    {answer.target_tag.map(|tag| view! { ":" <code>{tag.to_string()}</code> })}
                </h3>
                <span class="answer-result">
                    <Badge tone=tone>{word}</Badge>
                    {lapsed.then(|| view! { <Badge tone=Tone::Warn>"would not qualify today"</Badge> })}
                    {answer.job.map(|job| view! { <A href=paths::job(job)>"Job"</A> })}
                    {answer.at.map(|at| view! { <RelativeTime at=at/> })}
                </span>
            </header>
            <ul class="reasons">{reasons.into_iter().map(reason).collect_view()}</ul>
            {consequence.map(|text| view! { <p class="muted consequence">{sentence(&text)}</p> })}
        </section>
    }
}

fn outcome(kind: PolicyKind, result: AnswerResult) -> (Tone, &'static str) {
    match (result, kind) {
        (AnswerResult::Done, PolicyKind::Promotion) => (Tone::Ok, "promoted"),
        (AnswerResult::Done, _) => (Tone::Ok, "mirrored"),
        (AnswerResult::Running, _) => (Tone::Info, "running"),
        (AnswerResult::NotMatched, PolicyKind::Promotion) => (Tone::Neutral, "not promoted"),
        (AnswerResult::NotMatched, _) => (Tone::Neutral, "not mirrored"),
        (AnswerResult::Waiting, _) => (Tone::Info, "waiting"),
        (AnswerResult::Failed, _) => (Tone::Bad, "failed"),
        (AnswerResult::Superseded, _) => (Tone::Neutral, "superseded"),
        (AnswerResult::NotEvaluated, _) => (Tone::Neutral, "not evaluated"),
    }
}

fn reason(reason: Reason) -> impl IntoView {
    let (class, mark, words) = match reason.holds {
        Some(true) => ("reason holds", "✓", "holds"),
        Some(false) => ("reason fails", "✗", "does not hold"),
        None => ("reason absent", "?", "cannot be judged"),
    };
    view! {
        <li class=class>
            <span class="mark" aria-hidden="true">{mark}</span>
            <span>{reason.rule} <span class="visually-hidden">" " {words}</span></span>
            <span class="found">{reason.found}</span>
        </li>
    }
}
