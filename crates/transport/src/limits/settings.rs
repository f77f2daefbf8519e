//! The settings of limits.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use longshore_settings::Group;
use longshore_settings::parse::{number, seconds};

/// The limits.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LimitSettings {
    /// How many connections may be open; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 10_000, value_parser = number(0..=usize::MAX))]
    pub connections: usize,
    /// How many bytes the URL and the headers of a request may have together
    #[arg(value_name = "BYTES", default_value_t = 32 * 1024, value_parser = number(1..=u32::MAX))]
    pub header_bytes: u32,
    /// How many headers a request may have
    #[arg(value_name = "NUMBER", default_value_t = 100, value_parser = number(1..=usize::MAX))]
    pub headers: usize,
    /// How many bytes a form of the site, or the JSON of a request to the REST API, may have
    #[arg(value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = number(0..=usize::MAX))]
    pub body_bytes: usize,
    /// Within how many seconds the headers of a request must arrive
    #[arg(value_name = "SECONDS", default_value = "20", value_parser = seconds(1..=u32::MAX))]
    pub head_seconds: Duration,
    /// After how many seconds without a request a connection is closed
    #[arg(value_name = "SECONDS", default_value = "120", value_parser = seconds(1..=u32::MAX))]
    pub idle_seconds: Duration,
    /// After how many seconds of waiting for a client its speed counts; `0` means never
    #[arg(value_name = "SECONDS", default_value = "60", value_parser = seconds(0..=u32::MAX))]
    pub slow_seconds: Duration,
    /// How many bytes per second a client must send or receive while the server waits for it
    #[arg(value_name = "BYTES", default_value_t = 500, value_parser = number(0..=u32::MAX))]
    pub slow_rate: u32,
    /// How many uploads of one user may run; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 200, value_parser = number(0..=usize::MAX))]
    pub uploads: usize,
    /// How many requests per second one user may send, averaged over a minute; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 5000, value_parser = number(0..=u32::MAX))]
    pub user_rate: u32,
    /// How many requests per second may come from one address, averaged over a minute; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 5000, value_parser = number(0..=u32::MAX))]
    pub address_rate: u32,
    /// How many requests of one user, and of one address, may run; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 2000, value_parser = number(0..=usize::MAX))]
    pub requests: usize,
    /// How many requests may run on one HTTP/2 connection
    #[arg(value_name = "NUMBER", default_value_t = 200, value_parser = number(1..=u32::MAX))]
    pub streams: u32,
    /// How many event streams one user, and the anonymous clients of one address, may follow; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = 16, value_parser = number(0..=usize::MAX))]
    pub event_streams: usize,
    /// How many passwords may wait to be checked
    #[arg(value_name = "NUMBER", default_value_t = 64, value_parser = number(0..=usize::MAX))]
    pub password_checks: usize,
}

impl Group for LimitSettings {
    const TABLE: &'static str = "limit";
    const HEADING: &'static str = "Limits";
}

/// The definition of a client that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slow {
    /// How long the server must have waited for the client before its speed is checked.
    pub(crate) after: Duration,
    /// The minimum number of bytes per second.
    pub(crate) rate: NonZeroU32,
}

impl LimitSettings {
    /// When a client is too slow; `None` if speed is not checked.
    pub(crate) fn slow(&self) -> Option<Slow> {
        let rate = NonZeroU32::new(self.slow_rate)?;
        (!self.slow_seconds.is_zero()).then_some(Slow { after: self.slow_seconds, rate })
    }

    /// Whether no more connections are allowed when `open` are open.
    pub(crate) fn is_full(&self, open: usize) -> bool {
        self.connections > 0 && open >= self.connections
    }
}

impl Slow {
    /// Whether a client that was waited for and moved this number of bytes is too slow.
    pub(crate) fn is_too_slow(&self, waited: Duration, moved: u64) -> bool {
        waited >= self.after && (moved as f64) < waited.as_secs_f64() * f64::from(self.rate.get())
    }
}
