//! A declaration and everything that is derived from it.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Command};

use crate::parse::{items, number};
use crate::{Catalogue, Group, Secret, Values, fill_in, read_file};

type Names = Vec<String>;

#[derive(Debug, Args)]
struct Top {
    /// How many work
    #[arg(value_name = "NUMBER", default_value_t = 8, value_parser = number(1..=256_u32))]
    workers: u32,
    /// Whom to trust, [explained](docs/guide/trust.md) elsewhere [default: nobody]
    #[arg(action = ArgAction::Append, value_parser = names, default_value = "")]
    trusted: Names,
    /// Where the key is
    #[arg(value_name = "FILE")]
    key: Option<PathBuf>,
    /// For tests
    #[arg(hide = true)]
    secret_door: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Limit {
    /// How many `things` there may be
    #[arg(default_value_t = 10, value_parser = number(0..=u32::MAX))]
    things: u32,
    /// Whether to be strict
    #[arg(action = ArgAction::Set, default_value_t = false)]
    strict: bool,
}

impl Group for Top {
    const TABLE: &'static str = "";
    const HEADING: &'static str = "Top";
}

impl Group for Limit {
    const TABLE: &'static str = "limit";
    const HEADING: &'static str = "Limits";
}

fn names(text: &str) -> Result<Names, String> {
    Ok(items(text).map(str::to_owned).collect())
}

const SECRETS: &[Secret] =
    &[Secret { variable: "LONGSHORE_PASSWORD", default: "generated", meaning: "The password" }];

fn catalogue() -> Catalogue {
    Catalogue::default().with::<Top>().with::<Limit>().with_secrets(SECRETS)
}

fn file(toml: &str) -> Result<Values, String> {
    read_file(&catalogue(), Path::new("/etc/longshore.toml"), toml).map_err(|error| error.to_string())
}

fn line(arguments: &[&str]) -> Values {
    let command = catalogue().augment(Command::new("longshore").no_binary_name(true));
    Values::from_matches(&catalogue(), &command.try_get_matches_from(arguments).unwrap())
}

#[test]
fn option_variable_and_key_are_derived_from_the_declaration() {
    let catalogue = catalogue();
    let names =
        catalogue.settings().iter().map(|setting| (setting.name(), setting.option(), setting.variable()));
    let things = names.into_iter().find(|(name, ..)| name == "limit.things").unwrap();
    assert_eq!((things.1.as_str(), things.2.as_str()), ("--limit-things", "LONGSHORE_LIMIT_THINGS"));
}

#[test]
fn the_command_line_overrides_the_file_and_the_rest_has_its_default() {
    let values = line(&["--workers=3"]).or(file("workers = 5\n[limit]\nstrict = true").unwrap());
    let (top, limit): (Top, Limit) = (values.group().unwrap(), values.group().unwrap());
    assert_eq!((top.workers, limit.things, limit.strict), (3, 10, true));
    assert_eq!((top.key, top.trusted.len()), (None, 0));
}

#[test]
fn a_list_can_be_written_in_several_ways() {
    for values in [
        line(&["--trusted", "a", "--trusted", "b,c"]),
        line(&["--trusted=a,b,c"]),
        file("trusted = ['a', 'b', 'c']").unwrap(),
    ] {
        assert_eq!(values.group::<Top>().unwrap().trusted, ["a", "b", "c"]);
    }
    assert!(file("workers = [1]").unwrap_err().contains("line 1: workers must be a single value"));
}

#[test]
fn a_path_in_a_file_is_relative_to_its_folder() {
    let key = |values: Values| values.group::<Top>().unwrap().key.unwrap();
    assert_eq!(key(file("key = 'keys/one'").unwrap()), Path::new("/etc/keys/one"));
    assert_eq!(key(file("key = '/one'").unwrap()), Path::new("/one"));
    assert_eq!(key(line(&["--key=one"])), Path::new("one"));
}

#[test]
fn an_error_names_the_setting_in_the_form_in_which_it_was_set() {
    let error = |values: Values| values.group::<Top>().unwrap_err().to_string();
    assert_eq!(error(line(&["--workers=0"])), "--workers is 0; it must be at least 1");
    let values = file("\n\nworkers = 999").unwrap();
    assert_eq!(error(values), "/etc/longshore.toml, line 3: workers is 999; it must be at most 256");
    let values = file("[limit]\nstrict = 'perhaps'").unwrap();
    let error = values.group::<Limit>().unwrap_err().to_string();
    assert_eq!(error, "/etc/longshore.toml, line 2: limit.strict must be one of true, false");
}

#[test]
fn an_unknown_key_is_rejected_with_the_most_similar_one() {
    let error = file("[limit]\nthigns = 3").unwrap_err();
    assert_eq!(
        error,
        "/etc/longshore.toml, line 2: there is no setting limit.thigns; did you mean limit.things?"
    );
    assert!(file("zzz = 3").unwrap_err().ends_with("there is no setting zzz"));
    assert!(file("limit = 3").unwrap_err().contains("there is no setting limit"));
    assert!(file("workers = ").unwrap_err().contains("line 1"));
}

#[test]
fn a_setting_is_shown_as_it_was_written_or_with_its_default() {
    let (catalogue, values) = (catalogue(), line(&["--workers=3"]));
    let shown: Vec<_> = catalogue.settings().iter().map(|setting| values.shown(setting)).collect();
    assert_eq!(shown, ["3", "(nobody)", "(not set)", "(not set)", "10", "false"]);
}

#[test]
fn only_the_tables_of_a_page_are_replaced() {
    let page = "before\n<!-- settings limit -->\nold\n<!-- end of settings -->\nafter <!-- settings -->\n<!-- end of settings -->";
    let filled = fill_in(page, "docs/guide", &catalogue());
    assert!(filled.starts_with("before\n<!-- settings limit -->\n\n| option |"), "{filled}");
    assert!(filled.contains(
        "| `--limit-things` | `LONGSHORE_LIMIT_THINGS` | `10` | How many `things` there may be |\n"
    ));
    assert!(filled.contains(
        "| `--trusted` | `LONGSHORE_TRUSTED` | nobody | Whom to trust, [explained](trust.md) elsewhere |\n"
    ));
    assert!(filled.contains("|  | `LONGSHORE_PASSWORD` | generated | The password |\n"), "{filled}");
    assert!(
        filled.contains("after <!-- settings -->")
            && !filled.contains("old")
            && !filled.contains("secret-door")
    );
    assert_eq!(fill_in(&filled, "docs/guide", &catalogue()), filled);
    assert_eq!(fill_in("a <!-- settings that begin", "", &catalogue()), "a <!-- settings that begin");
}

#[test]
fn help_shows_defaults_and_no_markdown_links() {
    let help = catalogue().augment(Command::new("longshore")).render_help().to_string();
    assert!(help.contains("Limits:") && help.contains("[default: 10]"), "{help}");
    assert!(help.contains("Whom to trust, explained elsewhere [default: nobody]"), "{help}");
}
