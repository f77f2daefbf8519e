//! Limits against abuse that are kept per user and per address: how fast requests come, and how many
//! uploads run at once. Those of one connection stand in `listener`, the throttling of guessed
//! passwords in `longshore_access`.

mod options;
mod rate;
mod uploads;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use longshore_model::{AccountId, Actor, Code, Problem};
use metrics::counter;

pub(crate) use options::{LimitOptions, LimitSettings, Slow};

use rate::Rate;
pub(crate) use uploads::Upload;
use uploads::Uploads;

/// When to try again an upload that is one too many.
const UPLOAD_WAIT: Duration = Duration::from_secs(5);

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
        };
        counter!("longshore_limit_refusals_total", "limit" => limit).increment(1);
    }
}

/// The limits per user and address; cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Inner>);

struct Inner {
    users: Option<Rate<AccountId>>,
    addresses: Option<Rate<IpAddr>>,
    uploads: Uploads,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        Self(Arc::new(Inner {
            users: settings.user_rate.map(Rate::new),
            addresses: settings.address_rate.map(Rate::new),
            uploads: Uploads::new(settings.uploads),
        }))
    }

    /// One more request from this address.
    pub(crate) fn by_address(&self, address: IpAddr) -> Result<(), Problem> {
        let Some(rate) = &self.0.addresses else { return Ok(()) };
        rate.check(&network(address)).map_err(|retry_after| {
            Limit::AddressRate.refused();
            too_fast(format!("Too many requests come from {address}"), retry_after)
        })
    }

    /// One more request of this actor. Strangers are counted by address alone.
    pub(crate) fn by_actor(&self, actor: &Actor) -> Result<(), Problem> {
        let (Some(rate), Some(user)) = (&self.0.users, actor.user()) else { return Ok(()) };
        rate.check(&user.id).map_err(|retry_after| {
            Limit::UserRate.refused();
            too_fast(format!("{} sends too many requests", user.name), retry_after)
        })
    }

    /// One more upload of this actor, for as long as the answer is kept.
    pub(crate) fn upload(&self, actor: &Actor) -> Result<Upload, Problem> {
        self.0.uploads.begin(actor.user().map(|user| user.id)).map_err(|most| {
            Limit::Uploads.refused();
            let message = format!("More than {most} uploads of this user are running; wait for one to end.");
            Problem::new(Code::TooManyAttempts, message).over_after(UPLOAD_WAIT)
        })
    }
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
