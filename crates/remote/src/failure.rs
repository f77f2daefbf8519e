//! Why there was no HTTP response: the causes that a person can act on, extracted from the nested errors of the
//! HTTP client.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::AddressRefused;
use crate::network::UnknownHost;

/// Why a request got no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name does not resolve.
    #[error("there is no such host: its name has no address")]
    UnknownHost,
    #[error("it refused the connection: nothing listens on this port")]
    Refused,
    /// For example no route to the host.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The request timed out.
    #[error("it did not answer within {seconds} s")]
    Timeout { seconds: u64 },
    /// The body arrives too slowly to wait for.
    #[error("it sent only {bytes} bytes in {seconds} s")]
    TooSlow { bytes: u64, seconds: u64 },
    /// The certificate is not trusted.
    #[error("its certificate is not trusted: {0}")]
    Certificate(CertificateProblem),
    /// The port does not speak TLS.
    #[error("it does not speak TLS on this port")]
    NotTls,
    /// The port does not speak plain HTTP; usually it expects TLS.
    #[error("it does not speak plain HTTP on this port")]
    NotHttp,
    /// Any other TLS error.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// The connection ended before the response was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateProblem {
    /// The issuer is unknown.
    UnknownIssuer,
    /// It was issued for other names.
    Name {
        /// The names in the certificate; empty if unknown.
        presented: Vec<String>,
    },
    Expired,
    NotYetValid,
    /// Anything else, as described by the TLS library.
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("it is signed by an authority that is not known here"),
            Self::Name { presented } if presented.is_empty() => f.write_str("it is made for another name"),
            Self::Name { presented } => {
                write!(f, "it is made for {}, not for this name", presented.join(", "))
            }
            Self::Expired => f.write_str("it has expired"),
            Self::NotYetValid => f.write_str("it is not valid yet"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

pub(crate) enum Cause {
    Refused(AddressRefused),
    Failure(Failure),
}

/// Finds the relevant cause in an error of the HTTP client.
pub(crate) fn cause_of(error: &reqwest::Error) -> Cause {
    let mut parse_failed = false;
    for link in chain(error) {
        if let Some(refused) = link.downcast_ref::<AddressRefused>() {
            return Cause::Refused(refused.clone());
        }
        if link.is::<UnknownHost>() {
            return Cause::Failure(Failure::UnknownHost);
        }
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return Cause::Failure(from_tls(tls));
        }
        if let Some(io) = link.downcast_ref::<io::Error>()
            && let Some(failure) = from_io(io)
        {
            return Cause::Failure(failure);
        }
        // hyper's error type cannot be named here; its text for malformed responses is stable.
        parse_failed |= link.to_string().starts_with("invalid HTTP");
    }
    Cause::Failure(match () {
        () if parse_failed => Failure::NotHttp,
        () if error.is_timeout() => Failure::Timeout { seconds: crate::tls::CONNECT_TIMEOUT.as_secs() },
        () => Failure::Broken(innermost(error)),
    })
}

fn from_io(error: &io::Error) -> Option<Failure> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Failure::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Failure::Unreachable(error.to_string()))
        }
        io::ErrorKind::TimedOut if error.get_ref().is_none() => {
            Some(Failure::Timeout { seconds: crate::tls::CONNECT_TIMEOUT.as_secs() })
        }
        _ => None,
    }
}

fn from_tls(error: &rustls::Error) -> Failure {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidMessage(_) => Failure::NotTls,
        rustls::Error::InvalidCertificate(problem) => Failure::Certificate(match problem {
            C::UnknownIssuer => CertificateProblem::UnknownIssuer,
            C::NotValidForName => CertificateProblem::Name { presented: Vec::new() },
            C::NotValidForNameContext { presented, .. } => CertificateProblem::Name {
                presented: presented.iter().map(|name| plain_name(name)).collect(),
            },
            C::Expired | C::ExpiredContext { .. } => CertificateProblem::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
            other if other.to_string().contains("CaUsedAsEndEntity") => CertificateProblem::Other(
                "it is an authority's own certificate, and servers need one that an authority signed".into(),
            ),
            other => CertificateProblem::Other(other.to_string()),
        }),
        other => Failure::Tls(other.to_string()),
    }
}

/// The name in `DnsName("example.com")`, as the TLS library prints it.
fn plain_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

/// An error and all errors that it wraps.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&link| within(link))
}

/// The error that this one wraps. [`io::Error`] does not return it from `source()`.
fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The message of the innermost error, without the URL that the outer ones repeat.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
