//! Relative times.

use jiff::{SignedDuration, Timestamp};
use leptos::prelude::*;

use crate::clock::use_now;

/// How long ago, or how soon; the exact time on hover.
#[component]
pub fn RelativeTime(at: Timestamp) -> impl IntoView {
    view! { <Told at=at tell=relative/> }
}

/// How soon something is due; the exact time on hover.
#[component]
pub fn TimeUntil(at: Timestamp) -> impl IntoView {
    view! { <Told at=at tell=until/> }
}

#[component]
fn Told(at: Timestamp, tell: fn(Timestamp, Timestamp) -> String) -> impl IntoView {
    let now = use_now();
    view! {
        <time datetime=at.to_string() title=at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()>
            {move || tell(at, now.get())}
        </time>
    }
}

/// `at` as a due time, seen from `now`. An overdue item has started, or starts as soon as its turn comes.
fn until(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at) < SignedDuration::from_secs(-1) {
        true => relative(at, now).replace("just now", "in a few seconds"),
        false => "any moment now".to_owned(),
    }
}

/// `at` relative to `now`: "3 minutes ago", "in 2 hours".
fn relative(at: Timestamp, now: Timestamp) -> String {
    const STEPS: [(i64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let ago = now.duration_since(at);
    let seconds = ago.abs().as_secs();
    if seconds < 5 {
        // A browser's clock may run behind the server's; "in 2 seconds" would be confusing.
        return "just now".to_owned();
    }
    let (length, unit) =
        STEPS.into_iter().find(|(length, _)| seconds >= *length).expect("a second is the shortest step");
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    match ago > SignedDuration::ZERO {
        true => format!("{count} {unit}{plural} ago"),
        false => format!("in {count} {unit}{plural}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds_ago: i64) -> String {
        let now = Timestamp::from_second(1_800_000_000).expect("it is an instant");
        relative(now - SignedDuration::from_secs(seconds_ago), now)
    }

    #[test]
    fn relative_times_use_their_largest_unit() {
        assert_eq!(told(0), "just now");
        assert_eq!(told(-3), "just now");
        assert_eq!(told(42), "42 seconds ago");
        assert_eq!(told(60), "1 minute ago");
        assert_eq!(told(3 * 60 + 20), "3 minutes ago");
        assert_eq!(told(26 * 3600), "1 day ago");
        assert_eq!(told(-30 * 60), "in 30 minutes");
        assert_eq!(told(800 * 86_400), "2 years ago");
    }

    #[test]
    fn a_due_time_is_never_shown_as_past() {
        let now = Timestamp::from_second(1_800_000_000).expect("it is an instant");
        let told = |seconds| until(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(told(120), "in 2 minutes");
        assert_eq!(told(3), "in a few seconds");
        assert_eq!(told(0), "any moment now");
        assert_eq!(told(-28), "any moment now");
    }
}
