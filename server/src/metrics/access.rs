//! Access to the metrics. They contain no names of repositories or users, but reveal how busy a registry is and which
//! version runs, so they are not public.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use ipnet::IpNet;
use longshore_transport::Connected;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::network::Arrival;

/// The networks where a scraper usually is: the same machine or the same private network.
pub(crate) const NEARBY: &str =
    "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10";

/// Who may read the metrics.
#[derive(Debug, Clone)]
pub(crate) struct MetricsAccess {
    /// If set, only requests with this token may read them, from anywhere.
    pub(crate) token: Option<SecretString>,
    /// Otherwise, only requests from these networks.
    pub(crate) from: Vec<IpNet>,
    /// The proxies that are trusted to report the address of the client.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Why access is denied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The token is missing or wrong.
    Token,
    /// The request is from another network.
    Elsewhere,
}

impl MetricsAccess {
    pub(super) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let headers = request.headers();
        if let Some(token) = &self.token {
            let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let given = given
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let given = given.map_or("", |(_, token)| token.trim());
            let right = bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes()));
            return if right { Ok(()) } else { Err(Refusal::Token) };
        }
        let Some(Connected { peer, tls }) = request.extensions().get::<Connected>().copied() else {
            return Err(Refusal::Elsewhere);
        };
        let within = |networks: &[IpNet], address| networks.iter().any(|network| network.contains(&address));
        // An unknown proxy would make the whole internet look like the local network.
        let by_unknown_proxy = !within(&self.trusted_proxies, peer.ip().to_canonical())
            && (headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED));
        let arrival = Arrival::new(peer.ip(), tls, headers, &self.trusted_proxies);
        let nearby = within(&self.from, arrival.peer) && !arrival.hidden && !by_unknown_proxy;
        if nearby { Ok(()) } else { Err(Refusal::Elsewhere) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Token => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"metrics\"")];
                let said = "Reading the metrics requires the token in LONGSHORE_METRICS_TOKEN, as “Authorization: Bearer …”.\n";
                (StatusCode::UNAUTHORIZED, challenge, said).into_response()
            }
            Self::Elsewhere => {
                let said = "Only the networks in metrics_from may read the metrics; add yours there, or set \
                            LONGSHORE_METRICS_TOKEN.\n";
                (StatusCode::FORBIDDEN, said).into_response()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn access(token: Option<&str>) -> MetricsAccess {
        MetricsAccess {
            token: token.map(SecretString::from),
            from: NEARBY.split(',').map(|network| network.parse().unwrap()).collect(),
            trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()],
        }
    }

    fn asked(peer: &str, headers: &[(&str, &str)]) -> Request {
        let builder =
            headers.iter().fold(Request::builder(), |builder, (name, value)| builder.header(*name, *value));
        let peer = format!("{peer}:1").parse().unwrap();
        builder.extension(Connected { peer, tls: false }).body(Body::empty()).unwrap()
    }

    #[test]
    fn local_networks_may_read_the_metrics_and_others_not_even_through_a_proxy() {
        let open = access(None);
        assert_eq!(open.check(&asked("127.0.0.1", &[])), Ok(()));
        assert_eq!(open.check(&asked("203.0.113.7", &[])), Err(Refusal::Elsewhere));
        let stranger = [("x-forwarded-for", "203.0.113.7")];
        assert_eq!(open.check(&asked("10.0.0.1", &stranger)), Err(Refusal::Elsewhere));
        assert_eq!(
            open.check(&asked("10.0.0.2", &stranger)),
            Err(Refusal::Elsewhere),
            "this proxy is not trusted"
        );
        for hidden in ["203.0.113.7:4567", "unknown", "_secret", ""] {
            let hidden = [("x-forwarded-for", hidden)];
            assert_eq!(open.check(&asked("10.0.0.1", &hidden)), Err(Refusal::Elsewhere), "{hidden:?}");
        }
        assert_eq!(open.check(&asked("10.0.0.1", &[("x-forwarded-for", "192.168.0.9")])), Ok(()));
    }

    #[test]
    fn if_a_token_is_set_only_the_token_gives_access() {
        let closed = access(Some("geheim"));
        assert_eq!(closed.check(&asked("127.0.0.1", &[])), Err(Refusal::Token));
        assert_eq!(
            closed.check(&asked("127.0.0.1", &[("authorization", "Bearer falsch")])),
            Err(Refusal::Token)
        );
        assert_eq!(closed.check(&asked("203.0.113.7", &[("authorization", "bearer geheim")])), Ok(()));
    }
}
