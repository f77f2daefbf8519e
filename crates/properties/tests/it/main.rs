//! Runs the functions that libFuzzer uses in every test run: on the stored corpus, and on some thousand inputs that
//! are derived from it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use longshore_properties::{ALL, check};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// The number of derived inputs for each property.
const CASES: u32 = 20_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect()
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| fs::read(entry.expect("it can be read").path()).expect("it is a file")).collect()
}

/// One change of an input.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    /// Continues with the rest of another input.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"/:,-_.=&%+*[]{}\"\\ \n09azAZ<>".to_vec())];
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), prop::collection::vec(byte, 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1usize..16).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), 1usize..16, 1usize..40)
            .prop_map(|(at, count, times)| Edit::Repeat(at, count, times)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit], corpus: &[Vec<u8>]) -> Vec<u8> {
    for edit in edits {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match edit {
            Edit::Set(at, byte) if place(at) < bytes.len() => {
                let at = place(at);
                bytes[at] = *byte;
            }
            Edit::Set(_, byte) => bytes.push(*byte),
            Edit::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + count));
            }
            Edit::Repeat(at, count, times) => {
                let at = place(at);
                let part = bytes[at..bytes.len().min(at + count)].repeat(*times);
                bytes.splice(at..at, part);
            }
            Edit::Splice(at, other, from) => {
                let at = place(at);
                let other = other.get(corpus);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    bytes
}

#[test]
fn every_property_is_a_fuzz_target_with_a_corpus() {
    let known: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), known);
    assert_eq!(names(&fuzz().join("corpus")), known);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz has a manifest");
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml names {name}");
        assert!(!corpus(&name).is_empty(), "{name} has a corpus");
    }
}

#[test]
fn every_property_holds_for_the_corpus() {
    for (name, property) in ALL {
        for bytes in corpus(name) {
            eprintln!("{name}: {}", bytes.escape_ascii());
            property(&bytes);
        }
    }
}

#[test]
fn every_property_holds_for_mutations_of_the_corpus() {
    for (name, _) in ALL {
        let corpus = corpus(name);
        let inputs = (any::<Index>(), prop::collection::vec(edit(), 0..6))
            .prop_map(|(seed, edits)| apply(seed.get(&corpus).clone(), &edits, &corpus));
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let checked = TestRunner::new(config).run(&inputs, |bytes| {
            check(name, &bytes);
            Ok(())
        });
        checked.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
