//! The configuration: the combination of command line, environment (`LONGSHORE_…`), file (`longshore.toml`) and
//! defaults, in this order of priority. Nothing is opened or started here.

use std::path::{Path, PathBuf};
use std::{env, fmt, io};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{ArgMatches, Args, FromArgMatches};
use longshore_engine::History;
use longshore_metadata::without_password;
use longshore_settings::{Catalogue, Group, Secret, Values, fill_in, read_file};
use longshore_transport::{LimitSettings, TlsSettings, TlsSource};
use secrecy::SecretString;

use crate::history::HistorySettings;
use crate::metrics::MetricsAccess;
use crate::storage::{BucketKeys, BucketSettings, Storage};

mod server;

pub(crate) use server::{LogFormat, ServerSettings};

const DEFAULT_FILE: &str = "longshore.toml";
/// In the data directory.
const DEFAULT_DATABASE: &str = "longshore.db";
/// A hundred years, so that instants computed with it are in range.
pub(crate) const MAX_DAYS: u32 = 36_500;
/// Values that can be set only in the environment.
const SECRETS: &[Secret] = &[
    Secret {
        variable: "LONGSHORE_ADMIN_PASSWORD",
        default: "generated, printed once",
        meaning: "The initial password of `admin`",
    },
    Secret {
        variable: "LONGSHORE_ENCRYPTION_KEY",
        default: "the key in the key file",
        meaning: "The key that encrypts passwords of other registries: 32 bytes, in hexadecimal digits or base64",
    },
    Secret {
        variable: "LONGSHORE_METRICS_TOKEN",
        default: "no token",
        meaning: "The token that [`/metrics`](docs/operating/metrics.md) then requires",
    },
    Secret { variable: "LONGSHORE_S3_ACCESS_KEY", default: "", meaning: "The access key of the bucket" },
    Secret { variable: "LONGSHORE_S3_SECRET_KEY", default: "", meaning: "The secret key of the bucket" },
];
/// Variables that are not settings of a server: the keys of the bucket that `migrate-storage` moves to, and what
/// building and testing use.
const OTHER_VARIABLES: [&str; 4] =
    ["LONGSHORE_TO_S3_ACCESS_KEY", "LONGSHORE_TO_S3_SECRET_KEY", "LONGSHORE_SITE", "LONGSHORE_SHARED"];

/// All settings.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::default()
        .with_options_only::<ConfigurationFile>()
        .with::<ServerSettings>()
        .with::<BucketSettings>()
        .with::<TlsSettings>()
        .with::<HistorySettings>()
        .with::<LimitSettings>()
        .with_secrets(SECRETS)
}

/// The values from the command line and the environment, which are completed by a file and defaults.
#[derive(Debug)]
pub(crate) struct Sources(Values);

/// The setting that is needed before the file is read.
#[derive(Debug, Args)]
struct ConfigurationFile {
    /// The configuration file [default: `longshore.toml`, if it exists]
    #[arg(value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Group for ConfigurationFile {
    const TABLE: &'static str = "";
    const HEADING: &'static str = "Server";
}

impl Args for Sources {
    fn augment_args(command: clap::Command) -> clap::Command {
        catalogue().augment(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Sources {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(Values::from_matches(&catalogue(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The source of the encryption key.
#[derive(Clone)]
pub(crate) enum KeySource {
    /// A file, created on the first start.
    File(PathBuf),
    /// The environment.
    Given(Box<[u8; 32]>),
}

impl fmt::Display for KeySource {
    /// Does not show the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Given(_) => f.write_str("LONGSHORE_ENCRYPTION_KEY"),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The settings as they were declared, and values derived from several of them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) server: ServerSettings,
    pub(crate) limits: LimitSettings,
    pub(crate) history: History,
    pub(crate) storage: Storage,
    pub(crate) database: String,
    pub(crate) key: KeySource,
    /// The file with the copy of the database's epoch; unused if the copy is in a bucket, beside the blobs.
    pub(crate) epoch_file: PathBuf,
    /// `None` if the server speaks plain HTTP.
    pub(crate) tls: Option<TlsSource>,
    pub(crate) metrics: MetricsAccess,
    /// The initial password of the first administrator.
    pub(crate) admin_password: Option<SecretString>,
    /// The values as they were set, for `check-config`.
    values: Values,
}

struct Loaded {
    values: Values,
    /// `None` if there is no file.
    folder: Option<PathBuf>,
}

impl Settings {
    /// Combines all sources.
    pub(crate) fn load(Sources(values): Sources) -> anyhow::Result<Self> {
        let named: ConfigurationFile = values.group()?;
        let file = load_file(named.config.as_deref())?;
        let secrets = Secrets {
            admin_password: variable("LONGSHORE_ADMIN_PASSWORD").map(SecretString::from),
            encryption_key: variable("LONGSHORE_ENCRYPTION_KEY"),
            metrics_token: variable("LONGSHORE_METRICS_TOKEN").map(SecretString::from),
            bucket: BucketKeys {
                access: variable("LONGSHORE_S3_ACCESS_KEY"),
                secret: variable("LONGSHORE_S3_SECRET_KEY"),
            },
        };
        Self::resolve(values.or(file.values), secrets, file.folder)
    }

    /// The settings of another configuration file, without the command line and the environment, which belong to the
    /// first one.
    pub(crate) fn load_other(path: &Path) -> anyhow::Result<Self> {
        let file = load_file(Some(path))?;
        let either = |other: &str, first: &str| variable(other).or_else(|| variable(first));
        let secrets = Secrets {
            encryption_key: variable("LONGSHORE_ENCRYPTION_KEY"),
            bucket: BucketKeys {
                access: either("LONGSHORE_TO_S3_ACCESS_KEY", "LONGSHORE_S3_ACCESS_KEY"),
                secret: either("LONGSHORE_TO_S3_SECRET_KEY", "LONGSHORE_S3_SECRET_KEY"),
            },
            ..Secrets::default()
        };
        Self::resolve(file.values, secrets, file.folder)
    }

    /// Whether the database is the default one in the data folder.
    pub(crate) fn is_database_in_data(&self) -> bool {
        let path = self.database.strip_prefix("sqlite://").unwrap_or(&self.database);
        std::path::absolute(path).ok() == std::path::absolute(self.server.data.join(DEFAULT_DATABASE)).ok()
    }

    fn resolve(values: Values, secrets: Secrets, config_folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let server: ServerSettings = values.group()?;
        let data = &server.data;
        Ok(Self {
            limits: values.group()?,
            history: values.group::<HistorySettings>()?.into(),
            storage: Storage::resolve(data, values.group()?, secrets.bucket)?,
            database: match &server.database {
                Some(database) => database.clone(),
                None => path_text(&data.join(DEFAULT_DATABASE))?.to_owned(),
            },
            key: match (secrets.encryption_key, &server.key_file) {
                (Some(_), Some(_)) => {
                    bail!("LONGSHORE_ENCRYPTION_KEY and key_file are both set; remove one of them")
                }
                (Some(key), None) => KeySource::Given(Box::new(parse_key(&key)?)),
                (None, Some(file)) => KeySource::File(file.clone()),
                (None, None) => KeySource::File(default_key(data, config_folder.as_deref())?),
            },
            epoch_file: match &server.epoch_file {
                Some(file) => file.clone(),
                None => beside(data, ".epoch")?,
            },
            tls: values.group::<TlsSettings>()?.source()?,
            metrics: MetricsAccess {
                token: secrets.metrics_token,
                from: server.metrics_from.clone(),
                trusted_proxies: server.trusted_proxies.clone(),
            },
            admin_password: secrets.admin_password,
            server,
            values,
        })
    }
}

impl fmt::Display for Settings {
    /// The output of `check-config`: one setting per line, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalogue = catalogue();
        let shown = catalogue.settings().iter().filter(|setting| {
            // Hidden settings are shown only if they are set.
            !setting.is_hidden() || self.values.text(setting).is_some()
        });
        for setting in shown {
            let name = setting.name();
            let value = match name.as_str() {
                "database" => self.database.clone(),
                "key_file" => self.key.to_string(),
                "epoch_file" => self.epoch_file.display().to_string(),
                _ => self.values.shown(setting),
            };
            writeln!(f, "{name:<24} {}", without_password(&value))?;
        }
        writeln!(f, "{:<24} {}", "content", self.storage)?;
        let set = SECRETS.iter().filter(|secret| variable(secret.variable).is_some());
        set.into_iter().try_for_each(|secret| writeln!(f, "{:<24} (set)", secret.variable))
    }
}

/// Values that can be set only in the environment, because anyone who can list processes can read a command line.
#[derive(Default)]
struct Secrets {
    admin_password: Option<SecretString>,
    encryption_key: Option<String>,
    metrics_token: Option<SecretString>,
    bucket: BucketKeys,
}

fn load_file(named: Option<&Path>) -> anyhow::Result<Loaded> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Loaded { values: Values::default(), folder: None });
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the configuration {} cannot be read", path.display()));
        }
    };
    let path = std::path::absolute(path)?;
    Ok(Loaded { values: read_file(&catalogue(), &path, &text)?, folder: path.parent().map(Path::to_owned) })
}

/// A page of the documentation with up-to-date tables of settings.
pub(crate) fn documented(page: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(page).with_context(|| format!("{} cannot be read", page.display()))?;
    let folder = page.parent().and_then(Path::to_str).unwrap_or_default();
    Ok(fill_in(&text, folder, &catalogue()))
}

/// Variables that look like settings but are not known.
pub(crate) fn unknown_variables() -> Vec<String> {
    let catalogue = catalogue();
    let is_known = |name: &str| {
        catalogue.settings().iter().any(|setting| setting.variable() == name)
            || SECRETS.iter().any(|secret| secret.variable == name)
            || OTHER_VARIABLES.contains(&name)
    };
    let named = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    named.filter(|name| name.starts_with("LONGSHORE_") && !is_known(name)).collect()
}

/// An empty variable counts as not set, as in a compose file with a missing value.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}

/// A file beside the data folder, such as `<data>.key`, so that a backup of the folder does not contain it.
fn beside(data: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(data).context("the data folder has no path")?;
    let name = absolute.file_name().context("the data folder cannot be the root of the file system")?;
    let mut name = name.to_owned();
    name.push(ending);
    Ok(absolute.with_file_name(name))
}

/// The default path of the key: beside the configuration file, unless a key already exists beside the data folder from
/// before there was a configuration file.
fn default_key(data: &Path, config_folder: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside_data = beside(data, ".key")?;
    Ok(match config_folder.map(|folder| folder.join("longshore.key")) {
        Some(beside_config) if beside_config.exists() || !beside_data.exists() => beside_config,
        _ => beside_data,
    })
}

fn parse_key(text: &str) -> anyhow::Result<[u8; 32]> {
    let text = text.trim();
    let bytes = hex::decode(text).ok().or_else(|| BASE64_STANDARD.decode(text).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .context("LONGSHORE_ENCRYPTION_KEY must be 32 bytes, as 64 hexadecimal digits or in base64")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(toml: &str) -> Result<Values, longshore_settings::Error> {
        read_file(&catalogue(), Path::new(DEFAULT_FILE), toml)
    }

    fn resolve(toml: &str, key: Option<&str>) -> anyhow::Result<Settings> {
        let secrets = Secrets { encryption_key: key.map(str::to_owned), ..Secrets::default() };
        Settings::resolve(file(toml)?, secrets, None)
    }

    #[test]
    fn the_first_source_has_priority_and_the_rest_has_defaults() {
        let first = file("listen = '127.0.0.1:1'").unwrap();
        let values = first.or(file("listen = '127.0.0.1:2'\nworkers = 7").unwrap());
        let settings = Settings::resolve(values, Secrets::default(), None).unwrap();
        assert_eq!((settings.server.listen.port(), settings.server.workers), (1, 7));
        assert_eq!(settings.server.data, Path::new("data"));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = file("lisetn = '127.0.0.1:1'").unwrap_err().to_string();
        assert!(error.contains("lisetn") && error.contains("listen"), "{error}");
    }

    #[test]
    fn semantics_30_the_key_is_not_inside_the_data_folder() {
        let settings = resolve("data = '/srv/longshore'", None).unwrap();
        assert!(matches!(settings.key, KeySource::File(path) if path == Path::new("/srv/longshore.key")));
        let settings =
            Settings::resolve(Values::default(), Secrets::default(), Some("/etc/longshore".into())).unwrap();
        let beside_it = Path::new("/etc/longshore/longshore.key");
        assert!(matches!(settings.key, KeySource::File(path) if path == beside_it));
    }

    #[test]
    fn semantics_30_a_key_that_existed_before_the_configuration_file_is_still_used() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        let key = || {
            let values = file(&format!("data = '{}'", of("data").display())).unwrap();
            match Settings::resolve(values, Secrets::default(), Some(folder.path().to_owned())).unwrap().key {
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
    fn the_path_of_a_database_is_relative_to_the_configuration_file() {
        for (database, meant) in [
            ("reg.db", "/etc/longshore/reg.db"),
            ("sqlite://reg.db", "/etc/longshore/reg.db"),
            ("/srv/reg.db", "/srv/reg.db"),
            ("postgres://db/reg", "postgres://db/reg"),
        ] {
            let path = Path::new("/etc/longshore/longshore.toml");
            let file = read_file(&catalogue(), path, &format!("database = '{database}'")).unwrap();
            let settings: ServerSettings = file.group().unwrap();
            assert_eq!(settings.database.as_deref(), Some(meant));
        }
    }

    #[test]
    fn a_password_in_a_url_is_rejected_and_not_repeated() {
        for url in ["https://u:geheim@registry.example.com", "https://:geheim@registry.example.com"] {
            let error = resolve(&format!("external_url = '{url}'"), None).unwrap_err().to_string();
            assert!(error.contains("external_url") && !error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_key_is_given_in_hexadecimal_digits_or_base64() {
        let hex = "ab".repeat(32);
        assert!(matches!(resolve("", Some(&hex)).unwrap().key, KeySource::Given(_)));
        let base64 = BASE64_STANDARD.encode([7; 32]);
        assert!(resolve("", Some(&base64)).is_ok());
        let error = resolve("", Some("short")).unwrap_err();
        assert!(!error.to_string().contains("short"), "{error}");
    }

    #[test]
    fn an_invalid_value_is_rejected_with_the_name_of_the_setting() {
        for (toml, named) in [
            ("workers = 0", "workers"),
            ("zone = 'Mars/Olympus'", "Mars/Olympus"),
            ("external_url = 'https://registry.example.com/path'", "external_url"),
            ("trusted_proxies = ['10.0.0.0/33']", "10.0.0.0/33"),
            ("database = 'mysql://db/longshore'", "mysql://"),
            ("log = 'foo=bar=baz'", "foo=bar=baz"),
            ("undo_days = 99999999", "undo_days is 99999999; it must be at most 36500"),
            ("collect_every_hours = 4294967295", "collect_every_hours"),
            ("limit = { headers = 0 }", "limit.headers is 0"),
            ("limit = { head_seconds = 0 }", "limit.head_seconds is 0"),
        ] {
            let error = format!("{:#}", resolve(toml, None).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_database_is_shown_without_its_password() {
        let settings = resolve("database = 'postgres://user:geheim@db/longshore'", None).unwrap();
        let shown = settings.to_string();
        assert!(shown.contains("db/longshore") && !shown.contains("geheim"), "{shown}");
    }
}
