//! Signing in and out.

use crate::Admin;
use longshore_access::{AuthError, Session};
use longshore_model::{Code, Problem};
use secrecy::SecretString;
use std::net::IpAddr;

/// The problem for a failed authentication, the same wherever a password is checked.
#[must_use]
pub fn auth_problem(error: AuthError) -> Problem {
    match error {
        AuthError::WrongCredentials => Problem::new(Code::WrongCredentials, error.to_string()),
        AuthError::Throttled { retry_after } | AuthError::Busy { retry_after } => {
            Problem::new(Code::TooManyAttempts, error.to_string()).over_after(retry_after)
        }
        AuthError::Metadata(error) => error.into(),
    }
}

impl Admin {
    /// Creates a session. A wrong password is counted against `peer`.
    ///
    /// # Errors
    /// Wrong credentials, or too many attempts.
    pub async fn sign_in(
        &self,
        user: &str,
        password: SecretString,
        peer: IpAddr,
    ) -> Result<Session, Problem> {
        self.0.access.sign_in(user, &password, peer).await.map_err(auth_problem)
    }

    /// Ends a session. A session that has already ended is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, token: &SecretString) -> Result<(), Problem> {
        Ok(self.0.access.sign_out(token).await?)
    }
}
