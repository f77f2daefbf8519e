//! Certificate authorities that are trusted for one registry: parsing and storing.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The longest text that is read, in bytes. Debian's bundle has 220,000.
const MAX_TEXT: usize = 256 * 1024;
/// The most certificates. Debian's bundle has 150.
const MAX_CERTIFICATES: usize = 250;
/// The length of lines in PEM (RFC 7468 §2).
const LINE: usize = 64;

/// The label of a certificate, and how a block begins and ends.
const LABEL: &str = "CERTIFICATE";
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Why a text was not accepted as certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The text has no certificate block.
    #[error(
        "there is no certificate in it; paste the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    )]
    Empty,
    /// The text has a private key, alone or among certificates.
    #[error(
        "it holds a private key ({0}), which belongs to the authority alone and was not stored; paste only the \
         certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    )]
    PrivateKey(String),
    /// A block with another label.
    #[error(
        "it contains a {0}, which is not a certificate; paste only blocks that begin with -----BEGIN CERTIFICATE-----"
    )]
    Other(String),
    /// A block is not a valid certificate.
    #[error("the certificate cannot be read ({0}); paste the whole PEM text of the authority")]
    Unreadable(String),
    /// The text is too long.
    #[error("the certificates have at most {MAX_TEXT} bytes in all")]
    TooLong,
    /// There are too many certificates.
    #[error("there are at most {MAX_CERTIFICATES} certificates, not {0}")]
    TooMany(usize),
}

/// Certificate authorities: at least one, each valid and without duplicates, in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Parses user input: PEM, with any text around its blocks.
    ///
    /// # Errors
    /// [`CaError`], also if valid certificates are mixed with other blocks.
    pub fn parse(text: &str) -> Result<Self, CaError> {
        if text.len() > MAX_TEXT {
            return Err(CaError::TooLong);
        }
        // Keys first: anyone who pasted one has to know.
        if let Some(key) = labels(text).find(|label| label.contains("PRIVATE KEY")) {
            return Err(CaError::PrivateKey(shown(key)));
        }
        if let Some(other) = labels(text).find(|label| *label != LABEL) {
            return Err(CaError::Other(shown(other)));
        }
        Self::read(text)
    }

    /// Parses a stored text. Older versions checked less, so anything but certificates is ignored.
    ///
    /// # Errors
    /// There is no certificate, or an invalid one.
    pub fn stored(text: &str) -> Result<Self, CaError> {
        Self::read(text)
    }

    fn read(text: &str) -> Result<Self, CaError> {
        let unreadable = |error: &dyn std::fmt::Display| CaError::Unreadable(error.to_string());
        // Blocks pasted from YAML are indented.
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let mut roots = RootCertStore::empty();
        let mut authorities: Vec<CertificateDer<'static>> = Vec::new();
        for der in CertificateDer::pem_slice_iter(lines.join("\n").as_bytes()) {
            let der = der.map_err(|error| unreadable(&error))?;
            if authorities.contains(&der) {
                continue;
            }
            // Only this parses the certificate itself.
            roots.add(der.clone()).map_err(|error| unreadable(&error))?;
            authorities.push(der);
        }
        match authorities.len() {
            0 => Err(CaError::Empty),
            1..=MAX_CERTIFICATES => Ok(Self(authorities)),
            more => Err(CaError::TooMany(more)),
        }
    }

    /// The certificates in PEM, and nothing else.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut pem = String::new();
        for der in &self.0 {
            let base64 = STANDARD.encode(der);
            // Writing to a string cannot fail, and base64 is ASCII.
            let _ = writeln!(pem, "{BEGIN}{LABEL}{DASHES}");
            for line in base64.as_bytes().chunks(LINE) {
                let _ = writeln!(pem, "{}", String::from_utf8_lossy(line));
            }
            let _ = writeln!(pem, "-----END {LABEL}{DASHES}");
        }
        pem
    }

    /// The certificates for the HTTP client.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, CaError> {
        let read = |der| Certificate::from_der(der).map_err(|error| CaError::Unreadable(error.to_string()));
        self.0.iter().map(|der| read(der)).collect()
    }
}

/// The labels of all blocks that begin in a text.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN).skip(1).map(|rest| rest.split(DASHES).next().unwrap_or_default().trim())
}

/// A label for a message, reduced to the characters that labels may have.
fn shown(label: &str) -> String {
    let plain: String = label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').take(40).collect();
    if plain.trim().is_empty() { "block without a label".to_owned() } else { plain }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_testkit::TestCa;

    use super::*;

    #[test]
    fn only_certificates_are_kept_whatever_surrounds_them() {
        let (one, other) = (TestCa::new(), TestCa::new());
        let plain = Authorities::parse(&format!("{}{}", one.pem(), other.pem())).unwrap().to_pem();
        let indented: String = one.pem().lines().map(|line| format!("\t  {line} \r\n")).collect();
        for typed in [
            plain.clone(),
            format!(
                "Bag Attributes\n</textarea><script>\n{}subject=x\n{}-- \nmail me",
                one.pem(),
                other.pem()
            ),
            format!("{indented}{}\r\n", other.pem().replace('\n', "\r\n")),
            format!("{}{}{}", one.pem(), other.pem(), one.pem()),
        ] {
            assert_eq!(Authorities::parse(&typed).unwrap().to_pem(), plain, "{typed}");
        }
        assert_eq!(Authorities::parse(&plain).unwrap().certificates().unwrap().len(), 2);
        assert!(plain.lines().all(|line| line.len() <= LINE));
    }

    #[test]
    fn anything_but_an_authority_is_rejected_by_name() {
        let ca = TestCa::new();
        assert_eq!(Authorities::parse(""), Err(CaError::Empty));
        assert_eq!(Authorities::parse("hello"), Err(CaError::Empty));
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for label in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
        ] {
            for typed in
                [block(label), format!("{}{}", ca.pem(), block(label)), block(label).replace('\n', " ")]
            {
                let refused = Authorities::parse(&typed).unwrap_err();
                assert_eq!(refused, CaError::PrivateKey(label.to_owned()), "{typed}");
                assert!(refused.to_string().contains("was not stored"), "{refused}");
            }
        }
        for label in ["CERTIFICATE REQUEST", "PUBLIC KEY", "PKCS7", "TRUSTED CERTIFICATE"] {
            let typed = format!("{}{}", block(label), ca.pem());
            assert_eq!(Authorities::parse(&typed), Err(CaError::Other(label.to_owned())));
        }
        for broken in [block("CERTIFICATE"), "-----BEGIN CERTIFICATE-----\nAAAA".to_owned()] {
            assert!(matches!(Authorities::parse(&broken), Err(CaError::Unreadable(_))), "{broken}");
        }
        assert_eq!(Authorities::parse(&" ".repeat(MAX_TEXT + 1)), Err(CaError::TooLong));
        let markup =
            Authorities::parse("-----BEGIN </textarea><script>alert(1)-----").unwrap_err().to_string();
        assert!(!markup.contains('<'), "{markup}");
    }

    #[test]
    fn a_private_key_stored_by_an_older_version_is_left_out() {
        let ca = TestCa::new();
        let issued = ca.issue(&["example.com"]);
        let kept = Authorities::stored(&format!("{}{}", issued.key, ca.pem())).unwrap().to_pem();
        assert_eq!(kept, Authorities::parse(ca.pem()).unwrap().to_pem());
        assert!(!kept.contains("KEY"));
    }
}
