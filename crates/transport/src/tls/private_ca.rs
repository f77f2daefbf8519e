//! The server's own certificate authority, for networks where nobody issues certificates. It is created on the first
//! start and stored in the database, with its key encrypted like the secrets of remotes. So all servers on one database
//! share one authority, and a stolen database backup alone cannot impersonate it. Certificates are issued at each
//! start, and renewed in time while the server runs.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use longshore_metadata::{Database, Priority, settings, work};
use longshore_model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The validity of the authority. Clients that trust it must trust a new one afterwards.
const AUTHORITY_DAYS: i32 = 3650;
/// The validity of server certificates; some systems accept at most 398 days.
const CERTIFICATE_DAYS: i32 = 90;
/// The age at which a server certificate is replaced.
const RENEW_AFTER_DAYS: i32 = 60;
/// The time by which the clock of a client may be slow.
const BEFORE: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct PrivateCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    names: Vec<String>,
    renew_at: Timestamp,
}

/// The authority as it is stored in the database.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    certificate: String,
    /// The private key, encrypted by the vault, in base64.
    key: String,
}

impl PrivateCa {
    /// The authority of this database; created if there is none. It issues certificates for `names`.
    pub(super) async fn load_or_create(
        db: &Database,
        names: Vec<String>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        // One authority per encryption key: with another key the stored one cannot be decrypted, and it is used again
        // when its key is.
        let id = hex::encode(&db.vault().derive("private authority")[..4]);
        let place = format!("tls_private_ca_{id}");
        let known = settings::get(&mut db.read().await?, &place).await?;
        let stored = match known {
            Some(stored) => stored,
            None => {
                let made = serde_json::to_string(&Stored::make(db, &place, now)?)?;
                let place = place.clone();
                let keep = db.write(Priority::Normal, work!(|tx| settings::put_new(tx, &place, &made).await));
                keep.await?
            }
        };
        let stored: Stored = serde_json::from_str(&stored)
            .with_context(|| format!("the private authority ({place} in the settings) cannot be read"))?;
        stored.open(db, &place, names)
    }

    /// The certificate, in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The SHA-256 fingerprint of the certificate, in the format of `openssl x509 -fingerprint -sha256`.
    pub(super) fn fingerprint(&self) -> anyhow::Result<String> {
        let certificate = CertificateDer::from_pem_slice(self.pem.as_bytes())
            .map_err(|error| anyhow!("the private authority's certificate is damaged: {error}"))?;
        let digest = Sha256::digest(&certificate);
        Ok(digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
    }

    /// Whether the next certificate should be issued.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.renew_at
    }

    /// Issues a certificate for the server, with a new key.
    pub(super) fn issue(&mut self, now: Timestamp) -> anyhow::Result<CertifiedKey> {
        let mut params = certified(self.names.clone())?;
        params.distinguished_name = named("Longshore");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, CERTIFICATE_DAYS);
        let key = KeyPair::generate().context("a TLS key cannot be generated")?;
        let certificate = params.signed_by(&key, &self.issuer).context("a certificate cannot be signed")?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!("{error}"))?;
        let provider = CryptoProvider::get_default().context("no TLS library is installed")?;
        self.renew_at = now + DAY * RENEW_AFTER_DAYS;
        Ok(CertifiedKey::from_der(vec![certificate.der().clone()], private, provider)?)
    }
}

impl Stored {
    fn make(db: &Database, place: &str, now: Timestamp) -> anyhow::Result<Self> {
        let key = KeyPair::generate().context("a TLS key cannot be generated")?;
        // Each has a unique name, because a trust store may contain several.
        let id = hex::encode(&Sha256::digest(key.public_key_raw())[..4]);
        let name = format!("Longshore private authority {id}");
        let mut params = authority_params(&name);
        valid(&mut params, now, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).context("the private authority cannot be signed")?;
        let sealed = db.vault().seal(&SecretString::from(key.serialize_pem()), place);
        Ok(Self { name, certificate: certificate.pem(), key: BASE64_STANDARD.encode(sealed) })
    }

    fn open(self, db: &Database, place: &str, names: Vec<String>) -> anyhow::Result<PrivateCa> {
        let damaged = || format!("the key of the private authority ({place} in the settings) is damaged");
        let sealed = BASE64_STANDARD.decode(&self.key).with_context(damaged)?;
        let key = db.vault().open(&sealed, place).with_context(damaged)?;
        let key = KeyPair::from_pem(key.expose_secret()).with_context(damaged)?;
        let issuer = Issuer::new(authority_params(&self.name), key);
        Ok(PrivateCa { pem: self.certificate, issuer, names, renew_at: Timestamp::MIN })
    }
}

/// Parameters of a certificate for these names and addresses.
pub(super) fn certified(names: Vec<String>) -> anyhow::Result<CertificateParams> {
    let said = names.join(", ");
    CertificateParams::new(names).map_err(|error| {
        anyhow!("tls.names: {said} cannot be certified: {error}; they are host names and IP addresses")
    })
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn valid(params: &mut CertificateParams, now: Timestamp, days: i32) {
    params.not_before = SystemTime::from(now - BEFORE).into();
    params.not_after = SystemTime::from(now + DAY * days).into();
}
