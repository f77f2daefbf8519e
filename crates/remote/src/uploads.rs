//! Blobs to another registry: mount, upload in two requests, cancel (distribution-spec end-4b,
//! 6, 11, 14).

use bytes::Bytes;
use futures::stream::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use longshore_oci::{Action, Digest, RemoteName, Scope};
use reqwest::Response;
use url::Url;

use crate::transport::{Call, Payload};
use crate::{Error, Registry};

/// An upload that was begun. It is finished or cancelled once.
#[derive(Debug)]
#[must_use = "an upload that is neither finished nor cancelled lies around at the registry"]
pub struct Upload {
    location: Url,
}

/// What became of a mount.
#[derive(Debug)]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// The registry would not, and began an upload instead.
    Upload(Upload),
}

impl Registry {
    /// Begins an upload.
    pub async fn start_upload(&self, repository: &RemoteName) -> Result<Upload, Error> {
        let doing = format!("beginning an upload to {repository}");
        let url = self.repository_url(repository, "blobs/uploads/");
        let call = Call::new(Method::POST, url.clone(), self.push_scopes(repository), doing.clone());
        let response = self.expect(call, &[StatusCode::ACCEPTED]).await?;
        self.upload_of(&url, &response, &doing)
    }

    /// Gives an upload up. A registry that cannot or that has forgotten it already is content.
    pub async fn cancel_upload(&self, repository: &RemoteName, upload: Upload) -> Result<(), Error> {
        let doing = format!("cancelling an upload to {repository}");
        let call = Call::new(Method::DELETE, upload.location, self.push_scopes(repository), doing);
        let settled = [
            StatusCode::NO_CONTENT,
            StatusCode::OK,
            StatusCode::ACCEPTED,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        self.expect(call, &settled).await.map(drop)
    }

    /// Asks the registry to take a blob over from another of its repositories, which must be
    /// readable with the same credentials.
    pub async fn mount_blob(
        &self,
        repository: &RemoteName,
        digest: &Digest,
        from: &RemoteName,
    ) -> Result<Mount, Error> {
        let doing = format!("mounting blob {} of {from} into {repository}", digest.short());
        let mut url = self.repository_url(repository, "blobs/uploads/");
        let source = self.endpoint().repository(from);
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", source.as_str());
        let mut scopes = self.push_scopes(repository);
        if from != repository {
            scopes.push(self.scope(from, &[Action::Pull]));
        }
        let call = Call::new(Method::POST, url.clone(), scopes, doing.clone());
        let response = self.expect(call, &[StatusCode::CREATED, StatusCode::ACCEPTED]).await?;
        match response.status() {
            StatusCode::CREATED => Ok(Mount::Mounted),
            _ => Ok(Mount::Upload(self.upload_of(&url, &response, &doing)?)),
        }
    }

    /// Uploads a blob of `size` bytes in two requests, POST and PUT, without holding it in memory.
    /// The registry verifies the digest.
    pub async fn push_blob<S, E>(
        &self,
        repository: &RemoteName,
        digest: &Digest,
        size: u64,
        body: S,
    ) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let upload = self.start_upload(repository).await?;
        self.finish_upload(repository, upload, digest, size, body).await
    }

    /// The second request of [`Self::push_blob`], for an upload that a mount began.
    pub async fn finish_upload<S, E>(
        &self,
        repository: &RemoteName,
        upload: Upload,
        digest: &Digest,
        size: u64,
        body: S,
    ) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let doing = format!("uploading blob {} to {repository}", digest.short());
        let mut url = upload.location;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let call = Call::new(Method::PUT, url, self.push_scopes(repository), doing)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(CONTENT_LENGTH, HeaderValue::from(size))
            .payload(Payload::stream(body, size));
        let stored = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        self.expect(call, &stored).await.map(drop)
    }

    fn push_scopes(&self, repository: &RemoteName) -> Vec<Scope> {
        vec![self.scope(repository, &[Action::Pull, Action::Push])]
    }

    /// The upload that an answer names: relative or absolute, query kept.
    fn upload_of(&self, asked: &Url, response: &Response, doing: &str) -> Result<Upload, Error> {
        let location = crate::transport::location(asked, response)
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| self.bad_answer(doing, "no address to upload to"))?;
        Ok(Upload { location: self.own_address(location) })
    }
}
