//! Credentials that were recently checked. Otherwise clients that send username and password with each request would
//! cost an argon2 hash each time. Only keyed digests are kept, in memory, under a key that no other process has.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use longshore_model::AccountId;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::collections::HashMap;

const MEMORY: SignedDuration = SignedDuration::from_secs(60);
/// The maximum number of successes that are remembered.
const MAX_ENTRIES: usize = 10_000;

/// A digest of a username, a password and its stored hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

/// The successes of the last minute.
pub(crate) struct Recent {
    key: [u8; 32],
    seen: Mutex<HashMap<Fingerprint, (AccountId, Timestamp)>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { key: rand::random(), seen: Mutex::default() }
    }

    /// `stored` is the hash that the password is compared with, so that a success is forgotten when another process
    /// changes the password.
    pub(crate) fn fingerprint(
        &self,
        user: &str,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // The lengths come first, so that different parts cannot give the same input.
        for part in [user, stored.unwrap_or_default()] {
            mac.update(&part.len().to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(password.expose_secret().as_bytes());
        Fingerprint(mac.finalize().into_bytes().into())
    }

    /// The account of credentials that were correct within the last minute.
    pub(crate) fn account(&self, fingerprint: Fingerprint, now: Timestamp) -> Option<AccountId> {
        let seen = self.seen();
        let (account, at) = seen.get(&fingerprint)?;
        (now.duration_since(*at) < MEMORY).then_some(*account)
    }

    pub(crate) fn remember(&self, fingerprint: Fingerprint, account: AccountId, now: Timestamp) {
        let mut seen = self.seen();
        if seen.len() >= MAX_ENTRIES {
            seen.retain(|_, (_, at)| now.duration_since(*at) < MEMORY);
        }
        if seen.len() < MAX_ENTRIES {
            seen.insert(fingerprint, (account, now));
        }
    }

    /// Forgets the successes of an account whose password has changed.
    pub(crate) fn forget(&self, account: AccountId) {
        self.seen().retain(|_, (known, _)| *known != account);
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Fingerprint, (AccountId, Timestamp)>> {
        self.seen.lock()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_remembered_for_a_minute_or_until_the_password_changes() {
        let recent = Recent::new();
        let password = SecretString::from("correct horse".to_owned());
        let fingerprint = recent.fingerprint("ada", &password, Some("hash"));
        let (ada, start) = (AccountId::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(recent.account(fingerprint, start), None);

        recent.remember(fingerprint, ada, start);
        assert_eq!(recent.account(fingerprint, start + SignedDuration::from_secs(59)), Some(ada));
        assert_eq!(recent.account(fingerprint, start + SignedDuration::from_secs(60)), None);
        assert!(recent.fingerprint("ada", &password, Some("another hash")) != fingerprint);
        assert!(
            recent.fingerprint("ad", &SecretString::from("acorrect horse".to_owned()), Some("hash"))
                != fingerprint
        );

        recent.forget(ada);
        assert_eq!(recent.account(fingerprint, start), None);
    }
}
