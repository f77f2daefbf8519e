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

#[cfg(test)]
mod tests {
    use super::size;

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
