//! The values that were set, and their origins: the command line overrides the environment, which overrides the file.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::catalogue::{Catalogue, Group, Setting, settings_of};

/// The values that were set, by the name of the setting. All other settings have their defaults.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, Value>);

#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) text: OsString,
    pub(crate) origin: Origin,
}

/// The source of a value.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    CommandLine,
    Environment,
    File { path: PathBuf, line: usize },
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is invalid. Names the setting in the form in which it was set.
    #[error("{setting} {problem}")]
    Value {
        /// The option, the variable or the key.
        setting: String,
        /// What is wrong; completes the sentence.
        problem: String,
    },
    /// A configuration file is invalid. The message never repeats the line, which may contain a password.
    #[error("{}, line {line}: {problem}", path.display())]
    File {
        path: PathBuf,
        /// The number of the line, starting at 1.
        line: usize,
        problem: String,
    },
}

impl fmt::Debug for Values {
    /// Shows only names, because values may contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Values {
    /// The values from the command line and the environment, parsed by a command from [`Catalogue::augment`].
    pub fn from_matches(catalogue: &Catalogue, matches: &ArgMatches) -> Self {
        let mut values = Self::default();
        for setting in catalogue.settings() {
            let origin = match matches.value_source(&setting.id()) {
                Some(ValueSource::CommandLine) => Origin::CommandLine,
                Some(ValueSource::EnvVariable) => Origin::Environment,
                _ => continue,
            };
            // An option with a list can be repeated.
            let texts: Vec<&OsStr> = matches.get_raw(&setting.id()).into_iter().flatten().collect();
            values.insert(setting, Value { text: texts.join(OsStr::new(",")), origin });
        }
        values
    }

    pub(crate) fn insert(&mut self, setting: &Setting, value: Value) {
        self.0.insert(setting.name(), value);
    }

    /// These values, completed by those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut values = other.0;
        values.extend(self.0);
        Self(values)
    }

    /// A value as it was written. It may contain a password.
    pub fn text(&self, setting: &Setting) -> Option<String> {
        self.0.get(&setting.name()).map(|value| value.text.to_string_lossy().into_owned())
    }

    /// A value for people: as it was written, otherwise the default, in parentheses if that is not a value. It may
    /// contain a password.
    pub fn shown(&self, setting: &Setting) -> String {
        let value = self.text(setting).or_else(|| setting.default()).filter(|value| !value.is_empty());
        value.unwrap_or_else(|| {
            format!("({})", setting.described_default().unwrap_or_else(|| "not set".to_owned()))
        })
    }

    /// The settings of a group.
    ///
    /// # Errors
    /// A value is invalid.
    pub fn group<G: Group>(&self) -> Result<G, Error> {
        let settings = settings_of::<G>();
        let arguments = settings.iter().filter_map(|setting| {
            let mut argument = OsString::from(format!("--{}=", setting.key()));
            argument.push(&self.0.get(&setting.name())?.text);
            Some(argument)
        });
        let command = Command::new("settings").no_binary_name(true);
        let command = command.disable_help_flag(true).disable_version_flag(true);
        let command = G::augment_args(command).mut_args(|argument| {
            let key = argument.get_id().to_string();
            argument.long(key)
        });
        let matches = command.try_get_matches_from(arguments);
        let read = matches.and_then(|matches| G::from_arg_matches(&matches));
        read.map_err(|error| self.explain(&settings, &error))
    }

    fn explain(&self, settings: &[Setting], error: &clap::Error) -> Error {
        let problem = match error.kind() {
            ErrorKind::ValueValidation => error.source().map(ToString::to_string),
            ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                    Some(format!("must be one of {}", valid.join(", ")))
                }
                _ => Some("is empty".to_owned()),
            },
            ErrorKind::InvalidUtf8 => Some("is not valid UTF-8".to_owned()),
            _ => None,
        };
        let problem = problem.unwrap_or_else(|| "cannot be read".to_owned());
        // Such as `--jobs_days <DAYS>`.
        let argument = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => argument.split([' ', '=']).next().unwrap_or_default(),
            _ => "",
        };
        let Some(setting) =
            settings.iter().find(|setting| argument.strip_prefix("--") == Some(setting.key()))
        else {
            return Error::Value { setting: "a setting".to_owned(), problem };
        };
        match self.0.get(&setting.name()).map(|value| &value.origin) {
            Some(Origin::CommandLine) => Error::Value { setting: setting.option(), problem },
            Some(Origin::Environment) => Error::Value { setting: setting.variable(), problem },
            Some(Origin::File { path, line }) => Error::File {
                path: path.clone(),
                line: *line,
                problem: format!("{} {problem}", setting.name()),
            },
            None => Error::Value { setting: setting.name(), problem },
        }
    }
}
