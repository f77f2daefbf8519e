//! What can be said on the command line, in the environment and in the file. What it comes to is
//! decided next door.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use longshore_content::Sparse;
use longshore_remote::PrivateRemotes;
use longshore_transport::{LimitOptions, TlsOptions};
use serde::Deserialize;
use url::Url;

use crate::history::HistoryOptions;

/// Every option, where somebody has set it. A flag `--external-url` is the variable
/// `LONGSHORE_EXTERNAL_URL` and the key `external_url`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "LONGSHORE_LISTEN", value_name = "ADDRESS", value_parser = address)]
    pub(super) listen: Option<SocketAddr>,
    /// The folder that holds everything [default: ./data]
    #[arg(long, env = "LONGSHORE_DATA", value_name = "FOLDER")]
    pub(super) data: Option<PathBuf>,
    /// The database: a path of SQLite, or postgres://… [default: longshore.db in the data folder]
    #[arg(long, env = "LONGSHORE_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(super) database: Option<String>,
    /// The S3 bucket that holds the blobs; its keys come by LONGSHORE_S3_ACCESS_KEY and
    /// LONGSHORE_S3_SECRET_KEY [default: none, the data folder holds them]
    #[arg(long, env = "LONGSHORE_S3_BUCKET", value_name = "NAME")]
    pub(super) s3_bucket: Option<String>,
    /// The address of the storage with the bucket [default: Amazon's in the region]
    #[arg(long, env = "LONGSHORE_S3_ENDPOINT", value_name = "URL")]
    pub(super) s3_endpoint: Option<Url>,
    /// The bucket's region [default: us-east-1]
    #[arg(long, env = "LONGSHORE_S3_REGION", value_name = "NAME")]
    pub(super) s3_region: Option<String>,
    /// A folder in the bucket, for what is Longshore's [default: none]
    #[arg(long, env = "LONGSHORE_S3_PREFIX", value_name = "FOLDER")]
    pub(super) s3_prefix: Option<String>,
    /// Whether the bucket is a part of the host's name and not of the path [default: false]
    #[arg(long, env = "LONGSHORE_S3_VIRTUAL_HOST", value_name = "BOOL")]
    pub(super) s3_virtual_host: Option<bool>,
    /// Whether the storage may be spoken to without TLS [default: false]
    #[arg(long, env = "LONGSHORE_S3_ALLOW_HTTP", value_name = "BOOL")]
    pub(super) s3_allow_http: Option<bool>,
    /// Whether pulls are sent to the bucket itself, by addresses that are good for some minutes
    /// [default: false]
    #[arg(long, env = "LONGSHORE_S3_REDIRECTS", value_name = "BOOL")]
    pub(super) s3_redirects: Option<bool>,
    /// The address under which clients reach this server [default: the one they use]
    #[arg(long, env = "LONGSHORE_EXTERNAL_URL", value_name = "URL")]
    pub(super) external_url: Option<Url>,
    /// Proxies whose X-Forwarded headers are believed: addresses or networks, separated by commas
    #[arg(long, env = "LONGSHORE_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    pub(super) trusted_proxies: Option<Vec<String>>,
    /// The file with the key that encrypts stored passwords; made where there is none
    /// [default: longshore.key beside the configuration file; <data>.key where there is none or that one is there]
    #[arg(long, env = "LONGSHORE_KEY_FILE", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// The file by which the server notices that its data are older than what it has seen
    /// [default: <data>.epoch]
    #[arg(long, env = "LONGSHORE_EPOCH_FILE", value_name = "FILE")]
    pub(super) epoch_file: Option<PathBuf>,
    /// How many copies to other registries run at once, and how many polls of pull mirrors; one registry or
    /// namespace gets half of them [default: 8]
    #[arg(long, env = "LONGSHORE_WORKERS", value_name = "NUMBER")]
    pub(super) workers: Option<usize>,
    /// Hours for which a job is tried again that fails for a reason that may pass [default: 24]
    #[arg(long, env = "LONGSHORE_RETRY_HOURS", value_name = "HOURS")]
    pub(super) retry_hours: Option<u32>,
    /// The time zone of tag templates, by its IANA name [default: UTC]
    #[arg(long, env = "LONGSHORE_ZONE", value_name = "NAME")]
    pub(super) zone: Option<String>,
    /// Whose remotes may be at loopback and private addresses [default: administrators]
    #[arg(long, env = "LONGSHORE_PRIVATE_REMOTES", value_name = "WHOSE")]
    pub(super) private_remotes: Option<Whose>,
    /// The most bytes that another registry's lists of tags and of referrers may have in one run
    /// [default: 104857600]
    #[arg(long, env = "LONGSHORE_REMOTE_LISTING_BYTES", value_name = "BYTES")]
    pub(super) remote_listing_bytes: Option<NonZeroU64>,
    /// The most names and referrers that another registry may list in one run [default: 1000000]
    #[arg(long, env = "LONGSHORE_REMOTE_LISTING_ENTRIES", value_name = "NUMBER")]
    pub(super) remote_listing_entries: Option<NonZeroU64>,
    /// Manifests that are taken though parts of them are missing [default: refused]
    #[arg(long, env = "LONGSHORE_SPARSE_MANIFESTS", value_name = "WHICH")]
    pub(super) sparse_manifests: Option<SparseManifests>,
    /// Days after which a manifest without a tag is removed; 0: never [default: 30]
    #[arg(long, env = "LONGSHORE_KEEP_UNTAGGED_DAYS", value_name = "DAYS")]
    pub(super) keep_untagged_days: Option<u32>,
    /// Days in which deleted and overwritten tags and repositories can be brought back [default: 7]
    #[arg(long, env = "LONGSHORE_UNDO_DAYS", value_name = "DAYS")]
    pub(super) undo_days: Option<u32>,
    /// Seconds that manifests, blobs and what was deleted stay that nothing needs, in place of the days; for tests
    #[arg(long, env = "LONGSHORE_KEEP_SECONDS", value_name = "SECONDS", hide = true)]
    pub(super) keep_seconds: Option<u32>,
    /// Seconds that jobs and uploads stay with a server that says nothing any more [default: 30]; for tests
    #[arg(long, env = "LONGSHORE_LEASE_SECONDS", value_name = "SECONDS", hide = true)]
    pub(super) lease_seconds: Option<NonZeroU32>,
    /// Hours between two collections of garbage; 0: only when asked [default: 24]
    #[arg(long, env = "LONGSHORE_COLLECT_EVERY_HOURS", value_name = "HOURS")]
    pub(super) collect_every_hours: Option<u32>,
    /// What is logged, such as info or longshore_engine=debug
    #[arg(long, env = "LONGSHORE_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, env = "LONGSHORE_LOG_FORMAT", value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// Networks that may read /metrics where LONGSHORE_METRICS_TOKEN is not set, separated by commas
    /// [default: loopback and private networks]
    #[arg(long, env = "LONGSHORE_METRICS_FROM", value_name = "NETWORKS", value_delimiter = ',')]
    pub(super) metrics_from: Option<Vec<String>>,
    /// Seconds that running requests get to end when the server stops [default: 8]
    #[arg(long, env = "LONGSHORE_SHUTDOWN_SECONDS", value_name = "SECONDS")]
    pub(super) shutdown_seconds: Option<u32>,
    /// Seconds in which new connections are still accepted when the server stops [default: 0]
    #[arg(long, env = "LONGSHORE_SHUTDOWN_DELAY_SECONDS", value_name = "SECONDS")]
    pub(super) shutdown_delay_seconds: Option<u32>,
    /// Seconds for which browsers that came by https come by https alone; 0: they forget it
    /// [default: 31536000, a year]
    #[arg(long, env = "LONGSHORE_HSTS_SECONDS", value_name = "SECONDS")]
    pub(super) hsts_seconds: Option<u32>,
    #[command(flatten)]
    #[serde(default)]
    pub(super) keep: HistoryOptions,
    #[command(flatten)]
    #[serde(default)]
    pub(super) tls: TlsOptions,
    #[command(flatten)]
    #[serde(default)]
    pub(super) limit: LimitOptions,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Whose remotes may be at loopback and private addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Whose {
    /// Those that an administrator saved.
    Administrators,
    /// All.
    Everybody,
    /// None.
    Nobody,
}

impl From<Whose> for PrivateRemotes {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Administrators => Self::Administrators,
            Whose::Everybody => Self::Everybody,
            Whose::Nobody => Self::Nobody,
        }
    }
}

/// Manifests that are taken though parts of them are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SparseManifests {
    /// None.
    Refused,
    /// Indexes without some of their platforms.
    Indexes,
    /// Images without some of their layers, too.
    All,
}

impl From<SparseManifests> for Sparse {
    fn from(which: SparseManifests) -> Self {
        match which {
            SparseManifests::Refused => Self::Refused,
            SparseManifests::Indexes => Self::Indexes,
            SparseManifests::All => Self::All,
        }
    }
}

impl Options {
    /// These options, and `other` where they say nothing.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            database: self.database.or(other.database),
            s3_bucket: self.s3_bucket.or(other.s3_bucket),
            s3_endpoint: self.s3_endpoint.or(other.s3_endpoint),
            s3_region: self.s3_region.or(other.s3_region),
            s3_prefix: self.s3_prefix.or(other.s3_prefix),
            s3_virtual_host: self.s3_virtual_host.or(other.s3_virtual_host),
            s3_allow_http: self.s3_allow_http.or(other.s3_allow_http),
            s3_redirects: self.s3_redirects.or(other.s3_redirects),
            external_url: self.external_url.or(other.external_url),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            key_file: self.key_file.or(other.key_file),
            epoch_file: self.epoch_file.or(other.epoch_file),
            workers: self.workers.or(other.workers),
            retry_hours: self.retry_hours.or(other.retry_hours),
            zone: self.zone.or(other.zone),
            private_remotes: self.private_remotes.or(other.private_remotes),
            remote_listing_bytes: self.remote_listing_bytes.or(other.remote_listing_bytes),
            remote_listing_entries: self.remote_listing_entries.or(other.remote_listing_entries),
            sparse_manifests: self.sparse_manifests.or(other.sparse_manifests),
            keep_untagged_days: self.keep_untagged_days.or(other.keep_untagged_days),
            keep_seconds: self.keep_seconds.or(other.keep_seconds),
            lease_seconds: self.lease_seconds.or(other.lease_seconds),
            undo_days: self.undo_days.or(other.undo_days),
            collect_every_hours: self.collect_every_hours.or(other.collect_every_hours),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            metrics_from: self.metrics_from.or(other.metrics_from),
            shutdown_seconds: self.shutdown_seconds.or(other.shutdown_seconds),
            shutdown_delay_seconds: self.shutdown_delay_seconds.or(other.shutdown_delay_seconds),
            hsts_seconds: self.hsts_seconds.or(other.hsts_seconds),
            keep: self.keep.or(other.keep),
            tls: self.tls.or(other.tls),
            limit: self.limit.or(other.limit),
        }
    }

    /// Paths in a file are meant from where the file is.
    pub(super) fn relative_to(self, folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return self };
        let place = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        let tls = self.tls.relative_to(folder);
        // A path that is not UTF-8 stays as it is written.
        let file = |database: String| match database.strip_prefix("sqlite://").unwrap_or(&database) {
            path if path.contains("://") => database,
            path => folder.join(path).into_os_string().into_string().unwrap_or(database),
        };
        Self {
            data: place(self.data),
            database: self.database.map(file),
            key_file: place(self.key_file),
            epoch_file: place(self.epoch_file),
            tls,
            ..self
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned())
}
