//! A compact summary of a repository's policies and mirrors, for the list.

use leptos::prelude::*;
use leptos_router::components::A;
use longshore_model::{
    policy::RunCode,
    repository::{Flow, RepositorySummary},
};

use crate::{components::Tone, paths};

/// Outgoing and incoming promotions, push and pull mirrors; each coloured by its last result.
#[component]
pub fn Flows<'summary>(summary: &'summary RepositorySummary) -> impl IntoView + use<> {
    let name = summary.repository.name.to_string();
    let flows = [
        (summary.promotions_out, "out", "promotion policies that leave", "promotions"),
        (summary.promotions_in, "in", "promotion policies that arrive", "promotions?side=target"),
        (summary.push_mirrors, "push", "push mirrors", "mirrors"),
        (summary.pull_mirrors, "pull", "pull mirrors", "mirrors"),
    ];
    let shown: Vec<_> = flows.into_iter().filter(|(flow, ..)| flow.count > 0).collect();
    if shown.is_empty() {
        return view! { <span class="muted">"none"</span> }.into_any();
    }
    // The list does not know which of them a paused remote holds.
    let held =
        summary.held_by.as_ref().map(|pause| format!("{} is paused {}", pause.subject(None), pause.cause()));
    let badge = held.clone().map(|why| view! { <span class="badge tone-warn" title=why>"held"</span> });
    let shown = shown
        .into_iter()
        .map(|(flow, word, what, page)| {
            let state = held.as_ref().map_or_else(|| last_run(flow).to_owned(), |why| format!("held: {why}"));
            let title = format!("{} {what}; {state}", flow.count);
            view! {
                <A
                    href=paths::below(&name, page)
                    attr:class=format!("badge flow {}", tone(flow).class())
                    attr:title=title
                >
                    {flow.count}
                    " "
                    {word}
                </A>
            }
        })
        .collect_view();
    view! { {shown} {badge} }.into_any()
}

fn tone(flow: Flow) -> Tone {
    match flow.last {
        Some(RunCode::Success) => Tone::Ok,
        Some(RunCode::Failed) => Tone::Bad,
        Some(RunCode::Running) => Tone::Info,
        Some(RunCode::Never) | None => Tone::Neutral,
    }
}

fn last_run(flow: Flow) -> &'static str {
    match flow.last {
        Some(RunCode::Success) => "the last run went well",
        Some(RunCode::Failed) => "a last run failed",
        Some(RunCode::Running) => "running",
        Some(RunCode::Never) | None => "no run yet",
    }
}
