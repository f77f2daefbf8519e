//! Slowing guesses down: each wrong password makes the next try of the same account, and of the
//! same address, wait longer. Kept in memory; a restart forgets it, which gains a guesser a few tries.

use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How fast delays grow.
struct Pace {
    /// Wrong guesses that cost nothing: people mistype.
    free: u32,
    /// No delay is longer.
    longest: SignedDuration,
}

/// A stranger can lock an account's owner out for this long at most.
const PER_ACCOUNT: Pace = Pace { free: 5, longest: SignedDuration::from_mins(1) };
/// An address may be shared by many people, but nobody else suffers when it waits.
const PER_ADDRESS: Pace = Pace { free: 20, longest: SignedDuration::from_mins(15) };
/// Wrong guesses older than this are forgotten.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// More accounts or addresses than this are not kept in mind at once.
const MAX_ENTRIES: usize = 20_000;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    /// When the next try is let through.
    fn open_at(self, pace: &Pace) -> Timestamp {
        let Some(beyond) = self.count.checked_sub(pace.free + 1) else { return self.last };
        let delay = SignedDuration::from_secs(1_i64 << beyond.min(20)).min(pace.longest);
        self.last + delay
    }
}

struct Ledger<K>(HashMap<K, Failures>);

impl<K: Hash + Eq> Ledger<K> {
    fn open_at(&self, key: &K, pace: &Pace) -> Option<Timestamp> {
        self.0.get(key).map(|failures| failures.open_at(pace))
    }

    fn failed(&mut self, key: K, now: Timestamp) {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let entry = self.0.entry(key).or_insert(Failures { count: 0, last: now });
        if now.duration_since(entry.last) > MEMORY {
            entry.count = 0;
        }
        *entry = Failures { count: entry.count.saturating_add(1), last: now };
    }

    /// Drops what is old; where that is not enough, the half that failed least, so that a flood of
    /// names made up for the purpose does not push out the one that is being guessed at.
    fn make_room(&mut self, now: Timestamp) {
        self.0.retain(|_, failures| now.duration_since(failures.last) <= MEMORY);
        if self.0.len() >= MAX_ENTRIES {
            let mut counts: Vec<u32> = self.0.values().map(|failures| failures.count).collect();
            let (_, &mut median, _) = counts.select_nth_unstable(MAX_ENTRIES / 2);
            self.0.retain(|_, failures| failures.count > median);
        }
    }
}

/// The failures of the last hour.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Ledgers>);

struct Ledgers {
    accounts: Ledger<String>,
    addresses: Ledger<IpAddr>,
}

impl Default for Ledgers {
    fn default() -> Self {
        Self { accounts: Ledger(HashMap::new()), addresses: Ledger(HashMap::new()) }
    }
}

impl Throttle {
    /// How long a try has to wait; none: it may go on.
    pub(crate) fn wait(&self, user: &str, peer: IpAddr, now: Timestamp) -> Option<Duration> {
        let ledgers = self.ledgers();
        let account = ledgers.accounts.open_at(&account_key(user), &PER_ACCOUNT);
        let address = ledgers.addresses.open_at(&address_key(peer), &PER_ADDRESS);
        let open_at = account.max(address)?;
        Duration::try_from(open_at.duration_since(now)).ok().filter(|wait| !wait.is_zero())
    }

    /// A wrong password, or a user that does not exist.
    pub(crate) fn failed(&self, user: &str, peer: IpAddr, now: Timestamp) {
        let mut ledgers = self.ledgers();
        ledgers.accounts.failed(account_key(user), now);
        ledgers.addresses.failed(address_key(peer), now);
    }

    /// The right password.
    pub(crate) fn succeeded(&self, user: &str, peer: IpAddr) {
        let mut ledgers = self.ledgers();
        ledgers.accounts.0.remove(&account_key(user));
        ledgers.addresses.0.remove(&address_key(peer));
    }

    fn ledgers(&self) -> std::sync::MutexGuard<'_, Ledgers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names are bounded, so that long ones do not fill the memory.
fn account_key(user: &str) -> String {
    user.chars().take(64).collect()
}

/// Whoever has one IPv6 address has a whole /64 of them.
fn address_key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::{Clock, ManualClock};

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn address(n: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1))
    }

    #[test]
    fn delays_grow_with_each_wrong_guess_and_stay_bounded() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let throttle = Throttle::default();
        let mut waits = Vec::new();
        for n in 0..16 {
            // Another address each time: what counts here is the account.
            throttle.failed("ada", address(n), clock.now());
            let wait = throttle.wait("ada", HOME, clock.now()).map_or(0, |wait| wait.as_secs());
            waits.push(wait);
            clock.advance(SignedDuration::from_secs(wait.try_into().unwrap()));
            assert_eq!(throttle.wait("ada", HOME, clock.now()), None);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        assert_eq!(throttle.wait("grace", HOME, clock.now()), None);
    }

    #[test]
    fn an_address_that_tries_many_names_waits() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        for n in 0..25 {
            throttle.failed(&format!("user{n}"), HOME, now);
        }
        assert_eq!(throttle.wait("ada", HOME, now), Some(Duration::from_secs(16)));
        assert_eq!(throttle.wait("ada", address(1), now), None);
    }

    #[test]
    fn a_success_resets_and_an_hour_forgets() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let throttle = Throttle::default();
        let fail_often = || (0..10).for_each(|_| throttle.failed("ada", HOME, clock.now()));
        fail_often();
        assert!(throttle.wait("ada", HOME, clock.now()).is_some());
        throttle.succeeded("ada", HOME);
        assert_eq!(throttle.wait("ada", HOME, clock.now()), None);

        fail_often();
        clock.advance(SignedDuration::from_mins(61));
        throttle.failed("ada", HOME, clock.now());
        assert_eq!(throttle.wait("ada", HOME, clock.now()), None);
    }

    #[test]
    fn the_addresses_of_one_network_count_as_one() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(address_key(mapped), HOME);
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2:9".parse().unwrap());
        assert_eq!(address_key(a), address_key(b));
    }

    #[test]
    fn a_flood_of_names_does_not_push_out_the_one_that_is_guessed_at() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        (0..10).for_each(|_| throttle.failed("ada", HOME, now));
        for n in 0..=MAX_ENTRIES {
            throttle.failed(&format!("made-up-{n}"), HOME, now);
        }
        assert!(throttle.wait("ada", address(1), now).is_some());
        assert!(throttle.ledgers().accounts.0.len() <= MAX_ENTRIES);
    }
}
