//! The progress and speed of a job. All figures are measured, none estimated from less.

use jiff::{SignedDuration, Timestamp};
use leptos::prelude::*;
use longshore_model::job::{Job, Progress, Status};

use crate::{
    clock::use_now,
    components::{ProgressBar, size},
};

/// The minimum time over which a rate is measured, so that one fast blob does not promise an early end.
const MEASURED_OVER: SignedDuration = SignedDuration::from_secs(2);

/// The measurements of a job's speed: two states, some time apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    first: Option<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
}

impl Pace {
    /// Adds a state of the job.
    #[must_use]
    pub(super) fn after(self, job: &Job) -> Self {
        let state = (job.updated_at, job.progress.bytes_done);
        match self {
            _ if job.status != Status::Running => Self::default(),
            // A new attempt starts from zero.
            Self { last: Some((_, bytes)), .. } if state.1 < bytes => {
                Self { first: Some(state), last: Some(state) }
            }
            Self { first: None, .. } => Self { first: Some(state), last: Some(state) },
            Self { first, .. } => Self { first, last: Some(state) },
        }
    }

    /// Bytes per second; `None` until there is enough to measure.
    fn rate(self) -> Option<u64> {
        let ((begin, before), (end, after)) = self.first.zip(self.last)?;
        let time = end.duration_since(begin);
        let milliseconds = u64::try_from(time.as_millis()).ok().filter(|_| time >= MEASURED_OVER)?;
        Some((after - before).saturating_mul(1000) / milliseconds).filter(|rate| *rate > 0)
    }

    /// "12.0 MB/s, about 40 s left", as far as known.
    pub(super) fn describe(self, progress: &Progress) -> Option<String> {
        let rate = self.rate()?;
        let left = progress.bytes_total.saturating_sub(progress.bytes_done);
        Some(match left {
            0 => format!("{}/s", size(rate)),
            left => format!("{}/s, about {} left", size(rate), rough(left / rate)),
        })
    }
}

/// A duration in its two largest units: `2.1 s`, `1 min 5 s`, `3 h 20 min`.
pub(super) fn duration(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match seconds {
        0..10 => {
            let tenths = length.as_millis().max(0) / 100;
            match tenths {
                0 => "under 0.1 s".to_owned(),
                tenths => format!("{}.{} s", tenths / 10, tenths % 10),
            }
        }
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A rounded duration.
fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{} s", seconds.max(1)),
        60..3_600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

/// How long a job took, or has taken so far.
#[component]
pub(super) fn Took(#[prop(into)] job: Signal<Job>) -> impl IntoView {
    let now = use_now();
    move || {
        job.with(|job| match (job.started_at, job.finished_at) {
            (Some(start), Some(end)) => duration(end.duration_since(start)),
            (Some(start), None) => {
                // Tenths would not change between two ticks of the clock.
                let seconds = now.get().duration_since(start).as_secs().max(0);
                duration(SignedDuration::from_secs(seconds)).replace(".0 s", " s")
            }
            (None, _) => "–".to_owned(),
        })
    }
}

/// The progress of a job, small enough for a table.
#[component]
pub(super) fn RowProgress(#[prop(into)] job: Signal<Job>) -> impl IntoView {
    let words = move || job.with(summary);
    let running = Memo::new(move |_| job.with(|job| job.status == Status::Running));
    let measure = Memo::new(move |_| job.with(|job| measure(&job.progress)));
    view! {
        <Show when=move || running.get()>
            <ProgressBar
                label="Progress"
                done=Signal::derive(move || measure.get().0)
                total=Signal::derive(move || measure.get().1)
            />
        </Show>
        <span class="muted">{words}</span>
    }
}

/// The value of the row's single bar: bytes if the total is known, otherwise tags.
fn measure(progress: &Progress) -> (u64, Option<u64>) {
    match (progress.bytes_total, progress.tags_total) {
        (0, 0) => (0, None),
        (0, tags) => (progress.tags_done, Some(tags)),
        (bytes, _) => (progress.bytes_done, Some(bytes)),
    }
}

/// Completed of total: "3 of 41 tags, 12.0 MB".
fn summary(job: &Job) -> String {
    let Progress { tags_done, tags_total, bytes_done, bytes_total } = job.progress;
    let running = job.status == Status::Running;
    let mut parts = Vec::new();
    match (tags_done, tags_total) {
        (0, 0) => {}
        (done, 1) if done == 1 || !running => parts.push("1 tag".to_owned()),
        (done, total) if done >= total => parts.push(format!("{done} tags")),
        (done, total) => parts.push(format!("{done} of {total} tags")),
    }
    match (bytes_done, bytes_total) {
        (0, 0) => {}
        (done, total) if running && done < total => parts.push(format!("{} of {}", size(done), size(total))),
        (done, _) => parts.push(size(done)),
    }
    parts.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::job::Parameters;

    use super::{super::describe::tests::job, *};

    fn at(second: i64, bytes_done: u64) -> Job {
        let mut job = job(Parameters::PollAll);
        job.status = Status::Running;
        job.updated_at = Timestamp::from_second(second).unwrap();
        job.progress = Progress { bytes_done, bytes_total: 10_000_000, ..Progress::default() };
        job
    }

    #[test]
    fn a_rate_is_shown_only_once_it_was_measured() {
        let begun = Pace::default().after(&at(10, 1_000_000));
        assert_eq!(begun.describe(&at(10, 1_000_000).progress), None);
        assert_eq!(begun.after(&at(11, 2_000_000)).rate(), None);
        let later = begun.after(&at(14, 5_000_000));
        assert_eq!(later.describe(&at(14, 5_000_000).progress).unwrap(), "1.0 MB/s, about 5 s left");
        assert_eq!(later.after(&at(15, 0)).rate(), None, "another attempt");
    }

    #[test]
    fn durations_are_shown_in_two_units() {
        let told = |milliseconds| duration(SignedDuration::from_millis(milliseconds));
        assert_eq!(told(0), "under 0.1 s");
        assert_eq!(told(2_140), "2.1 s");
        assert_eq!(told(42_999), "42 s");
        assert_eq!(told(65_000), "1 min 5 s");
        assert_eq!(told(12_000_000), "3 h 20 min");
    }

    #[test]
    fn a_row_shows_how_much_of_the_total_is_done() {
        let mut job = at(0, 12_000_000);
        job.progress = Progress { tags_done: 3, tags_total: 41, bytes_done: 12_000_000, bytes_total: 0 };
        assert_eq!(summary(&job), "3 of 41 tags, 12.0 MB");
        job.status = Status::Done;
        job.progress = Progress { tags_done: 41, tags_total: 41, bytes_done: 0, bytes_total: 0 };
        assert_eq!(summary(&job), "41 tags");
        job.progress = Progress::default();
        assert_eq!(summary(&job), "");
    }
}
