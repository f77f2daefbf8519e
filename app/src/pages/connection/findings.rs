//! The results of Connect, check by check.

use leptos::prelude::*;
use longshore_model::connect::{Check, CheckStatus, ConnectReport};

/// The findings, in the order of the checks. Skipped checks show nothing.
#[component]
pub(in crate::pages) fn Findings(report: ConnectReport) -> impl IntoView {
    let tried = report.checks.into_iter().filter(|check| check.status != CheckStatus::Skipped);
    view! {
        <ul class="findings" aria-label="What Connect found">
            {tried.map(finding).collect_view()}
        </ul>
        {report.realm.map(|realm| {
            view! { <p class="hint">"Tokens are issued by " <code>{realm}</code> ". The password is sent only there and to the registry."</p> }
        })}
    }
}

fn finding(check: Check) -> impl IntoView {
    let (class, mark, word) = match check.status {
        CheckStatus::Ok => ("finding ok", "✓", "OK: "),
        CheckStatus::Warning => ("finding warn", "!", "Warning: "),
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
