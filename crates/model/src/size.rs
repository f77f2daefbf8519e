//! Formatting and parsing of sizes in bytes.

/// Formats a size as people write it: `41.2 MB`, with powers of 1000.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of a unit, rounded, so that 999,960 bytes are 1.0 MB and not 1000.0 kB.
    let mut divisor = 100_u64;
    for unit in UNITS {
        let tenths = bytes / divisor + u64::from(bytes % divisor >= divisor / 2);
        if tenths < 10_000 || unit == "EB" {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        divisor *= 1000;
    }
    unreachable!("the last unit always returns")
}

/// The maximum size, which is the greatest number that the database can store.
pub const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

/// Why a text or number is not a valid size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The text has no number or no known unit.
    #[error("“{0}” is not a size; enter a number and a unit, such as 500 MB or 1.5 GB")]
    Unreadable(String),
    /// The size exceeds [`MAX_SIZE`].
    #[error("{0} is too large; the maximum is {MAX_SIZE} bytes (9.2 EB)")]
    TooLarge(String),
    /// The size is greater than zero and less than one byte.
    #[error("{0} is less than one byte")]
    TooSmall(String),
}

/// Checks that a size does not exceed [`MAX_SIZE`].
///
/// # Errors
/// [`SizeError::TooLarge`].
pub fn check_size(bytes: u64) -> Result<u64, SizeError> {
    match bytes {
        ..=MAX_SIZE => Ok(bytes),
        _ => Err(SizeError::TooLarge(format!("{bytes} bytes"))),
    }
}

/// Parses a size as a person types it: `500 MB`, `1.5 GB`, `2TB`, `4096`; with powers of 1000 as in [`size`], or of
/// 1024 with the units `KiB`, `MiB` and so on. Fractions of a byte are dropped.
///
/// # Errors
/// [`SizeError`].
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    const UNITS: [(&str, u32); 7] = [("", 0), ("k", 1), ("m", 2), ("g", 3), ("t", 4), ("p", 5), ("e", 6)];
    /// With at most this many decimals, all of this fits into 128 bits.
    const DIGITS: usize = 18;

    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let unreadable = || SizeError::Unreadable(text.to_owned());
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = (&lower[..end], lower[end..].trim());
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024_u128),
        None => (unit.strip_suffix('b').unwrap_or(unit), 1000),
    };
    let (_, power) = UNITS.into_iter().find(|(known, _)| *known == letter).ok_or_else(unreadable)?;
    let factor = base.pow(power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') || fraction.len() > DIGITS {
        return Err(unreadable());
    }
    // Only digits are left, so a parse error means that there are too many.
    let too_large = || SizeError::TooLarge(text.to_owned());
    let whole = u128::from(whole.parse::<u64>().map_err(|_| too_large())?);
    let part: u128 = fraction.parse().map_err(|_| unreadable())?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
    let bytes = whole * factor + part * factor / scale;
    match u64::try_from(bytes) {
        Ok(0) if part > 0 => Err(SizeError::TooSmall(text.to_owned())),
        Ok(bytes @ ..=MAX_SIZE) => Ok(bytes),
        _ => Err(too_large()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_SIZE, SizeError, check_size, parse_size, size};

    #[test]
    fn sizes_are_parsed_as_people_type_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("500 MB", 500_000_000),
            (" 1.5gb ", 1_500_000_000),
            ("2T", 2_000_000_000_000),
            ("1 GiB", 1 << 30),
            ("0.25 kB", 250),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            let again = parse_size(&size(bytes)).map(size);
            assert_eq!(again, Ok(size(bytes)), "a formatted size can be parsed");
        }
        for text in ["", "MB", "1,5 GB", "-1", "1.2.3", "10 XB", "1.", ".5 GB", "1.0000000000000000001"] {
            assert!(matches!(parse_size(text), Err(SizeError::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn sizes_beyond_the_maximum_are_rejected_and_never_wrap_around() {
        assert_eq!(parse_size("1.99999 PB"), Ok(1_999_990_000_000_000));
        assert_eq!(parse_size("1.999999 PiB"), Ok(2_251_798_687_785_341));
        assert_eq!(parse_size("9223372036854775807"), Ok(MAX_SIZE));
        assert_eq!(parse_size("9.223372036854775807 EB"), Ok(MAX_SIZE));
        for text in ["9223372036854775808", "9.3 EB", "8 EiB", "99999999 PB", "18446744073709551616", "1e9"] {
            let error = parse_size(text).expect_err(text);
            assert_eq!(matches!(error, SizeError::TooLarge(_)), text != "1e9", "{text}: {error}");
        }
        assert_eq!(parse_size("0.0000001 GB"), Ok(100));
        assert!(matches!(parse_size("0.5"), Err(SizeError::TooSmall(_))));
        assert!(check_size(MAX_SIZE).is_ok() && check_size(MAX_SIZE + 1).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in ".{0,30}", number in "[0-9]{0,25}(\\.[0-9]{0,25})?", unit in "(k|M|G|T|P|E)?(i?B)?") {
            for text in [text, format!("{number}{unit}"), format!(" {number} {unit} ")] {
                if let Ok(bytes) = parse_size(&text) {
                    prop_assert!(bytes <= MAX_SIZE);
                }
            }
        }

        #[test]
        fn a_formatted_size_can_be_parsed_and_differs_only_by_rounding(bytes in 0..=MAX_SIZE) {
            let read = parse_size(&size(bytes));
            // Rounded up, the largest sizes exceed the maximum.
            prop_assume!(bytes < MAX_SIZE / 100 * 99);
            let read = read.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(read.abs_diff(bytes) <= bytes / 18 + 1, "{} became {}", bytes, read);
        }

        #[test]
        fn larger_numbers_are_never_smaller_sizes(one in 0_u64..100_000, other in 0_u64..100_000, unit in "[kMGTP](i)?B") {
            let bytes = |thousandths: u64| parse_size(&format!("{}.{:03} {unit}", thousandths / 1000, thousandths % 1000)).unwrap();
            prop_assert_eq!(one.cmp(&other), bytes(one).cmp(&bytes(other)));
        }
    }

    #[test]
    fn sizes_are_rounded_to_a_tenth_of_their_unit() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_000), "1.0 kB");
        assert_eq!(size(41_249_000), "41.2 MB");
        assert_eq!(size(999_960), "1.0 MB");
        assert_eq!(size(u64::MAX), "18.4 EB");
    }
}
