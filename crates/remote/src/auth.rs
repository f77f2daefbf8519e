//! Authority towards one registry: which scheme it asks for, and the tokens it gave. Credentials
//! go to the registry itself and to the token realm that it named, nowhere else (semantics 15).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use longshore_oci::{Challenge, Scope, parse_challenges};
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::answer::{read_body, refusal, tidy};
use crate::endpoint::{host_of, is_loopback};
use crate::transport::{Call, Transport};
use crate::{Credentials, Endpoint, Error};

/// The largest answer of a token service, in bytes.
const MAX_TOKEN_BODY: usize = 1024 * 1024;
/// How long a token lives whose service does not say (token authentication specification).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// Tokens kept before expired ones are thrown out.
const TOKENS_BEFORE_CLEANING: usize = 512;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// No credentials needed so far.
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

/// One slot per set of scopes, so that many who need the same token wait for one fetch.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

pub(crate) struct Auth {
    credentials: Option<Credentials>,
    pinned_realm: Option<String>,
    registry: Url,
    scheme: RwLock<Option<Scheme>>,
    tokens: Mutex<HashMap<String, Slot>>,
}

/// What a token service answers; without `Debug`, for it holds a secret.
#[derive(Deserialize)]
struct TokenBody {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
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

    /// What is known of how the registry wants to be asked.
    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns the scheme from an answer to a request that needs no rights.
    pub(crate) fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Result<Scheme, Error> {
        let scheme = match status {
            StatusCode::UNAUTHORIZED => self.best_challenge(headers)?.0,
            _ => Scheme::Open,
        };
        *self.scheme.write().unwrap_or_else(PoisonError::into_inner) = Some(scheme.clone());
        Ok(scheme)
    }

    /// The strongest scheme among a registry's challenges, with the scope that it names.
    fn best_challenge(&self, headers: &HeaderMap) -> Result<(Scheme, Option<String>), Error> {
        let challenges = challenges(headers);
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service, scope, .. } => Some((realm, service, scope)),
            _ => None,
        });
        if let Some((realm, service, scope)) = bearer {
            let realm = self.check_realm(realm)?;
            return Ok((Scheme::Bearer { realm, service: service.clone() }, scope.clone()));
        }
        if challenges.iter().any(|challenge| matches!(challenge, Challenge::Basic { .. })) {
            return Ok((Scheme::Basic, None));
        }
        Ok((Scheme::Open, None))
    }

    /// Whether a realm may be asked, and with credentials if there are some.
    fn check_realm(&self, realm: &str) -> Result<Url, Error> {
        let host = host_of(&self.registry);
        let refused = |reason| Error::RealmRefused { host: host.clone(), realm: named(realm), reason };
        // A relative realm breaks the specification, but can only mean the registry itself.
        let url = self.registry.join(realm).map_err(|_| refused("this is no address"))?;
        let same_host = url.host() == self.registry.host();
        let plain_ok = self.registry.scheme() == "http" && (same_host || is_loopback(&url));
        match url.scheme() {
            "https" => {}
            "http" if plain_ok => {}
            "http" => return Err(refused("a token service must be reached by https")),
            _ => return Err(refused("this is no address of a token service")),
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

    /// The Authorization header for a call, from what is known; fetches a token where the scheme
    /// asks for one.
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
                if let Some(token) = held.as_ref().filter(|token| token.good_until > Instant::now()) {
                    return Ok(Some(token.header.clone()));
                }
                let scope = scopes.iter().map(ToString::to_string).collect::<Vec<_>>();
                let token = self.fetch_token(transport, &realm, service.as_deref(), &scope).await?;
                let header = token.header.clone();
                *held = Some(token);
                Ok(Some(header))
            }
        }
    }

    /// After a 401 to a request with `used`: learns the challenge anew and fetches what it asks
    /// for. `false`: there is nothing better to send.
    pub(crate) async fn renew(
        &self,
        transport: &Transport,
        headers: &HeaderMap,
        scopes: &[Scope],
        used: Option<&HeaderValue>,
    ) -> Result<bool, Error> {
        let (scheme, wanted) = self.best_challenge(headers)?;
        *self.scheme.write().unwrap_or_else(PoisonError::into_inner) = Some(scheme.clone());
        match scheme {
            Scheme::Open => Ok(false),
            Scheme::Basic => Ok(used.is_none() && self.credentials.is_some()),
            Scheme::Bearer { realm, service } => {
                let slot = self.slot(scopes);
                let mut held = slot.lock().await;
                // Somebody else may have renewed it while we waited.
                let fresh =
                    held.as_ref().is_some_and(|t| t.good_until > Instant::now() && Some(&t.header) != used);
                if !fresh {
                    *held = None;
                    let scope = match wanted {
                        Some(scope) => scope.split_ascii_whitespace().map(ToOwned::to_owned).collect(),
                        None => scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    };
                    *held = Some(self.fetch_token(transport, &realm, service.as_deref(), &scope).await?);
                }
                Ok(true)
            }
        }
    }

    /// Forgets the token for these scopes: it was refused in the middle of something that cannot be sent twice.
    pub(crate) async fn forget(&self, scopes: &[Scope]) {
        *self.slot(scopes).lock().await = None;
    }

    fn slot(&self, scopes: &[Scope]) -> Slot {
        let mut key: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        key.sort();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() > TOKENS_BEFORE_CLEANING {
            let now = Instant::now();
            tokens.retain(|_, slot| {
                slot.try_lock().map_or(true, |held| held.as_ref().is_some_and(|token| token.good_until > now))
            });
        }
        tokens.entry(key.join(" ")).or_default().clone()
    }

    async fn fetch_token(
        &self,
        transport: &Transport,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, Error> {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
            if let Some(credentials) = &self.credentials {
                query.append_pair("account", &credentials.username);
            }
        }
        let host = host_of(realm);
        let doing = format!("fetching a token for {}", host_of(&self.registry));
        let mut call = Call::new(Method::GET, url.clone(), Vec::new(), doing.clone());
        let asked = Instant::now();
        let mut response = transport.once(&mut call, url, self.credentials.as_ref().map(basic)).await?;
        match (response.status(), &self.credentials) {
            (status, _) if status.is_success() => {}
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(credentials)) => {
                let message = refusal(response, &host, &doing).await.words();
                return Err(Error::WrongCredentials {
                    host,
                    username: credentials.username.clone(),
                    message,
                });
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
                let message = refusal(response, &host, &doing).await.words();
                return Err(Error::Unauthorized { host, doing, anonymous: true, message });
            }
            _ => return Err(Error::Refused(Box::new(refusal(response, &host, &doing).await))),
        }
        let body = read_body(&mut response, &host, &doing, MAX_TOKEN_BODY).await?;
        let bad =
            |what: &str| Error::BadAnswer { host: host.clone(), doing: doing.clone(), what: what.into() };
        let body: TokenBody = serde_json::from_slice(&body).map_err(|_| bad("no JSON with a token"))?;
        let token = body.token.or(body.access_token).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| bad("no token"))?;
        let header = secret_header(&format!("Bearer {token}"));
        let lifetime = body.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        // Renewed a little early: the clock runs from when it was asked for, and requests take time.
        let margin = (lifetime / 4).min(Duration::from_secs(30));
        let good_until = asked + lifetime.min(Duration::from_secs(24 * 3600)) - margin;
        Ok(Token { header: header.ok_or_else(|| bad("a token with illegal characters"))?, good_until })
    }
}

/// The host that a realm leads to: the rest of it is not for messages.
fn named(realm: &str) -> String {
    match Url::parse(realm) {
        Ok(url) if url.has_host() => host_of(&url),
        _ => "another place".to_owned(),
    }
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(parse_challenges).collect()
}

/// Whether an answer names a scheme that is spoken here.
pub(crate) fn has_usable_challenge(headers: &HeaderMap) -> bool {
    challenges(headers).iter().any(|challenge| !matches!(challenge, Challenge::Other { .. }))
}

/// The names of the schemes an answer asks for, for a message.
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
    use crate::Kind;

    fn auth(registry: &str, pinned: Option<&str>) -> Auth {
        let mut endpoint = Endpoint::new(Url::parse(registry).unwrap(), Kind::Other);
        endpoint.credentials = Some(Credentials { username: "me".into(), secret: "s".into() });
        endpoint.pinned_realm = pinned.map(Into::into);
        Auth::new(&endpoint)
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
    fn semantics_15_another_realm_than_the_pinned_one_is_refused() {
        let registry = auth("https://registry.example", Some("https://auth.example/token"));
        assert!(registry.check_realm("https://auth.example/token").is_ok());
        let error = registry.check_realm("https://evil.example/token").unwrap_err();
        assert!(matches!(&error, Error::RealmChanged { now, .. } if now == "https://evil.example/token"));
        assert!(!error.is_transient());
    }
}
