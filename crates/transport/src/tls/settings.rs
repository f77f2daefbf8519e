//! The settings of TLS.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use longshore_settings::{Group, parse};

/// Names and addresses; a list in one value.
type Names = Vec<String>;

/// The settings of TLS; [`TlsSettings::source`] evaluates them.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TlsSettings {
    /// The certificate with its chain, in PEM, reloaded when the file changes [default: plain HTTP]
    #[arg(value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM [default: plain HTTP]
    #[arg(value_name = "FILE")]
    key: Option<PathBuf>,
    /// Whether to serve HTTPS with the server's own certificate authority, whose certificate is served at `/ca`
    #[arg(
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = false,
        default_missing_value = "true"
    )]
    private_ca: bool,
    /// Additional names and addresses in the certificates that this authority issues, separated by commas
    /// [default: no additional names]
    #[arg(value_name = "NAMES", action = ArgAction::Append, value_parser = names, default_value = "")]
    names: Names,
}

impl Group for TlsSettings {
    const TABLE: &'static str = "tls";
    const HEADING: &'static str = "TLS";
}

fn names(text: &str) -> Result<Names, Infallible> {
    Ok(parse::items(text).map(str::to_owned).collect())
}

/// The source of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// Files that an administrator provides.
    Files {
        /// The certificate with its chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// The server's own certificate authority.
    PrivateCa {
        /// Additional names and addresses.
        names: Vec<String>,
    },
}

/// Settings that contradict each other or are incomplete.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsConflict {
    /// There are two sources of certificates.
    #[error("tls: certificate files and tls.private_ca exclude each other; remove one of them")]
    TwoSources,
    /// Names are set for an authority that is not used.
    #[error("tls.names is for certificates of tls.private_ca; set that too, or remove the names")]
    NamesWithoutAuthority,
    /// A certificate needs its key.
    #[error("tls.cert is set without tls.key, the file with its private key")]
    NoKey,
    /// A key needs its certificate.
    #[error("tls.key is set without tls.cert, the file with its certificate")]
    NoCertificate,
}

impl TlsSettings {
    /// The source of certificates; `None` for plain HTTP.
    ///
    /// # Errors
    /// The settings contradict each other or are incomplete.
    pub fn source(self) -> Result<Option<TlsSource>, TlsConflict> {
        match (self.cert, self.key, self.private_ca) {
            (Some(_), _, true) | (_, Some(_), true) => Err(TlsConflict::TwoSources),
            (_, _, false) if !self.names.is_empty() => Err(TlsConflict::NamesWithoutAuthority),
            (Some(certificate), Some(key), false) => Ok(Some(TlsSource::Files { certificate, key })),
            (Some(_), None, false) => Err(TlsConflict::NoKey),
            (None, Some(_), false) => Err(TlsConflict::NoCertificate),
            (None, None, true) => Ok(Some(TlsSource::PrivateCa { names: self.names })),
            (None, None, false) => Ok(None),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_settings::{Catalogue, read_file};
    use std::path::Path;

    fn resolve(toml: &str) -> Result<Option<TlsSource>, String> {
        let catalogue = Catalogue::default().with::<TlsSettings>();
        let file = read_file(&catalogue, Path::new("/etc/longshore/longshore.toml"), toml);
        let settings: TlsSettings = file.unwrap().group().unwrap();
        settings.source().map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_has_exactly_one_source() {
        assert_eq!(resolve(""), Ok(None));
        assert_eq!(resolve("tls.private_ca = true"), Ok(Some(TlsSource::PrivateCa { names: Vec::new() })));
        for (toml, named) in [
            ("tls.cert = 'a'", "tls.key"),
            ("tls.key = 'a'", "tls.cert"),
            ("tls = { cert = 'a', key = 'b', private_ca = true }", "exclude"),
            ("tls.names = ['registry.example']", "tls.private_ca"),
        ] {
            let error = resolve(toml).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_configuration_file() {
        let expected = TlsSource::Files { certificate: "/etc/longshore/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(resolve("tls = { cert = 'c.pem', key = '/k.pem' }"), Ok(Some(expected)));
    }
}
