//! The site as a browser without JavaScript sees it: pages, and forms that are posted to server functions.

use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use url::form_urlencoded;

use crate::registry_client::http_client;

/// The site of a server, signed in or not.
#[derive(Clone)]
pub struct Site {
    http: reqwest::Client,
    base: String,
    session: Option<String>,
}

/// A page, or the response of a server function.
#[derive(Debug, Clone)]
pub struct SiteAnswer {
    pub status: u16,
    pub body: String,
}

impl Site {
    /// The site of the server at `url`, not signed in.
    pub fn new(url: &str) -> Self {
        Self { http: http_client(None), base: url.to_owned(), session: None }
    }

    /// The same site, signed in with the form.
    ///
    /// # Panics
    /// If the server rejects the password.
    pub async fn sign_in(&self, user: &str, password: &str) -> Self {
        let form = [("username", user), ("password", password)];
        let request = self.form("sign_in", &form).header(ACCEPT, "text/html");
        let answer = request.send().await.expect("the server answers");
        let cookie = answer.headers().get(SET_COOKIE).expect("a session").to_str().expect("text");
        let session = cookie.split(';').next().map(str::to_owned);
        Self { session, ..self.clone() }
    }

    /// The page at a path, with its query.
    pub async fn page(&self, path: &str) -> SiteAnswer {
        answered(self.request(path).header(ACCEPT, "text/html")).await
    }

    /// A request to a path, with its query, such as for a stream of events.
    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.get(format!("{}{path}", self.base));
        match &self.session {
            Some(session) => request.header(COOKIE, session),
            None => request,
        }
    }

    /// Calls a server function with form fields.
    pub async fn call(&self, function: &str, form: &[(&str, &str)]) -> SiteAnswer {
        answered(self.form(function, form)).await
    }

    /// Calls a server function with JSON, as the JavaScript of the site does.
    pub async fn call_json(&self, function: &str, arguments: impl Into<reqwest::Body>) -> SiteAnswer {
        answered(self.post(function, "application/json", arguments.into())).await
    }

    fn form(&self, function: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post(function, "application/x-www-form-urlencoded", body.into())
    }

    fn post(&self, function: &str, kind: &str, body: reqwest::Body) -> reqwest::RequestBuilder {
        let request = self
            .http
            .post(format!("{}/fn/{function}", self.base))
            .header(CONTENT_TYPE, kind)
            .header(ORIGIN, &self.base)
            .body(body);
        match &self.session {
            Some(session) => request.header(COOKIE, session),
            None => request,
        }
    }
}

async fn answered(request: reqwest::RequestBuilder) -> SiteAnswer {
    let answer = request.send().await.expect("the server answers");
    let status = answer.status().as_u16();
    SiteAnswer { status, body: answer.text().await.expect("the answer is text") }
}
