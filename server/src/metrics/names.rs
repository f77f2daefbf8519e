//! All metrics with their units and meanings. Labels have few values: never a repository, a tag or a user.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// From a cached manifest to a blob over a slow link.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// A commit waits for the disk.
const COMMITS: &[f64] = &[0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// The buckets of each histogram.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[
    ("longshore_http_request_duration_seconds", DURATIONS),
    ("longshore_database_commit_seconds", COMMITS),
    ("longshore_database_wait_seconds", COMMITS),
    ("longshore_database_commit_transactions", BATCHES),
];

enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

const ALL: &[(Kind, &str, Unit, &str)] = &[
    (Gauge, "longshore_build_info", Unit::Count, "1, with the version as its label"),
    (
        Counter,
        "longshore_http_requests_total",
        Unit::Count,
        "Answered requests, by surface, route, method and status",
    ),
    (
        Histogram,
        "longshore_http_request_duration_seconds",
        Unit::Seconds,
        "Time until a response begins, by surface, route and method",
    ),
    (Gauge, "longshore_http_requests_running", Unit::Count, "Requests whose response has not begun"),
    (Gauge, "longshore_connections_open", Unit::Count, "Open connections of clients"),
    (Counter, "longshore_connections_total", Unit::Count, "Accepted connections of clients"),
    (
        Counter,
        "longshore_limit_refusals_total",
        Unit::Count,
        "Requests and connections that were rejected or aborted because of a limit, by limit",
    ),
    (
        Counter,
        "longshore_blob_received_bytes_total",
        Unit::Bytes,
        "Bytes of blobs that were received, by pushes and mirrors",
    ),
    (
        Counter,
        "longshore_blob_sent_bytes_total",
        Unit::Bytes,
        "Bytes of blobs that were read, for pulls and mirrors",
    ),
    (Counter, "longshore_uploads_started_total", Unit::Count, "Uploads of blobs that were started"),
    (Counter, "longshore_uploads_ended_total", Unit::Count, "Uploads of blobs that ended, by outcome"),
    (Gauge, "longshore_event_streams", Unit::Count, "Open event streams"),
    (
        Counter,
        "longshore_event_loads_total",
        Unit::Count,
        "Changes that were loaded for event streams, each once for all followers",
    ),
    (Gauge, "longshore_uploads_running", Unit::Count, "Requests that are uploading a part of a blob"),
    (Gauge, "longshore_uploads_open", Unit::Count, "Uploads that were started and have not ended"),
    (Gauge, "longshore_repositories", Unit::Count, "Repositories"),
    (Gauge, "longshore_blobs", Unit::Count, "Stored blobs, each counted once"),
    (Gauge, "longshore_blobs_bytes", Unit::Bytes, "Bytes of stored blobs, each counted once"),
    (
        Gauge,
        "longshore_jobs",
        Unit::Count,
        "Jobs that are queued, running or held by a pause, by action and status",
    ),
    (Gauge, "longshore_pauses", Unit::Count, "Pauses: of the system, namespaces and remotes"),
    (Gauge, "longshore_jobs_oldest_due_age_seconds", Unit::Seconds, "How long the oldest due job has waited"),
    (
        Counter,
        "longshore_jobs_ended_total",
        Unit::Count,
        "Jobs that ended on this server, by action and status",
    ),
    (
        Counter,
        "longshore_job_retries_total",
        Unit::Count,
        "Jobs that were scheduled for another attempt, by action",
    ),
    (Counter, "longshore_remote_back_offs_total", Unit::Count, "Back-offs of remotes, by reason"),
    (
        Gauge,
        "longshore_remotes_waiting",
        Unit::Count,
        "Remotes in back-off, or that have not responded since",
    ),
    (
        Counter,
        "longshore_transfer_bytes_total",
        Unit::Bytes,
        "Bytes of blobs that mirrors copied, by direction",
    ),
    (Counter, "longshore_database_commits_total", Unit::Count, "Commits"),
    (
        Histogram,
        "longshore_database_commit_seconds",
        Unit::Seconds,
        "Time from the start of a transaction to its commit",
    ),
    (Histogram, "longshore_database_commit_transactions", Unit::Count, "Transactions per commit in SQLite"),
    (
        Histogram,
        "longshore_database_wait_seconds",
        Unit::Seconds,
        "Time that a transaction waits for its turn",
    ),
    (
        Gauge,
        "longshore_database_waiting_transactions",
        Unit::Count,
        "Transactions that waited for SQLite after the last commit",
    ),
    (Gauge, "longshore_database_connections", Unit::Count, "Connections to the database, by state"),
    (
        Gauge,
        "longshore_database_connections_max",
        Unit::Count,
        "Maximum number of connections to the database",
    ),
    (Gauge, "process_start_time_seconds", Unit::Seconds, "When the process started, in seconds since 1970"),
    (Gauge, "process_resident_memory_bytes", Unit::Bytes, "Resident memory of the process"),
    (Counter, "process_cpu_seconds_total", Unit::Seconds, "Processor time that the process has used"),
    (Gauge, "process_open_fds", Unit::Count, "Open files and connections"),
    (Gauge, "process_max_fds", Unit::Count, "Maximum number of open files and connections"),
];

/// Registers the descriptions with the recorder.
pub(super) fn describe() {
    for (kind, name, unit, meaning) in ALL {
        match kind {
            Counter => describe_counter!(*name, *unit, *meaning),
            Gauge => describe_gauge!(*name, *unit, *meaning),
            Histogram => describe_histogram!(*name, *unit, *meaning),
        }
    }
}
