//! One page of a list of tags, read name by name, so that a page of any length costs no more memory than its
//! bytes and its tags.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use longshore_oci::Tag;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use super::OddNames;
use crate::answer::tidy;
use crate::text;
use crate::{Allowance, OverBudget};

/// What all pages brought so far.
pub(super) struct Collector<'a> {
    pub(super) tags: Vec<Tag>,
    pub(super) odd_names: OddNames,
    /// Fingerprints of all names so far: a registry may list a million, and repeat them.
    known: HashSet<[u8; 16]>,
    allowance: &'a Allowance,
}

/// What one page brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Names, with those that are no tags and those that were there before.
    pub(super) names: u64,
    /// Names that were not there before.
    pub(super) new: u64,
    /// The last name.
    pub(super) last: Option<String>,
    /// Where the page was left.
    pub(super) over_budget: Option<OverBudget>,
}

/// The page is no list of tags.
#[derive(Debug)]
pub(super) struct NoList;

impl<'a> Collector<'a> {
    pub(super) fn new(allowance: &'a Allowance) -> Self {
        Self { tags: Vec::new(), odd_names: OddNames::default(), known: HashSet::new(), allowance }
    }

    /// Reads a page. Of one that was cut off (`is_whole` is false) the names count that came. A name that is no
    /// Unicode costs no other name (semantics 37).
    pub(super) fn read(&mut self, body: &[u8], is_whole: bool) -> Result<Brought, NoList> {
        let mut brought = Brought::default();
        let text = text::lenient(body);
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let reader = Reader { collector: self, brought: &mut brought };
        let outcome = reader.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match outcome {
            Ok(()) => {}
            Err(_) if brought.over_budget.is_some() => {}
            Err(error) if error.is_eof() && !is_whole => {
                brought.over_budget = Some(self.allowance.out_of_bytes());
            }
            Err(_) => return Err(NoList),
        }
        Ok(brought)
    }

    fn take(&mut self, name: Cow<'_, str>, brought: &mut Brought) -> Result<(), OverBudget> {
        self.count(brought)?;
        let is_new = self.known.insert(fingerprint(&name));
        brought.new += u64::from(is_new);
        if is_new {
            match name.parse::<Tag>() {
                Ok(tag) => self.tags.push(tag),
                Err(_) => self.odd_names.add(&name),
            }
        }
        brought.last = Some(name.into_owned());
        Ok(())
    }

    /// What is no text at all.
    fn take_odd(&mut self, brought: &mut Brought) -> Result<(), OverBudget> {
        self.count(brought)?;
        self.odd_names.add("");
        Ok(())
    }

    fn count(&mut self, brought: &mut Brought) -> Result<(), OverBudget> {
        brought.names += 1;
        self.allowance.take_entry().inspect_err(|over| brought.over_budget = Some(*over))
    }
}

fn fingerprint(name: &str) -> [u8; 16] {
    let hash = Sha256::digest(name.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

impl OddNames {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(tidy(name));
        }
    }
}

/// Reads the object, its `tags`, or one of them, by where it stands.
struct Reader<'r, 'a> {
    collector: &'r mut Collector<'a>,
    brought: &'r mut Brought,
}

impl<'de> DeserializeSeed<'de> for Reader<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        while let Some(key) = members.next_key::<Cow<'_, str>>()? {
            if key == "tags" {
                members
                    .next_value_seed(Names(Reader { collector: self.collector, brought: self.brought }))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Names<'r, 'a>(Reader<'r, 'a>);

impl<'de> DeserializeSeed<'de> for Names<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names of tags")
    }

    /// No tags at all.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut names: S) -> Result<(), S::Error> {
        let Self(Reader { collector, brought }) = self;
        while let Some(()) = names.next_element_seed(Name(Reader { collector, brought }))? {}
        Ok(())
    }
}

struct Name<'r, 'a>(Reader<'r, 'a>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Name<'_, '_> {
    fn odd<E: serde::de::Error>(self) -> Result<(), E> {
        let Self(Reader { collector, brought }) = self;
        collector.take_odd(brought).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a tag")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        let Self(Reader { collector, brought }) = self;
        collector.take(Cow::Borrowed(name), brought).map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.odd()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.odd()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.odd()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.odd()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.odd()
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut within: S) -> Result<(), S::Error> {
        while within.next_element::<IgnoredAny>()?.is_some() {}
        self.odd()
    }

    fn visit_map<M: MapAccess<'de>>(self, mut within: M) -> Result<(), M::Error> {
        while within.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.odd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Budget;
    use proptest::prelude::*;

    fn read(body: &str, is_whole: bool) -> Option<(Vec<String>, u64, Option<OverBudget>)> {
        let allowance = Allowance::from(Budget { entries: 4, ..Budget::default() });
        let mut collector = Collector::new(&allowance);
        let brought = collector.read(body.as_bytes(), is_whole).ok()?;
        let tags = collector.tags.iter().map(ToString::to_string).collect();
        Some((tags, collector.odd_names.count, brought.over_budget))
    }

    fn tags(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_page_says_none_or_nothing_or_names() {
        for body in ["{}", r#"{"name":"a"}"#, r#"{"tags":null}"#, r#"{"tags":[],"name":"a"}"#] {
            assert_eq!(read(body, true), Some((vec![], 0, None)), "{body}");
        }
        assert_eq!(read(r#"{"tags":["a","b","a"]}"#, true), Some((tags(&["a", "b"]), 0, None)));
        assert_eq!(read(r#"{"t\u0061gs":["\u0061"]}"#, true), Some((tags(&["a"]), 0, None)));
        assert_eq!(read("\u{feff}{\"tags\":[\"a\"]}", true), Some((tags(&["a"]), 0, None)));
        for body in ["", "[]", "null", "<html>", r#"{"tags":"a"}"#, r#"{"tags":["a"]"#, r#"{"tags":[]} x"#] {
            assert_eq!(read(body, true), None, "{body}");
        }
    }

    #[test]
    fn semantics_37_what_is_no_tag_is_counted_and_the_others_are_taken() {
        assert_eq!(read(r#"{"tags":["1+2",7,"a",{"x":[1]}]}"#, true), Some((tags(&["a"]), 3, None)));
        assert_eq!(read(r#"{"tags":[null,["x"],true,1.5]}"#, true), Some((vec![], 4, None)));
    }

    #[test]
    fn semantics_37_a_name_that_is_no_unicode_is_one_that_is_no_tag() {
        for odd in [&b"caf\xe9"[..], br"\ud800", br"\uDFFF\ud83d", b"\xff\xfe"] {
            let body = [&br#"{"tags":["a",""#[..], odd, br#"","b"]}"#].concat();
            let allowance = Allowance::from(Budget::default());
            let mut collector = Collector::new(&allowance);
            assert_eq!(collector.read(&body, true).unwrap().names, 3);
            assert_eq!(collector.tags.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(collector.odd_names.count, 1);
        }
    }

    #[test]
    fn semantics_41_a_page_over_budget_is_left_and_what_came_is_kept() {
        let over = Some(OverBudget::Entries(4));
        let body = r#"{"tags":["a","b","c","d","e","f"]}"#;
        assert_eq!(read(body, true), Some((tags(&["a", "b", "c", "d"]), 0, over)));
        let over = Some(OverBudget::Bytes(Budget::default().bytes));
        assert_eq!(read(r#"{"tags":["a","b","c"#, false), Some((tags(&["a", "b"]), 0, over)));
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(body in r#"[\[\]{}",:a-z0-9.+"\\tags ]{0,80}"#, is_whole: bool) {
            let _ = read(&body, is_whole);
        }

        #[test]
        fn every_tag_is_found_in_its_order(names in proptest::collection::vec("[a-z][a-z0-9._-]{0,10}", 0..4)) {
            let mut unique = Vec::new();
            for name in &names {
                if !unique.contains(name) {
                    unique.push(name.clone());
                }
            }
            let body = serde_json::json!({"name": "x", "tags": names}).to_string();
            prop_assert_eq!(read(&body, true), Some((unique, 0, None)));
        }
    }
}
