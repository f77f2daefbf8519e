//! Declared settings, and the list of all settings of a program.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Args, Command, ValueHint, value_parser};

/// The prefix of all variables.
const PREFIX: &str = "LONGSHORE_";
/// The start of the last part of a doc comment: a default that is not a value of the setting's type.
const DESCRIBED_DEFAULT: &str = "[default: ";

/// Settings that are declared together. Each field is one setting and needs neither `long` nor `env`.
pub trait Group: Args {
    /// The table in the configuration file, which is also the prefix of options and variables; empty for the top level.
    const TABLE: &'static str;
    /// The heading in `--help`.
    const HEADING: &'static str;
}

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    table: &'static str,
    heading: &'static str,
    declared: Arg,
    is_in_files: bool,
}

/// A value that can be set only in the environment, because anyone who can list processes can read a command line.
#[derive(Debug, Clone, Copy)]
pub struct Secret {
    pub variable: &'static str,
    /// The behaviour without it, for the documentation.
    pub default: &'static str,
    /// The meaning, for the documentation.
    pub meaning: &'static str,
}

/// All settings of a program, in the order of the documentation.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    settings: Vec<Setting>,
    secrets: &'static [Secret],
}

impl Setting {
    /// The name of the field.
    pub(crate) fn key(&self) -> &str {
        self.declared.get_id().as_str()
    }

    pub(crate) fn table(&self) -> &'static str {
        self.table
    }

    /// The name in the configuration file, such as `limit.connections`.
    pub fn name(&self) -> String {
        match self.table {
            "" => self.key().to_owned(),
            table => format!("{table}.{}", self.key()),
        }
    }

    pub(crate) fn id(&self) -> String {
        self.name().replace('.', "_")
    }

    /// The option, such as `--limit-connections`.
    pub fn option(&self) -> String {
        format!("--{}", self.id().replace('_', "-"))
    }

    /// The variable, such as `LONGSHORE_LIMIT_CONNECTIONS`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.id().to_ascii_uppercase())
    }

    /// Whether it is meant only for tests and benchmarks.
    pub fn is_hidden(&self) -> bool {
        self.declared.is_hide_set()
    }

    /// Whether it takes several values, separated by commas.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.declared.get_action(), ArgAction::Append)
    }

    /// Whether it is a path, which in a file is relative to the folder of the file.
    pub(crate) fn is_path(&self) -> bool {
        matches!(
            self.declared.get_value_hint(),
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
        )
    }

    fn comment(&self) -> String {
        self.declared.get_help().map(StyledStr::to_string).unwrap_or_default()
    }

    /// The meaning, in Markdown.
    pub(crate) fn meaning(&self) -> String {
        let comment = self.comment();
        comment
            .split_once(DESCRIBED_DEFAULT)
            .map_or(comment.as_str(), |(meaning, _)| meaning)
            .trim()
            .to_owned()
    }

    /// The default in words, in Markdown; `None` if the default is a value.
    pub(crate) fn described_default(&self) -> Option<String> {
        let comment = self.comment();
        let (_, default) = comment.split_once(DESCRIBED_DEFAULT)?;
        Some(default.trim_end().trim_end_matches(']').to_owned())
    }

    /// The value of the default.
    pub(crate) fn default(&self) -> Option<String> {
        let default = self.declared.get_default_values().first()?;
        Some(default.to_string_lossy().into_owned())
    }

    /// The argument of the command line. Its value is parsed later, when it is known which source has priority.
    fn argument(&self) -> Arg {
        let mut argument = self
            .declared
            .clone()
            .id(self.id())
            .long(self.id().replace('_', "-"))
            .env(self.variable())
            .help_heading(self.heading)
            .help(plain(&self.comment()))
            .hide_default_value(self.described_default().is_some());
        if argument.get_possible_values().is_empty() {
            argument = argument.value_parser(value_parser!(OsString));
        }
        argument
    }
}

impl Catalogue {
    /// Adds the settings of a group.
    #[must_use]
    pub fn with<G: Group>(mut self) -> Self {
        self.settings.extend(settings_of::<G>());
        self
    }

    /// Adds the settings of a group that cannot be set in a configuration file.
    #[must_use]
    pub fn with_options_only<G: Group>(mut self) -> Self {
        self.settings
            .extend(settings_of::<G>().into_iter().map(|setting| Setting { is_in_files: false, ..setting }));
        self
    }

    /// Sets the values that come only from the environment.
    #[must_use]
    pub fn with_secrets(self, secrets: &'static [Secret]) -> Self {
        Self { secrets, ..self }
    }

    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The values that come only from the environment.
    pub fn secrets(&self) -> &'static [Secret] {
        self.secrets
    }

    /// Adds all settings to a command, as options and variables.
    pub fn augment(&self, command: Command) -> Command {
        command.args(self.settings.iter().map(Setting::argument))
    }

    /// The setting with this name in configuration files.
    pub(crate) fn find(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.is_in_files && setting.name() == name)
    }

    /// The known name that is most similar to an unknown one.
    pub(crate) fn similar(&self, name: &str) -> Option<String> {
        let names = self.settings.iter().filter(|setting| setting.is_in_files).map(Setting::name);
        let rated = names.map(|known| (strsim::jaro(name, &known), known));
        let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some(best).filter(|(rating, _)| *rating > 0.7).map(|(_, known)| known)
    }
}

/// The settings of a group, in the order of declaration.
pub(crate) fn settings_of<G: Group>() -> Vec<Setting> {
    let command = G::augment_args(Command::new("settings"));
    let declared = command.get_arguments().cloned();
    declared
        .map(|declared| Setting { table: G::TABLE, heading: G::HEADING, declared, is_in_files: true })
        .collect()
}

/// Converts Markdown for `--help`: links are replaced by their text, and everything else is kept.
fn plain(markdown: &str) -> String {
    let (mut text, mut rest) = (String::new(), markdown);
    while let Some((before, link)) = rest.split_once("](") {
        let (Some((start, name)), Some((_, after))) = (before.rsplit_once('['), link.split_once(')')) else {
            break;
        };
        text.extend([start, name]);
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn help_shows_the_text_of_links() {
        assert_eq!(
            plain("what is [logged](docs/logs.md), and how [default: info]"),
            "what is logged, and how [default: info]"
        );
        assert_eq!(plain("no link"), "no link");
    }
}
