//! What can be set about limits.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Deserialize;

/// The options, where somebody has set them. In the configuration file they are the table `limit`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitOptions {
    /// Connections at once; 0: any number [default: 10000]
    #[arg(
        id = "limit_connections",
        long = "limit-connections",
        env = "LONGSHORE_LIMIT_CONNECTIONS",
        value_name = "NUMBER"
    )]
    connections: Option<usize>,
    /// Bytes of a request's address and headers together [default: 32768]
    #[arg(
        id = "limit_header_bytes",
        long = "limit-header-bytes",
        env = "LONGSHORE_LIMIT_HEADER_BYTES",
        value_name = "BYTES"
    )]
    header_bytes: Option<u32>,
    /// Headers of a request [default: 100]
    #[arg(
        id = "limit_headers",
        long = "limit-headers",
        env = "LONGSHORE_LIMIT_HEADERS",
        value_name = "NUMBER"
    )]
    headers: Option<usize>,
    /// Bytes of a form of the site, or of a JSON document of the REST interface [default: 1048576]
    #[arg(
        id = "limit_body_bytes",
        long = "limit-body-bytes",
        env = "LONGSHORE_LIMIT_BODY_BYTES",
        value_name = "BYTES"
    )]
    body_bytes: Option<usize>,
    /// Seconds in which a request's headers have to arrive [default: 20]
    #[arg(
        id = "limit_head_seconds",
        long = "limit-head-seconds",
        env = "LONGSHORE_LIMIT_HEAD_SECONDS",
        value_name = "SECONDS"
    )]
    head_seconds: Option<u32>,
    /// Seconds for which a connection stays open without a request [default: 120]
    #[arg(
        id = "limit_idle_seconds",
        long = "limit-idle-seconds",
        env = "LONGSHORE_LIMIT_IDLE_SECONDS",
        value_name = "SECONDS"
    )]
    idle_seconds: Option<u32>,
    /// Seconds of waiting for a client after which it has to have kept the least rate; 0: never [default: 60]
    #[arg(
        id = "limit_slow_seconds",
        long = "limit-slow-seconds",
        env = "LONGSHORE_LIMIT_SLOW_SECONDS",
        value_name = "SECONDS"
    )]
    slow_seconds: Option<u32>,
    /// Bytes that a client has to send or take per second while it is waited for [default: 500]
    #[arg(
        id = "limit_slow_rate",
        long = "limit-slow-rate",
        env = "LONGSHORE_LIMIT_SLOW_RATE",
        value_name = "BYTES"
    )]
    slow_rate: Option<u32>,
    /// Uploads of one user at once; 0: any number [default: 200]
    #[arg(
        id = "limit_uploads",
        long = "limit-uploads",
        env = "LONGSHORE_LIMIT_UPLOADS",
        value_name = "NUMBER"
    )]
    uploads: Option<usize>,
    /// Requests of one user per second, averaged over a minute; 0: any number [default: 5000]
    #[arg(
        id = "limit_user_rate",
        long = "limit-user-rate",
        env = "LONGSHORE_LIMIT_USER_RATE",
        value_name = "NUMBER"
    )]
    user_rate: Option<u32>,
    /// Requests of one address per second, averaged over a minute; 0: any number [default: 5000]
    #[arg(
        id = "limit_address_rate",
        long = "limit-address-rate",
        env = "LONGSHORE_LIMIT_ADDRESS_RATE",
        value_name = "NUMBER"
    )]
    address_rate: Option<u32>,
    /// Requests of one user, and of one address, at once; 0: any number [default: 2000]
    #[arg(
        id = "limit_requests",
        long = "limit-requests",
        env = "LONGSHORE_LIMIT_REQUESTS",
        value_name = "NUMBER"
    )]
    requests: Option<usize>,
    /// Requests at once on one HTTP/2 connection [default: 200]
    #[arg(
        id = "limit_streams",
        long = "limit-streams",
        env = "LONGSHORE_LIMIT_STREAMS",
        value_name = "NUMBER"
    )]
    streams: Option<u32>,
    /// Streams of events of one user, and of one address nobody signed in from, at once; 0: any number
    /// [default: 16]
    #[arg(
        id = "limit_event_streams",
        long = "limit-event-streams",
        env = "LONGSHORE_LIMIT_EVENT_STREAMS",
        value_name = "NUMBER"
    )]
    event_streams: Option<usize>,
    /// Passwords that may wait to be checked [default: 64]
    #[arg(
        id = "limit_password_checks",
        long = "limit-password-checks",
        env = "LONGSHORE_LIMIT_PASSWORD_CHECKS",
        value_name = "NUMBER"
    )]
    password_checks: Option<usize>,
}

/// The limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    pub connections: Option<usize>,
    pub header_bytes: u32,
    pub headers: usize,
    pub body_bytes: usize,
    pub head: Duration,
    pub idle: Duration,
    /// None: clients may be as slow as they like.
    pub slow: Option<Slow>,
    pub uploads: Option<usize>,
    pub user_rate: Option<NonZeroU32>,
    pub address_rate: Option<NonZeroU32>,
    pub requests: Option<usize>,
    pub streams: u32,
    pub event_streams: Option<usize>,
    pub password_checks: usize,
}

/// When a client is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// For so long it has to be waited for before anything is said about its rate.
    pub after: Duration,
    /// Bytes per second.
    pub rate: u32,
}

impl Slow {
    /// Whether a client that was waited for so long should have moved more.
    pub fn is_too_slow(&self, waited: Duration, moved: u64) -> bool {
        waited >= self.after && (moved as f64) < waited.as_secs_f64() * f64::from(self.rate)
    }
}

impl LimitOptions {
    /// These options, and `other` where they say nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            connections: self.connections.or(other.connections),
            header_bytes: self.header_bytes.or(other.header_bytes),
            headers: self.headers.or(other.headers),
            body_bytes: self.body_bytes.or(other.body_bytes),
            head_seconds: self.head_seconds.or(other.head_seconds),
            idle_seconds: self.idle_seconds.or(other.idle_seconds),
            slow_seconds: self.slow_seconds.or(other.slow_seconds),
            slow_rate: self.slow_rate.or(other.slow_rate),
            uploads: self.uploads.or(other.uploads),
            user_rate: self.user_rate.or(other.user_rate),
            address_rate: self.address_rate.or(other.address_rate),
            requests: self.requests.or(other.requests),
            streams: self.streams.or(other.streams),
            event_streams: self.event_streams.or(other.event_streams),
            password_checks: self.password_checks.or(other.password_checks),
        }
    }

    /// The limits, each as it is by default where nothing is said.
    ///
    /// # Errors
    /// One that would refuse every request.
    pub fn resolve(self) -> anyhow::Result<LimitSettings> {
        let seconds = |given: Option<u32>, usual: u32| Duration::from_secs(given.unwrap_or(usual).into());
        let some = |number: usize| Some(number).filter(|number| *number > 0);
        let zeros = [
            ("header_bytes", self.header_bytes == Some(0)),
            ("headers", self.headers == Some(0)),
            ("head_seconds", self.head_seconds == Some(0)),
            ("idle_seconds", self.idle_seconds == Some(0)),
            ("streams", self.streams == Some(0)),
        ];
        if let Some((name, _)) = zeros.iter().find(|(_, is_zero)| *is_zero) {
            bail!("limit.{name} is 0, which no request can keep; it has to be 1 at least");
        }
        Ok(LimitSettings {
            connections: some(self.connections.unwrap_or(10_000)),
            header_bytes: self.header_bytes.unwrap_or(32 * 1024),
            headers: self.headers.unwrap_or(100),
            body_bytes: self.body_bytes.unwrap_or(1024 * 1024),
            head: seconds(self.head_seconds, 20),
            idle: seconds(self.idle_seconds, 120),
            slow: match (self.slow_seconds.unwrap_or(60), self.slow_rate.unwrap_or(500)) {
                (0, _) | (_, 0) => None,
                (after, rate) => Some(Slow { after: Duration::from_secs(after.into()), rate }),
            },
            uploads: some(self.uploads.unwrap_or(200)),
            user_rate: NonZeroU32::new(self.user_rate.unwrap_or(5000)),
            address_rate: NonZeroU32::new(self.address_rate.unwrap_or(5000)),
            requests: some(self.requests.unwrap_or(2000)),
            streams: self.streams.unwrap_or(200),
            event_streams: some(self.event_streams.unwrap_or(16)),
            password_checks: self.password_checks.unwrap_or(64),
        })
    }
}

impl fmt::Display for LimitSettings {
    /// As `check-config` shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<usize>| number.unwrap_or(0);
        let rate = |rate: Option<NonZeroU32>| rate.map_or(0, NonZeroU32::get);
        let slow = self.slow.map_or((0, 0), |slow| (slow.after.as_secs(), slow.rate));
        let lines: [(&str, &dyn fmt::Display); 15] = [
            ("limit.connections", &number(self.connections)),
            ("limit.header_bytes", &self.header_bytes),
            ("limit.headers", &self.headers),
            ("limit.body_bytes", &self.body_bytes),
            ("limit.head_seconds", &self.head.as_secs()),
            ("limit.idle_seconds", &self.idle.as_secs()),
            ("limit.slow_seconds", &slow.0),
            ("limit.slow_rate", &slow.1),
            ("limit.uploads", &number(self.uploads)),
            ("limit.user_rate", &rate(self.user_rate)),
            ("limit.address_rate", &rate(self.address_rate)),
            ("limit.requests", &number(self.requests)),
            ("limit.streams", &self.streams),
            ("limit.event_streams", &number(self.event_streams)),
            ("limit.password_checks", &self.password_checks),
        ];
        lines.iter().try_for_each(|(name, value)| writeln!(f, "{name:<22} {value}"))
    }
}
