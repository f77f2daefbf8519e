//! What can be set, from flags, the environment (`LONGSHORE_…`), a file (`longshore.toml`) and
//! defaults, in this order. Nothing is opened or begun here.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::CommandFactory;
use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use longshore_content::{Retention, Sparse};
use longshore_engine::{GarbageSettings, History};
use longshore_remote::{Budget, PrivateRemotes};
use longshore_transport::{LimitSettings, TlsSettings};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::cli::{Cli, Sources};
use crate::metrics::{MetricsAccess, NEARBY};
use crate::storage::{BucketOptions, Storage};

mod options;
mod show;

pub(crate) use options::{LogFormat, Options};

const DEFAULT_FILE: &str = "longshore.toml";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_DATA: &str = "data";
/// In the data folder.
const DEFAULT_DATABASE: &str = "longshore.db";
const DEFAULT_WORKERS: usize = 8;
const DEFAULT_RETRY_HOURS: u32 = 24;
/// Docker kills after ten.
const DEFAULT_SHUTDOWN_SECONDS: u32 = 8;
/// A year.
const DEFAULT_HSTS_SECONDS: u32 = 365 * 24 * 60 * 60;
const DEFAULT_LOG: &str = "info,sqlx=warn,hyper=warn";
const MAX_WORKERS: usize = 256;
/// A hundred years: instants that are reckoned with it are still instants.
const MAX_DAYS: u32 = 36_500;
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
    /// Where a copy of the database's epoch is kept, unless that is beside the blobs of a bucket.
    pub(crate) epoch_file: PathBuf,
    pub(crate) workers: usize,
    /// For how long a job is tried again that fails for a reason that may pass.
    pub(crate) retry_for: SignedDuration,
    pub(crate) zone: TimeZone,
    /// Whose remotes may be at loopback and private addresses.
    pub(crate) private_remotes: PrivateRemotes,
    pub(crate) sparse: Sparse,
    /// How much of what other registries list is read.
    pub(crate) listing_budget: Budget,
    pub(crate) garbage: GarbageSettings,
    /// How much of the past is remembered.
    pub(crate) history: History,
    /// How long jobs and uploads stay with a server that says nothing any more; none: as it is by default.
    pub(crate) lease: Option<SignedDuration>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) metrics: MetricsAccess,
    pub(crate) limits: LimitSettings,
    /// How long running requests get to end when the server stops.
    pub(crate) shutdown: Duration,
    /// And how long new ones are still accepted before.
    pub(crate) shutdown_delay: Duration,
    /// For how long browsers remember to come by https alone.
    pub(crate) hsts_seconds: u32,
    /// None: the server speaks plain HTTP.
    pub(crate) tls: Option<TlsSettings>,
    /// The password of the first administrator.
    pub(crate) admin_password: Option<SecretString>,
}

/// What is not said stays as it is by default.
fn budget(bytes: Option<NonZeroU64>, entries: Option<NonZeroU64>) -> Budget {
    let usual = Budget::default();
    Budget {
        bytes: bytes.map_or(usual.bytes, NonZeroU64::get),
        entries: entries.map_or(usual.entries, NonZeroU64::get),
        ..usual
    }
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

    /// Whether the database is the one that lies in the data folder by default.
    pub(crate) fn is_database_in_data(&self) -> bool {
        let path = self.database.strip_prefix("sqlite://").unwrap_or(&self.database);
        std::path::absolute(path).ok() == std::path::absolute(self.data.join(DEFAULT_DATABASE)).ok()
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
                Some(database) => check_database(database)?,
                None => path_text(&data.join(DEFAULT_DATABASE))?.to_owned(),
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
                (None, None, folder) => KeySource::File(default_key(&data, folder.as_deref())?),
            },
            epoch_file: match options.epoch_file {
                Some(file) => file,
                None => beside(&data, ".epoch")?,
            },
            workers,
            retry_for: SignedDuration::from_hours(i64::from(
                at_most("retry_hours", options.retry_hours, 24 * MAX_DAYS)?.unwrap_or(DEFAULT_RETRY_HOURS),
            )),
            zone: TimeZone::get(zone).with_context(|| {
                format!("zone: “{zone}” is no name of a time zone, such as Europe/Berlin")
            })?,
            private_remotes: options.private_remotes.map(PrivateRemotes::from).unwrap_or_default(),
            sparse: options.sparse_manifests.map(Sparse::from).unwrap_or_default(),
            listing_budget: budget(options.remote_listing_bytes, options.remote_listing_entries),
            garbage: match options.keep_seconds {
                Some(seconds) => brief_garbage(seconds),
                None => garbage(
                    at_most("keep_untagged_days", options.keep_untagged_days, MAX_DAYS)?,
                    at_most("undo_days", options.undo_days, MAX_DAYS)?,
                    at_most("collect_every_hours", options.collect_every_hours, 24 * MAX_DAYS)?,
                ),
            },
            history: options.keep.resolve()?,
            lease: options.lease_seconds.map(|seconds| SignedDuration::from_secs(seconds.get().into())),
            log: options.log.map_or_else(|| Ok(DEFAULT_LOG.to_owned()), check_log)?,
            log_format: options.log_format.unwrap_or_default(),
            limits: options.limit.resolve()?,
            shutdown: seconds(options.shutdown_seconds.unwrap_or(DEFAULT_SHUTDOWN_SECONDS)),
            shutdown_delay: seconds(options.shutdown_delay_seconds.unwrap_or(0)),
            hsts_seconds: options.hsts_seconds.unwrap_or(DEFAULT_HSTS_SECONDS),
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
    let options = toml::from_str(&text).map_err(|error: toml::de::Error| {
        // Without the line itself, which may hold a password.
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let (path, message) = (path.display(), error.message());
        anyhow!("the configuration {path} is not right in line {line}: {message}")
    })?;
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
fn beside(data: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(data).context("the data folder has no path")?;
    let name = absolute.file_name().context("the data folder cannot be the root of the file system")?;
    let mut name = name.to_owned();
    name.push(ending);
    Ok(absolute.with_file_name(name))
}

/// Where the key is unless it is said otherwise: beside the configuration file, but where it was before there
/// was such a file, if it is there.
fn default_key(data: &Path, config_folder: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside_data = beside(data, ".key")?;
    Ok(match config_folder.map(|folder| folder.join("longshore.key")) {
        Some(beside_config) if beside_config.exists() || !beside_data.exists() => beside_config,
        _ => beside_data,
    })
}

fn check_database(database: String) -> anyhow::Result<String> {
    match database.split_once("://") {
        Some((scheme, _)) if !matches!(scheme, "postgres" | "postgresql" | "sqlite") => {
            bail!("database: {scheme}:// is not spoken; it is a path of SQLite or postgres://…")
        }
        _ => Ok(database),
    }
}

fn check_log(filter: String) -> anyhow::Result<String> {
    let parsed = EnvFilter::try_new(&filter);
    parsed
        .with_context(|| format!("log: “{filter}” is no filter, such as info or longshore_engine=debug"))?;
    Ok(filter)
}

pub(crate) fn at_most(setting: &str, value: Option<u32>, most: u32) -> anyhow::Result<Option<u32>> {
    match value {
        Some(value) if value > most => bail!("{setting} is {value}; it can be {most} at most"),
        value => Ok(value),
    }
}

fn check_external_url(url: Url) -> anyhow::Result<Url> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !plain {
        bail!("external_url has to be scheme, host and port alone, as in https://registry.example.com");
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
    fn semantics_30_a_key_that_was_there_before_the_configuration_file_stays_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        let key = || {
            let options = Options { data: Some(of("data")), ..Options::default() };
            match Settings::resolve(options, Secrets::default(), Some(folder.path().to_owned())).unwrap().key
            {
                KeySource::File(path) => path,
                KeySource::Given(_) => panic!("none was given"),
            }
        };
        assert_eq!(key(), of("longshore.key"));
        std::fs::write(of("data.key"), "a key").unwrap();
        assert_eq!(key(), of("data.key"));
        std::fs::write(of("longshore.key"), "another").unwrap();
        assert_eq!(key(), of("longshore.key"));
    }

    #[test]
    fn a_database_file_is_meant_from_where_the_configuration_is() {
        for (database, meant) in [
            ("reg.db", "/etc/longshore/reg.db"),
            ("sqlite://reg.db", "/etc/longshore/reg.db"),
            ("/srv/reg.db", "/srv/reg.db"),
            ("postgres://db/reg", "postgres://db/reg"),
        ] {
            let file =
                options(&format!("database = '{database}'")).relative_to(Some(Path::new("/etc/longshore")));
            assert_eq!(file.database.as_deref(), Some(meant));
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for url in ["https://u:geheim@registry.example.com", "https://:geheim@registry.example.com"] {
            let error = resolve(options(&format!("external_url = '{url}'")), None).unwrap_err().to_string();
            assert!(error.contains("external_url") && !error.contains("geheim"), "{error}");
        }
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
            ("database = 'mysql://db/longshore'", "mysql://"),
            ("log = 'foo=bar=baz'", "foo=bar=baz"),
            ("undo_days = 99999999", "undo_days is 99999999; it can be 36500 at most"),
            ("collect_every_hours = 4294967295", "collect_every_hours"),
            ("limit = { headers = 0 }", "limit.headers is 0"),
            ("limit = { head_seconds = 0 }", "limit.head_seconds is 0"),
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
