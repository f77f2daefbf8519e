//! The log of a job, updated as it is written.

use leptos::{html, prelude::*};
use longshore_model::{
    JobId,
    job::{Level, LogLine},
};

/// A reader is at the end if at most this many pixels are left.
const NEAR: i32 = 24;

/// Appends lines, skipping those already known.
pub(super) fn append(lines: RwSignal<Vec<LogLine>>, more: Vec<LogLine>) {
    lines.update(|lines| {
        let last = lines.last().map_or(0, |line| line.line);
        lines.extend(more.into_iter().filter(|line| line.line > last));
    });
}

/// A job's log. It keeps scrolling for a reader at its end. A long log is loaded in parts; without script, the page
/// shows the first part and links to the whole log.
#[component]
pub(super) fn Log(
    job: JobId,
    lines: RwSignal<Vec<LogLine>>,
    /// The number of lines when the page was loaded.
    whole: u64,
) -> impl IntoView {
    let missing = Memo::new(move |_| lines.with(|lines| whole.saturating_sub(lines.len() as u64)));
    let rest = move || {
        missing_lines(missing.get()).map(|more| {
            let href = format!("/api/v0/jobs/{job}/logs");
            view! { <p class="muted">{more} "; the whole log is at " <a href=href.clone() rel="external">{href.clone()}</a></p> }
        })
    };
    let list = NodeRef::<html::Div>::new();
    let at_end = StoredValue::new(true);
    Effect::new(move |_| {
        lines.track();
        request_animation_frame(move || {
            if let Some(list) = list.get_untracked()
                && at_end.get_value()
            {
                list.set_scroll_top(list.scroll_height());
            }
        });
    });
    let scrolled = move |_| {
        if let Some(list) = list.get_untracked() {
            at_end.set_value(list.scroll_height() - list.scroll_top() - list.client_height() < NEAR);
        }
    };
    view! {
        <Show when=move || lines.with(|lines| !lines.is_empty()) fallback=|| view! { <p class="muted">"No log entries yet."</p> }>
            <div class="log" role="log" aria-label="Log" tabindex="0" node_ref=list on:scroll=scrolled><ol>
                <For each=move || lines.get() key=|line| line.line let(line)>
                    <Line line=line/>
                </For>
            </ol></div>
        </Show>
        {rest}
    }
}

/// Says that the page does not hold the whole log.
fn missing_lines(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("and 1 more line".to_owned()),
        more => Some(format!("and {more} more lines")),
    }
}

#[component]
fn Line(line: LogLine) -> impl IntoView {
    let (class, word) = match line.level {
        Level::Info => ("log-line", None),
        Level::Warn => ("log-line warn", Some("Warning: ")),
        Level::Error => ("log-line bad", Some("Error: ")),
    };
    view! {
        <li class=class value=line.line.to_string()>
            <time datetime=line.at.to_string() title=line.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()>
                {line.at.strftime("%H:%M:%S").to_string()}
            </time>
            <span>{word} {line.message}</span>
        </li>
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::Timestamp;

    use super::*;

    fn line(line: i64) -> LogLine {
        LogLine { line, at: Timestamp::UNIX_EPOCH, level: Level::Info, message: String::new() }
    }

    #[test]
    fn a_line_received_twice_is_shown_once() {
        Owner::new().with(|| {
            let lines = RwSignal::new(vec![line(1), line(2)]);
            append(lines, vec![line(2), line(3)]);
            append(lines, vec![line(1)]);
            let numbers: Vec<_> = lines.get_untracked().iter().map(|line| line.line).collect();
            assert_eq!(numbers, [1, 2, 3]);
        });
    }
}
