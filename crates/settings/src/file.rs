//! Configuration files. Their keys are the names of settings, and their values are parsed like those of options.

use std::ffi::OsString;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalogue::{Catalogue, Setting};
use crate::values::{Error, Origin, Value, Values};

/// Reads a configuration file. Paths in it are relative to its folder.
///
/// # Errors
/// The text is not TOML, a key is not a setting, or a value has the wrong type.
pub fn read_file(catalogue: &Catalogue, path: &Path, text: &str) -> Result<Values, Error> {
    let file = File { path, text, folder: path.parent().unwrap_or(Path::new("")), catalogue };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        file.problem(at, error.message().to_owned())
    })?;
    let mut values = Values::default();
    for (key, value) in table.get_ref() {
        let name = key.get_ref();
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    file.take(&mut values, &format!("{name}.{}", key.get_ref()), key.span().start, value)?;
                }
            }
            _ => file.take(&mut values, name, key.span().start, value)?,
        }
    }
    Ok(values)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    folder: &'a Path,
    catalogue: &'a Catalogue,
}

impl File<'_> {
    fn take(
        &self,
        values: &mut Values,
        name: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Error> {
        let Some(setting) = self.catalogue.find(name) else {
            let hint = self.catalogue.similar(name);
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            return Err(self.problem(at, format!("there is no setting {name}{hint}")));
        };
        let text = match value.get_ref() {
            DeValue::Array(items) if setting.is_list() => items
                .iter()
                .map(|item| scalar(item.get_ref()))
                .collect::<Option<Vec<_>>>()
                .map(|items| items.join(",")),
            value => scalar(value),
        };
        let expected = if setting.is_list() { "a list of strings" } else { "a single value" };
        let text = text.ok_or_else(|| self.problem(at, format!("{name} must be {expected}")))?;
        let origin = Origin::File { path: self.path.to_owned(), line: self.line(at) };
        values.insert(setting, Value { text: self.placed(setting, text), origin });
        Ok(())
    }

    /// The value; a path is joined to the folder of the file. The path of a database may be a URL.
    fn placed(&self, setting: &Setting, text: String) -> OsString {
        match text.strip_prefix("sqlite://").unwrap_or(&text) {
            path if setting.is_path() && !path.contains("://") => self.folder.join(path).into_os_string(),
            _ => text.into(),
        }
    }

    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn problem(&self, at: usize, problem: String) -> Error {
        Error::File { path: self.path.to_owned(), line: self.line(at), problem }
    }
}

/// A value as it would be written on the command line.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(instant) => Some(instant.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
