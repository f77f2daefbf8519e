//! Throttles guesses: each wrong password increases the delay before the next attempt for the same account, and from
//! the same address. Kept in memory; a restart gains a guesser only a few attempts.

use crate::line::Asker;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How delays grow.
struct Pace {
    /// The number of wrong passwords without a delay: people mistype.
    free: u32,
    /// The maximum delay.
    longest: SignedDuration,
}

/// A stranger can lock out the owner of an account for this long at most.
const PER_ACCOUNT: Pace = Pace { free: 5, longest: SignedDuration::from_mins(1) };
/// An address may be shared by many people, but nobody else is affected if it has to wait.
const PER_ADDRESS: Pace = Pace { free: 20, longest: SignedDuration::from_mins(15) };
/// How long wrong passwords are remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// How long a user who signed in from a network is known there. Guesses from elsewhere do not lock such a user out, and
/// guesses from there do not count against others with the same name.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The maximum number of accounts or addresses that are remembered.
const MAX_ENTRIES: usize = 20_000;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    /// When the next attempt is allowed.
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

    /// The number of recent wrong passwords.
    fn count(&self, key: &K, now: Timestamp) -> u32 {
        let recent = self.0.get(key).filter(|failures| now.duration_since(failures.last) <= MEMORY);
        recent.map_or(0, |failures| failures.count)
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

    /// Removes old entries; if that is not enough, the half with the fewest failures, so that a flood of made-up names
    /// does not displace the one that is being guessed.
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
    /// By user; with the network if the user is known there.
    accounts: Ledger<(String, Option<IpAddr>)>,
    addresses: Ledger<IpAddr>,
    /// Attempts that found the queue full: they cause no delay, but cost rank in the queue.
    sent_away: Ledger<IpAddr>,
    /// When a user last signed in from a network.
    known: HashMap<(String, IpAddr), Timestamp>,
}

impl Default for Ledgers {
    fn default() -> Self {
        let (accounts, addresses) = (Ledger(HashMap::new()), Ledger(HashMap::new()));
        Self { accounts, addresses, sent_away: Ledger(HashMap::new()), known: HashMap::new() }
    }
}

impl Ledgers {
    fn knows(&self, user: &str, network: IpAddr, now: Timestamp) -> bool {
        let since = self.known.get(&(account_key(user), network));
        since.is_some_and(|since| now.duration_since(*since) < KNOWN_FOR)
    }

    fn account(&self, user: &str, network: IpAddr, now: Timestamp) -> (String, Option<IpAddr>) {
        (account_key(user), Some(network).filter(|network| self.knows(user, *network, now)))
    }

    fn know(&mut self, user: &str, network: IpAddr, now: Timestamp) {
        if self.known.len() >= MAX_ENTRIES {
            self.known.retain(|_, since| now.duration_since(*since) < KNOWN_FOR);
        }
        if self.known.len() >= MAX_ENTRIES {
            let mut times: Vec<Timestamp> = self.known.values().copied().collect();
            let (_, &mut median, _) = times.select_nth_unstable(MAX_ENTRIES / 2);
            self.known.retain(|_, since| *since > median);
        }
        self.known.insert((account_key(user), network), now);
    }
}

impl Throttle {
    /// Admits an attempt.
    ///
    /// # Errors
    /// The time to wait before the next attempt.
    pub(crate) fn admit(&self, user: &str, peer: IpAddr, now: Timestamp) -> Result<Asker, Duration> {
        let (ledgers, network) = (self.ledgers(), address_key(peer));
        let account = ledgers.account(user, network, now);
        let open_at = ledgers.accounts.open_at(&account, &PER_ACCOUNT);
        let open_at = open_at.max(ledgers.addresses.open_at(&network, &PER_ADDRESS));
        let wrong = ledgers.addresses.count(&network, now);
        let wait = open_at.and_then(|open_at| Duration::try_from(open_at.duration_since(now)).ok());
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => Ok(Asker {
                network,
                known: account.1.is_some(),
                tries: wrong.saturating_add(ledgers.sent_away.count(&network, now)),
            }),
        }
    }

    /// Records a wrong password or an unknown user.
    pub(crate) fn failed(&self, user: &str, peer: IpAddr, now: Timestamp) {
        let (mut ledgers, network) = (self.ledgers(), address_key(peer));
        let account = ledgers.account(user, network, now);
        ledgers.accounts.failed(account, now);
        ledgers.addresses.failed(network, now);
    }

    /// Records an attempt that was rejected because too many others were waiting.
    pub(crate) fn sent_away(&self, peer: IpAddr, now: Timestamp) {
        self.ledgers().sent_away.failed(address_key(peer), now);
    }

    /// Records a success.
    pub(crate) fn succeeded(&self, user: &str, peer: IpAddr, now: Timestamp) {
        let (mut ledgers, network) = (self.ledgers(), address_key(peer));
        ledgers.know(user, network, now);
        ledgers.accounts.0.remove(&(account_key(user), None));
        ledgers.accounts.0.remove(&(account_key(user), Some(network)));
        ledgers.addresses.0.remove(&network);
        ledgers.sent_away.0.remove(&network);
    }

    fn ledgers(&self) -> MutexGuard<'_, Ledgers> {
        self.0.lock()
    }
}

/// Names are truncated, so that long ones do not fill the memory.
fn account_key(user: &str) -> String {
    user.chars().take(64).collect()
}

/// A client with one IPv6 address usually has the whole /64.
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

    fn delay(throttle: &Throttle, user: &str, peer: IpAddr, now: Timestamp) -> Option<Duration> {
        throttle.admit(user, peer, now).err()
    }

    fn address(n: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1))
    }

    #[test]
    fn delays_grow_with_each_wrong_guess_and_stay_bounded() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let throttle = Throttle::default();
        let mut waits = Vec::new();
        for n in 0..16 {
            // Another address each time, so that only the account counts.
            throttle.failed("ada", address(n), clock.now());
            let wait = delay(&throttle, "ada", HOME, clock.now()).map_or(0, |wait| wait.as_secs());
            waits.push(wait);
            clock.advance(SignedDuration::from_secs(wait.try_into().unwrap()));
            assert_eq!(delay(&throttle, "ada", HOME, clock.now()), None);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        assert_eq!(delay(&throttle, "grace", HOME, clock.now()), None);
    }

    #[test]
    fn an_address_that_tries_many_names_is_throttled() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        for n in 0..25 {
            throttle.failed(&format!("user{n}"), HOME, now);
        }
        assert_eq!(delay(&throttle, "ada", HOME, now), Some(Duration::from_secs(16)));
        assert_eq!(delay(&throttle, "ada", address(1), now), None);
    }

    #[test]
    fn failures_are_forgotten_after_a_success_or_an_hour() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let throttle = Throttle::default();
        let fail_often = || (0..10).for_each(|_| throttle.failed("ada", HOME, clock.now()));
        fail_often();
        assert!(delay(&throttle, "ada", HOME, clock.now()).is_some());
        throttle.succeeded("ada", HOME, clock.now());
        assert_eq!(delay(&throttle, "ada", HOME, clock.now()), None);

        fail_often();
        clock.advance(SignedDuration::from_mins(61));
        throttle.failed("ada", HOME, clock.now());
        assert_eq!(delay(&throttle, "ada", HOME, clock.now()), None);
    }

    #[test]
    fn guesses_from_elsewhere_do_not_lock_out_a_known_user_nor_the_other_way_round() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        throttle.succeeded("ada", HOME, now);
        (0..10).for_each(|n| throttle.failed("ada", address(n), now));
        assert!(throttle.admit("ada", HOME, now).unwrap().known);
        assert!(delay(&throttle, "ada", address(77), now).is_some());
        // Others who share the network are slowed down only there.
        (0..7).for_each(|_| throttle.failed("ada", HOME, now));
        assert!(delay(&throttle, "ada", HOME, now).is_some());
        throttle.succeeded("ada", address(77), now);
        assert!(delay(&throttle, "ada", HOME, now).is_some());
        let later = now + KNOWN_FOR;
        assert!(!throttle.admit("ada", HOME, later).unwrap().known);
    }

    #[test]
    fn rejected_attempts_cost_rank_in_the_queue_but_cause_no_delay() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        throttle.failed("ada", HOME, now);
        (0..50).for_each(|_| throttle.sent_away(HOME, now));
        assert_eq!(throttle.admit("ada", HOME, now).unwrap().tries, 51);
        throttle.succeeded("ada", HOME, now);
        assert_eq!(throttle.admit("ada", HOME, now).unwrap().tries, 0);
    }

    #[test]
    fn the_addresses_of_one_network_count_as_one() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(address_key(mapped), HOME);
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2:9".parse().unwrap());
        assert_eq!(address_key(a), address_key(b));
    }

    #[test]
    fn a_flood_of_names_does_not_displace_the_one_that_is_guessed() {
        let now = Timestamp::UNIX_EPOCH;
        let throttle = Throttle::default();
        (0..10).for_each(|_| throttle.failed("ada", HOME, now));
        for n in 0..=MAX_ENTRIES {
            throttle.failed(&format!("made-up-{n}"), HOME, now);
        }
        assert!(delay(&throttle, "ada", address(1), now).is_some());
        assert!(throttle.ledgers().accounts.0.len() <= MAX_ENTRIES);
    }
}
