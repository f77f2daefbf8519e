//! Numbers of bytes in words.

/// A number of bytes as people write it: `41.2 MB`, with powers of 1000.
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
    unreachable!("the last unit always answers")
}

/// A number of bytes as a person types it: `500 MB`, `1.5 GB`, `2TB`, `4096`; powers of 1000 as in
/// [`size`], and of 1024 with the units `KiB`, `MiB` and so on.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 6] = [("", 0), ("k", 1), ("m", 2), ("g", 3), ("t", 4), ("p", 5)];
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let unreadable = || format!("“{text}” is no size; write a number and a unit, such as 500 MB or 1.5 GB");
    let (letter, base) = match unit.strip_suffix("ib") {
        Some(letter) => (letter, 1024_u64),
        None => (unit.strip_suffix('b').unwrap_or(unit), 1000),
    };
    let (_, power) = UNITS.into_iter().find(|(known, _)| *known == letter).ok_or_else(unreadable)?;
    let factor = base.pow(power);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| unreadable())?;
    // Digits behind the sixth are less than anybody means.
    let digits = &fraction[..fraction.len().min(6)];
    let part: u64 = digits.parse().map_err(|_| unreadable())?;
    let part = part * factor / 10_u64.pow(u32::try_from(digits.len()).unwrap_or_default());
    let bytes = whole.checked_mul(factor).and_then(|bytes| bytes.checked_add(part));
    bytes
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| format!("“{text}” is more than there can be"))
}

#[cfg(test)]
mod tests {
    use super::{parse_size, size};

    #[test]
    fn sizes_are_read_as_people_type_them() {
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
            assert_eq!(again, Ok(size(bytes)), "what is shown can be typed");
        }
        for text in ["", "MB", "1,5 GB", "-1", "1.2.3", "10 XB", "1.", "99999999 PB", "9999999999 TB"] {
            assert!(parse_size(text).is_err(), "{text}");
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
