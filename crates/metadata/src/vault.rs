//! Secrets at rest: sealing and opening them with the server's key, and the keys derived from it.
//! The key is a file of its own, outside the data directory's backup (semantics 30).

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The form of what [`Vault::seal`] makes: this byte, the key's id, the nonce, the ciphertext.
const FORM: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;

/// Why there is no vault, or why it could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be read or made.
    #[error("the encryption key {path} cannot be {done}: {source}", path = path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The key file does not hold a key.
    #[error(
        "the encryption key {path} has {length} bytes instead of 32; restore it from its backup, or delete \
         it and type all secrets of remotes again", path = path.display()
    )]
    Length {
        /// Where it is.
        path: PathBuf,
        /// How many bytes it has (33 stands for more than 32).
        length: usize,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

struct Keys {
    master: SecretBox<[u8; 32]>,
    cipher: XChaCha20Poly1305,
    /// Tells sealed values of another key apart, so that rotation can find them.
    id: [u8; KEY_ID_LENGTH],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

impl Vault {
    /// A vault with this key.
    #[must_use]
    pub fn from_key(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let sealing = Zeroizing::new(expand::<32>(&key, "seal"));
        Self(Arc::new(Keys {
            cipher: XChaCha20Poly1305::new((&*sealing).into()),
            id: expand(&key, "key-id"),
            master: SecretBox::new(Box::new(*key)),
        }))
    }

    /// The vault whose key is in the file `path`. A missing file is made, readable by its owner
    /// alone; call this before anything is served, it waits for the disk.
    pub fn load_or_create(path: &Path) -> Result<Self, VaultError> {
        let failed = |done| move |source| VaultError::File { path: path.to_owned(), done, source };
        match File::open(path) {
            Ok(file) => {
                let mut key = Zeroizing::new(Vec::with_capacity(33));
                file.take(33).read_to_end(&mut key).map_err(failed("read"))?;
                let length = key.len();
                let key = <[u8; 32]>::try_from(key.as_slice())
                    .map_err(|_| VaultError::Length { path: path.to_owned(), length })?;
                Ok(Self::from_key(key))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key: Zeroizing<[u8; 32]> = Zeroizing::new(random()?);
                write_key(path, &key).map_err(failed("written"))?;
                Ok(Self::from_key(*key))
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// Seals `secret` for the row `row`; it cannot be opened as the secret of another row.
    pub fn seal(&self, secret: &[u8], row: &str) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LENGTH] = random()?;
        let sealed = self
            .0
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: row.as_bytes() })
            .expect("only a secret of more than 256 GiB is too long for the cipher");
        Ok([&[FORM], self.0.id.as_slice(), &nonce, &sealed].concat())
    }

    /// Opens what [`Vault::seal`] made for the same row; `None` when this vault's key did not seal it
    /// or it was tampered with.
    #[must_use]
    pub fn open(&self, sealed: &[u8], row: &str) -> Option<Zeroizing<Vec<u8>>> {
        let rest = sealed.strip_prefix(&[FORM])?.strip_prefix(&self.0.id)?;
        let (nonce, msg) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        let opened =
            self.0.cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad: row.as_bytes() }).ok()?;
        Some(Zeroizing::new(opened))
    }

    /// A key of its own for the purpose `label`, such as `token-signing`; the same for the same vault.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        expand(self.0.master.expose_secret(), &format!("derived/{label}"))
    }
}

fn expand<const N: usize>(key: &[u8; 32], label: &str) -> [u8; N] {
    let mut derived = [0; N];
    Hkdf::<Sha256>::new(Some(b"longshore"), key)
        .expand(label.as_bytes(), &mut derived)
        .expect("a few bytes are within what HKDF can give");
    derived
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| VaultError::Random(error.to_string()))?;
    Ok(bytes)
}

fn write_key(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_is_opened_for_its_own_row_alone() {
        let vault = Vault::from_key([7; 32]);
        let sealed = vault.seal(b"pa55", "remote:1").unwrap();
        assert_eq!(*vault.open(&sealed, "remote:1").unwrap(), b"pa55");
        assert!(vault.open(&sealed, "remote:2").is_none());
    }

    #[test]
    fn semantics_30_another_key_opens_nothing() {
        let sealed = Vault::from_key([7; 32]).seal(b"pa55", "remote:1").unwrap();
        assert!(Vault::from_key([8; 32]).open(&sealed, "remote:1").is_none());
    }

    #[test]
    fn a_changed_or_cut_secret_is_not_opened() {
        let vault = Vault::from_key([7; 32]);
        let sealed = vault.seal(b"pa55", "remote:1").unwrap();
        for length in 0..sealed.len() {
            assert!(vault.open(&sealed[..length], "remote:1").is_none());
        }
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert!(vault.open(&changed, "remote:1").is_none());
    }

    #[test]
    fn derived_keys_differ_by_label_and_stay_the_same() {
        let vault = Vault::from_key([7; 32]);
        assert_eq!(vault.derive("token-signing"), vault.derive("token-signing"));
        assert_ne!(vault.derive("token-signing"), vault.derive("sessions"));
    }

    #[test]
    fn a_key_file_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/encryption.key");
        let sealed = Vault::load_or_create(&path).unwrap().seal(b"x", "r").unwrap();
        assert!(Vault::load_or_create(&path).unwrap().open(&sealed, "r").is_some());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(Vault::load_or_create(&path), Err(VaultError::Length { length: 5, .. })));
    }
}
