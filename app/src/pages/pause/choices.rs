//! The three ways to resume, each with its exact consequences.

use leptos::{either::Either, prelude::*};
use longshore_model::{PauseScope, Queued, pause::Held};

use crate::{
    components::{Button, ButtonKind, FormProblem, problem_of},
    server::ResumeFlows,
};

/// Three buttons, or one if no job is held. Each is a plain form.
#[component]
pub(super) fn ResumeChoices(
    scope: PauseScope,
    held: Held,
    resume: ServerAction<ResumeFlows>,
) -> impl IntoView {
    let problem = problem_of(*resume);
    let scope = scope.to_string();
    let choices = match held.total {
        0 => Either::Left(view! {
            <ResumeForm
                scope=scope
                queued=Queued::Run
                label="Resume"
                kind=ButtonKind::Primary
                says="Policies and mirrors act again from now on.".to_owned()
                resume=resume
            />
        }),
        _ => Either::Right(
            Queued::ALL
                .iter()
                .map(|&queued| {
                    let (label, kind) = button(queued);
                    view! {
                        <ResumeForm
                            scope=scope.clone()
                            queued=queued
                            label=label
                            kind=kind
                            says=consequence(queued, held)
                            resume=resume
                        />
                    }
                })
                .collect_view(),
        ),
    };
    view! {
        <section class="panel resume" aria-labelledby="resume-title">
            <h2 id="resume-title">"Resume"</h2>
            <FormProblem problem=problem fields=&[]/>
            <div class="resume-choices">{choices}</div>
        </section>
    }
}

#[component]
fn ResumeForm(
    scope: String,
    queued: Queued,
    label: &'static str,
    kind: ButtonKind,
    says: String,
    resume: ServerAction<ResumeFlows>,
) -> impl IntoView {
    view! {
        <ActionForm action=resume attr:class="resume-choice">
            <input type="hidden" name="scope" value=scope/>
            <input type="hidden" name="queued" value=queued.as_str()/>
            <Button kind=kind busy=resume.pending()>{label}</Button>
            <p>{says}</p>
        </ActionForm>
    }
}

fn button(queued: Queued) -> (&'static str, ButtonKind) {
    match queued {
        Queued::Run => ("Resume and run all", ButtonKind::Primary),
        Queued::Newest => ("Resume with the newest", ButtonKind::Plain),
        Queued::Drop => ("Resume and drop all", ButtonKind::Danger),
    }
}

/// What remains possible after the held jobs are dropped.
const AFTER_DROPPING: &str =
    "Tags stay; a tag that is pushed again is processed normally, and pull mirrors poll again on schedule.";

/// What a button does, and to how many jobs.
fn consequence(queued: Queued, held: Held) -> String {
    let older = held.total.saturating_sub(held.newest);
    match (queued, held.total, older) {
        (Queued::Run, 1, _) => "The job that waits runs.".to_owned(),
        (Queued::Run, total, _) => format!("All {total} jobs run, oldest first."),
        (Queued::Newest, _, 0) => "The same as running all: no tag has an older change to skip.".to_owned(),
        (Queued::Newest, ..) => {
            let dropped = match older {
                1 => "1 older job is".to_owned(),
                older => format!("{older} older jobs are"),
            };
            let run = match held.newest {
                1 => "1 job runs".to_owned(),
                newest => format!("{newest} jobs run"),
            };
            format!(
                "{run}: of each tag the newest change, of each place at another registry the newest copy. \
                 {dropped} dropped."
            )
        }
        (Queued::Drop, 1, _) => {
            format!("The job that waits never runs. {AFTER_DROPPING}")
        }
        (Queued::Drop, total, _) => {
            format!("None of the {total} jobs ever runs. {AFTER_DROPPING}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantics_29_each_choice_says_what_it_does_and_to_how_many_jobs() {
        let held = Held { total: 12, newest: 8 };
        assert_eq!(consequence(Queued::Run, held), "All 12 jobs run, oldest first.");
        assert!(consequence(Queued::Newest, held).starts_with("8 jobs run"));
        assert!(consequence(Queued::Newest, held).ends_with("4 older jobs are dropped."));
        assert!(consequence(Queued::Drop, held).contains("None of the 12 jobs"));
        let one = Held { total: 1, newest: 1 };
        assert_eq!(consequence(Queued::Run, one), "The job that waits runs.");
        assert!(consequence(Queued::Newest, one).starts_with("The same"));
    }
}
