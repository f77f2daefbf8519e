//! A mirror in words.

use longshore_model::{
    policy::{Mirror, PullMirror, PushMirror, RunCode},
    view::{ANOTHER_REGISTRY, named},
};
use longshore_policy::{Rules, StoredRules};

use super::input::{UNITS, interval};
use crate::components::Tone;

/// The other end: `qa-example.com/qa/website`, or that it is not to be seen.
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

/// The whole mirror: "Push to qa-example.com/qa/website".
pub(super) fn title(mirror: &Mirror) -> String {
    match mirror {
        Mirror::Push { .. } => format!("Push to {}", other_end(mirror)),
        Mirror::Pull { .. } => format!("Pull from {}", other_end(mirror)),
    }
}

/// What a push mirror copies; its template stands behind.
pub(super) fn pushed(mirror: &PushMirror) -> String {
    match &mirror.rules {
        StoredRules::Readable(Rules::EveryTag) => "Every tag, copied as".to_owned(),
        rules => format!("When the {}, copied as", rules.describe()),
    }
}

/// How often a pull mirror looks: "every 30 minutes".
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

/// What the result of a run is called.
pub(super) fn run_label(code: RunCode) -> (&'static str, Tone) {
    match code {
        RunCode::Never => ("Never ran", Tone::Neutral),
        RunCode::Success => ("Success", Tone::Ok),
        RunCode::Running => ("Running", Tone::Info),
        RunCode::Failed => ("Failed", Tone::Bad),
    }
}
