//! Encryption at rest: the secrets of remotes are encrypted with XChaCha20-Poly1305 under a key that is not in the
//! database. Each value names its key, and is bound to its row, so that it cannot be moved to another.

use crate::Error;
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

/// Encrypts and decrypts secrets. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<SecretBox<[u8; KEY]>>);

const KEY: usize = 32;
const NONCE: usize = 24;
/// The number of bytes of the key's ID.
const KEY_ID: usize = 4;
/// The first byte of encrypted values, for future formats.
const FORM: u8 = 1;

impl Vault {
    /// A vault with this key.
    #[must_use]
    pub fn from_key(key: [u8; KEY]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(key))))
    }

    /// A vault with a key of 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Key`], which does not contain the key.
    pub fn from_hex(text: &str, origin: &str) -> Result<Self, Error> {
        let mut key = [0; KEY];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_| Error::Key {
            path: origin.to_owned(),
            why: "a key is 64 hexadecimal digits".to_owned(),
        })?;
        Ok(Self::from_key(key))
    }

    /// A vault with the key in a file. If the file does not exist, it is created with a new key, readable only by its
    /// owner.
    ///
    /// # Errors
    /// [`Error::Key`]
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let origin = path.display().to_string();
        let failed = |error: std::io::Error| Error::Key { path: origin.clone(), why: error.to_string() };
        match fs::read_to_string(path) {
            Ok(text) => return Self::from_hex(&text, &origin),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let mut key = [0; KEY];
        rand::rng().fill_bytes(&mut key);
        write_durably(path, &format!("{}\n", hex::encode(key))).map_err(failed)?;
        Ok(Self::from_key(key))
    }

    /// A key for one purpose, derived from the vault's own (HKDF, RFC 5869).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; KEY] {
        let mut derived = [0; KEY];
        Hkdf::<Sha256>::new(None, self.0.expose_secret())
            .expand(purpose.as_bytes(), &mut derived)
            .expect("32 bytes are within what HKDF can give");
        derived
    }

    /// Encrypts a secret for the row `place`.
    #[must_use]
    pub fn seal(&self, secret: &SecretString, place: &str) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is shorter than the cipher's limit of 256 GiB");
        [&[FORM][..], &self.key_id(), &nonce, &sealed].concat()
    }

    /// Decrypts a secret of the row `place`.
    ///
    /// # Errors
    /// [`Error::SecretUnreadable`]
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<SecretString, Error> {
        self.try_open(sealed, place).ok_or(Error::SecretUnreadable)
    }

    fn try_open(&self, sealed: &[u8], place: &str) -> Option<SecretString> {
        let rest = sealed.strip_prefix(&[FORM])?;
        let rest = rest.strip_prefix(&self.key_id())?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(opened).ok().map(SecretString::from)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive("secrets at rest").into())
    }

    fn key_id(&self) -> [u8; KEY_ID] {
        let id = self.derive("key id");
        *id.first_chunk().expect("a derived key is longer than an id")
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// Creates a file that only its owner may read. If the process or the machine dies, it exists completely or not at all;
/// afterwards it is durable.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::path::absolute(path)?;
    let draft = path.with_extension("draft");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    // Not a rename: if another server has created the key in the meantime, that one is kept.
    let named = fs::hard_link(&draft, &path);
    fs::remove_file(&draft)?;
    named?;
    fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_can_be_decrypted_only_with_its_key_and_in_its_row() {
        let vault = Vault::from_key([7; KEY]);
        let sealed = vault.seal(&"correct horse".into(), "remote 1");
        assert_eq!(vault.open(&sealed, "remote 1").unwrap().expose_secret(), "correct horse");
        assert!(matches!(vault.open(&sealed, "remote 2"), Err(Error::SecretUnreadable)));
        assert!(matches!(Vault::from_key([8; KEY]).open(&sealed, "remote 1"), Err(Error::SecretUnreadable)));
        assert!(vault.open(&sealed[..20], "remote 1").is_err());
        assert_ne!(vault.seal(&"correct horse".into(), "remote 1"), sealed, "a nonce is used once");
    }

    #[test]
    fn a_server_that_died_while_creating_its_key_creates_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("longshore.key");
        fs::write(folder.path().join("longshore.draft"), "").unwrap();
        Vault::load_or_create(&path).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["longshore.key"]);
    }

    #[test]
    fn a_key_file_is_created_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = Vault::load_or_create(&path).unwrap();
        let sealed = first.seal(&"secret".into(), "here");
        assert!(Vault::load_or_create(&path).unwrap().open(&sealed, "here").is_ok());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(Vault::load_or_create(&path), Err(Error::Key { .. })));
    }
}
