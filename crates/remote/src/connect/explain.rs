//! Errors of the first contact as findings: which check failed, what to do, in which field.

use longshore_model::connect::{Check, CheckKind, CheckStatus};

use crate::{CertificateProblem, Endpoint, Error, Failure};

pub(super) const HOST: &str = "remoteHost";
pub(super) const USERNAME: &str = "username";
pub(super) const PASSWORD: &str = "password";
pub(super) const REPOSITORY: &str = "remoteRepository";
pub(super) const CA: &str = "remoteCA";
pub(super) const PROXY: &str = "proxy";

/// A failed check.
pub(super) fn failed(
    kind: CheckKind,
    message: impl Into<String>,
    remedy: impl Into<Option<String>>,
    field: Option<&str>,
) -> Check {
    let (message, remedy, field) = (message.into(), remedy.into(), field.map(str::to_owned));
    Check { kind, status: CheckStatus::Failed, message, remedy, field }
}

/// The finding for an error that kept the first request from being answered.
pub(super) fn unreachable(error: &Error, endpoint: &Endpoint) -> Check {
    let host = endpoint.host();
    match error {
        Error::Network { host: at, failure, .. } => network(at, failure, endpoint),
        Error::AddressRefused(refused) => {
            let is_host = |url: &url::Url| {
                url.host_str().is_some_and(|host| host.trim_matches(['[', ']']) == refused.host)
            };
            let of_proxy = endpoint.proxy.as_ref().is_some_and(is_host) && !is_host(&endpoint.url);
            let field = if of_proxy { PROXY } else { HOST };
            failed(CheckKind::Reachable, refused.to_string(), refused.reason.remedy().to_owned(), Some(field))
        }
        Error::Ca(problem) => failed(
            CheckKind::Tls,
            format!("The certificate authority given for {host} is not usable: {problem}"),
            "Paste the authority's certificate in PEM form".to_owned(),
            Some(CA),
        ),
        Error::Settings(problem) => failed(
            CheckKind::Reachable,
            format!("No connection to {host} can be made with these settings: {problem}"),
            None,
            endpoint.proxy.as_ref().map_or(Some(HOST), |_| Some(PROXY)),
        ),
        other => failed(CheckKind::Reachable, other.to_string(), None, Some(HOST)),
    }
}

fn network(host: &str, failure: &Failure, endpoint: &Endpoint) -> Check {
    let port = endpoint.url.port_or_known_default().unwrap_or_default();
    let url = &endpoint.url;
    let other = |scheme: &str| {
        // The default port of one scheme means nothing to the other.
        format!("{scheme}://{}", crate::endpoint::host_of(url))
    };
    let via = endpoint
        .proxy
        .as_ref()
        .map(|proxy| format!(" (through the proxy {})", crate::endpoint::host_of(proxy)))
        .unwrap_or_default();
    let (kind, message, remedy, field) = match failure {
        Failure::UnknownHost => (
            CheckKind::Reachable,
            format!("There is no host named {host}{via}: its name has no address"),
            "Check the spelling, and that this server's name service knows it".to_owned(),
            HOST,
        ),
        Failure::Refused => (
            CheckKind::Reachable,
            format!("{host} refused the connection{via}: nothing listens on port {port}"),
            "Check the port, and that the registry is running".to_owned(),
            HOST,
        ),
        Failure::Timeout { seconds } => (
            CheckKind::Reachable,
            format!("{host} did not answer within {seconds} s{via}"),
            "Check the address, and that no firewall stands between".to_owned(),
            HOST,
        ),
        Failure::TooSlow { bytes, seconds } => (
            CheckKind::Reachable,
            format!("{host} sent only {bytes} bytes in {seconds} s{via}"),
            "Check the network between, and the load of the registry".to_owned(),
            HOST,
        ),
        Failure::Certificate(problem) => return certificate(host, problem),
        Failure::NotTls => (
            CheckKind::Tls,
            format!("{host} does not speak TLS on port {port}; it seems to be plain HTTP"),
            format!("If that is intended, write {}", other("http")),
            HOST,
        ),
        Failure::NotHttp => (
            CheckKind::Reachable,
            format!("{host} does not speak plain HTTP on port {port}; it seems to want TLS"),
            format!("Write {}", other("https")),
            HOST,
        ),
        Failure::Tls(reason) => (
            CheckKind::Tls,
            format!("{host} and Longshore could not agree on a TLS connection: {reason}"),
            "Check that this port is the registry's, and that it speaks TLS 1.2 or 1.3".to_owned(),
            HOST,
        ),
        Failure::Unreachable(reason) | Failure::Broken(reason) => (
            CheckKind::Reachable,
            format!("{host} cannot be reached{via}: {reason}"),
            "Check the address, and that this server may reach it".to_owned(),
            HOST,
        ),
    };
    failed(kind, message, remedy, Some(field))
}

fn certificate(host: &str, problem: &CertificateProblem) -> Check {
    let message = format!("The certificate of {host} is not trusted: {problem}");
    let (remedy, field) = match problem {
        CertificateProblem::UnknownIssuer | CertificateProblem::Other(_) => {
            ("Paste the certificate of the registry's own authority under Advanced, or skip verification", CA)
        }
        CertificateProblem::Name { .. } => {
            ("Use the name that the certificate is made for, or skip verification under Advanced", HOST)
        }
        CertificateProblem::Expired => {
            ("Have the registry's certificate renewed, or skip verification under Advanced", HOST)
        }
        CertificateProblem::NotYetValid => ("Check the clocks of this server and of the registry", HOST),
    };
    failed(CheckKind::Tls, message, remedy.to_owned(), Some(field))
}
