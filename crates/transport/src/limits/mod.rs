//! Limits per user and per address: the rate of requests, and the number of concurrent requests, uploads and event
//! streams. The limits per connection are enforced in `listener`, and guessed passwords are throttled in
//! `longshore_access`.

mod at_once;
mod rate;
mod settings;

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use longshore_model::{AccountId, Actor, Code, Problem};
use metrics::{counter, gauge};

pub use settings::LimitSettings;
pub(crate) use settings::Slow;

use crate::InFlight;
use at_once::{AtOnce, Counted};
use rate::Rate;

/// The time to wait before a retry if too many things run concurrently.
const WAIT: Duration = Duration::from_secs(5);

/// The limit that caused a rejection; the label `limit` of `longshore_limit_refusals_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Connections,
    HeaderBytes,
    Headers,
    SlowHandshake,
    SlowHead,
    SlowRequest,
    SlowResponse,
    Uploads,
    UserRate,
    AddressRate,
    Requests,
    EventStreams,
}

impl Limit {
    /// Counts a rejection.
    pub(crate) fn refused(self) {
        let limit = match self {
            Self::Connections => "connections",
            Self::HeaderBytes => "header_bytes",
            Self::Headers => "headers",
            Self::SlowHandshake => "slow_handshake",
            Self::SlowHead => "slow_head",
            Self::SlowRequest => "slow_request",
            Self::SlowResponse => "slow_response",
            Self::Uploads => "uploads",
            Self::UserRate => "user_rate",
            Self::AddressRate => "address_rate",
            Self::Requests => "requests",
            Self::EventStreams => "event_streams",
        };
        counter!("longshore_limit_refusals_total", "limit" => limit).increment(1);
    }
}

/// The limits per user and address; cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    users: Option<Rate<AccountId>>,
    addresses: Option<Rate<IpAddr>>,
    uploads: AtOnce<AccountId>,
    requests_of_users: AtOnce<AccountId>,
    requests_of_addresses: AtOnce<IpAddr>,
    streams_of_users: AtOnce<AccountId>,
    streams_of_addresses: AtOnce<IpAddr>,
}

/// A running upload; counted until it is dropped.
pub struct Upload {
    _counted: Option<Counted<AccountId>>,
    _in_flight: InFlight,
}

/// A running request; counted until its response has been sent. It is an extension of the response.
#[derive(Clone)]
pub struct Admitted(#[expect(dead_code, reason = "held, not read")] Arc<Counts>);

#[derive(Default)]
struct Counts {
    _of_address: Vec<Counted<IpAddr>>,
    _of_user: Vec<Counted<AccountId>>,
}

/// A running request that is counted for its address; its actor is not known yet.
pub struct Arrived(Counted<IpAddr>);

impl Limits {
    /// The limits with these settings.
    pub fn new(settings: &LimitSettings) -> Self {
        Self(Arc::new(Inner {
            users: NonZeroU32::new(settings.user_rate).map(Rate::new),
            addresses: NonZeroU32::new(settings.address_rate).map(Rate::new),
            uploads: AtOnce::new(settings.uploads),
            requests_of_users: AtOnce::new(settings.requests),
            requests_of_addresses: AtOnce::new(settings.requests),
            streams_of_users: AtOnce::new(settings.event_streams),
            streams_of_addresses: AtOnce::new(settings.event_streams),
        }))
    }

    /// Counts a request from an address.
    ///
    /// # Errors
    /// The address exceeds its rate; contains the time to wait.
    pub fn by_address(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(rate) = &self.0.addresses else { return Ok(()) };
        rate.check(&network(address)).map_err(|retry_after| {
            Limit::AddressRate.refused();
            too_fast(format!("Too many requests from {address}"), retry_after)
        })
    }

    /// Counts a request of an actor. Anonymous clients are counted only by address.
    ///
    /// # Errors
    /// The user exceeds the rate; contains the time to wait.
    pub fn by_actor(&self, actor: &Actor) -> Result<(), Problem> {
        let (Some(rate), Some(user)) = (&self.0.users, actor.user()) else { return Ok(()) };
        rate.check(&user.id).map_err(|retry_after| {
            Limit::UserRate.refused();
            too_fast(format!("{} sends too many requests", user.name), retry_after)
        })
    }

    /// Counts a concurrent request from an address.
    ///
    /// # Errors
    /// Too many are running; contains the time to wait.
    pub fn arrived(&self, address: IpAddr) -> Result<Arrived, Problem> {
        let counted = self.0.requests_of_addresses.begin(network(address));
        counted.map(Arrived).map_err(|most| {
            Limit::Requests.refused();
            one_too_many(format!("More than {most} requests from {address} are running"))
        })
    }

    /// Counts a concurrent request of an actor at the address `peer`; `follows` means that it is an event stream. Event
    /// streams of users count for the user, those of anonymous clients for the address.
    ///
    /// # Errors
    /// Too many are running; contains the time to wait.
    pub fn admitted(
        &self,
        arrived: Arrived,
        actor: &Actor,
        peer: IpAddr,
        follows: bool,
    ) -> Result<Admitted, Problem> {
        let mut counts = Counts { _of_address: vec![arrived.0], ..Counts::default() };
        let streams = |most: usize, of: &str| {
            Limit::EventStreams.refused();
            one_too_many(format!("More than {most} event streams of {of} are open"))
        };
        match actor.user() {
            Some(user) => {
                counts._of_user.push(self.0.requests_of_users.begin(user.id).map_err(|most| {
                    Limit::Requests.refused();
                    one_too_many(format!("More than {most} requests of {} are running", user.name))
                })?);
                if follows {
                    let counted = self.0.streams_of_users.begin(user.id);
                    counts._of_user.push(counted.map_err(|most| streams(most, user.name.as_str()))?);
                }
            }
            None if follows => {
                let counted = self.0.streams_of_addresses.begin(network(peer));
                counts._of_address.push(counted.map_err(|most| streams(most, &peer.to_string()))?);
            }
            None => {}
        }
        Ok(Admitted(Arc::new(counts)))
    }

    /// Counts a concurrent upload of an actor until the result is dropped. Uploads of anonymous clients are not
    /// counted, since the registry rejects them.
    ///
    /// # Errors
    /// Too many are running; contains the time to wait.
    pub fn upload(&self, actor: &Actor) -> Result<Upload, Problem> {
        let counted = actor.user().map(|user| self.0.uploads.begin(user.id)).transpose().map_err(|most| {
            Limit::Uploads.refused();
            one_too_many(format!("More than {most} uploads of this user are running"))
        })?;
        Ok(Upload { _counted: counted, _in_flight: InFlight::begin(gauge!("longshore_uploads_running")) })
    }
}

fn one_too_many(what: String) -> Problem {
    Problem::new(Code::TooManyAttempts, format!("{what}; wait for one to end.")).over_after(WAIT)
}

fn too_fast(what: String, retry_after: Duration) -> Problem {
    // Rounded up, because the header contains whole seconds.
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let message = format!("{what}; try again in {seconds} s.");
    Problem::new(Code::TooManyAttempts, message).over_after(Duration::from_secs(seconds))
}

/// A client with one IPv6 address usually has the whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}
