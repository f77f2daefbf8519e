//! The token service: exchanges credentials for a token with those of the requested scopes that are granted. Supports
//! GET as sent by Docker clients, and POST as in OAuth 2 (RFC 6749 §4.3).

use crate::Registry;
use crate::body;
use crate::dispatch::json;
use crate::error::Failure;
use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use longshore_access::{AuthError, Credential, Permission, RequestActor, Via};
use longshore_metadata::repositories;
use longshore_model::Actor;
use longshore_oci::ScopeAction;
use longshore_oci::{ErrorCode, RepositoryName, Scope, TokenRequest, TooManyScopes};
use serde_json::json;

/// The maximum size of a token request, in bytes.
const MAX_FORM: usize = 64 * 1024;

impl Registry {
    /// `/v2/token` and `/auth/token`.
    pub(crate) async fn token(
        &self,
        who: &RequestActor,
        request: &Parts,
        body: Body,
    ) -> Result<Response, Failure> {
        let ((actor, credential), scopes) = match request.method {
            Method::GET => {
                let query = request.uri.query().unwrap_or_default();
                (proven(who), TokenRequest::parse(query.as_bytes()).map_err(too_many)?.scopes)
            }
            Method::POST => {
                let form = body::whole(body, MAX_FORM).await?.ok_or_else(|| {
                    Failure::new(ErrorCode::SizeInvalid, "the token request is too long")
                        .status(StatusCode::PAYLOAD_TOO_LARGE)
                })?;
                let asked = TokenRequest::parse(&form).map_err(too_many)?;
                (self.password_grant(who, &asked).await?, asked.scopes)
            }
            _ => {
                let failure =
                    Failure::new(ErrorCode::Unsupported, "the token service supports only GET and POST");
                return Err(failure.header(header::ALLOW, HeaderValue::from_static("GET, POST")));
            }
        };
        let granted = self.grant(&actor, scopes).await?;
        let (token, lifetime) = self.access.issue_token(credential.as_ref(), &granted);
        let mut response = json(&json!({
            "token": token,
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "issued_at": self.clock.now().to_string(),
        }));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    async fn password_grant(
        &self,
        who: &RequestActor,
        asked: &TokenRequest,
    ) -> Result<(Actor, Option<Credential>), Failure> {
        match asked.grant_type.as_deref() {
            Some("password") => {}
            other => {
                let message = format!(
                    "the grant type {:?} is not supported; use password, or GET with Basic credentials",
                    other.unwrap_or_default()
                );
                return Err(Failure::new(ErrorCode::Unsupported, message).status(StatusCode::BAD_REQUEST));
            }
        }
        let user = asked.username.as_deref().unwrap_or_default();
        let password = asked.password.clone().unwrap_or_default();
        match self.access.authenticate(user, &password, who.peer).await {
            Ok(proven) => Ok((Actor::User(proven.actor), Some(proven.credential))),
            Err(error) => Err(refused(error)),
        }
    }

    /// The requested scopes, reduced to those that the actor may have. Scopes that are not granted are omitted; the
    /// client gets the reason with its next request.
    async fn grant(&self, actor: &Actor, wishes: Vec<Scope>) -> Result<Vec<Scope>, Failure> {
        let mut granted = Vec::with_capacity(wishes.len());
        for wish in wishes {
            match wish {
                Scope::Catalog => granted.push(Scope::Catalog),
                Scope::Repository { name, actions } => {
                    // At other registries a name may have a single component, but not here.
                    let Ok(local) = name.as_str().parse::<RepositoryName>() else { continue };
                    let allowed = self.allowed(actor, &local).await?;
                    let both: Vec<_> = actions.into_iter().filter(|wish| allowed.contains(wish)).collect();
                    if !both.is_empty() {
                        granted.push(Scope::repository(name, both));
                    }
                }
            }
        }
        Ok(granted)
    }

    async fn allowed(&self, actor: &Actor, name: &RepositoryName) -> Result<Vec<ScopeAction>, Failure> {
        let found = {
            let mut conn = self.db.read().await?;
            repositories::find(&mut conn, name).await?
        };
        let may = |scope: &ScopeAction| match &found {
            Some(repository) => {
                let action = match scope {
                    ScopeAction::Pull => Permission::Read,
                    ScopeAction::Push => Permission::Write,
                    ScopeAction::Delete => Permission::Delete,
                };
                self.access.may(actor, action, repository)
            }
            // The first push creates it.
            None => self.access.may_in_namespace(actor, &name.to_namespace()),
        };
        Ok(ScopeAction::ALL.iter().copied().filter(may).collect())
    }
}

/// The actor according to the credentials of the request. A token cannot be used to get another one; otherwise it could
/// be renewed for ever.
fn proven(who: &RequestActor) -> (Actor, Option<Credential>) {
    match who.via {
        Via::Bearer { .. } => (Actor::Anonymous, None),
        Via::Basic | Via::Session { .. } | Via::Refused { .. } | Via::None => {
            (who.actor.clone(), who.credential.clone())
        }
    }
}

fn too_many(error: TooManyScopes) -> Failure {
    Failure::new(ErrorCode::Unsupported, error.to_string()).status(StatusCode::BAD_REQUEST)
}

fn refused(error: AuthError) -> Failure {
    let message = error.to_string();
    match error {
        AuthError::WrongCredentials => Failure::new(ErrorCode::Unauthorized, message),
        AuthError::Throttled { retry_after } | AuthError::Busy { retry_after } => {
            Failure::new(ErrorCode::TooManyRequests, message)
                .header(header::RETRY_AFTER, retry_after.as_secs().max(1).into())
        }
        AuthError::Metadata(error) => error.into(),
    }
}
