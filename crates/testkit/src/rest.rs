//! A client for Longshore's REST interface `/api/v0`, with Basic authentication.

use reqwest::Method;
use serde_json::Value;

/// The REST interface with the credentials of a user, or without any.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    credentials: Option<(String, String)>,
}

/// A response: status, headers and body.
#[derive(Debug, Clone)]
pub struct RestAnswer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    /// The body; `Null` if it is empty, a string if it is not JSON.
    pub body: Value,
    /// The request, for messages.
    request: String,
}

impl Rest {
    /// The interface of the server at `url`, without credentials.
    pub fn new(url: &str) -> Self {
        let http = crate::registry_client::http_client(None);
        Self { http, base: format!("{url}/api/v0"), credentials: None }
    }

    /// The interface of a server whose certificate is signed by an authority that only this client trusts.
    pub fn trusting(url: &str, ca_pem: &str) -> Self {
        Self { http: crate::registry_client::http_client(Some(ca_pem)), ..Self::new(url) }
    }

    /// The same interface as another user.
    #[must_use]
    pub fn as_user(&self, user: &str, password: &str) -> Self {
        Self { credentials: Some((user.to_owned(), password.to_owned())), ..self.clone() }
    }

    /// The same interface without credentials.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// `GET`; `path` is the part after `/api/v0`, with the query.
    pub async fn get(&self, path: &str) -> RestAnswer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> RestAnswer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: Value) -> RestAnswer {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> RestAnswer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> RestAnswer {
        self.send(Method::DELETE, path, None).await
    }

    /// `POST` of JSON to a server that may be killed; an error says why there is no response.
    pub async fn try_post(&self, path: &str, body: Value) -> Result<RestAnswer, String> {
        self.try_send(Method::POST, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> RestAnswer {
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_send(&self, method: Method, path: &str, body: Option<Value>) -> Result<RestAnswer, String> {
        let asked = format!("{method} /api/v0{path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, Some(password));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let told = |error: reqwest::Error| format!("{asked}: {error:?}");
        let answer = request.send().await.map_err(told)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.map_err(told)?;
        let body = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text),
        };
        Ok(RestAnswer { status, headers, body, request: asked })
    }
}

impl RestAnswer {
    /// Asserts the status and returns the body.
    ///
    /// # Panics
    /// If the status differs, with request, status and body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered {}: {}", self.request, self.status, self.body);
        self.body
    }

    /// Asserts the status and returns the code of the first error: `{"errors":[{"code":…}]}`.
    ///
    /// # Panics
    /// If the status differs, or the body has no error code.
    #[track_caller]
    pub fn expect_error(self, status: u16) -> String {
        let asked = self.request.clone();
        let body = self.expect(status);
        match body["errors"][0]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => panic!("{asked} returned {status} without an error code: {body}"),
        }
    }
}
