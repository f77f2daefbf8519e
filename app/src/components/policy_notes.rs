//! Warnings about a policy or mirror.

use leptos::prelude::*;
use leptos_router::components::A;
use longshore_model::policy::{PolicyCommon, RunCode};
use longshore_policy::StoredRules;

use super::{Badge, Tone};
use crate::paths;

/// Whether and why it stopped, and the error of its last run.
#[component]
pub fn PolicyNotes(
    common: PolicyCommon,
    /// Its rules, if it has any.
    #[prop(optional, into)]
    rules: Option<StoredRules>,
    /// Whether the page already shows that the last run failed, so that only the reason is missing.
    #[prop(optional)]
    failure_is_told: bool,
) -> impl IntoView {
    let failed = common.last_run.code == RunCode::Failed;
    let unreadable = rules.filter(|rules| rules.readable().is_none()).map(|rules| rules.describe());
    view! {
        {unreadable
            .map(|why| {
                view! {
                    <p class="note">
                        <Badge tone=Tone::Bad>"Unreadable"</Badge>
                        " It does nothing until its rules are written anew: "
                        {why}
                    </p>
                }
            })}
        {common
            .stopped
            .map(|why| view! { <p class="note"><Badge tone=Tone::Warn>"Stopped"</Badge> " " {why}</p> })}
        {common
            .orphaned
            .then(|| {
                view! {
                    <p class="note">
                        <Badge tone=Tone::Warn>"Orphaned"</Badge>
                        " "
                        {common.author_name}
                        ", who created it, no longer has permission to do so; it keeps running."
                    </p>
                }
            })}
        {failed
            .then(|| {
                let job = common.last_run.job;
                view! {
                    <p class="note">
                        {(!failure_is_told).then(|| view! { <Badge tone=Tone::Bad>"Failed"</Badge> " " })}
                        {common.last_run.detail}
                        " "
                        {job.map(|job| view! { <A href=paths::job(job)>"See the job"</A> })}
                    </p>
                }
            })}
    }
}
