//! Pulling, pushing and deleting manifests (end-3, end-7, end-9).

use crate::body;
use crate::dispatch::empty;
use crate::error::Failure;
use crate::gate::Asking;
use crate::headers::{self, CONTENT_DIGEST, SUBJECT, TAG, not_modified};
use crate::query::Query;
use axum::body::Body;
use axum::response::Response;
use http::{StatusCode, header};
use longshore_content::{Error, PutManifest};
use longshore_model::{Provenance, Repository};
use longshore_oci::{ErrorCode, MAX_MANIFEST_BYTES, ManifestError, Reference, RepositoryName, Tag};

/// The maximum number of tags that one push may set.
const MAX_TAGS: usize = 64;

impl Asking<'_> {
    /// GET and HEAD. The stored manifest is returned regardless of `Accept`: any other form would have another digest.
    pub(crate) async fn get_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Response, Failure> {
        let repository = self.to_read(name).await?;
        let found = self.registry.content.get_manifest(&repository, reference).await?;
        let unknown = || Error::ManifestUnknown { repository: name.clone(), reference: reference.clone() };
        let manifest = found.ok_or_else(unknown)?;
        if headers::is_cached(&self.request.headers, &manifest.digest) {
            return Ok(not_modified(&manifest.digest, manifest.size()));
        }
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::ETAG, headers::etag(&manifest.digest));
        headers.insert(CONTENT_DIGEST, headers::value(&manifest.digest));
        headers.insert(header::CONTENT_TYPE, headers::value(&manifest.media_type));
        headers.insert(header::CONTENT_LENGTH, manifest.bytes.len().into());
        *response.body_mut() = Body::from(manifest.bytes);
        Ok(response)
    }

    /// PUT, by tag, by digest, or by digest with any number of `tag` parameters.
    pub(crate) async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: Reference,
        query: &Query,
        body: Body,
    ) -> Result<Response, Failure> {
        let asked: Vec<Tag> = query.all_parsed("tag", ErrorCode::ManifestInvalid)?;
        if asked.len() > MAX_TAGS {
            let message = format!("a push can set at most {MAX_TAGS} tags, not {}", asked.len());
            return Err(Failure::new(ErrorCode::ManifestInvalid, message).status(StatusCode::URI_TOO_LONG));
        }
        let put = async |repository: &Repository| self.put_into(repository, reference, &asked, body).await;
        self.to_write(name, put).await
    }

    async fn put_into(
        &self,
        repository: &Repository,
        reference: Reference,
        asked: &[Tag],
        body: Body,
    ) -> Result<Response, Failure> {
        let announced = headers::content_length(&self.request.headers)?.unwrap_or_default();
        let bytes = match announced <= MAX_MANIFEST_BYTES as u64 {
            true => body::whole(body, MAX_MANIFEST_BYTES).await?,
            false => None,
        };
        let Some(bytes) = bytes else {
            let size = usize::try_from(announced).unwrap_or(usize::MAX).max(MAX_MANIFEST_BYTES + 1);
            return Err(Error::from(ManifestError::TooLarge(size)).into());
        };
        let tags: Vec<Tag> = reference.tag().cloned().into_iter().chain(asked.iter().cloned()).collect();
        let put = PutManifest {
            repository,
            digest_expected: reference.digest(),
            tags: &tags,
            media_type: headers::text(&self.request.headers, &header::CONTENT_TYPE).unwrap_or_default(),
            bytes,
            author: &self.author(),
            provenance: &Provenance::Push,
            lineage: &headers::lineage(&self.request.headers),
        };
        let stored = self.registry.content.put_manifest(put).await?;
        let mut response = empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, {
            headers::value(format!("/v2/{}/manifests/{}", repository.name, stored.digest))
        });
        headers.insert(CONTENT_DIGEST, headers::value(&stored.digest));
        if let Some(subject) = &stored.subject {
            headers.insert(SUBJECT, headers::value(subject));
        }
        for tag in asked {
            headers.append(TAG, headers::value(tag));
        }
        Ok(response)
    }

    /// DELETE: a single tag, or a manifest with all its tags.
    pub(crate) async fn delete_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Response, Failure> {
        let repository = self.to_delete(name).await?;
        let (content, author) = (&self.registry.content, self.author());
        match reference {
            Reference::Tag(tag) => content.delete_tag(&repository, tag, &author).await?,
            Reference::Digest(digest) => content.delete_manifest(&repository, digest, &author).await?,
        }
        Ok(empty(StatusCode::ACCEPTED))
    }
}
