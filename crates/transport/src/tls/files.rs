//! A certificate and its key in files that are renewed from outside. Changes are detected by content, not by
//! modification time: a mounted secret changes through a symbolic link, and two writes may have the same time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, anyhow, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

/// The files, and the content that was last seen.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    used: Fingerprint,
    /// The content that is invalid, and how often it was seen.
    broken: Option<(Fingerprint, u32)>,
}

/// Identifies the content of both files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u64);

/// The result of a check for changes.
pub(super) enum Look {
    /// Nothing has changed.
    Same,
    Newer(Box<CertifiedKey>),
    /// The content has changed and is invalid.
    Broken(anyhow::Error),
}

/// The number of checks after which invalid content is reported. The two files change one after the other.
const LOOKS_UNTIL_BROKEN: u32 = 2;

impl Files {
    /// Opens the files and reads the certificate.
    pub(super) fn open(certificate: PathBuf, key: PathBuf) -> anyhow::Result<(Self, CertifiedKey)> {
        let contents = Contents::of(&certificate, &key);
        let used = contents.fingerprint();
        let first = contents.parse(&certificate, &key)?;
        Ok((Self { certificate, key, used, broken: None }, first))
    }

    /// Checks for a newer certificate. Invalid content is reported once.
    pub(super) fn look(&mut self) -> Look {
        let contents = Contents::of(&self.certificate, &self.key);
        let seen = contents.fingerprint();
        if seen == self.used {
            self.broken = None;
            return Look::Same;
        }
        let looks = match self.broken {
            Some((before, looks)) if before == seen => looks + 1,
            _ => 1,
        };
        if looks > LOOKS_UNTIL_BROKEN {
            return Look::Same;
        }
        match contents.parse(&self.certificate, &self.key) {
            Ok(certificate) => {
                (self.used, self.broken) = (seen, None);
                Look::Newer(Box::new(certificate))
            }
            Err(error) => {
                self.broken = Some((seen, looks));
                if looks == LOOKS_UNTIL_BROKEN { Look::Broken(error) } else { Look::Same }
            }
        }
    }
}

struct Contents {
    certificate: io::Result<Vec<u8>>,
    key: io::Result<Vec<u8>>,
}

impl Contents {
    fn of(certificate: &Path, key: &Path) -> Self {
        Self { certificate: fs::read(certificate), key: fs::read(key) }
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        for file in [&self.certificate, &self.key] {
            file.as_ref().map_err(io::Error::kind).hash(&mut hasher);
        }
        Fingerprint(hasher.finish())
    }

    fn parse(self, certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
        let (certificate_name, key_name) = (certificate.display(), key.display());
        let may_read = "check the path, and that the user that runs the server may read it";
        let chain = self.certificate.map_err(|error| {
            anyhow!("the certificate {certificate_name} cannot be read: {error}; {may_read}")
        })?;
        let private = self
            .key
            .map_err(|error| anyhow!("the private key {key_name} cannot be read: {error}; {may_read}"))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow!("the certificate {certificate_name} is not PEM: {error}"))?;
        if chain.is_empty() {
            bail!(
                "the certificate {certificate_name} contains none: a PEM file begins with “-----BEGIN \
                 CERTIFICATE-----”; the server's own certificate comes first, then its intermediates"
            );
        }
        let private = PrivateKeyDer::from_pem_slice(&private).map_err(|error| {
            anyhow!(
                "the private key {key_name} contains no usable key: {error}; it must be PEM \
                 (PKCS #8, PKCS #1 or SEC 1) without a passphrase"
            )
        })?;
        let provider = CryptoProvider::get_default().context("no TLS library is installed")?;
        CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow!(
                "the private key {key_name} does not belong to the first certificate of {certificate_name}; \
                 install the pair that was issued together, with the server's own certificate first"
            ),
            Error::InvalidCertificate(_) => {
                anyhow!("the certificate {certificate_name} is damaged ({error}); install it again")
            }
            error => anyhow!(
                "{certificate_name} and {key_name} cannot be used: {error}; keys can be ECDSA (P-256, P-384, \
                 P-521), Ed25519 or RSA"
            ),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_testkit::TestCa;

    struct Scene {
        folder: tempfile::TempDir,
        ca: TestCa,
    }

    impl Scene {
        fn new() -> Self {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let scene = Self { folder: tempfile::tempdir().unwrap(), ca: TestCa::new() };
            scene.issue();
            scene
        }

        fn issue(&self) {
            let issued = self.ca.issue_for_loopback();
            self.write("cert.pem", &issued.certificate);
            self.write("key.pem", &issued.key);
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn open(&self) -> anyhow::Result<(Files, CertifiedKey)> {
            Files::open(self.folder.path().join("cert.pem"), self.folder.path().join("key.pem"))
        }
    }

    #[test]
    fn a_changed_certificate_is_loaded_once() {
        let scene = Scene::new();
        let (mut files, first) = scene.open().unwrap();
        assert!(matches!(files.look(), Look::Same));
        scene.issue();
        let Look::Newer(second) = files.look() else { panic!("a newer certificate was expected") };
        assert_ne!(first.cert, second.cert);
        assert!(matches!(files.look(), Look::Same));
    }

    #[test]
    fn a_half_written_pair_is_no_error_and_an_invalid_one_is_reported_once() {
        let scene = Scene::new();
        let (mut files, _) = scene.open().unwrap();
        let issued = scene.ca.issue_for_loopback();
        scene.write("cert.pem", &issued.certificate);
        assert!(matches!(files.look(), Look::Same), "the key may still follow");
        let Look::Broken(error) = files.look() else { panic!("it stays invalid") };
        assert!(error.to_string().contains("key.pem does not belong"), "{error}");
        assert!(matches!(files.look(), Look::Same), "it was reported");
        scene.write("key.pem", &issued.key);
        assert!(matches!(files.look(), Look::Newer(_)));
    }

    #[test]
    fn an_error_names_the_file_and_the_problem() {
        let scene = Scene::new();
        for (name, text, said) in [
            ("cert.pem", "", "cert.pem contains none"),
            (
                "cert.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "cert.pem is damaged",
            ),
            ("key.pem", "no key", "key.pem contains no usable key"),
        ] {
            scene.issue();
            scene.write(name, text);
            let error = scene.open().err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        fs::remove_file(scene.folder.path().join("key.pem")).unwrap();
        let error = scene.open().err().unwrap().to_string();
        assert!(error.contains("key.pem cannot be read"), "{error}");
    }
}
