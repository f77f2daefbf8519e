//! Authentication at one registry: the scheme that it requires, and its tokens. Credentials are sent only to the
//! registry itself and to the token realm that it named (semantics 15).

use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use longshore_oci::{Challenge, Scope, parse_challenges};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use url::Url;

use crate::answer::{read_body, refusal, retry_after, tidy};
use crate::endpoint::{host_of, is_loopback};
use crate::error::asks_to_wait;
use crate::token::TokenDocument;
use crate::transport::{Call, Payload, Transport};
use crate::{Credentials, Endpoint, Error};

/// The largest response of a token service, in bytes.
const MAX_TOKEN_BODY: usize = 1024 * 1024;
/// The longest that a token is used, whatever lifetime it has.
const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);
/// The most scopes of a challenge that are requested in addition to those that a request needs.
const MAX_NAMED_SCOPES: usize = 16;
/// The number of tokens kept before expired ones are removed.
const TOKENS_BEFORE_CLEANING: usize = 512;

/// The authentication scheme of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// No credentials have been required so far.
    Open,
    Basic,
    Bearer {
        realm: Url,
        service: Option<String>,
    },
}

struct Token {
    header: HeaderValue,
    good_until: Instant,
}

/// One slot per set of scopes, so that concurrent requests for the same token share one fetch.
type Slot = Arc<tokio::sync::Mutex<Held>>;

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// Scopes that the registry's challenges named in addition to those of the slot; requested with them from then on.
    named: Vec<String>,
}

impl Held {
    fn living(&self) -> Option<&Token> {
        self.token.as_ref().filter(|token| token.good_until > Instant::now())
    }
}

/// A registry's token service.
struct Service<'a> {
    realm: &'a Url,
    name: Option<&'a str>,
}

pub(crate) struct Auth {
    credentials: Option<Credentials>,
    pinned_realm: Option<String>,
    registry: Url,
    scheme: RwLock<Option<Scheme>>,
    tokens: Mutex<HashMap<String, Slot>>,
}

impl Auth {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        Self {
            credentials: endpoint.credentials.clone(),
            pinned_realm: endpoint.pinned_realm.clone(),
            registry: endpoint.api(),
            scheme: RwLock::new(None),
            tokens: Mutex::default(),
        }
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The scheme, once known.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme.read().clone()
    }

    /// Learns the scheme from the response to a request that needs no permissions.
    pub(crate) fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Result<Scheme, Error> {
        let scheme = match status {
            StatusCode::UNAUTHORIZED => self.best_challenge(headers)?.map_or(Scheme::Open, |found| found.0),
            _ => Scheme::Open,
        };
        self.note(&scheme);
        Ok(scheme)
    }

    fn note(&self, scheme: &Scheme) {
        *self.scheme.write() = Some(scheme.clone());
    }

    /// The strongest scheme among the challenges of a registry, with the scope that it names; `None` if none is
    /// supported.
    fn best_challenge(&self, headers: &HeaderMap) -> Result<Option<(Scheme, Option<String>)>, Error> {
        let challenges = challenges(headers);
        let mut refused = None;
        for challenge in &challenges {
            let Challenge::Bearer { realm, service, scope, .. } = challenge else { continue };
            match self.check_realm(realm) {
                Ok(realm) => {
                    return Ok(Some((Scheme::Bearer { realm, service: service.clone() }, scope.clone())));
                }
                Err(changed @ Error::RealmChanged { .. }) => return Err(changed),
                Err(error) => refused = Some(error),
            }
        }
        if challenges.iter().any(|challenge| matches!(challenge, Challenge::Basic { .. })) {
            return Ok(Some((Scheme::Basic, None)));
        }
        refused.map_or(Ok(None), Err)
    }

    /// The URL of a realm, if requests, possibly with credentials, may be sent to it.
    fn check_realm(&self, realm: &str) -> Result<Url, Error> {
        let host = host_of(&self.registry);
        let refused = |reason| Error::RealmRefused { host: host.clone(), realm: named(realm), reason };
        // A relative realm violates the specification, but can only mean the registry itself.
        let url = self.registry.join(realm).map_err(|_| refused("this is not a URL"))?;
        let same_host = url.host() == self.registry.host();
        let plain_ok = self.registry.scheme() == "http" && (same_host || is_loopback(&url));
        match url.scheme() {
            "https" => {}
            "http" if plain_ok => {}
            "http" => return Err(refused("a token service must be reached by https")),
            _ => return Err(refused("this is not the address of a token service")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("the address has credentials in it"));
        }
        match &self.pinned_realm {
            Some(pinned)
                if self.credentials.is_some() && self.registry.join(pinned).ok() != Some(url.clone()) =>
            {
                Err(Error::RealmChanged { host, pinned: pinned.clone(), now: tidy(url.as_str()) })
            }
            _ => Ok(url),
        }
    }

    /// The `Authorization` header for a call, if the scheme is known. Fetches a token if the scheme requires one.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        scopes: &[Scope],
    ) -> Result<Option<HeaderValue>, Error> {
        match self.scheme() {
            None | Some(Scheme::Open) => Ok(None),
            Some(Scheme::Basic) => Ok(self.credentials.as_ref().map(basic)),
            Some(Scheme::Bearer { realm, service }) => {
                let slot = self.slot(scopes);
                let mut held = slot.lock().await;
                if let Some(token) = held.living() {
                    return Ok(Some(token.header.clone()));
                }
                let service = Service { realm: &realm, name: service.as_deref() };
                let token = self.token_for(transport, &service, scopes, &held.named).await?;
                let header = token.header.clone();
                held.token = Some(token);
                Ok(Some(header))
            }
        }
    }

    /// After a 401 to a request with `used`: reads the challenge again and fetches the token that it requires. Returns
    /// `false` if there is nothing better to send.
    pub(crate) async fn renew(
        &self,
        transport: &Transport,
        headers: &HeaderMap,
        scopes: &[Scope],
        used: Option<&HeaderValue>,
    ) -> Result<bool, Error> {
        let (scheme, wanted) = match (self.best_challenge(headers)?, self.scheme()) {
            (Some(found), _) => found,
            // A 401 without a challenge: the known scheme is tried again, and otherwise credentials are offered to the
            // registry itself.
            (None, Some(known @ (Scheme::Bearer { .. } | Scheme::Basic))) => (known, None),
            (None, _) if self.credentials.is_some() => (Scheme::Basic, None),
            (None, _) => (Scheme::Open, None),
        };
        self.note(&scheme);
        match scheme {
            Scheme::Open => Ok(false),
            Scheme::Basic => {
                Ok(self.credentials.as_ref().map(basic).as_ref().is_some_and(|own| used != Some(own)))
            }
            Scheme::Bearer { realm, service } => {
                let slot = self.slot(scopes);
                let mut held = slot.lock().await;
                // Another request may have renewed it in the meantime.
                if held.living().is_some_and(|token| Some(&token.header) != used) {
                    return Ok(true);
                }
                held.token = None;
                if let Some(wanted) = wanted {
                    held.named = beyond(scopes, &wanted);
                }
                let service = Service { realm: &realm, name: service.as_deref() };
                let token = self.token_for(transport, &service, scopes, &held.named).await?;
                held.token = Some(token);
                Ok(true)
            }
        }
    }

    /// Forgets the token for these scopes, after it was rejected during a request that cannot be repeated.
    pub(crate) async fn forget(&self, scopes: &[Scope]) {
        self.slot(scopes).lock().await.token = None;
    }

    /// A token for the scopes that a request needs and those that the registry named in addition. Some services reject
    /// the whole request if one scope is not granted; then only the needed scopes are requested.
    async fn token_for(
        &self,
        transport: &Transport,
        service: &Service<'_>,
        scopes: &[Scope],
        named: &[String],
    ) -> Result<Token, Error> {
        let needed: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        if named.is_empty() {
            return self.fetch_token(transport, service, &needed).await;
        }
        let all = [&needed[..], named].concat();
        match self.fetch_token(transport, service, &all).await {
            Err(Error::Unauthorized { .. }) => self.fetch_token(transport, service, &needed).await,
            fetched => fetched,
        }
    }

    fn slot(&self, scopes: &[Scope]) -> Slot {
        let mut key: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        key.sort();
        let mut tokens = self.tokens.lock();
        if tokens.len() > TOKENS_BEFORE_CLEANING {
            let now = Instant::now();
            tokens.retain(|_, slot| {
                slot.try_lock()
                    .map_or(true, |held| held.token.as_ref().is_some_and(|token| token.good_until > now))
            });
        }
        tokens.entry(key.join(" ")).or_default().clone()
    }

    /// Fetches a token as Docker does, by GET with Basic credentials. If the service does not support that (404, 405),
    /// uses the password grant of OAuth 2.
    async fn fetch_token(
        &self,
        transport: &Transport,
        service: &Service<'_>,
        scopes: &[String],
    ) -> Result<Token, Error> {
        let host = host_of(service.realm);
        let doing = format!("fetching a token for {}", host_of(&self.registry));
        let asked = Instant::now();
        let mut call = self.token_by_get(service, scopes, &doing);
        let mut response = transport.follow(&mut call, self.credentials.as_ref().map(basic)).await?.response;
        let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
        if let Some(credentials) = self.credentials.as_ref().filter(|_| unknown.contains(&response.status()))
        {
            let mut call = token_by_post(service, scopes, credentials, &doing);
            response = transport.follow(&mut call, None).await?.response;
        }
        match (response.status(), &self.credentials) {
            (status, _) if status.is_success() => {}
            (StatusCode::UNAUTHORIZED, Some(credentials)) => {
                let message = refusal(response, &host, &doing).await.words();
                return Err(Error::WrongCredentials {
                    host,
                    username: credentials.username.clone(),
                    message,
                });
            }
            // The scope is rejected, not the password.
            (status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), credentials)
                if !asks_to_wait(status, retry_after(response.headers())) =>
            {
                let message = refusal(response, &host, &doing).await.words();
                return Err(Error::Unauthorized { host, doing, anonymous: credentials.is_none(), message });
            }
            // Includes 429 and 503, which mean overload and not a wrong password.
            _ => return Err(Error::Refused(Box::new(refusal(response, &host, &doing).await))),
        }
        let body = read_body(&mut response, &host, &doing, MAX_TOKEN_BODY).await?;
        let bad =
            |what: &str| Error::BadAnswer { host: host.clone(), doing: doing.clone(), what: what.into() };
        let TokenDocument { token, lifetime } = TokenDocument::parse(&body).map_err(bad)?;
        let header = secret_header(&format!("Bearer {token}"));
        // Renewed a little early: the lifetime begins with the request, and requests take time.
        let margin = (lifetime / 4).min(Duration::from_secs(30));
        let good_until = asked + lifetime.min(LONGEST_USE) - margin;
        Ok(Token { header: header.ok_or_else(|| bad("a token with illegal characters"))?, good_until })
    }

    fn token_by_get(&self, service: &Service<'_>, scopes: &[String], doing: &str) -> Call {
        let mut url = service.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(name) = service.name {
                query.append_pair("service", name);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
            if let Some(credentials) = &self.credentials {
                query.append_pair("account", &credentials.username);
            }
        }
        Call::new(Method::GET, url, Vec::new(), doing.to_owned()).stays()
    }
}

/// The host of a realm; the rest must not appear in messages.
fn named(realm: &str) -> String {
    match Url::parse(realm) {
        Ok(url) if url.has_host() => host_of(&url),
        _ => "another place".to_owned(),
    }
}

fn token_by_post(service: &Service<'_>, scopes: &[String], credentials: &Credentials, doing: &str) -> Call {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "password").append_pair("client_id", "longshore");
    if let Some(name) = service.name {
        form.append_pair("service", name);
    }
    form.append_pair("scope", &scopes.join(" "))
        .append_pair("username", &credentials.username)
        .append_pair("password", credentials.secret.expose_secret());
    Call::new(Method::POST, service.realm.clone(), Vec::new(), doing.to_owned())
        .stays()
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .payload(Payload::Bytes(form.finish().into()))
}

/// The scopes of a challenge that a request does not have already. They are added and never replace the request's
/// own: some registries name only `pull` on a push, and others use a different name for the repository.
fn beyond(scopes: &[Scope], named: &str) -> Vec<String> {
    let covered = |text: &str| match text.parse::<Scope>() {
        Ok(Scope::Repository { name, actions }) => scopes.iter().any(|needed| match needed {
            Scope::Repository { name: own, actions: have } => *own == name && actions.is_subset(have),
            Scope::Catalog => false,
        }),
        Ok(Scope::Catalog) => scopes.contains(&Scope::Catalog),
        // A type of scope that is not known here is passed on as it is.
        Err(_) => false,
    };
    let named = named.split_ascii_whitespace().filter(|text| !covered(text));
    named.take(MAX_NAMED_SCOPES).map(ToOwned::to_owned).collect()
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(parse_challenges).collect()
}

/// Whether a response names a supported scheme.
pub(crate) fn has_usable_challenge(headers: &HeaderMap) -> bool {
    challenges(headers).iter().any(|challenge| !matches!(challenge, Challenge::Other { .. }))
}

/// The names of the schemes that a response offers, for a message.
pub(crate) fn scheme_names(headers: &HeaderMap) -> Vec<String> {
    let name = |challenge| match challenge {
        Challenge::Basic { .. } => "Basic".to_owned(),
        Challenge::Bearer { .. } => "Bearer".to_owned(),
        Challenge::Other { scheme } => scheme,
    };
    challenges(headers).into_iter().map(name).collect()
}

pub(crate) fn basic(credentials: &Credentials) -> HeaderValue {
    let pair = format!("{}:{}", credentials.username, credentials.secret.expose_secret());
    secret_header(&format!("Basic {}", BASE64.encode(pair))).expect("base64 has legal characters only")
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::RemoteKind;

    fn auth(registry: &str, pinned: Option<&str>) -> Auth {
        let mut endpoint = Endpoint::new(Url::parse(registry).unwrap(), RemoteKind::Other);
        endpoint.credentials = Some(Credentials { username: "me".into(), secret: "s".into() });
        endpoint.pinned_realm = pinned.map(Into::into);
        Auth::new(&endpoint)
    }

    #[test]
    fn semantics_40_the_scope_in_a_challenge_is_added_and_never_replaces() {
        let name: longshore_oci::RemoteName = "dev/web".parse().unwrap();
        let push =
            [Scope::repository(name, [longshore_oci::ScopeAction::Pull, longshore_oci::ScopeAction::Push])];
        let none: [&str; 0] = [];
        for named in ["", "repository:dev/web:pull", "repository:dev/web:push,pull repository:dev/web:pull"] {
            assert_eq!(beyond(&push, named), none, "{named}");
        }
        let wider =
            "repository:dev/web:pull,push,delete repository:inner/dev/web:pull registry:catalog:* odd";
        assert_eq!(beyond(&push, wider), wider.split(' ').collect::<Vec<_>>());
        assert_eq!(beyond(&push, &"odd ".repeat(99)).len(), MAX_NAMED_SCOPES);
    }

    #[test]
    fn semantics_40_the_strongest_challenge_that_can_be_followed_is_taken() {
        let best = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
            }
            auth("https://registry.example", None)
                .best_challenge(&headers)
                .map(|found| found.map(|found| found.0))
        };
        let bearer = |realm: &str| Scheme::Bearer { realm: Url::parse(realm).unwrap(), service: None };
        let is = |values: &[&'static str], scheme: Option<Scheme>| assert_eq!(best(values).unwrap(), scheme);
        is(&[], None);
        is(&["Negotiate", "NTLM"], None);
        is(&["Basic realm=\"a, b\"", "BEARER Realm=/token"], Some(bearer("https://registry.example/token")));
        is(&["Basic realm=x, Bearer realm=\"https://a/t\""], Some(bearer("https://a/t")));
        // The first one is not usable.
        is(&["Bearer realm=\"http://a/t\", Basic realm=x"], Some(Scheme::Basic));
        is(&["Bearer realm=\"http://a/t\"", "Bearer realm=\"https://a/t\""], Some(bearer("https://a/t")));
        assert!(matches!(best(&["Bearer realm=\"http://a/t\""]), Err(Error::RealmRefused { .. })));
    }

    #[test]
    fn semantics_15_credentials_never_go_from_https_to_http() {
        let registry = auth("https://registry.example", None);
        assert!(registry.check_realm("https://auth.example/token").is_ok());
        assert!(registry.check_realm("/token").is_ok());
        for realm in ["http://registry.example/token", "http://localhost/token", "ftp://x/", "https://a:b@x/"]
        {
            assert!(matches!(registry.check_realm(realm), Err(Error::RealmRefused { .. })), "{realm}");
        }
    }

    #[test]
    fn semantics_15_a_plain_registry_may_name_itself_or_this_machine() {
        let registry = auth("http://registry.example:5000", None);
        for realm in
            ["http://registry.example/token", "http://127.0.0.1:1/token", "https://auth.example/token"]
        {
            assert!(registry.check_realm(realm).is_ok(), "{realm}");
        }
        assert!(registry.check_realm("http://auth.example/token").is_err());
    }

    #[test]
    fn semantics_15_a_realm_other_than_the_pinned_one_is_refused() {
        let registry = auth("https://registry.example", Some("https://auth.example/token"));
        assert!(registry.check_realm("https://auth.example/token").is_ok());
        let error = registry.check_realm("https://evil.example/token").unwrap_err();
        assert!(matches!(&error, Error::RealmChanged { now, .. } if now == "https://evil.example/token"));
        assert!(!error.is_transient());
    }
}
