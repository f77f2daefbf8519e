//! Pushing blobs: in one request, in two, in chunks, or by mounting a blob of another repository (end-4 to end-6,
//! end-11, end-13, end-14).

use crate::body;
use crate::dispatch::empty;
use crate::error::Failure;
use crate::gate::Asking;
use crate::headers::{self, CONTENT_DIGEST, UPLOAD_UUID};
use crate::query::Query;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use longshore_content::{BlobInfo, Chunk, Error};
use longshore_model::{Repository, UploadId};
use longshore_oci::{Algorithm, ContentRange, Digest, ErrorCode, RepositoryName, path};

impl Asking<'_> {
    /// POST: mounts a blob, stores a whole blob, or starts an upload.
    pub(crate) async fn start_upload(
        &self,
        name: &RepositoryName,
        query: &Query,
        body: Body,
    ) -> Result<Response, Failure> {
        let digest: Option<Digest> = query.parsed("digest", ErrorCode::DigestInvalid)?;
        let mount: Option<Digest> = query.parsed("mount", ErrorCode::DigestInvalid)?;
        let algorithm = digest_algorithm(query)?;
        let start = async |repository: &Repository| {
            if let Some(mounted) = self.mount(repository, mount.as_ref(), query).await? {
                return Ok(stored(repository, &mounted));
            }
            if let Some(digest) = digest {
                let length = headers::content_length(&self.request.headers)?;
                let body = body::stream(body, length);
                let info = self.registry.content.put_blob(repository, &digest, length, body).await?;
                return Ok(stored(repository, &info));
            }
            let algorithm = mount.map_or(algorithm, |digest| digest.algorithm());
            let upload = self.registry.content.begin_upload(repository, algorithm).await?;
            Ok(under_way(repository, upload, 0, StatusCode::ACCEPTED))
        };
        self.to_write(name, start).await
    }

    /// PATCH: appends a chunk.
    pub(crate) async fn append(
        &self,
        name: &RepositoryName,
        session: &path::UploadId,
        body: Body,
    ) -> Result<Response, Failure> {
        let chunk = self.chunk(body)?;
        let (repository, upload) = self.upload(name, session).await?;
        match self.registry.content.append(&repository, upload, chunk).await {
            Ok(offset) => Ok(under_way(&repository, upload, offset, StatusCode::ACCEPTED)),
            Err(error) => Err(self.with_position(&repository, upload, error)),
        }
    }

    /// PUT: finishes an upload, optionally with a last chunk.
    pub(crate) async fn finish_upload(
        &self,
        name: &RepositoryName,
        session: &path::UploadId,
        query: &Query,
        body: Body,
    ) -> Result<Response, Failure> {
        let Some(digest) = query.parsed::<Digest>("digest", ErrorCode::DigestInvalid)? else {
            let message = "finishing an upload requires the parameter digest, for example ?digest=sha256:…";
            return Err(Failure::new(ErrorCode::DigestInvalid, message));
        };
        let chunk = self.chunk(body)?;
        let (repository, upload) = self.upload(name, session).await?;
        match self.registry.content.finish_upload(&repository, upload, &digest, Some(chunk)).await {
            Ok(info) => Ok(stored(&repository, &info)),
            Err(error) => Err(self.with_position(&repository, upload, error)),
        }
    }

    /// GET: the offset at which the upload continues.
    pub(crate) async fn upload_status(
        &self,
        name: &RepositoryName,
        session: &path::UploadId,
    ) -> Result<Response, Failure> {
        let (repository, upload) = self.upload(name, session).await?;
        let offset = self.registry.content.upload_offset(&repository, upload).await?;
        Ok(under_way(&repository, upload, offset, StatusCode::NO_CONTENT))
    }

    /// DELETE: cancels an upload.
    pub(crate) async fn cancel_upload(
        &self,
        name: &RepositoryName,
        session: &path::UploadId,
    ) -> Result<Response, Failure> {
        let (repository, upload) = self.upload(name, session).await?;
        self.registry.content.cancel_upload(&repository, upload).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// The mounted blob, if the request asks for a mount and there is a repository, named or not, that has the blob and
    /// that the actor may read. Otherwise `None`, and the client uploads.
    async fn mount(
        &self,
        to: &Repository,
        mount: Option<&Digest>,
        query: &Query,
    ) -> Result<Option<BlobInfo>, Failure> {
        let Some(digest) = mount else { return Ok(None) };
        let content = &self.registry.content;
        let Some(from) = query.get("from") else {
            return Ok(content.mount_from_any(&self.to_mount_from_any(&to.name), to, digest).await?);
        };
        // No repository here can have such a name.
        let Ok(from) = from.parse::<RepositoryName>() else { return Ok(None) };
        let Some(from) = self.to_mount_from(&from, &to.name).await? else { return Ok(None) };
        Ok(content.mount(&from, to, digest).await?)
    }

    async fn upload(
        &self,
        name: &RepositoryName,
        session: &path::UploadId,
    ) -> Result<(Repository, UploadId), Failure> {
        let repository = self.to_go_on(name).await?;
        let upload = session.as_str().parse().map_err(|_| {
            Failure::new(ErrorCode::BlobUploadUnknown, format!("there is no upload {session} in {name}"))
        })?;
        Ok((repository, upload))
    }

    fn chunk(&self, body: Body) -> Result<Chunk, Failure> {
        let headers = &self.request.headers;
        let length = headers::content_length(headers)?;
        let range = match headers.get(header::CONTENT_RANGE) {
            None => None,
            Some(range) => {
                let parsed = range.to_str().unwrap_or_default().parse::<ContentRange>();
                Some(parsed.map_err(|error| Failure::new(ErrorCode::BlobUploadInvalid, error.to_string()))?)
            }
        };
        if let (Some(range), Some(length)) = (range, length)
            && range.length() != length
        {
            let message = format!(
                "the Content-Range {range} has {} bytes, but the Content-Length is {length}",
                range.length()
            );
            return Err(Failure::new(ErrorCode::SizeInvalid, message));
        }
        let length = length.or(range.map(ContentRange::length));
        Ok(Chunk { start: range.map(|range| range.first), body: body::stream(body, length) })
    }

    /// The failure for an error, with the offset of the upload if the client used a wrong one.
    fn with_position(&self, repository: &Repository, upload: UploadId, error: Error) -> Failure {
        let (Error::RangeNotSatisfiable { offset } | Error::UploadBusy { offset }) = error else {
            return error.into();
        };
        Failure::from(error)
            .header(header::LOCATION, upload_location(repository, upload))
            .header(header::RANGE, received(offset))
            .header(UPLOAD_UUID, headers::value(upload.to_string()))
    }
}

fn digest_algorithm(query: &Query) -> Result<Algorithm, Failure> {
    let Some(name) = query.get("digest-algorithm") else { return Ok(Algorithm::Sha256) };
    Algorithm::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name).ok_or_else(|| {
        let message = format!("digests of the algorithm {name:?} are not supported; use sha256 or sha512");
        Failure::new(ErrorCode::DigestInvalid, message)
    })
}

fn upload_location(repository: &Repository, upload: UploadId) -> HeaderValue {
    headers::value(format!("/v2/{}/blobs/uploads/{upload}", repository.name))
}

/// The received range, inclusive at both ends; by convention `0-0` if it is empty.
fn received(offset: u64) -> HeaderValue {
    headers::value(format!("0-{}", offset.saturating_sub(1)))
}

fn under_way(repository: &Repository, upload: UploadId, offset: u64, status: StatusCode) -> Response {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, upload_location(repository, upload));
    headers.insert(header::RANGE, received(offset));
    headers.insert(UPLOAD_UUID, headers::value(upload.to_string()));
    response
}

fn stored(repository: &Repository, info: &BlobInfo) -> Response {
    let mut response = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/blobs/{}", repository.name, info.digest);
    response.headers_mut().insert(header::LOCATION, headers::value(location));
    response.headers_mut().insert(CONTENT_DIGEST, headers::value(&info.digest));
    response
}
