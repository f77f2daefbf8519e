//! Metrics of the process from the operating system, under the names that Prometheus' own libraries use.

use std::fs;

use longshore_model::Timestamp;
use metrics::{counter, gauge};

/// Bytes per page and ticks per second on Linux, on the architectures that we build for.
const PAGE: f64 = 4096.0;
const TICKS: u64 = 100;

pub(super) struct Process {
    started_at: Timestamp,
}

impl Process {
    pub(super) fn new(started_at: Timestamp) -> Self {
        gauge!("longshore_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self { started_at }
    }

    /// Sets the gauges. Values that cannot be read are omitted.
    pub(super) fn measure(&self) {
        gauge!("process_start_time_seconds").set(self.started_at.as_second() as f64);
        // proc_pid_statm(5): total size, resident size, …
        let resident = read("/proc/self/statm").and_then(|statm| number(&statm, 1));
        if let Some(pages) = resident {
            gauge!("process_resident_memory_bytes").set(pages as f64 * PAGE);
        }
        // proc_pid_stat(5): counted after the name in parentheses, utime is the 12th field and stime the 13th.
        let times = read("/proc/self/stat").and_then(|stat| {
            let (_, rest) = stat.rsplit_once(") ")?;
            Some(number(rest, 11)? + number(rest, 12)?)
        });
        if let Some(ticks) = times {
            counter!("process_cpu_seconds_total").absolute(ticks / TICKS);
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            gauge!("process_open_fds").set(open.count() as f64);
        }
        let most = read("/proc/self/limits").and_then(|limits| {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.to_owned();
            number(&line, 0)
        });
        if let Some(most) = most {
            gauge!("process_max_fds").set(most as f64);
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number(text: &str, field: usize) -> Option<u64> {
    text.split_whitespace().nth(field)?.parse().ok()
}
