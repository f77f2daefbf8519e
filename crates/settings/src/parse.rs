//! Parsers of values. Their error messages complete a sentence that begins with the name of the setting.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A whole number within a range.
pub fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let text = text.trim();
        let (least, most) = (range.start(), range.end());
        match text.parse::<T>() {
            Ok(number) if number < *least => Err(format!("is {text}; it must be at least {least}")),
            Ok(number) if range.contains(&number) => Ok(number),
            Err(_) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(format!("is “{text}”, which is not a whole number"))
            }
            Ok(_) | Err(_) => Err(format!("is {text}; it must be at most {most}")),
        }
    }
}

/// A number of seconds within a range.
pub fn seconds(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    let number = number(range);
    move |text| number(text).map(|seconds| Duration::from_secs(seconds.into()))
}

/// The items of a list, separated by commas; empty ones are ignored.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_is_rejected_with_the_bound() {
        let workers = number(1..=256_usize);
        assert_eq!(workers("8"), Ok(8));
        for (text, why) in [
            ("0", "is 0; it must be at least 1"),
            ("257", "is 257; it must be at most 256"),
            ("99999999999999999999", "is 99999999999999999999; it must be at most 256"),
            ("-1", "is “-1”, which is not a whole number"),
            ("", "is “”, which is not a whole number"),
        ] {
            assert_eq!(workers(text), Err(why.to_owned()));
        }
    }

    #[test]
    fn an_empty_list_has_no_items() {
        assert_eq!(items(" ").count(), 0);
        assert_eq!(items("a, b,").collect::<Vec<_>>(), ["a", "b"]);
    }
}
