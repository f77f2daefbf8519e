//! Why no HTTP answer came: the causes that a person can do something about, dug out of the
//! client's nested errors.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::AddressRefused;
use crate::network::UnknownHost;

/// What kept a request from being answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its name has no address.
    #[error("there is no such host: its name has no address")]
    UnknownHost,
    /// Nothing listens on the port.
    #[error("it refused the connection: nothing listens on this port")]
    Refused,
    /// No route, no network.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Too slow, in seconds.
    #[error("it did not answer within {seconds} s")]
    Timeout {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It answered, but its answer comes too slowly to wait for.
    #[error("it sent only {bytes} bytes in {seconds} s")]
    TooSlow {
        /// How much came.
        bytes: u64,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The certificate is not to be trusted.
    #[error("its certificate is not trusted: {0}")]
    Certificate(CertificateProblem),
    /// TLS was spoken to something that does not.
    #[error("it does not speak TLS on this port")]
    NotTls,
    /// HTTP was spoken to something that does not; usually it wants TLS.
    #[error("it does not speak plain HTTP on this port")]
    NotHttp,
    /// TLS failed otherwise.
    #[error("no TLS connection came about: {0}")]
    Tls(String),
    /// The connection ended before the answer did.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateProblem {
    /// Signed by nobody that is known here.
    UnknownIssuer,
    /// Made for other names.
    Name {
        /// The names in the certificate; may be empty where unknown.
        presented: Vec<String>,
    },
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// Anything else, in the words of the TLS library.
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

/// What an error turned out to be.
pub(crate) enum Cause {
    Refused(AddressRefused),
    Failure(Failure),
}

/// Finds the cause that matters in a client's error.
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
        // hyper's own type is not ours to name; its words for unreadable answers are stable.
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

/// `DnsName("example.com")`, as the TLS library prints it, without its wrapping.
fn plain_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

/// An error and all that it wraps.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&link| within(link))
}

/// What an error wraps. An [`io::Error`] hides that from `source()`.
fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// The words of the deepest error, without the URL that the outer ones repeat.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
