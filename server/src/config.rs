//! What can be set, from flags, the environment (`LONGSHORE_…`), a file (`longshore.toml`) and
//! defaults, in this order. Nothing is opened or begun here.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, io};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, CommandFactory, ValueEnum};
use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use longshore_content::{Retention, Sparse};
use longshore_engine::GarbageSettings;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::cli::{Cli, Sources};
use crate::limits::{LimitOptions, LimitSettings};
use crate::metrics::{MetricsAccess, NEARBY};
use crate::storage::{BucketOptions, Storage};
use crate::tls::{TlsOptions, TlsSettings};

const DEFAULT_FILE: &str = "longshore.toml";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_DATA: &str = "data";
const DEFAULT_WORKERS: usize = 4;
/// Docker kills after ten.
const DEFAULT_SHUTDOWN_SECONDS: u32 = 8;
const DEFAULT_LOG: &str = "info,sqlx=warn,hyper=warn";
const MAX_WORKERS: usize = 256;
/// Variables that mean something without being options: secrets, and what building and testing use.
const OTHER_VARIABLES: [&str; 9] = [
    "LONGSHORE_ADMIN_PASSWORD",
    "LONGSHORE_ENCRYPTION_KEY",
    "LONGSHORE_METRICS_TOKEN",
    "LONGSHORE_S3_ACCESS_KEY",
    "LONGSHORE_S3_SECRET_KEY",
    "LONGSHORE_TO_S3_ACCESS_KEY",
    "LONGSHORE_TO_S3_SECRET_KEY",
    "LONGSHORE_SITE",
    "LONGSHORE_SHARED",
];

/// Every option, where somebody has set it. A flag `--external-url` is the variable
/// `LONGSHORE_EXTERNAL_URL` and the key `external_url`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "LONGSHORE_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder that holds everything [default: ./data]
    #[arg(long, env = "LONGSHORE_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The database: a path of SQLite, or postgres://… [default: longshore.db in the data folder]
    #[arg(long, env = "LONGSHORE_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// The S3 bucket that holds the blobs; its keys come by LONGSHORE_S3_ACCESS_KEY and
    /// LONGSHORE_S3_SECRET_KEY [default: none, the data folder holds them]
    #[arg(long, env = "LONGSHORE_S3_BUCKET", value_name = "NAME")]
    s3_bucket: Option<String>,
    /// The address of the storage with the bucket [default: Amazon's in the region]
    #[arg(long, env = "LONGSHORE_S3_ENDPOINT", value_name = "URL")]
    s3_endpoint: Option<Url>,
    /// The bucket's region [default: us-east-1]
    #[arg(long, env = "LONGSHORE_S3_REGION", value_name = "NAME")]
    s3_region: Option<String>,
    /// A folder in the bucket, for what is Longshore's [default: none]
    #[arg(long, env = "LONGSHORE_S3_PREFIX", value_name = "FOLDER")]
    s3_prefix: Option<String>,
    /// Whether the bucket is a part of the host's name and not of the path [default: false]
    #[arg(long, env = "LONGSHORE_S3_VIRTUAL_HOST", value_name = "BOOL")]
    s3_virtual_host: Option<bool>,
    /// Whether the storage may be spoken to without TLS [default: false]
    #[arg(long, env = "LONGSHORE_S3_ALLOW_HTTP", value_name = "BOOL")]
    s3_allow_http: Option<bool>,
    /// Whether pulls are sent to the bucket itself, by addresses that are good for some minutes
    /// [default: false]
    #[arg(long, env = "LONGSHORE_S3_REDIRECTS", value_name = "BOOL")]
    s3_redirects: Option<bool>,
    /// The address under which clients reach this server [default: the one they use]
    #[arg(long, env = "LONGSHORE_EXTERNAL_URL", value_name = "URL")]
    external_url: Option<Url>,
    /// Proxies whose X-Forwarded headers are believed: addresses or networks, separated by commas
    #[arg(long, env = "LONGSHORE_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    trusted_proxies: Option<Vec<String>>,
    /// The file with the key that encrypts stored passwords; made where there is none
    /// [default: longshore.key beside the configuration file, else <data>.key]
    #[arg(long, env = "LONGSHORE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How many transfers run at once [default: 4]
    #[arg(long, env = "LONGSHORE_WORKERS", value_name = "NUMBER")]
    workers: Option<usize>,
    /// The time zone of tag templates, by its IANA name [default: UTC]
    #[arg(long, env = "LONGSHORE_ZONE", value_name = "NAME")]
    zone: Option<String>,
    /// Whether remotes may be at loopback and private addresses [default: true]
    #[arg(long, env = "LONGSHORE_ALLOW_PRIVATE_REMOTES", value_name = "BOOL")]
    allow_private_remotes: Option<bool>,
    /// Manifests that are taken though parts of them are missing [default: refused]
    #[arg(long, env = "LONGSHORE_SPARSE_MANIFESTS", value_name = "WHICH")]
    sparse_manifests: Option<SparseManifests>,
    /// Days after which a manifest without a tag is removed; 0: never [default: 30]
    #[arg(long, env = "LONGSHORE_KEEP_UNTAGGED_DAYS", value_name = "DAYS")]
    keep_untagged_days: Option<u32>,
    /// Days in which deleted and overwritten tags and repositories can be brought back [default: 7]
    #[arg(long, env = "LONGSHORE_UNDO_DAYS", value_name = "DAYS")]
    undo_days: Option<u32>,
    /// Seconds that manifests, blobs and what was deleted stay that nothing needs, in place of the days; for tests
    #[arg(long, env = "LONGSHORE_KEEP_SECONDS", value_name = "SECONDS", hide = true)]
    keep_seconds: Option<u32>,
    /// Hours between two collections of garbage; 0: only when asked [default: 24]
    #[arg(long, env = "LONGSHORE_COLLECT_EVERY_HOURS", value_name = "HOURS")]
    collect_every_hours: Option<u32>,
    /// What is logged, such as info or longshore_engine=debug
    #[arg(long, env = "LONGSHORE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, env = "LONGSHORE_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Networks that may read /metrics where LONGSHORE_METRICS_TOKEN is not set, separated by commas
    /// [default: loopback and private networks]
    #[arg(long, env = "LONGSHORE_METRICS_FROM", value_name = "NETWORKS", value_delimiter = ',')]
    metrics_from: Option<Vec<String>>,
    /// Seconds that running requests get to end when the server stops [default: 8]
    #[arg(long, env = "LONGSHORE_SHUTDOWN_SECONDS", value_name = "SECONDS")]
    shutdown_seconds: Option<u32>,
    /// Seconds in which new connections are still accepted when the server stops [default: 0]
    #[arg(long, env = "LONGSHORE_SHUTDOWN_DELAY_SECONDS", value_name = "SECONDS")]
    shutdown_delay_seconds: Option<u32>,
    #[command(flatten)]
    #[serde(default)]
    tls: TlsOptions,
    #[command(flatten)]
    #[serde(default)]
    limit: LimitOptions,
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

/// Where the encryption key comes from.
#[derive(Clone)]
pub(crate) enum KeySource {
    /// A file, made on the first start.
    File(PathBuf),
    /// The environment.
    Given(Box<[u8; 32]>),
}

/// What all sources come to.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) database: String,
    pub(crate) storage: Storage,
    pub(crate) external_url: Option<Url>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) key: KeySource,
    pub(crate) workers: usize,
    pub(crate) zone: TimeZone,
    pub(crate) allow_private_remotes: bool,
    pub(crate) sparse: Sparse,
    pub(crate) garbage: GarbageSettings,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) metrics: MetricsAccess,
    pub(crate) limits: LimitSettings,
    /// How long running requests get to end when the server stops.
    pub(crate) shutdown: Duration,
    /// And how long new ones are still accepted before.
    pub(crate) shutdown_delay: Duration,
    /// None: the server speaks plain HTTP.
    pub(crate) tls: Option<TlsSettings>,
    /// The password of the first administrator.
    pub(crate) admin_password: Option<SecretString>,
}

impl Settings {
    /// Puts all sources together.
    pub(crate) fn load(sources: Sources) -> anyhow::Result<Self> {
        let (file, folder) = match read_file(sources.config.as_deref())? {
            Some((options, path)) => {
                let folder = std::path::absolute(&path)?.parent().map(Path::to_owned);
                (options.relative_to(folder.as_deref()), folder)
            }
            None => (Options::default(), None),
        };
        let secrets = Secrets {
            admin_password: variable("LONGSHORE_ADMIN_PASSWORD").map(SecretString::from),
            encryption_key: variable("LONGSHORE_ENCRYPTION_KEY"),
            metrics_token: variable("LONGSHORE_METRICS_TOKEN").map(SecretString::from),
            s3_access_key: variable("LONGSHORE_S3_ACCESS_KEY"),
            s3_secret_key: variable("LONGSHORE_S3_SECRET_KEY"),
        };
        Self::resolve(sources.options.or(file), secrets, folder)
    }

    /// What another configuration file says, and neither flags nor environment: those are for the first.
    pub(crate) fn load_other(path: &Path) -> anyhow::Result<Self> {
        let Some((options, path)) = read_file(Some(path))? else { bail!("there is no configuration") };
        let folder = std::path::absolute(&path)?.parent().map(Path::to_owned);
        let either = |other: &str, first: &str| variable(other).or_else(|| variable(first));
        let secrets = Secrets {
            encryption_key: variable("LONGSHORE_ENCRYPTION_KEY"),
            s3_access_key: either("LONGSHORE_TO_S3_ACCESS_KEY", "LONGSHORE_S3_ACCESS_KEY"),
            s3_secret_key: either("LONGSHORE_TO_S3_SECRET_KEY", "LONGSHORE_S3_SECRET_KEY"),
            ..Secrets::default()
        };
        Self::resolve(options.relative_to(folder.as_deref()), secrets, folder)
    }

    fn resolve(options: Options, secrets: Secrets, config_folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let data = options.data.unwrap_or_else(|| DEFAULT_DATA.into());
        let zone = options.zone.as_deref().unwrap_or("UTC");
        let workers = options.workers.unwrap_or(DEFAULT_WORKERS);
        if !(1..=MAX_WORKERS).contains(&workers) {
            bail!("workers is {workers}; it can be 1 to {MAX_WORKERS}");
        }
        let trusted_proxies = networks("trusted_proxies", &options.trusted_proxies.unwrap_or_default())?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let nearby = || NEARBY.map(str::to_owned).to_vec();
        Ok(Self {
            listen: options.listen.unwrap_or(DEFAULT_LISTEN),
            database: match options.database {
                Some(database) => database,
                None => path_text(&data.join("longshore.db"))?.to_owned(),
            },
            storage: Storage::resolve(
                &data,
                BucketOptions {
                    bucket: options.s3_bucket,
                    endpoint: options.s3_endpoint,
                    region: options.s3_region,
                    prefix: options.s3_prefix,
                    virtual_host: options.s3_virtual_host,
                    allow_http: options.s3_allow_http,
                    redirects: options.s3_redirects,
                    access_key: secrets.s3_access_key,
                    secret_key: secrets.s3_secret_key,
                },
            )?,
            external_url: options.external_url.map(check_external_url).transpose()?,
            metrics: MetricsAccess {
                token: secrets.metrics_token,
                from: networks("metrics_from", &options.metrics_from.unwrap_or_else(nearby))?,
                trusted_proxies: trusted_proxies.clone(),
            },
            trusted_proxies,
            key: match (secrets.encryption_key, options.key_file, config_folder) {
                (Some(_), Some(_), _) => {
                    bail!("LONGSHORE_ENCRYPTION_KEY and key_file are both set; keep one of them")
                }
                (Some(key), None, _) => KeySource::Given(Box::new(parse_key(&key)?)),
                (None, Some(file), _) => KeySource::File(file),
                (None, None, Some(folder)) => KeySource::File(folder.join("longshore.key")),
                (None, None, None) => KeySource::File(beside(&data)?),
            },
            workers,
            zone: TimeZone::get(zone).with_context(|| {
                format!("zone: “{zone}” is no name of a time zone, such as Europe/Berlin")
            })?,
            allow_private_remotes: options.allow_private_remotes.unwrap_or(true),
            sparse: options.sparse_manifests.map(Sparse::from).unwrap_or_default(),
            garbage: match options.keep_seconds {
                Some(seconds) => brief_garbage(seconds),
                None => garbage(options.keep_untagged_days, options.undo_days, options.collect_every_hours),
            },
            log: options.log.unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            log_format: options.log_format.unwrap_or_default(),
            limits: options.limit.resolve(),
            shutdown: seconds(options.shutdown_seconds.unwrap_or(DEFAULT_SHUTDOWN_SECONDS)),
            shutdown_delay: seconds(options.shutdown_delay_seconds.unwrap_or(0)),
            tls: options.tls.resolve()?,
            admin_password: secrets.admin_password,
            data,
        })
    }
}

/// When garbage is collected, and what counts as such; what is not given is as it is by default.
fn garbage(untagged: Option<u32>, undo: Option<u32>, every: Option<u32>) -> GarbageSettings {
    let hours = |hours: u32| SignedDuration::from_hours(i64::from(hours));
    let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
    let usual = GarbageSettings::default();
    let retention = Retention {
        untagged: match untagged {
            Some(0) => None,
            Some(untagged) => Some(days(untagged)),
            None => usual.retention.untagged,
        },
        undo: undo.map_or(usual.retention.undo, days),
        ..usual.retention
    };
    let every = match every {
        Some(0) => None,
        Some(every) => Some(hours(every)),
        None => usual.every,
    };
    GarbageSettings { retention, every }
}

/// Nothing stays longer than this but uploads, and nothing is collected unasked.
fn brief_garbage(seconds: u32) -> GarbageSettings {
    let keep = SignedDuration::from_secs(i64::from(seconds));
    let usual = GarbageSettings::default().retention;
    let retention = Retention { untagged: Some(keep), undo: keep, parts: keep, ..usual };
    GarbageSettings { retention, every: None }
}

/// What comes by the environment alone: a command line can be seen by all who list processes.
#[derive(Default)]
struct Secrets {
    admin_password: Option<SecretString>,
    encryption_key: Option<String>,
    metrics_token: Option<SecretString>,
    s3_access_key: Option<String>,
    s3_secret_key: Option<String>,
}

impl Options {
    /// These options, and `other` where they say nothing.
    fn or(self, other: Self) -> Self {
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
            workers: self.workers.or(other.workers),
            zone: self.zone.or(other.zone),
            allow_private_remotes: self.allow_private_remotes.or(other.allow_private_remotes),
            sparse_manifests: self.sparse_manifests.or(other.sparse_manifests),
            keep_untagged_days: self.keep_untagged_days.or(other.keep_untagged_days),
            keep_seconds: self.keep_seconds.or(other.keep_seconds),
            undo_days: self.undo_days.or(other.undo_days),
            collect_every_hours: self.collect_every_hours.or(other.collect_every_hours),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            metrics_from: self.metrics_from.or(other.metrics_from),
            shutdown_seconds: self.shutdown_seconds.or(other.shutdown_seconds),
            shutdown_delay_seconds: self.shutdown_delay_seconds.or(other.shutdown_delay_seconds),
            tls: self.tls.or(other.tls),
            limit: self.limit.or(other.limit),
        }
    }

    /// Paths in a file are meant from where the file is.
    fn relative_to(self, folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return self };
        let place = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        let tls = self.tls.relative_to(folder);
        Self { data: place(self.data), key_file: place(self.key_file), tls, ..self }
    }
}

fn read_file(named: Option<&Path>) -> anyhow::Result<Option<(Options, PathBuf)>> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(None),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the configuration {} cannot be read", path.display()));
        }
    };
    let options = toml::from_str(&text)
        .with_context(|| format!("the configuration {} is not right", path.display()))?;
    Ok(Some((options, path.to_owned())))
}

/// Variables that look like settings and are none.
pub(crate) fn unknown_variables() -> Vec<String> {
    let command = Cli::command();
    let known: Vec<&str> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_env()?.to_str())
        .chain(OTHER_VARIABLES)
        .collect();
    let named = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    named.filter(|name| name.starts_with("LONGSHORE_") && !known.contains(&name.as_str())).collect()
}

/// An empty variable is one that is not set, as in a compose file with a missing value.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}

/// `<data>.key`: beside the data folder and not in it, so that a backup of the one is without the
/// other.
fn beside(data: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(data).context("the data folder has no path")?;
    let name = absolute.file_name().context("the data folder cannot be the root of the file system")?;
    let mut name = name.to_owned();
    name.push(".key");
    Ok(absolute.with_file_name(name))
}

fn check_external_url(url: Url) -> anyhow::Result<Url> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    if !plain {
        bail!(
            "external_url: {url} has to be scheme, host and port alone, as in https://registry.example.com"
        );
    }
    Ok(url)
}

fn networks(setting: &str, texts: &[String]) -> anyhow::Result<Vec<IpNet>> {
    let parse =
        |text: &str| text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
    let named = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    named
        .map(|text| {
            parse(text).with_context(|| {
                format!("{setting}: “{text}” is no address or network, such as 10.0.0.5 or 10.0.0.0/8")
            })
        })
        .collect()
}

fn parse_key(text: &str) -> anyhow::Result<[u8; 32]> {
    let text = text.trim();
    let bytes = hex::decode(text).ok().or_else(|| BASE64_STANDARD.decode(text).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .context("LONGSHORE_ENCRYPTION_KEY has to be 32 bytes, as 64 hexadecimal digits or in base64")
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Given(_) => f.write_str("LONGSHORE_ENCRYPTION_KEY"),
        }
    }
}

impl fmt::Debug for KeySource {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Settings {
    /// As `check-config` shows them: one per line, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let external_url = self.external_url.as_ref().map_or("(the one that clients use)", Url::as_str);
        let listed = |networks: &[IpNet]| match networks {
            [] => "(none)".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let proxies = listed(&self.trusted_proxies);
        let scrapers = match self.metrics.token {
            Some(_) => "LONGSHORE_METRICS_TOKEN".to_owned(),
            None => listed(&self.metrics.from),
        };
        let log_format = if self.log_format == LogFormat::Json { "json" } else { "text" };
        let hours = |duration: Option<SignedDuration>| duration.map_or(0, |duration| duration.as_hours());
        let retention = &self.garbage.retention;
        let sparse = match self.sparse {
            Sparse::Refused => "refused",
            Sparse::Indexes => "indexes",
            Sparse::All => "all",
        };
        let tls = self.tls.as_ref().map_or_else(|| "(plain HTTP)".to_owned(), ToString::to_string);
        let lines: [(&str, &dyn fmt::Display); 20] = [
            ("listen", &self.listen),
            ("data", &self.data.display()),
            ("database", &without_password(&self.database)),
            ("content", &self.storage),
            ("external_url", &external_url),
            ("trusted_proxies", &proxies),
            ("key", &self.key),
            ("workers", &self.workers),
            ("zone", &self.zone.iana_name().unwrap_or("UTC")),
            ("allow_private_remotes", &self.allow_private_remotes),
            ("sparse_manifests", &sparse),
            ("keep_untagged_days", &(hours(retention.untagged) / 24)),
            ("undo_days", &(hours(Some(retention.undo)) / 24)),
            ("collect_every_hours", &hours(self.garbage.every)),
            ("log", &self.log),
            ("log_format", &log_format),
            ("tls", &tls),
            ("metrics_from", &scrapers),
            ("shutdown_seconds", &self.shutdown.as_secs()),
            ("shutdown_delay_seconds", &self.shutdown_delay.as_secs()),
        ];
        lines.iter().try_for_each(|(name, value)| writeln!(f, "{name:<22} {value}"))?;
        self.limits.fmt(f)
    }
}

/// A database's URL as it may be shown.
fn without_password(database: &str) -> String {
    match Url::parse(database) {
        Ok(mut url) if url.password().is_some() => {
            // Only a URL that cannot have a password refuses a new one.
            let _ = url.set_password(Some("***"));
            url.to_string()
        }
        _ => database.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn options(toml: &str) -> Options {
        toml::from_str(toml).unwrap()
    }

    fn resolve(options: Options, key: Option<&str>) -> anyhow::Result<Settings> {
        let secrets = Secrets { encryption_key: key.map(str::to_owned), ..Secrets::default() };
        Settings::resolve(options, secrets, None)
    }

    #[test]
    fn what_is_said_first_wins_and_the_rest_is_filled_in() {
        let over = options("listen = '127.0.0.1:1'").or(options("listen = '127.0.0.1:2'\nworkers = 7"));
        let settings = resolve(over, None).unwrap();
        assert_eq!((settings.listen.port(), settings.workers), (1, 7));
        assert_eq!(settings.data, Path::new("data"));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<Options>("lisetn = '127.0.0.1:1'").unwrap_err().to_string();
        assert!(error.contains("lisetn") && error.contains("listen"), "{error}");
    }

    #[test]
    fn semantics_30_the_key_is_not_inside_the_data_folder() {
        let settings = resolve(options("data = '/srv/longshore'"), None).unwrap();
        assert!(matches!(settings.key, KeySource::File(path) if path == Path::new("/srv/longshore.key")));
        let settings =
            Settings::resolve(Options::default(), Secrets::default(), Some("/etc/longshore".into())).unwrap();
        let beside_it = Path::new("/etc/longshore/longshore.key");
        assert!(matches!(settings.key, KeySource::File(path) if path == beside_it));
    }

    #[test]
    fn a_key_comes_in_hexadecimal_digits_or_base64() {
        let hex = "ab".repeat(32);
        assert!(matches!(resolve(Options::default(), Some(&hex)).unwrap().key, KeySource::Given(_)));
        let base64 = BASE64_STANDARD.encode([7; 32]);
        assert!(resolve(Options::default(), Some(&base64)).is_ok());
        let error = resolve(Options::default(), Some("short")).unwrap_err();
        assert!(!error.to_string().contains("short"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        for (toml, named) in [
            ("workers = 0", "workers"),
            ("zone = 'Mars/Olympus'", "Mars/Olympus"),
            ("external_url = 'https://registry.example.com/path'", "external_url"),
            ("trusted_proxies = ['10.0.0.0/33']", "10.0.0.0/33"),
        ] {
            let error = format!("{:#}", resolve(options(toml), None).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_database_is_shown_without_its_password() {
        let settings = resolve(options("database = 'postgres://user:geheim@db/longshore'"), None).unwrap();
        let shown = settings.to_string();
        assert!(shown.contains("db/longshore") && !shown.contains("geheim"), "{shown}");
    }
}
