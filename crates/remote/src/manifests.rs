//! Manifests at another registry: look, fetch, put, delete (distribution-spec end-3, 7, 9).

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use longshore_oci::{Action, Algorithm, Digest, MAX_MANIFEST_BYTES, Reference, RemoteName, media_type};
use serde::Deserialize;

use crate::answer::{content_type, header, read_body};
use crate::hash::digest_of;
use crate::transport::{Call, Payload};
use crate::{Error, Registry};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What is known of a manifest without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest.
    pub digest: Digest,
    /// Its media type, as answered.
    pub media_type: String,
    /// Its length in bytes, where the registry told.
    pub size: Option<u64>,
}

/// A manifest with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// Exactly as they came.
    pub bytes: Bytes,
    /// Its media type, as answered, else as the body says.
    pub media_type: String,
    /// Computed from the bytes.
    pub digest: Digest,
}

/// What a registry said to a manifest it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    /// The digest under which it is stored.
    pub digest: Digest,
    /// The subject, where the registry took note of it: it has the referrers API.
    pub oci_subject: Option<Digest>,
}

impl Registry {
    /// Looks at a manifest; `None` if it is not there. Costs one HEAD, except at registries whose
    /// HEAD says nothing (right) of the digest, which is remembered: there it is a GET.
    pub async fn head_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, Error> {
        if !self.digests_need_get().load(Ordering::Relaxed) {
            let call = self.manifest_call(Method::HEAD, repository, reference, &[Action::Pull], "looking at");
            let doing = call.doing.clone();
            let response = self.send(call).await?;
            match response.status() {
                StatusCode::OK => {
                    if let Some(head) = head_of(response.headers()) {
                        return Ok(Some(head));
                    }
                    self.digests_need_get().store(true, Ordering::Relaxed);
                }
                StatusCode::NOT_FOUND => return Ok(None),
                StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                    self.digests_need_get().store(true, Ordering::Relaxed);
                }
                _ => return Err(self.refused(response, &doing).await),
            }
        }
        match self.get_manifest(repository, reference).await {
            Ok(FetchedManifest { bytes, media_type, digest }) => {
                Ok(Some(ManifestHead { digest, media_type, size: Some(bytes.len() as u64) }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches a manifest of at most [`MAX_MANIFEST_BYTES`] and verifies its digest. Asked by tag,
    /// the digest is what the bytes have, whatever the registry's header claims.
    pub async fn get_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<FetchedManifest, Error> {
        let call = self
            .manifest_call(Method::GET, repository, reference, &[Action::Pull], "fetching")
            .content_addressed(reference.digest().is_some());
        let doing = call.doing.clone();
        let mut response = self.expect(call, &[StatusCode::OK]).await?;
        let bytes = read_body(&mut response, self.host(), &doing, MAX_MANIFEST_BYTES).await?;
        let headers = response.headers();
        let claimed = claimed_digest(headers);
        let expected = reference.digest().or(claimed.as_ref());
        let digest = digest_of(expected.map_or(Algorithm::Sha256, Digest::algorithm), &bytes);
        if let Some(expected) = reference.digest().filter(|expected| **expected != digest) {
            let (host, expected) = (self.host().to_owned(), expected.clone());
            return Err(Error::DigestMismatch { host, doing, expected, actual: digest });
        }
        if claimed.is_some_and(|claimed| claimed.algorithm() == digest.algorithm() && claimed != digest) {
            tracing::warn!(host = self.host(), "Docker-Content-Digest does not match the manifest");
            self.digests_need_get().store(true, Ordering::Relaxed);
        }
        let media_type = declared_media_type(headers, &bytes);
        let media_type = media_type.ok_or_else(|| self.bad_answer(&doing, "no manifest"))?;
        Ok(FetchedManifest { bytes, media_type, digest })
    }

    /// Puts a manifest, with headers of the caller's beside those it needs.
    pub async fn put_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
        media_type: &str,
        bytes: Bytes,
        extra_headers: &[(HeaderName, HeaderValue)],
    ) -> Result<PutOutcome, Error> {
        let rights = [Action::Pull, Action::Push];
        let mut call = self.manifest_call(Method::PUT, repository, reference, &rights, "putting");
        let kind = HeaderValue::from_str(media_type)
            .map_err(|_| Error::Settings(format!("{media_type:?} is no media type")))?;
        call.headers.insert(CONTENT_TYPE, kind);
        call.headers.extend(extra_headers.iter().cloned());
        let algorithm = reference.digest().map_or(Algorithm::Sha256, Digest::algorithm);
        let expected = digest_of(algorithm, &bytes);
        let call = call.payload(Payload::Bytes(bytes));
        let doing = call.doing.clone();
        let taken = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        let response = self.expect(call, &taken).await?;
        let headers = response.headers();
        match claimed_digest(headers) {
            Some(actual) if actual.algorithm() == algorithm && actual != expected => {
                Err(Error::DigestMismatch { host: self.host().to_owned(), doing, expected, actual })
            }
            _ => Ok(PutOutcome {
                digest: expected,
                oci_subject: header(headers, &OCI_SUBJECT).and_then(|text| text.parse().ok()),
            }),
        }
    }

    /// Deletes a tag or a manifest; `false` if it was not there. A registry that does not allow
    /// deletion answers 405, which is an error.
    pub async fn delete_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<bool, Error> {
        let call = self.manifest_call(Method::DELETE, repository, reference, &Action::ALL, "deleting");
        let gone = [StatusCode::ACCEPTED, StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
        Ok(self.expect(call, &gone).await?.status() != StatusCode::NOT_FOUND)
    }

    fn manifest_call(
        &self,
        method: Method,
        repository: &RemoteName,
        reference: &Reference,
        actions: &[Action],
        doing: &str,
    ) -> Call {
        let separator = if reference.digest().is_some() { '@' } else { ':' };
        let url = self.repository_url(repository, &format!("manifests/{reference}"));
        let doing = format!("{doing} {repository}{separator}{reference}");
        Call::new(method, url, vec![self.scope(repository, actions)], doing)
            .header(ACCEPT, HeaderValue::from_static(media_type::ACCEPT_MANIFESTS))
    }
}

fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    header(headers, &CONTENT_DIGEST)?.parse().ok()
}

fn head_of(headers: &HeaderMap) -> Option<ManifestHead> {
    Some(ManifestHead {
        digest: claimed_digest(headers)?,
        media_type: content_type(headers)?,
        size: header(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok()),
    })
}

/// The media type of a header that names a manifest, else that of the body.
fn declared_media_type(headers: &HeaderMap, bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
    }
    let said = content_type(headers);
    let known = |kind: &String| media_type::is_manifest(kind) || media_type::is_schema1(kind);
    if let Some(kind) = said.clone().filter(known) {
        return Some(kind);
    }
    let body: Body = serde_json::from_slice(bytes).ok()?;
    body.media_type.or(said)
}
