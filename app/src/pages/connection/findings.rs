//! What Connect found, check by check.

use leptos::prelude::*;
use longshore_model::connect::{Check, CheckStatus, ConnectReport};

/// The findings in the order in which they were made. Checks that were skipped say nothing.
#[component]
pub(in crate::pages) fn Findings(
    /// What was found.
    report: ConnectReport,
) -> impl IntoView {
    let tried = report.checks.into_iter().filter(|check| check.status != CheckStatus::Skipped);
    view! {
        <ul class="findings" aria-label="What Connect found">
            {tried.map(finding).collect_view()}
        </ul>
        {report.realm.map(|realm| {
            view! { <p class="hint">"Tokens are issued by " <code>{realm}</code> ". The password is sent there and to the registry alone."</p> }
        })}
    }
}

fn finding(check: Check) -> impl IntoView {
    let (class, mark, word) = match check.status {
        CheckStatus::Ok => ("finding ok", "✓", "Good: "),
        CheckStatus::Warning => ("finding warn", "!", "Beware: "),
        CheckStatus::Failed => ("finding bad", "✗", "Failed: "),
        CheckStatus::Skipped => ("finding", "–", "Skipped: "),
    };
    view! {
        <li class=class>
            <span class="mark" aria-hidden="true">{mark}</span>
            <div>
                <span class="visually-hidden">{word}</span>
                {check.message}
                {check.remedy.map(|remedy| view! { <p class="remedy">{remedy}</p> })}
            </div>
        </li>
    }
}
