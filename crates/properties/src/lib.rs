//! What holds for every input of the parsers that strangers reach: for each grammar one function that
//! takes any bytes, and panics where a promise is broken. `fuzz/` hands them to libFuzzer; the tests of
//! this crate replay its corpus, and mutate it. Never part of the server.

mod header;
mod manifest;
mod name;
mod tag;

/// Something that holds for all bytes; it panics where it does not.
pub type Property = fn(&[u8]);

/// Every property, by the name of its fuzz target and of its folder in `fuzz/corpus`.
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

/// Checks the property of this name.
///
/// # Panics
/// When the property does not hold, or there is none of this name.
pub fn check(name: &str, bytes: &[u8]) {
    let (_, property) =
        ALL.iter().find(|(known, _)| *known == name).expect("there is a property of this name");
    property(bytes);
}

/// The longest message about an input, in bytes: it goes into answers and logs, whatever was sent.
const MAX_MESSAGE: usize = 4096;

/// An error says something, and does not repeat all that was sent.
#[track_caller]
fn is_brief(error: &dyn std::error::Error) {
    let length = error.to_string().len();
    assert!((1..=MAX_MESSAGE).contains(&length), "a message of {length} bytes");
}

/// What was accepted is printed as it came, and reads back as what it was.
#[track_caller]
fn comes_back<T>(value: &T, text: &str)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + std::fmt::Debug + PartialEq,
{
    assert_eq!(value.to_string(), text);
    assert_eq!(text.parse::<T>().as_ref().expect("it was read before"), value);
}

/// An input as text; the parsers take nothing else.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// An input of several parts, each but the last on a line of its own.
fn parts<const N: usize>(text: &str) -> [&str; N] {
    let mut lines = text.splitn(N, '\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}
