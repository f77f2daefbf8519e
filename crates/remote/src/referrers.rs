//! What refers to a manifest at another registry: by the referrers API (distribution-spec
//! end-12), else by the referrers tag that stands in for it.

use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use longshore_oci::{
    Action, Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, Reference, RemoteName, Tag, media_type,
};
use url::Url;

use crate::answer::read_body;
use crate::tags::next_link;
use crate::transport::Call;
use crate::{Error, Registry};

/// The most pages of referrers that are followed.
const MAX_PAGES: usize = 1_000;

impl Registry {
    /// The descriptors of all that refers to `subject`, or of those with one artifact type. `None`
    /// where the registry has neither the API nor a referrers tag for this subject.
    pub async fn referrers(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let found = match self.referrers_by_api(repository, subject, artifact_type).await? {
            Some(found) => Some(found),
            None => self.referrers_by_tag(repository, subject).await?,
        };
        // Filtering is the registry's choice, so it is done again here.
        Ok(found.map(|mut found| {
            found.retain(|d| artifact_type.is_none() || d.artifact_type.as_deref() == artifact_type);
            found
        }))
    }

    async fn referrers_by_api(
        &self,
        repository: &RemoteName,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let doing = format!("listing what refers to {} in {repository}", subject.short());
        let mut url = self.repository_url(repository, &format!("referrers/{subject}"));
        if let Some(wanted) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            let Some((mut some, next)) = self.referrers_page(repository, &url, &doing, page == 0).await?
            else {
                return Ok(None);
            };
            found.append(&mut some);
            match next {
                Some(next) if next != url => url = next,
                _ => return Ok(Some(found)),
            }
        }
        Err(self.bad_answer(&doing, "pages without end"))
    }

    /// One page; `None` where the first one shows that there is no such API.
    async fn referrers_page(
        &self,
        repository: &RemoteName,
        url: &Url,
        doing: &str,
        first: bool,
    ) -> Result<Option<(Vec<Descriptor>, Option<Url>)>, Error> {
        let scopes = vec![self.scope(repository, &[Action::Pull])];
        let call = Call::new(Method::GET, url.clone(), scopes, doing.to_owned())
            .header(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let mut response = self.send(call).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let unsupported = status.is_client_error()
                && !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
            return if first && unsupported { Ok(None) } else { Err(self.refused(response, doing).await) };
        }
        let body = read_body(&mut response, self.host(), doing, MAX_MANIFEST_BYTES).await?;
        let Ok(index) = Manifest::parse(&body, Some(media_type::OCI_INDEX)) else {
            return if first { Ok(None) } else { Err(self.bad_answer(doing, "no image index")) };
        };
        let next = match next_link(response.headers()) {
            None => None,
            Some(target) => Some(self.next_page(url, &target, doing)?),
        };
        Ok(Some((index.manifests().to_vec(), next)))
    }

    async fn referrers_by_tag(
        &self,
        repository: &RemoteName,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let tag = Reference::Tag(Tag::referrers_of(subject));
        match self.get_manifest(repository, &tag).await {
            // A tag of that name which is no index belongs to somebody else.
            Ok(fetched) => Ok(Manifest::parse(&fetched.bytes, Some(&fetched.media_type))
                .ok()
                .map(|index| index.manifests().to_vec())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
