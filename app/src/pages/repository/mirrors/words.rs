//! Texts that describe a mirror.

use longshore_model::{
    policy::{Mirror, PullMirror, PushMirror, RunCode},
    view::{ANOTHER_REGISTRY, named},
};
use longshore_policy::{Rules, StoredRules};

use super::input::{UNITS, interval};
use crate::components::Tone;

/// The remote repository, such as `qa-example.com/qa/website`, or [`ANOTHER_REGISTRY`] if the user may not see it.
pub(super) fn other_end(mirror: &Mirror) -> String {
    let (host, repository) = match mirror {
        Mirror::Push { mirror } => (&mirror.remote_host, mirror.remote_repository.to_string()),
        Mirror::Pull { mirror } => (&mirror.remote_host, mirror.remote_repository.to_string()),
    };
    match host.as_str() {
        ANOTHER_REGISTRY => ANOTHER_REGISTRY.to_owned(),
        host if named(&repository).is_none() => host.to_owned(),
        host => format!("{host}/{repository}"),
    }
}

/// The name of the mirror: "Push to qa-example.com/qa/website".
pub(super) fn title(mirror: &Mirror) -> String {
    match mirror {
        Mirror::Push { .. } => format!("Push to {}", other_end(mirror)),
        Mirror::Pull { .. } => format!("Pull from {}", other_end(mirror)),
    }
}

/// The rules of a push mirror; the tag template follows.
pub(super) fn pushed(mirror: &PushMirror) -> String {
    match &mirror.rules {
        StoredRules::Readable(Rules::EveryTag) => "Every tag, pushed as".to_owned(),
        rules => format!("When the {}, pushed as", rules.describe()),
    }
}

/// The sync interval of a pull mirror: "every 30 minutes".
pub(super) fn rhythm(mirror: &PullMirror) -> String {
    let (count, unit) = interval(mirror.interval_seconds);
    match count.as_str() {
        "1" => format!(
            "every {}",
            UNITS.iter().find(|(word, ..)| *word == unit).map_or(unit, |(.., seconds)| {
                match seconds {
                    60 => "minute",
                    3_600 => "hour",
                    _ => "day",
                }
            })
        ),
        count => format!("every {count} {unit}"),
    }
}

/// The label and tone of a run's result.
pub(super) fn run_label(code: RunCode) -> (&'static str, Tone) {
    match code {
        RunCode::Never => ("Never ran", Tone::Neutral),
        RunCode::Success => ("Success", Tone::Ok),
        RunCode::Running => ("Running", Tone::Info),
        RunCode::Failed => ("Failed", Tone::Bad),
    }
}
