//! *Connect*: tests the settings in the form and remembers which settings the result is valid for (semantics 27).

use leptos::{html, prelude::*};
use longshore_model::{
    FieldError,
    connect::{Check, CheckStatus, ConnectReport, ConnectRequest},
};

use super::{calls::connect, input::MirrorInput};
use crate::{components::focus_first_error, error::AppError, pages::connection::Findings, server::Answer};

/// The last attempt to connect, and whether its result applies to the current settings of the form. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct Trial {
    /// The current settings of the form.
    request: Memo<ConnectRequest>,
    /// The settings of the saved mirror, which were tested when it was saved.
    proved: StoredValue<Option<ConnectRequest>>,
    attempt: Action<(String, ConnectRequest), (ConnectRequest, Answer<ConnectReport>)>,
}

impl Trial {
    /// No attempt yet. The settings of a saved mirror count as tested.
    pub(super) fn new(input: MirrorInput, is_saved: bool) -> Self {
        let request = Memo::new(move |_| input.request());
        let attempt = Action::new(|(repository, request): &(String, ConnectRequest)| {
            let (repository, request) = (repository.clone(), request.clone());
            async move { (request.clone(), connect(repository, request).await) }
        });
        Effect::new(move |_| {
            if attempt
                .value()
                .with(|attempt| matches!(attempt, Some((_, answer)) if !errors(answer).is_empty()))
            {
                focus_first_error();
            }
        });
        Self { request, proved: StoredValue::new(is_saved.then(|| request.get_untracked())), attempt }
    }

    /// Tests the current settings.
    pub(super) fn connect(self, repository: String) {
        self.attempt.dispatch((repository, self.request.get_untracked()));
    }

    pub(super) fn pending(self) -> Memo<bool> {
        self.attempt.pending()
    }

    /// The current settings, if they were tested and the registry can be used with them.
    pub(super) fn usable(self) -> Option<ConnectRequest> {
        let request = self.request.get();
        let proved = self.proved.with_value(|proved| proved.as_ref() == Some(&request));
        let tried = || {
            self.attempt.value().with(
                |attempt| matches!(attempt, Some((tried, Ok(report))) if *tried == request && report.usable),
            )
        };
        (proved || tried()).then_some(request)
    }

    /// The errors that the last attempt found in single fields.
    pub(super) fn field_errors(self) -> Vec<FieldError> {
        self.attempt
            .value()
            .with(|attempt| attempt.as_ref().map(|(_, answer)| errors(answer)).unwrap_or_default())
    }

    /// Why the last request to connect was refused.
    pub(super) fn problem(self) -> Option<AppError> {
        self.attempt.value().with(|attempt| attempt.as_ref()?.1.as_ref().err().cloned())
    }
}

/// The errors in single fields: failed checks of a report, or the field errors of a refused request.
fn errors(answer: &Answer<ConnectReport>) -> Vec<FieldError> {
    let failed = |check: &&Check| check.status == CheckStatus::Failed;
    match answer {
        Ok(report) => report
            .checks
            .iter()
            .filter(failed)
            .filter_map(|check| {
                Some(FieldError { field: check.field.clone()?, message: check.message.clone() })
            })
            .collect(),
        Err(AppError(problem)) => problem.fields.clone(),
    }
}

/// The report of the last attempt, until the settings are changed.
#[component]
pub(super) fn TrialFindings(trial: Trial) -> impl IntoView {
    let found = move || {
        let (tried, report) = trial.attempt.value().with(|attempt| match attempt {
            Some((tried, Ok(report))) => Some((tried.clone(), report.clone())),
            _ => None,
        })?;
        Some(match trial.request.with(|request| *request == tried) {
            true => view! { <Findings report=report/> }.into_any(),
            false => {
                view! { <p class="hint">"The settings have changed since the last attempt. Connect again to test them."</p> }
                    .into_any()
            }
        })
    };
    // The rest of the form appears below, perhaps outside the viewport.
    let place = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if trial.attempt.value().with(|attempt| matches!(attempt, Some((_, Ok(report))) if report.usable)) {
            request_animation_frame(move || {
                if let Some(place) = place.get_untracked() {
                    place.scroll_into_view();
                }
            });
        }
    });
    view! { <div class="trial" role="status" node_ref=place>{found}</div> }
}

#[cfg(test)]
mod tests {
    use longshore_model::{
        Code, Problem,
        connect::{CheckKind, Permissions},
    };

    use super::*;

    #[test]
    fn failed_checks_are_shown_beside_their_fields() {
        let check = |status, field: Option<&str>| Check {
            kind: CheckKind::Credentials,
            status,
            message: "the password is wrong".to_owned(),
            remedy: None,
            field: field.map(str::to_owned),
        };
        let report = ConnectReport {
            usable: false,
            checks: vec![
                check(CheckStatus::Ok, Some("remoteHost")),
                check(CheckStatus::Failed, Some("password")),
                check(CheckStatus::Failed, None),
            ],
            permissions: Permissions::default(),
            registry_type: String::new(),
            realm: None,
        };
        let fields: Vec<_> = errors(&Ok(report)).into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["password"]);
        let refused = Problem::field(Code::InvalidRemote, "remoteHost", "no address");
        assert_eq!(errors(&Err(refused.clone().into())), refused.fields);
    }
}
