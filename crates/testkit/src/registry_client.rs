//! A small client for the OCI distribution API, independent of Longshore's own. It retries nothing and hides nothing:
//! tests see the statuses that a registry returns.

use bytes::Bytes;
use longshore_oci::{Descriptor, Digest, Tag, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK, LOCATION};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use url::Url;

use crate::corpus::Package;

/// A registry and the credentials to use there.
#[derive(Clone)]
pub struct RegistryClient {
    http: reqwest::Client,
    base: Url,
    credentials: Option<(String, String)>,
}

/// A response of a registry.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The request, for messages.
    request: String,
}

pub(crate) fn http_client(ca: Option<&str>) -> reqwest::Client {
    // No proxy from the environment, no redirects: tests see exactly what a server responds.
    let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = ca {
        let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).expect("the authority is in PEM");
        builder = builder.tls_certs_only([certificate]);
    }
    builder.build().expect("an HTTP client can be made")
}

/// A client that accepts any certificate, for the first contact with a server that has its own authority.
pub(crate) fn trusting_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
    builder.build().expect("an HTTP client can be made")
}

impl RegistryClient {
    /// The registry at `url` (scheme, host and port), without credentials.
    pub fn new(url: &str) -> Self {
        Self { http: http_client(None), base: parse(url), credentials: None }
    }

    /// A registry whose certificate is signed by an authority that only this client trusts.
    pub fn trusting(url: &str, ca_pem: &str) -> Self {
        Self { http: http_client(Some(ca_pem)), base: parse(url), credentials: None }
    }

    /// The same registry with Basic authentication.
    #[must_use]
    pub fn with_credentials(&self, user: &str, password: &str) -> Self {
        Self { credentials: Some((user.to_owned(), password.to_owned())), ..self.clone() }
    }

    /// The same registry without credentials.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// A request to a path (or an absolute URL) of this registry, with its credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url =
            self.base.join(path).unwrap_or_else(|error| panic!("{path} is not a path of a URL: {error}"));
        let request = self.http.request(method, url);
        match &self.credentials {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Sends a request that was made with [`Self::request`].
    ///
    /// # Panics
    /// If the response is missing or incomplete.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends a request; an error says why the response is missing or incomplete.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, String> {
        let request = request.build().expect("the request is well-formed");
        let asked = format!("{} {}", request.method(), request.url());
        let told = |error: reqwest::Error| format!("{asked}: {error:?}");
        let answer = self.http.execute(request).await.map_err(told)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(told)?;
        Ok(Answer { status, headers, body, request: asked })
    }

    /// `HEAD` of a manifest by tag or digest, with every manifest type accepted.
    pub async fn head_manifest(&self, repository: &str, reference: &str) -> Answer {
        self.manifest_request(Method::HEAD, repository, reference).await
    }

    /// `GET` of a manifest by tag or digest, with every manifest type accepted.
    pub async fn get_manifest(&self, repository: &str, reference: &str) -> Answer {
        self.manifest_request(Method::GET, repository, reference).await
    }

    async fn manifest_request(&self, method: Method, repository: &str, reference: &str) -> Answer {
        let request = self.request(method, &format!("/v2/{repository}/manifests/{reference}"));
        self.send(request.header(ACCEPT, media_type::ACCEPT_MANIFESTS)).await
    }

    /// `PUT` of a manifest under a tag or its digest.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Answer {
        let request = self.request(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"));
        self.send(request.header(CONTENT_TYPE, media_type).body(bytes.into())).await
    }

    /// `DELETE` of a manifest or a tag.
    pub async fn delete_manifest(&self, repository: &str, reference: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/v2/{repository}/manifests/{reference}"))).await
    }

    /// `HEAD` of a blob.
    pub async fn head_blob(&self, repository: &str, digest: &Digest) -> Answer {
        self.send(self.request(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"))).await
    }

    /// `GET` of a blob.
    pub async fn get_blob(&self, repository: &str, digest: &Digest) -> Answer {
        self.send(self.request(Method::GET, &format!("/v2/{repository}/blobs/{digest}"))).await
    }

    /// Starts an upload; returns its location, or the response if the registry rejects it.
    pub async fn begin_upload(&self, repository: &str) -> Result<String, Answer> {
        let answer = self.send(self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/"))).await;
        match answer.header(LOCATION.as_str()) {
            Some(location) if answer.status == 202 => Ok(location.to_owned()),
            _ => Err(answer),
        }
    }

    /// Uploads a blob in two requests, POST and PUT; returns the last response.
    pub async fn put_blob(&self, repository: &str, digest: &Digest, bytes: impl Into<Bytes>) -> Answer {
        let location = match self.begin_upload(repository).await {
            Ok(location) => location,
            Err(refusal) => return refusal,
        };
        let mut url = self.base.join(&location).expect("a Location is a URL");
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let request = self.request(Method::PUT, url.as_str());
        self.send(request.header(CONTENT_TYPE, "application/octet-stream").body(bytes.into())).await
    }

    /// All tags of a repository, over all pages; empty if the repository does not exist.
    pub async fn tags(&self, repository: &str) -> Vec<Tag> {
        let mut tags = Vec::new();
        let mut next = Some(format!("/v2/{repository}/tags/list"));
        while let Some(path) = next {
            let answer = self.send(self.request(Method::GET, &path)).await;
            if answer.status == 404 {
                break;
            }
            next = answer.next_page();
            let page = answer.expect(200).json();
            // docker-registry returns null for a repository without tags.
            for name in page["tags"].as_array().into_iter().flatten() {
                let name = name.as_str().expect("a tag is a string");
                tags.push(name.parse().unwrap_or_else(|error| panic!("the tag {name}: {error}")));
            }
        }
        tags
    }

    /// The referrers of a manifest by the referrers API; `None` if the registry does not support it.
    pub async fn referrers(&self, repository: &str, subject: &Digest) -> Option<Vec<Descriptor>> {
        let path = format!("/v2/{repository}/referrers/{subject}");
        let answer = self.send(self.request(Method::GET, &path)).await;
        if answer.status == 404 {
            return None;
        }
        let index = answer.expect(200).json();
        Some(serde_json::from_value(index["manifests"].clone()).expect("an index lists descriptors"))
    }

    /// The digest of a tag, if it exists: computed from the bytes, not taken from a header.
    pub async fn digest_of(&self, repository: &str, tag: &str) -> Option<Digest> {
        let answer = self.get_manifest(repository, tag).await;
        (answer.status != 404).then(|| crate::corpus::digest_of(&answer.expect(200).body))
    }

    /// Pushes a whole package: missing blobs, children by digest, the root under `tag` or, without one, by digest.
    /// Returns the root's digest.
    ///
    /// # Panics
    /// If the registry rejects any part.
    pub async fn push(&self, package: &Package, repository: &str, tag: Option<&str>) -> Digest {
        for (digest, bytes) in &package.blobs {
            if self.head_blob(repository, digest).await.status != 200 {
                self.put_blob(repository, digest, bytes.clone()).await.expect(201);
            }
        }
        for manifest in &package.manifests {
            let reference = match tag {
                Some(tag) if manifest.digest == package.root => tag,
                _ => manifest.digest.as_str(),
            };
            self.put_manifest(repository, reference, &manifest.media_type, manifest.bytes.clone())
                .await
                .expect(201);
        }
        package.root.clone()
    }

    /// Reads back a whole package from a repository and returns the first difference: every manifest's bytes, media
    /// type and digest header, and every blob's bytes are compared.
    pub async fn difference(&self, package: &Package, repository: &str) -> Option<String> {
        for manifest in &package.manifests {
            let digest = manifest.digest.as_str();
            let answer = self.get_manifest(repository, digest).await;
            let found = [
                ("status", answer.status.to_string(), "200".to_owned()),
                ("digest", crate::corpus::digest_of(&answer.body).to_string(), digest.to_owned()),
                (
                    "header",
                    answer.header("docker-content-digest").unwrap_or(digest).to_owned(),
                    digest.to_owned(),
                ),
                ("type", answer.media_type(), manifest.media_type.clone()),
            ];
            if let Some((what, is, should)) = found.into_iter().find(|(_, is, should)| is != should) {
                return Some(format!("manifest {repository}@{digest}: {what} is {is}, not {should}"));
            }
        }
        for (digest, bytes) in &package.blobs {
            let answer = self.get_blob(repository, digest).await;
            if answer.status != 200 {
                return Some(format!("blob {repository}@{digest}: status is {}", answer.status));
            }
            if answer.body != bytes {
                return Some(format!("blob {repository}@{digest}: its {} bytes differ", answer.body.len()));
            }
        }
        None
    }

    /// Asserts that the repository has the whole package, byte for byte.
    ///
    /// # Panics
    /// With the first difference.
    pub async fn verify(&self, package: &Package, repository: &str) {
        if let Some(difference) = self.difference(package, repository).await {
            panic!("{difference}");
        }
    }
}

fn parse(url: &str) -> Url {
    url.parse().unwrap_or_else(|error| panic!("{url} is not a URL: {error}"))
}

impl Answer {
    /// Asserts the status and returns the response.
    ///
    /// # Panics
    /// If the status differs, with request, status and body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{} answered {}: {body}", self.request, self.status);
        self
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{}: {error} in {body}", self.request))
    }

    /// The code of the first error, as in `{"errors":[{"code":"NAME_UNKNOWN"}]}`; empty if there is none.
    pub fn error_code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn media_type(&self) -> String {
        media_type::essence(self.header(CONTENT_TYPE.as_str()).unwrap_or_default())
    }

    /// The target of `Link: <…>; rel="next"`.
    fn next_page(&self) -> Option<String> {
        let link = self.header(LINK.as_str())?;
        let target = link.strip_prefix('<')?.split_once('>')?.0;
        link.contains("next").then(|| target.to_owned())
    }
}
