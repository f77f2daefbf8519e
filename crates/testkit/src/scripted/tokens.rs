//! The token service of a scripted registry: each token is valid for the requested scopes, and each request is
//! checked for the scope that it needs.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use super::{Asked, Reply, reply};

type Document = Box<dyn Fn(&str, &[String]) -> Reply + Send + Sync>;
type Challenge = Box<dyn Fn(&Denied) -> Vec<String> + Send + Sync>;
type Grant = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A request that is rejected.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The URL of the token service.
    pub realm: String,
    /// The scope that the request needs, such as `repository:up/app:pull`; `None` for the ping.
    pub scope: Option<String>,
    /// `invalid_token` or `insufficient_scope`, if the request has a token.
    pub error: Option<&'static str>,
}

/// The token service.
pub struct Tokens {
    account: Option<(String, String)>,
    document: Document,
    challenge: Challenge,
    grant: Grant,
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    count: u64,
    /// The scopes of each valid token.
    living: HashMap<String, Vec<String>>,
    asked: Vec<Vec<String>>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// A service that issues tokens to everyone for five minutes, for all requested scopes.
    pub fn new() -> Self {
        Self {
            account: None,
            document: Box::new(|token, _| reply(200).json(&json!({"token": token, "expires_in": 300}))),
            challenge: Box::new(|denied| vec![challenge(denied)]),
            grant: Box::new(|_| true),
            issued: Mutex::default(),
        }
    }

    /// Issues tokens to this account only.
    #[must_use]
    pub fn account(mut self, username: &str, password: &str) -> Self {
        self.account = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Sets the response to token requests, given the token and the requested scopes.
    #[must_use]
    pub fn document(mut self, make: impl Fn(&str, &[String]) -> Reply + Send + Sync + 'static) -> Self {
        self.document = Box::new(make);
        self
    }

    /// Sets the `WWW-Authenticate` headers of a 401.
    #[must_use]
    pub fn challenge(mut self, make: impl Fn(&Denied) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.challenge = Box::new(make);
        self
    }

    /// Silently leaves scopes out of its tokens.
    #[must_use]
    pub fn grant(mut self, grants: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.grant = Box::new(grants);
        self
    }

    fn issued(&self) -> std::sync::MutexGuard<'_, Issued> {
        self.issued.lock().expect("no test panics in here")
    }

    pub(super) fn kill(&self) {
        self.issued().living.clear();
    }

    pub(super) fn asked(&self) -> Vec<Vec<String>> {
        self.issued().asked.clone()
    }

    /// Issues a token for a GET with a query, or for a POST with a form.
    pub(super) fn issue(&self, asked: &Asked) -> Reply {
        let body = asked.body();
        let given = if asked.method == Method::POST { &body[..] } else { asked.query.as_bytes() };
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(given).into_owned().collect();
        let find = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if let Some((username, password)) = &self.account {
            let basic = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
            let by_form =
                find("username").as_ref() == Some(username) && find("password").as_ref() == Some(password);
            if asked.authorization() != Some(&basic) && !by_form {
                return reply(401).json(&json!({"details": "incorrect username or password"}));
            }
        }
        let scopes = pairs.iter().filter(|(key, _)| key == "scope");
        let scopes: Vec<String> = scopes
            .flat_map(|(_, value)| value.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>())
            .collect();
        let mut issued = self.issued();
        issued.count += 1;
        let token = format!("t{}", issued.count);
        issued.asked.push(scopes.clone());
        let granted = scopes.iter().filter(|scope| (self.grant)(scope)).cloned().collect();
        issued.living.insert(token.clone(), granted);
        drop(issued);
        (self.document)(&token, &scopes)
    }

    /// The response if the request is rejected.
    pub(super) fn refuse(&self, asked: &Asked, url: &str) -> Option<Reply> {
        let token = asked.authorization().and_then(|value| {
            let (kind, token) = value.split_once(' ')?;
            kind.eq_ignore_ascii_case("bearer").then(|| token.to_owned())
        });
        let needed = needed(asked);
        let error = match &token {
            None => None,
            Some(token) => match self.issued().living.get(token) {
                None => Some("invalid_token"),
                Some(scopes) if needed.as_ref().is_none_or(|needed| allowed(scopes, needed)) => return None,
                Some(_) => Some("insufficient_scope"),
            },
        };
        let scope = needed.map(|(repository, action)| match action {
            "push" => format!("repository:{repository}:pull,push"),
            action => format!("repository:{repository}:{action}"),
        });
        let denied = Denied { realm: format!("{url}/token"), scope, error };
        let answer = reply(401).error("UNAUTHORIZED", "authentication required");
        Some(
            (self.challenge)(&denied)
                .iter()
                .fold(answer, |answer, value| answer.header("www-authenticate", value)),
        )
    }
}

fn challenge(denied: &Denied) -> String {
    let mut value = format!(r#"Bearer realm="{}",service="scripted""#, denied.realm);
    for (name, given) in [("scope", denied.scope.as_deref()), ("error", denied.error)] {
        if let Some(given) = given {
            value.push_str(&format!(r#",{name}="{given}""#));
        }
    }
    value
}

/// The repository and the action that a request needs.
fn needed(asked: &Asked) -> Option<(String, &'static str)> {
    let rest = asked.path.strip_prefix("/v2/")?;
    let words = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    let end = words.iter().filter_map(|word| rest.rfind(word)).max()?;
    let name = &rest[..end];
    let action = match asked.method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE if !rest.contains("/uploads/") => "delete",
        _ => "push",
    };
    Some((name.to_owned(), action))
}

fn allowed(scopes: &[String], (repository, action): &(String, &'static str)) -> bool {
    scopes.iter().any(|scope| {
        let mut parts = scope.splitn(3, ':');
        parts.next() == Some("repository")
            && parts.next() == Some(repository)
            && parts.next().is_some_and(|actions| actions.split(',').any(|found| found == *action))
    })
}
