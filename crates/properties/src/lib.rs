//! Properties that hold for every input of the parsers that are reachable from outside. For each grammar, one
//! function takes any bytes and panics if a property is violated. `fuzz/` runs them under libFuzzer; the tests of
//! this crate run them on its corpus and on mutations of it. Never part of the server.

mod header;
mod manifest;
mod name;
mod tag;

/// A property of all inputs; panics if it is violated.
pub type Property = fn(&[u8]);

/// Every property, with the name of its fuzz target and of its folder in `fuzz/corpus`.
pub const ALL: &[(&str, Property)] = &[
    ("digests", name::digests),
    ("manifests", manifest::manifests),
    ("names", name::names),
    ("paths", name::paths),
    ("patterns", tag::patterns),
    ("ranges", header::ranges),
    ("references", name::references),
    ("templates", tag::templates),
    ("tokens", header::tokens),
];

/// Checks the property with this name.
///
/// # Panics
/// If the property is violated, or if there is none with this name.
pub fn check(name: &str, bytes: &[u8]) {
    let (_, property) =
        ALL.iter().find(|(known, _)| *known == name).expect("there is a property of this name");
    property(bytes);
}

/// The maximum length of a message about an input, in bytes: it is sent in responses and logged.
const MAX_MESSAGE: usize = 4096;

/// Checks that an error has a message, and that the message does not repeat a long input.
#[track_caller]
fn is_brief(error: &dyn std::error::Error) {
    let length = error.to_string().len();
    assert!((1..=MAX_MESSAGE).contains(&length), "a message of {length} bytes");
}

/// Checks that an accepted value is formatted as it was written, and parsed back to the same value.
#[track_caller]
fn comes_back<T>(value: &T, text: &str)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + std::fmt::Debug + PartialEq,
{
    assert_eq!(value.to_string(), text);
    assert_eq!(text.parse::<T>().as_ref().expect("it was parsed before"), value);
}

/// The input as text, which is all that the parsers accept.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The parts of an input; each part but the last is one line.
fn parts<const N: usize>(text: &str) -> [&str; N] {
    let mut lines = text.splitn(N, '\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}
