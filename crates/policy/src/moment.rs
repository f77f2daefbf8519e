//! The local time at which a template is rendered. The server determines it once, when a policy matches, and sends it
//! with the data for a preview, so that server and browser render the same tag.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// A local date and time, to the microsecond, with the abbreviation of its time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub local: DateTime,
    /// The abbreviation of the time zone at that time: `UTC`, `CEST`, or `+04` if the zone has none.
    pub zone: String,
}

impl Moment {
    /// The instant in a zone that is `offset` ahead of UTC and has this abbreviation.
    pub fn new(timestamp: Timestamp, offset: Offset, abbreviation: &str) -> Self {
        Self { local: offset.to_datetime(timestamp), zone: abbreviation.to_owned() }
    }

    /// The instant in UTC.
    pub fn utc(timestamp: Timestamp) -> Self {
        Self::new(timestamp, Offset::UTC, "UTC")
    }

    /// The instant in `zone`.
    pub fn in_zone(timestamp: Timestamp, zone: &TimeZone) -> Self {
        let info = zone.to_offset_info(timestamp);
        Self::new(timestamp, info.offset(), info.abbreviation())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_14_a_moment_is_read_as_it_is_written() {
        let timestamp: Timestamp = "2026-11-20T23:30:05.000042Z".parse().unwrap();
        let moment = Moment::new(timestamp, Offset::constant(1), "CET");
        assert_eq!(moment.local.to_string(), "2026-11-21T00:30:05.000042");
        let wire = serde_json::to_string(&moment).unwrap();
        assert_eq!(serde_json::from_str::<Moment>(&wire).unwrap(), moment);
        assert_eq!(Moment::in_zone(timestamp, &TimeZone::UTC), Moment::utc(timestamp));
    }
}
