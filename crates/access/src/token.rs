//! Registry tokens, which clients of the distribution API get for their credentials and send with each request. They
//! are signed with HMAC under a key derived from that of the vault, so that every server of an installation accepts
//! them and nobody else can create them.

use crate::actors::proven;
use crate::{Access, AccessSettings, Credential};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use longshore_metadata::Error;
use longshore_metadata::accounts::CredentialEpoch;
use longshore_model::{AccountId, Actor, Timestamp};
use longshore_oci::Scope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The verified content of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The owner, with the current state of the account.
    pub actor: Actor,
    /// The credential that the token was issued for; `None` for an anonymous token.
    pub credential: Option<Credential>,
    /// The scopes that the token was issued for. Permissions are checked in addition, because they may have been lost.
    pub scopes: Vec<Scope>,
}

/// Why a token was rejected.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token was not issued by this registry, or was modified.
    #[error("the token was not issued by this registry; request a new one")]
    Invalid,
    #[error("the token has expired; request a new one")]
    Expired,
    /// The account does not exist any more.
    #[error("the account of the token no longer exists")]
    NoSuchAccount,
    /// The password of the account has changed since the token was issued.
    #[error("the account's password has changed since the token was issued; request a new one")]
    Outdated,
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// The claims of a token (RFC 7519); times are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The id of the account; absent for anonymous tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<AccountId>,
    /// The epoch of the account's credentials; absent together with `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<CredentialEpoch>,
    iat: i64,
    exp: i64,
    jti: Uuid,
    scopes: Vec<String>,
}

pub(crate) struct Signer {
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
}

impl Signer {
    pub(crate) fn new(key: &[u8], settings: &AccessSettings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.service]);
        validation.set_audience(&[&settings.service]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library would use the system's clock instead of ours.
        validation.validate_exp = false;
        Self { sign: EncodingKey::from_secret(key), check: DecodingKey::from_secret(key), validation }
    }

    fn issue(&self, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .expect("claims of plain strings and numbers can be encoded")
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.check, &self.validation)
            .map_err(|_| TokenError::Invalid)?;
        match data.claims.exp > now.as_second() {
            true => Ok(data.claims),
            false => Err(TokenError::Expired),
        }
    }
}

impl Access {
    /// Issues a token with the granted scopes for a credential, or an anonymous one for `None`. Returns the token and
    /// its maximum lifetime; it is not valid longer than the credential.
    #[must_use]
    pub fn issue_token(
        &self,
        credential: Option<&Credential>,
        granted: &[Scope],
    ) -> (String, SignedDuration) {
        let (now, settings) = (self.0.clock.now(), &self.0.settings);
        let claims = Claims {
            iss: settings.service.clone(),
            aud: settings.service.clone(),
            sub: credential.map(|credential| credential.account),
            epoch: credential.map(|credential| credential.epoch),
            iat: now.as_second(),
            exp: (now + settings.token_ttl).as_second(),
            jti: Uuid::new_v4(),
            scopes: granted.iter().map(ToString::to_string).collect(),
        };
        (self.0.signer.issue(&claims), settings.token_ttl)
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn verify_token(&self, token: &str) -> Result<TokenClaims, TokenError> {
        let claims = self.0.signer.read(token, self.0.clock.now())?;
        let (actor, credential) = match claims.sub {
            None => (Actor::Anonymous, None),
            Some(id) => {
                let standing = self.standing(id).await?.ok_or(TokenError::NoSuchAccount)?;
                if claims.epoch != Some(standing.epoch) {
                    return Err(TokenError::Outdated);
                }
                let proven = proven(&standing, None);
                (Actor::User(proven.actor), Some(proven.credential))
            }
        };
        let scopes = claims.scopes.iter().map(|scope| scope.parse());
        let scopes = scopes.collect::<Result<_, _>>().map_err(|_| TokenError::Invalid)?;
        Ok(TokenClaims { actor, credential, scopes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn signer(key: u8) -> Signer {
        Signer::new(&[key; 32], &AccessSettings::default())
    }

    fn claims() -> Claims {
        Claims {
            iss: "longshore".to_owned(),
            aud: "longshore".to_owned(),
            sub: Some(AccountId::new()),
            epoch: None,
            iat: 0,
            exp: 900,
            jti: Uuid::new_v4(),
            scopes: vec!["repository:dev/web:pull".to_owned()],
        }
    }

    #[test]
    fn a_token_reads_back_until_it_expires() {
        let (signer, claims) = (signer(1), claims());
        let token = signer.issue(&claims);
        let at = |second| signer.read(&token, Timestamp::from_second(second).unwrap());
        assert_eq!(at(899).unwrap().sub, claims.sub);
        assert!(matches!(at(900), Err(TokenError::Expired)));
    }

    #[test]
    fn a_token_that_was_modified_or_issued_elsewhere_is_rejected() {
        let (signer_, now) = (signer(1), Timestamp::UNIX_EPOCH);
        let token = signer_.issue(&claims());
        for position in [0, token.find('.').unwrap() + 5, token.len() - 5] {
            let mut bytes = token.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(bytes).unwrap();
            assert!(matches!(signer_.read(&touched, now), Err(TokenError::Invalid)), "{position}");
        }
        assert!(matches!(signer(2).read(&token, now), Err(TokenError::Invalid)));
        let elsewhere = Claims { aud: "elsewhere".to_owned(), ..claims() };
        assert!(matches!(signer_.read(&signer_.issue(&elsewhere), now), Err(TokenError::Invalid)));
        // `alg: none` with no signature.
        let payload = token.split('.').nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert!(matches!(signer_.read(&unsigned, now), Err(TokenError::Invalid)));
    }
}
