//! Limits against abuse that are kept per user and per address: how fast requests come, and how many
//! requests, uploads and streams of events run at once. Those of one connection stand in `listener`, the throttling of guessed
//! passwords in `longshore_access`.

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

/// When to try again what is one too many.
const WAIT: Duration = Duration::from_secs(5);

/// What was refused, as the label `limit` of `longshore_limit_refusals_total` has it.
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
    /// Counts one refusal.
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

/// One upload that runs, until it is dropped.
pub struct Upload {
    _counted: Option<Counted<AccountId>>,
    _in_flight: InFlight,
}

/// A request that is under way, until its answer has been sent; an extension of the answer.
#[derive(Clone)]
pub struct Admitted(#[expect(dead_code, reason = "held, not read")] Arc<Counts>);

#[derive(Default)]
struct Counts {
    _of_address: Vec<Counted<IpAddr>>,
    _of_user: Vec<Counted<AccountId>>,
}

/// What of one address is under way before it is known who asks.
pub struct Arrived(Counted<IpAddr>);

impl Limits {
    /// The limits as they are set; nothing is counted yet.
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

    /// One more request from this address.
    ///
    /// # Errors
    /// The address exceeds its rate, with the time to wait.
    pub fn by_address(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(rate) = &self.0.addresses else { return Ok(()) };
        rate.check(&network(address)).map_err(|retry_after| {
            Limit::AddressRate.refused();
            too_fast(format!("Too many requests come from {address}"), retry_after)
        })
    }

    /// One more request of this actor. Anonymous clients are counted by address only.
    ///
    /// # Errors
    /// The user exceeds the rate, with the time to wait.
    pub fn by_actor(&self, actor: &Actor) -> Result<(), Problem> {
        let (Some(rate), Some(user)) = (&self.0.users, actor.user()) else { return Ok(()) };
        rate.check(&user.id).map_err(|retry_after| {
            Limit::UserRate.refused();
            too_fast(format!("{} sends too many requests", user.name), retry_after)
        })
    }

    /// One more concurrent request from this address.
    ///
    /// # Errors
    /// Too many run already, with the time to wait.
    pub fn arrived(&self, address: IpAddr) -> Result<Arrived, Problem> {
        let counted = self.0.requests_of_addresses.begin(network(address));
        counted.map(Arrived).map_err(|most| {
            Limit::Requests.refused();
            one_too_many(format!("More than {most} requests from {address} are running"))
        })
    }

    /// One more concurrent request of this actor, who is at `peer`; `follows` tells whether it is an event stream. A
    /// user's event streams count for the user, those of anonymous clients for the address.
    ///
    /// # Errors
    /// Too many run already, with the time to wait.
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
            one_too_many(format!("More than {most} streams of events of {of} are open"))
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

    /// One more concurrent upload of this actor, for as long as the result is kept. Uploads of anonymous clients are
    /// not counted: the registry refuses them.
    ///
    /// # Errors
    /// Too many run already, with the time to wait.
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
    // A header counts whole seconds.
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let message = format!("{what}; try again in {seconds} s.");
    Problem::new(Code::TooManyAttempts, message).over_after(Duration::from_secs(seconds))
}

/// Whoever has one IPv6 address has a whole /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}
