//! The settings at the top level of the configuration file. The tables are declared where they are used.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum, ValueHint};
use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use longshore_content::{Retention, Sparse};
use longshore_engine::GarbageSettings;
use longshore_remote::{Budget, PrivateRemotes};
use longshore_settings::Group;
use longshore_settings::parse::{self, number, seconds};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::MAX_DAYS;
use crate::metrics::NEARBY;

const MAX_HOURS: u32 = 24 * MAX_DAYS;

/// Networks; a list in one value.
pub(crate) type Networks = Vec<IpNet>;

/// The settings of the server that belong to no table.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerSettings {
    /// The address and port to listen on
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// The data directory
    #[arg(value_name = "FOLDER", default_value = "data")]
    pub(crate) data: PathBuf,
    /// The database: an SQLite path, or `postgres://…` [default: `longshore.db` in the data directory]
    #[arg(
        value_name = "URL",
        hide_env_values = true,
        value_hint = ValueHint::FilePath,
        value_parser = database
    )]
    pub(super) database: Option<String>,
    /// The server's URL as clients see it, such as behind a proxy [default: the URL that the client used]
    #[arg(value_name = "URL", value_parser = external_url)]
    pub(crate) external_url: Option<Url>,
    /// Proxies whose X-Forwarded headers are trusted: addresses or networks, separated by commas [default: no proxy]
    #[arg(value_name = "NETWORKS", action = ArgAction::Append, value_parser = networks, default_value = "")]
    pub(crate) trusted_proxies: Networks,
    /// The file with the key that encrypts passwords of other registries; created if it does not exist
    /// [default: `longshore.key` beside the configuration file, or `<data>.key` if that exists or there is no such file]
    #[arg(value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// The file that lets the server detect that its data was restored to an older state [default: `<data>.epoch`]
    #[arg(value_name = "FILE")]
    pub(super) epoch_file: Option<PathBuf>,
    /// For how many seconds browsers use only HTTPS after an HTTPS response; `0` makes them forget that
    #[arg(value_name = "SECONDS", default_value_t = 365 * 24 * 60 * 60, value_parser = number(0..=u32::MAX))]
    pub(crate) hsts_seconds: u32,
    /// Whose remotes may be at loopback and [private addresses](docs/operating/reach.md): `administrators`,
    /// `everybody`, `nobody`
    #[arg(value_name = "WHOSE", value_enum, default_value_t = Whose::Administrators)]
    pub(super) private_remotes: Whose,
    /// Manifests accepted although parts are missing: `refused`, `indexes`, `all`
    #[arg(value_name = "WHICH", value_enum, default_value_t = SparseManifests::Refused)]
    pub(super) sparse_manifests: SparseManifests,
    /// How many bytes of another registry's lists are read in one run; see [registries](docs/operating/registries.md)
    #[arg(value_name = "BYTES", default_value_t = Budget::default().bytes, value_parser = number(1..=u64::MAX))]
    pub(super) remote_listing_bytes: u64,
    /// How many tags and referrers of another registry's lists are read in one run
    #[arg(value_name = "NUMBER", default_value_t = Budget::default().entries, value_parser = number(1..=u64::MAX))]
    pub(super) remote_listing_entries: u64,
    /// For how many days deleted and overwritten tags and repositories can be restored
    #[arg(
        value_name = "DAYS",
        default_value_t = days(Some(Retention::default().undo)),
        value_parser = number(0..=MAX_DAYS)
    )]
    pub(super) undo_days: u32,
    /// For how many days an untagged image is kept; `0` keeps it forever
    #[arg(
        value_name = "DAYS",
        default_value_t = days(Retention::default().untagged),
        value_parser = number(0..=MAX_DAYS)
    )]
    pub(super) keep_untagged_days: u32,
    /// For how many seconds deleted and unreferenced content is kept, instead of the days; for tests
    #[arg(value_name = "SECONDS", hide = true, value_parser = number(0..=u32::MAX))]
    pub(super) keep_seconds: Option<u32>,
    /// For how many seconds jobs and uploads are reserved for a server that no longer responds; for tests
    #[arg(value_name = "SECONDS", hide = true, value_parser = number(1..=u32::MAX))]
    pub(super) lease_seconds: Option<u32>,
    /// How many hours pass between garbage collections; `0` means only on request
    #[arg(
        value_name = "HOURS",
        default_value_t = hours(GarbageSettings::default().every),
        value_parser = number(0..=MAX_HOURS)
    )]
    pub(super) collect_every_hours: u32,
    /// How many copies to other registries run at the same time, and how many polls; one registry or namespace gets at
    /// most half of them
    #[arg(value_name = "NUMBER", default_value_t = 8, value_parser = number(1..=256_usize))]
    pub(crate) workers: usize,
    /// For how many hours a job is retried after transient failures; see [remotes](docs/operating/remotes.md)
    #[arg(value_name = "HOURS", default_value_t = 24, value_parser = number(0..=MAX_HOURS))]
    pub(super) retry_hours: u32,
    /// The time zone of tag templates, by its IANA name
    #[arg(value_name = "NAME", default_value = "UTC", value_parser = zone)]
    pub(crate) zone: TimeZone,
    /// What is [logged](docs/operating/logs.md), such as `info` or `longshore_engine=debug`
    #[arg(value_name = "FILTER", default_value = "info,sqlx=warn,hyper=warn", value_parser = log)]
    pub(crate) log: String,
    /// How it is logged
    #[arg(value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Networks that may read [`/metrics`](docs/operating/metrics.md) if `LONGSHORE_METRICS_TOKEN` is not set, separated
    /// by commas [default: loopback and private networks]
    #[arg(
        value_name = "NETWORKS",
        action = ArgAction::Append,
        value_parser = networks,
        default_value = NEARBY
    )]
    pub(crate) metrics_from: Networks,
    /// How many seconds running requests get to end when the server [stops](docs/operating/stopping.md)
    #[arg(value_name = "SECONDS", default_value = "8", value_parser = seconds(0..=u32::MAX))]
    pub(crate) shutdown_seconds: Duration,
    /// For how many seconds new connections are still accepted when the server stops
    #[arg(value_name = "SECONDS", default_value = "0", value_parser = seconds(0..=u32::MAX))]
    pub(crate) shutdown_delay_seconds: Duration,
}

impl Group for ServerSettings {
    const TABLE: &'static str = "";
    const HEADING: &'static str = "Server";
}

impl ServerSettings {
    /// How long a job is retried after transient failures.
    pub(crate) fn retry_for(&self) -> SignedDuration {
        SignedDuration::from_hours(self.retry_hours.into())
    }

    /// Whose remotes may be at loopback and private addresses.
    pub(crate) fn private_remotes(&self) -> PrivateRemotes {
        match self.private_remotes {
            Whose::Administrators => PrivateRemotes::Administrators,
            Whose::Everybody => PrivateRemotes::Everybody,
            Whose::Nobody => PrivateRemotes::Nobody,
        }
    }

    /// Manifests that are accepted although parts are missing.
    pub(crate) fn sparse(&self) -> Sparse {
        match self.sparse_manifests {
            SparseManifests::Refused => Sparse::Refused,
            SparseManifests::Indexes => Sparse::Indexes,
            SparseManifests::All => Sparse::All,
        }
    }

    /// How much of other registries' lists is read.
    pub(crate) fn listing_budget(&self) -> Budget {
        Budget { bytes: self.remote_listing_bytes, entries: self.remote_listing_entries, ..Budget::default() }
    }

    /// When garbage is collected, and what counts as garbage.
    pub(crate) fn garbage(&self) -> GarbageSettings {
        let hours = |hours: u32| SignedDuration::from_hours(hours.into());
        let some = |number: u32| Some(number).filter(|number| *number > 0);
        let usual = Retention::default();
        match self.keep_seconds {
            // Applies to everything except uploads, and garbage is collected only on request.
            Some(seconds) => {
                let keep = SignedDuration::from_secs(seconds.into());
                let retention = Retention { untagged: Some(keep), undo: keep, parts: keep, ..usual };
                GarbageSettings { retention, every: None }
            }
            None => {
                let untagged = some(self.keep_untagged_days).map(|days| hours(24 * days));
                let retention = Retention { untagged, undo: hours(24 * self.undo_days), ..usual };
                GarbageSettings { retention, every: some(self.collect_every_hours).map(hours) }
            }
        }
    }

    /// How long jobs and uploads are reserved for a server that no longer responds; `None` means the default.
    pub(crate) fn lease(&self) -> Option<SignedDuration> {
        self.lease_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()))
    }
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Whose remotes may be at loopback and private addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Whose {
    /// Remotes that an administrator saved.
    Administrators,
    /// All remotes.
    Everybody,
    /// No remotes.
    Nobody,
}

/// Manifests that are accepted although parts are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SparseManifests {
    /// None.
    Refused,
    /// Indexes without some of their platforms.
    Indexes,
    /// Images without some of their layers, too.
    All,
}

fn hours(duration: Option<SignedDuration>) -> u32 {
    duration.map_or(0, |duration| u32::try_from(duration.as_hours()).unwrap_or(MAX_HOURS))
}

fn days(duration: Option<SignedDuration>) -> u32 {
    hours(duration) / 24
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let hint = "which is not an IP address and a port, such as 0.0.0.0:8080 or [::]:8080";
    text.parse().map_err(|_| format!("is “{text}”, {hint}"))
}

/// Does not repeat the text, which may contain a password.
fn database(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, _)) if !matches!(scheme, "postgres" | "postgresql" | "sqlite") => {
            Err(format!("begins with {scheme}://, but must be an SQLite path or postgres://…"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Does not repeat the text, which may contain a password.
fn external_url(text: &str) -> Result<Url, String> {
    let url = text.parse::<Url>().ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    url.ok_or_else(|| "must consist of scheme, host and port, as in https://registry.example.com".to_owned())
}

fn networks(text: &str) -> Result<Networks, String> {
    let parse =
        |text: &str| text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
    let read = |text: &str| {
        let hint = "which is not an address or network, such as 10.0.0.5 or 10.0.0.0/8";
        parse(text).map_err(|_| format!("has “{text}”, {hint}"))
    };
    parse::items(text).map(read).collect()
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("is “{name}”, which is not a time zone, such as Europe/Berlin"))
}

fn log(filter: &str) -> Result<String, String> {
    match EnvFilter::try_new(filter) {
        Ok(_) => Ok(filter.to_owned()),
        Err(error) => {
            let hint = "which is not a filter, such as info or longshore_engine=debug";
            Err(format!("is “{filter}”, {hint}: {error}"))
        }
    }
}
