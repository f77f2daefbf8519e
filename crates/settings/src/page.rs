//! Tables of settings in the documentation, between two marks.

use std::fmt::Write;

use crate::catalogue::{Catalogue, Secret, Setting};

/// The mark before a table; it may name a table of the configuration file, to select the settings of that table.
const BEGIN: &str = "<!-- settings";
/// The end of [`BEGIN`].
const BEGUN: &str = "-->\n";
/// The mark after a table.
const END: &str = "<!-- end of settings -->";
const HEAD: &str = "| option | variable | default | meaning |\n|---|---|---|---|\n";

/// The page with up-to-date tables. `folder` is the folder of the page, such as `docs/operating`, which links are
/// relative to.
pub fn fill_in(page: &str, folder: &str, catalogue: &Catalogue) -> String {
    let (mut filled, mut rest) = (String::new(), page);
    while let Some((before, begun)) = rest.split_once(BEGIN) {
        let Some((table, old)) = begun.split_once(BEGUN) else { break };
        let Some((_, after)) = old.split_once(END) else { break };
        let _ =
            write!(filled, "{before}{BEGIN}{table}{BEGUN}\n{}\n{END}", rows(table.trim(), folder, catalogue));
        rest = after;
    }
    filled + rest
}

/// A table with the settings of one table of the configuration file, or with all of them.
fn rows(table: &str, folder: &str, catalogue: &Catalogue) -> String {
    let settings = catalogue.settings().iter().filter(|setting| table.is_empty() || setting.table() == table);
    let settings = settings.filter(|setting| !setting.is_hidden()).map(row_of_setting);
    let secrets = catalogue.secrets().iter().filter(|_| table.is_empty()).map(row_of_secret);
    let rows: String = settings.chain(secrets).collect();
    let links = if folder.is_empty() { rows } else { rows.replace(&format!("({folder}/"), "(") };
    HEAD.to_owned() + &links
}

fn row_of_setting(setting: &Setting) -> String {
    let default = setting.described_default();
    let default = default.or_else(|| setting.default().map(|value| format!("`{value}`"))).unwrap_or_default();
    row(&format!("`{}`", setting.option()), &setting.variable(), &default, &setting.meaning())
}

fn row_of_secret(secret: &Secret) -> String {
    row("", secret.variable, secret.default, secret.meaning)
}

fn row(option: &str, variable: &str, default: &str, meaning: &str) -> String {
    format!("| {option} | `{variable}` | {default} | {} |\n", meaning.replace('|', "\\|"))
}
