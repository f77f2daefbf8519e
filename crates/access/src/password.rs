//! Passwords: which ones are accepted, and their argon2id hashes. Hashing is deliberately expensive, so it runs on
//! blocking threads, few at a time.

use crate::argon;
use crate::line::Slot;
use argon2::Params;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The minimum length of a password, in characters.
pub const MIN_PASSWORD: usize = 8;
/// The maximum length of a password, in characters.
pub const MAX_PASSWORD: usize = 256;

/// Why a password was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`MIN_PASSWORD`] characters.
    #[error(
        "a password must have at least {MIN_PASSWORD} characters; a few words in a row are easy to remember"
    )]
    TooShort,
    /// More than [`MAX_PASSWORD`] characters.
    #[error("a password must have at most {MAX_PASSWORD} characters, not {length}")]
    TooLong { length: usize },
}

/// Whether a password may be set.
fn check(password: &SecretString) -> Result<(), PasswordError> {
    match password.expose_secret().chars().count() {
        short if short < MIN_PASSWORD => Err(PasswordError::TooShort),
        length if length > MAX_PASSWORD => Err(PasswordError::TooLong { length }),
        _ => Ok(()),
    }
}

/// A random password of 25 unambiguous characters in groups, with more than 120 bits of entropy.
#[must_use]
pub fn generate_password() -> SecretString {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(29);
    for (place, random) in rand::random::<[u8; 25]>().into_iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(random % 32)]));
    }
    SecretString::from(text)
}

pub(crate) struct Hasher {
    params: Params,
    /// The hash to compare with if there is no account, so that its absence cannot be timed.
    nobody: Arc<str>,
    /// Limits the hashing of new passwords to one at a time, separately from checks.
    new: Semaphore,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        // OWASP's recommendation for argon2id: 19 MiB, two passes, one lane.
        let params = Params::new(19 * 1024, 2, 1, None).expect("these parameters are within argon2's bounds");
        let nobody = hash(&params, b"the password of nobody").into();
        Self { params, nobody, new: Semaphore::new(1) }
    }

    /// Validates a new password and hashes it.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        check(password)?;
        let _turn = self.new.acquire().await.expect("the semaphore is never closed");
        let (params, password) = (self.params.clone(), password.clone());
        Ok(beside(move || hash(&params, password.expose_secret().as_bytes())).await)
    }

    /// Whether `password` matches `stored`; takes the same time if that is `None`.
    pub(crate) async fn verify(&self, slot: Slot, password: &SecretString, stored: Option<&str>) -> bool {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let password = password.clone();
        // The slot is moved along, because the hash is computed to the end even if nobody waits for it any more.
        let verify = move || {
            let _slot = slot;
            argon::verify(password.expose_secret().as_bytes(), &stored).unwrap_or(false)
        };
        beside(verify).await && known
    }
}

fn hash(params: &Params, password: &[u8]) -> String {
    let salt: [u8; 16] = rand::random();
    let hash = argon::hash(password, &salt, params);
    hash.expect("a password of bounded length and a salt of 16 bytes can be hashed")
}

/// Runs `work` on a blocking thread.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("hashing neither panics nor is cancelled")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::line::{Asker, Line};
    use std::net::IpAddr;

    #[test]
    fn a_password_has_8_to_256_characters() {
        let check = |text: &str| check(&SecretString::from(text.to_owned()));
        assert_eq!(check("1234567"), Err(PasswordError::TooShort));
        assert_eq!(check("ääääääää"), Ok(()));
        assert_eq!(check(&"x".repeat(256)), Ok(()));
        assert_eq!(check(&"x".repeat(257)), Err(PasswordError::TooLong { length: 257 }));
    }

    #[test]
    fn generated_passwords_are_accepted_and_unique() {
        let (one, other) = (generate_password(), generate_password());
        assert_eq!(check(&one), Ok(()));
        assert_eq!(one.expose_secret().len(), 29);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_its_own_salt() {
        let hasher = Hasher::new();
        let password = SecretString::from("correct horse".to_owned());
        let first = hasher.hash(&password).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hasher.hash(&password).await.unwrap());

        let line = Line::new(1, 0);
        let asker = Asker { network: IpAddr::from([192, 0, 2, 1]), known: false, tries: 0 };
        let verify = async |password: &SecretString, stored: Option<&str>| {
            hasher.verify(line.slot(asker).await.unwrap(), password, stored).await
        };
        assert!(verify(&password, Some(&first)).await);
        let wrong = SecretString::from("correct house".to_owned());
        assert!(!verify(&wrong, Some(&first)).await);
        assert!(!verify(&password, None).await);
        let nobodys = SecretString::from("the password of nobody".to_owned());
        assert!(!verify(&nobodys, None).await);
    }
}
