//! Checks that the numbered decisions of `docs/semantics.md`, the comments that cite them and the tests that are
//! named after them agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::command::root;

/// The page with the decisions, each below a title such as `### 12. Facts of an index`.
const DECISIONS: &str = "docs/semantics.md";
/// The end of the title of a decision that need not have a test.
const NOT_BUILT: &str = "(not built yet)";
/// The kinds of files that may cite decisions.
const KINDS: &[&str] = &["css", "md", "mjs", "rs", "sql", "toml", "ts"];
/// Folders without files of the project. Folders whose name begins with a dot are skipped too.
const FOREIGN: &[&str] = &["data", "node_modules", "playwright-report", "target", "test-results"];
/// Forms that must not precede a number, since decisions are cited in one form only.
const OTHER_FORMS: &[&str] =
    &["Semantics ", "semantics.md ", "semantics #", "decision ", "Decision ", "ADR-"];

/// A file with its path relative to the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All files of the project that may cite decisions.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    assert!(found.iter().any(|file| file.path == DECISIONS), "{DECISIONS} is missing");
    found
}

fn collect(folder: &Path, path: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
                collect(&entry.path(), &path, found);
            }
        } else if name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.contains(&kind)) {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            found.push(File { path, text });
        }
    }
}

/// The titles of the decisions, by number.
fn decisions(files: &[File]) -> BTreeMap<u32, &str> {
    let mut titles = BTreeMap::new();
    let page = files.iter().find(|file| file.path == DECISIONS).unwrap();
    for line in page.text.lines().filter_map(|line| line.strip_prefix("### ")) {
        let numbered =
            line.split_once(". ").and_then(|(number, title)| Some((number.parse::<u32>().ok()?, title)));
        let (number, title) = numbered.unwrap_or_else(|| panic!("{DECISIONS}: no number in “{line}”"));
        assert!(titles.insert(number, title).is_none(), "{DECISIONS} has two decisions {number}");
    }
    titles
}

/// The numbers that a text cites, as in `semantics 7` or `semantics 17, 46`.
fn cited(text: &str) -> BTreeSet<u32> {
    let lists =
        text.split("semantics ").skip(1).map(|rest| rest.split(|c: char| !in_list(c)).next().unwrap());
    lists.flat_map(|list| list.split(',')).filter_map(|number| number.trim().parse().ok()).collect()
}

fn in_list(c: char) -> bool {
    c.is_ascii_digit() || c == ',' || c == ' '
}

/// The numbers in names, after `prefix`; those of tests are `semantics_07_…`.
fn named(text: &str, prefix: &str) -> BTreeSet<u32> {
    let names = text.split(prefix).skip(1).filter_map(|rest| rest.split_once('_'));
    names.filter_map(|(number, _)| number.parse().ok()).collect()
}

/// Whether a line ends in the middle of a citation, which could then not be parsed or searched for.
fn breaks_off(line: &str) -> bool {
    let line = line.trim_end();
    let list = line.rsplit_once("semantics ").map(|(_, list)| list);
    line.ends_with("(semantics") || list.is_some_and(|list| list.ends_with(',') && list.chars().all(in_list))
}

#[test]
fn every_cited_decision_exists() {
    let files = files();
    let known = decisions(&files);
    for File { path, text } in &files {
        for number in cited(text).union(&named(text, "semantics_")) {
            assert!(
                known.contains_key(number),
                "{path} cites decision {number}, which is not in {DECISIONS}"
            );
        }
    }
}

#[test]
fn every_implemented_decision_has_a_test() {
    let files = files();
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    let tested: BTreeSet<u32> = rust.flat_map(|file| named(&file.text, "fn semantics_")).collect();
    let untested: Vec<u32> = decisions(&files)
        .into_iter()
        .filter(|(number, title)| !title.ends_with(NOT_BUILT) && !tested.contains(number))
        .map(|(number, _)| number)
        .collect();
    assert!(
        untested.is_empty(),
        "no test is named after decisions {untested:?}; begin its name with semantics_NN_, or let the title in \
         {DECISIONS} end with {NOT_BUILT}"
    );
}

#[test]
fn every_decision_is_in_the_list_by_number() {
    let files = files();
    let page = files.iter().find(|file| file.path == DECISIONS).unwrap();
    for (number, title) in decisions(&files) {
        let entry = format!("\n- [{number}. {title}](#{number}-");
        assert!(page.text.contains(&entry), "the list in {DECISIONS} lacks {number}. {title}");
    }
}

#[test]
fn decisions_and_adrs_are_cited_in_one_form() {
    let files = files();
    let adrs: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("docs/adr/")?.split_once('-'))
        .map(|(number, _)| number)
        .collect();
    for File { path, text } in &files {
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            for form in OTHER_FORMS {
                let numbered =
                    line.split(*form).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                assert!(!numbered, "{place}: cite a decision as “semantics 12” and an ADR as “ADR 0004”");
            }
            assert!(!breaks_off(line), "{place}: keep a citation on one line");
            for rest in line.split("ADR ").skip(1) {
                let number = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
                assert!(number.is_empty() || adrs.contains(number), "{place}: there is no ADR {number}");
            }
        }
    }
}

#[test]
fn citations_are_parsed_as_they_are_written() {
    assert_eq!(cited("the brake (semantics 5), names (semantics 17, 46)."), BTreeSet::from([5, 17, 46]));
    assert_eq!(cited("semantics 9, once more; and the semantics of HTTP"), BTreeSet::from([9]));
    assert_eq!(named("async fn words_07_late() {}\nwords_08_whole,", "fn words_"), BTreeSet::from([7]));
    assert!(breaks_off("//! what they are worth (semantics 34,") && breaks_off("/// as ever (semantics"));
    assert!(!breaks_off("/// As semantics 5 says, once more,") && !breaks_off("/// Once (semantics 2)."));
}
