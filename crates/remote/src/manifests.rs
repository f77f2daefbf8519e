//! Checks for, fetches, puts and deletes manifests at another registry (distribution-spec end-3, 7, 9).

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use longshore_oci::{
    Algorithm, Digest, MAX_MANIFEST_BYTES, Reference, RemoteName, ScopeAction, Tag, media_type,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::answer::{content_type, header, markup, read_body};
use crate::hash::digest_of;
use crate::transport::{Call, Payload};
use crate::{Error, Presence, Registry};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// The metadata of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    pub digest: Digest,
    /// `None` if the registry did not send it.
    pub media_type: Option<String>,
    /// The length in bytes; `None` if the registry did not send it.
    pub size: Option<u64>,
}

/// A manifest with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// Exactly as received.
    pub bytes: Bytes,
    /// From the manifest itself, else from the response, else by the members of the document.
    pub media_type: String,
    /// Computed from the bytes.
    pub digest: Digest,
}

/// The response to an accepted manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    /// The digest under which it is stored.
    pub digest: Digest,
    /// The subject, if the registry processed it: it supports the referrers API.
    pub oci_subject: Option<Digest>,
}

/// Why a manifest is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It was listed or requested by name.
    Needed,
    /// It need not exist.
    IfThere,
}

/// The result of a HEAD.
enum ByHead {
    Told(Presence<ManifestHead>),
    /// Nothing that can be relied on yet.
    Refused(StatusCode),
}

impl Registry {
    /// Looks at a manifest that was asked for; `None` if it is not there, and an error if it may not be read. What a
    /// HEAD refuses, a GET confirms: of some registries (Nexus) HEAD says 404 where GET has the manifest.
    pub async fn head_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, Error> {
        self.look(repository, reference, Wanted::Needed).await?.required()
    }

    /// Looks at a manifest that need not exist. Costs one HEAD, except at registries whose HEAD is refused or says
    /// nothing (right) of the digest: there it is a GET, which is remembered.
    pub async fn look_at_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<Presence<ManifestHead>, Error> {
        self.look(repository, reference, Wanted::IfThere).await
    }

    async fn look(
        &self,
        repository: &RemoteName,
        reference: &Reference,
        wanted: Wanted,
    ) -> Result<Presence<ManifestHead>, Error> {
        let mut refused = None;
        if !self.learned().heads_fail() {
            match self.ask_by_head(repository, reference, wanted).await? {
                ByHead::Told(presence) => return Ok(presence),
                ByHead::Refused(status) => refused = Some(status),
            }
        }
        let presence = match self.fetch_manifest(repository, reference, "looking at").await {
            Ok(FetchedManifest { bytes, media_type, digest }) => {
                let (media_type, size) = (Some(media_type), Some(bytes.len() as u64));
                Presence::There(ManifestHead { digest, media_type, size })
            }
            Err(error) if error.is_not_found() => Presence::Missing,
            Err(error) if error.may_mean_absent() => Presence::Unsaid(error),
            Err(error) => return Err(error),
        };
        let told = match &presence {
            Presence::There(_) => None,
            Presence::Missing => Some(StatusCode::NOT_FOUND),
            Presence::Unsaid(error) => error.status(),
        };
        if let Some(head) = refused {
            self.learned().note_refused_head(head, told == Some(head));
        }
        Ok(presence)
    }

    async fn ask_by_head(
        &self,
        repository: &RemoteName,
        reference: &Reference,
        wanted: Wanted,
    ) -> Result<ByHead, Error> {
        let call =
            self.manifest_call(Method::HEAD, repository, reference, &[ScopeAction::Pull], "looking at");
        let doing = call.doing.clone();
        let response = match self.send(call).await {
            Ok(response) => response,
            Err(Error::Unauthorized { .. }) if wanted == Wanted::Needed => {
                return Ok(ByHead::Refused(StatusCode::UNAUTHORIZED));
            }
            Err(error) if error.may_mean_absent() => return Ok(ByHead::Told(Presence::Unsaid(error))),
            Err(error) => return Err(error),
        };
        let status = response.status();
        if status == StatusCode::OK
            && let Some(head) = head_of(response.headers())
        {
            return Ok(ByHead::Told(Presence::There(head)));
        }
        if matches!(status, StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            self.learned().note_heads_fail();
            return Ok(ByHead::Refused(status));
        }
        let error = self.refused(response, &doing).await;
        match status {
            // An overloaded registry must not get a second request.
            _ if error.may_be_away() => Err(error),
            StatusCode::NOT_FOUND if wanted == Wanted::IfThere || self.learned().believes_head(status) => {
                Ok(ByHead::Told(Presence::Missing))
            }
            StatusCode::FORBIDDEN if self.learned().believes_head(status) => {
                Ok(ByHead::Told(Presence::Unsaid(error)))
            }
            _ => Ok(ByHead::Refused(status)),
        }
    }

    /// What a tag holds of which the registry told a digest that it does not have: the tag has moved, or the digest
    /// was wrong. `None`: the tag is gone, too.
    ///
    /// # Errors
    /// If the digest was right and still finds nothing: then the registry has lost what the tag points to, and
    /// whoever pulls the tag by its digest, as most clients do, would not get it.
    pub async fn get_behind(
        &self,
        repository: &RemoteName,
        tag: &Tag,
        told: &Digest,
    ) -> Result<Option<FetchedManifest>, Error> {
        let reference = Reference::Tag(tag.clone());
        let mut fetched = match self.fetch_manifest(repository, &reference, "fetching").await {
            Ok(fetched) => fetched,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        if fetched.digest == *told && told.algorithm() != Algorithm::Sha256 {
            // Nothing is found by digests of this kind, so it goes by the one that everybody has.
            self.learned().note_digests_mislead();
            fetched.digest = digest_of(Algorithm::Sha256, &fetched.bytes);
        } else if fetched.digest == *told {
            return self.fetch_manifest(repository, &told.clone().into(), "fetching").await.map(Some);
        } else if !self.learned().heads_fail() {
            let head = self.look(repository, &reference, Wanted::IfThere).await?.optional();
            if head.is_some_and(|head| head.digest == *told) {
                tracing::warn!(host = self.host(), "the digest that HEAD tells is not that of the manifest");
                self.learned().note_heads_fail();
            }
        }
        Ok(Some(fetched))
    }

    /// Fetches a manifest of at most [`MAX_MANIFEST_BYTES`] and verifies its digest. For a tag, the digest is computed
    /// from the bytes, whatever the registry's header claims.
    pub async fn get_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<FetchedManifest, Error> {
        self.fetch_manifest(repository, reference, "fetching").await
    }

    async fn fetch_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
        doing: &str,
    ) -> Result<FetchedManifest, Error> {
        let call = self
            .manifest_call(Method::GET, repository, reference, &[ScopeAction::Pull], doing)
            .content_addressed(reference.digest().is_some());
        let doing = call.doing.clone();
        let mut response = self.expect(call, &[StatusCode::OK]).await?;
        let bytes = read_body(&mut response, self.host(), &doing, MAX_MANIFEST_BYTES).await?;
        let headers = response.headers();
        let believed =
            |digest: &Digest| digest.algorithm() == Algorithm::Sha256 || !self.learned().digests_mislead();
        let claimed = claimed_digest(headers).filter(believed);
        let expected = reference.digest().or(claimed.as_ref());
        let digest = digest_of(expected.map_or(Algorithm::Sha256, Digest::algorithm), &bytes);
        if let Some(expected) = reference.digest().filter(|expected| **expected != digest) {
            let (host, expected) = (self.host().to_owned(), expected.clone());
            return Err(Error::DigestMismatch { host, doing, expected, actual: digest });
        }
        if claimed.is_some_and(|claimed| claimed.algorithm() == digest.algorithm() && claimed != digest) {
            tracing::warn!(host = self.host(), "Docker-Content-Digest does not match the manifest");
            self.learned().note_heads_fail();
        }
        let media_type = kind_of(headers, &bytes).map_err(|what| self.bad_answer(&doing, what))?;
        Ok(FetchedManifest { bytes, media_type, digest })
    }

    /// Puts a manifest, with additional headers.
    pub async fn put_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
        media_type: &str,
        bytes: Bytes,
        extra_headers: &[(HeaderName, HeaderValue)],
    ) -> Result<PutOutcome, Error> {
        let rights = [ScopeAction::Pull, ScopeAction::Push];
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

    /// Deletes a tag or a manifest; `false` if it did not exist. A registry that does not allow deletion returns 405,
    /// which is an error.
    pub async fn delete_manifest(
        &self,
        repository: &RemoteName,
        reference: &Reference,
    ) -> Result<bool, Error> {
        let call = self.manifest_call(Method::DELETE, repository, reference, ScopeAction::ALL, "deleting");
        let gone = [StatusCode::ACCEPTED, StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
        Ok(self.expect(call, &gone).await?.status() != StatusCode::NOT_FOUND)
    }

    fn manifest_call(
        &self,
        method: Method,
        repository: &RemoteName,
        reference: &Reference,
        actions: &[ScopeAction],
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
        media_type: content_type(headers),
        size: header(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok()),
    })
}

/// What kind of manifest it is: by its own word, else by that of the answer, else by its shape (semantics 40).
/// Registries and the proxies before them serve manifests as JSON, as plain text, as bytes, and as nothing at all.
fn kind_of(headers: &HeaderMap, bytes: &[u8]) -> Result<String, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        #[serde(default)]
        media_type: Value,
        schema_version: Option<Value>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
        manifests: Option<IgnoredAny>,
        fs_layers: Option<IgnoredAny>,
    }
    let known = |kind: &String| media_type::is_manifest(kind) || media_type::is_schema1(kind);
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    let shape: Shape = serde_json::from_slice(bytes).map_err(|error| match markup(headers, bytes) {
        // Whatever its members are: they cannot be wrong here, but be there twice.
        _ if is_object && error.is_data() => "no manifest: it names one of its members twice",
        Some(markup) => markup.words(),
        None => "no manifest: it is no JSON object",
    })?;
    let own = shape.media_type.as_str().filter(|own| !own.is_empty());
    if let Some(own) = own {
        return Ok(own.to_owned());
    }
    let answered = content_type(headers);
    if let Some(kind) = answered.clone().filter(known) {
        return Ok(kind);
    }
    match shape {
        Shape { fs_layers: Some(_), .. } => Ok(media_type::DOCKER_SCHEMA1.to_owned()),
        Shape { manifests: Some(_), .. } => Ok(media_type::OCI_INDEX.to_owned()),
        Shape { config: Some(_), .. } | Shape { layers: Some(_), .. } => {
            Ok(media_type::OCI_MANIFEST.to_owned())
        }
        // Too little to tell; whoever stores it says what is missing.
        Shape { schema_version: Some(_), .. } => {
            Ok(answered.unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned()))
        }
        _ => Err("no manifest: it has neither layers nor a list of manifests"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kind(content_type: Option<&'static str>, body: &str) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        kind_of(&headers, body.as_bytes())
    }

    #[test]
    fn semantics_40_a_kind_is_told_by_the_manifest_then_by_the_answer_then_by_the_shape() {
        let said =
            format!(r#"{{"schemaVersion":2,"mediaType":"{}","layers":[]}}"#, media_type::DOCKER_MANIFEST);
        for content_type in [None, Some("text/plain"), Some(media_type::OCI_MANIFEST)] {
            assert_eq!(
                kind(content_type, &said).as_deref(),
                Ok(media_type::DOCKER_MANIFEST),
                "{content_type:?}"
            );
        }
        let image = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let vague =
            ["application/json", "application/octet-stream", "text/plain; charset=utf-8", "TEXT/HTML"]
                .map(Some);
        for content_type in vague.into_iter().chain([None]) {
            assert_eq!(
                kind(content_type, image).as_deref(),
                Ok(media_type::OCI_MANIFEST),
                "{content_type:?}"
            );
            assert_eq!(kind(content_type, index).as_deref(), Ok(media_type::OCI_INDEX), "{content_type:?}");
        }
        let charset = Some("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8");
        assert_eq!(kind(charset, image).as_deref(), Ok(media_type::DOCKER_MANIFEST));
        let old = r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#;
        assert_eq!(kind(None, old).as_deref(), Ok(media_type::DOCKER_SCHEMA1));
    }

    #[test]
    fn what_is_no_manifest_says_so() {
        assert!(kind(None, "hello").is_err() && kind(None, "[]").is_err() && kind(None, "{}").is_err());
        assert_eq!(kind(Some("text/html"), "<html>"), Err("a web page"));
        assert_eq!(kind(None, "<?xml version='1.0'?><Error/>"), Err("an XML document"));
        let twice = r#"{"schemaVersion":2,"layers":[],"schemaVersion":2}"#;
        assert_eq!(kind(None, twice), Err("no manifest: it names one of its members twice"));
        assert_eq!(kind(None, r#"{"mediaType":7,"manifests":[]}"#).as_deref(), Ok(media_type::OCI_INDEX));
    }
}
