//! What can be set about TLS.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde::Deserialize;

/// The options, where somebody has set them. In the configuration file they are the table `tls`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// Serve HTTPS with this certificate and its chain, in PEM; read anew when the file changes
    #[arg(id = "tls_cert", long = "tls-cert", env = "LONGSHORE_TLS_CERT", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(id = "tls_key", long = "tls-key", env = "LONGSHORE_TLS_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Serve HTTPS with certificates of a private authority that the server makes itself; clients find
    /// its certificate at /ca [default: false]
    #[arg(
        id = "tls_private_ca",
        long = "tls-private-ca",
        env = "LONGSHORE_TLS_PRIVATE_CA",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    private_ca: Option<bool>,
    /// More names and addresses for the private authority's certificates, separated by commas
    #[arg(
        id = "tls_names",
        long = "tls-names",
        env = "LONGSHORE_TLS_NAMES",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    names: Option<Vec<String>>,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSettings {
    /// Files of the administrator's.
    Files {
        /// The certificate with its chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// An authority of the server's own.
    PrivateCa {
        /// Names and addresses beyond those that the server knows of.
        names: Vec<String>,
    },
}

impl TlsOptions {
    /// These options, and `other` where they say nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            cert: self.cert.or(other.cert),
            key: self.key.or(other.key),
            private_ca: self.private_ca.or(other.private_ca),
            names: self.names.or(other.names),
        }
    }

    /// Paths in a file are meant from where the file is.
    pub fn relative_to(self, folder: &Path) -> Self {
        let place = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        Self { cert: place(self.cert), key: place(self.key), ..self }
    }

    /// Where certificates come from; none: the server speaks plain HTTP.
    pub fn resolve(self) -> anyhow::Result<Option<TlsSettings>> {
        let names: Vec<String> = self
            .names
            .unwrap_or_default()
            .into_iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        match (self.cert, self.key, self.private_ca.unwrap_or(false)) {
            (Some(_), _, true) | (_, Some(_), true) => {
                bail!("tls: certificate files and tls.private_ca exclude each other; keep one of them")
            }
            (_, _, false) if !names.is_empty() => {
                bail!("tls.names is for certificates of tls.private_ca; set that too, or leave the names out")
            }
            (Some(certificate), Some(key), false) => Ok(Some(TlsSettings::Files { certificate, key })),
            (Some(_), None, false) => bail!("tls.cert is set without tls.key, the file with its private key"),
            (None, Some(_), false) => bail!("tls.key is set without tls.cert, the file with its certificate"),
            (None, None, true) => Ok(Some(TlsSettings::PrivateCa { names })),
            (None, None, false) => Ok(None),
        }
    }
}

impl std::fmt::Display for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files { certificate, key } => write!(f, "{}, key {}", certificate.display(), key.display()),
            Self::PrivateCa { names } if names.is_empty() => f.write_str("private authority"),
            Self::PrivateCa { names } => write!(f, "private authority, also for {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resolve(toml: &str) -> Result<Option<TlsSettings>, String> {
        toml::from_str::<TlsOptions>(toml).unwrap().resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_comes_from_one_source() {
        assert_eq!(resolve(""), Ok(None));
        assert_eq!(resolve("private_ca = true"), Ok(Some(TlsSettings::PrivateCa { names: Vec::new() })));
        for (toml, named) in [
            ("cert = 'a'", "tls.key"),
            ("key = 'a'", "tls.cert"),
            ("cert = 'a'\nkey = 'b'\nprivate_ca = true", "exclude"),
            ("names = ['registry.example']", "tls.private_ca"),
        ] {
            let error = resolve(toml).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn files_are_meant_from_where_the_configuration_is() {
        let options: TlsOptions = toml::from_str("cert = 'c.pem'\nkey = '/k.pem'").unwrap();
        let settings = options.relative_to(Path::new("/etc/longshore")).resolve().unwrap().unwrap();
        let expected =
            TlsSettings::Files { certificate: "/etc/longshore/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(settings, expected);
    }
}
