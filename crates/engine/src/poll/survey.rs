//! Reads from a remote repository the tags that match the patterns, with their digests, and its digest tags. If all
//! patterns are plain names, tags are not listed.

use crate::{journal::Journal, memory::Notes, trouble::Trouble};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use longshore_model::{
    Provenance,
    message::{PlaceRef, PollMessage, RemoteRef},
    stored::PullMirror,
};
use longshore_oci::{Digest, Reference, RemoteName, Tag};
use longshore_policy::Patterns;
use longshore_remote::Registry;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The number of HEAD requests at the same time.
const HEADS_AT_ONCE: usize = 8;
/// The page size of tag lists.
const PAGE: u32 = 1_000;

/// The tags of a remote repository.
pub(super) struct Survey {
    /// The tags that match the patterns.
    pub tags: Vec<(Tag, Digest)>,
    /// Tags that match the patterns but whose digest could not be read, with the reason. They do not keep other tags
    /// from being mirrored (semantics 37).
    pub unread: Vec<(Tag, Trouble)>,
    /// Digest tags; empty if tags were not listed.
    pub digest_tags: Vec<Tag>,
    /// Whether tags were listed.
    pub listed: bool,
    /// Why the list may be incomplete; `None` if it is complete.
    pub incomplete: Option<String>,
    /// The number of warnings, such as tags that are listed but do not exist. Each is in the journal.
    pub warnings: u64,
}

impl Survey {
    /// Requests the list of tags, unless every pattern is a plain name, and then sends one HEAD for each tag that
    /// earlier attempts have not looked up. Fails if the list cannot be read, or if the remote as a whole fails.
    pub(super) async fn make(
        registry: &Registry,
        mirror: &PullMirror,
        patterns: &Patterns,
        journal: &Journal,
        notes: &Notes,
    ) -> Result<Self, Trouble> {
        let repository = &mirror.remote_repository;
        let plain: Option<Vec<Tag>> =
            patterns.plain_names().map(|names| names.into_iter().cloned().collect());
        let listed = plain.is_none();
        let mut warnings = 0;
        let (wanted, digest_tags, incomplete) = match plain {
            Some(names) => (names, Vec::new(), None),
            None => {
                let listing = registry.list_tags(repository, PAGE).await?;
                if listing.odd_names.count > 0 {
                    let names = listing.odd_names.to_string();
                    journal.warn(PollMessage::OddNames { place: place(mirror), names });
                    warnings += 1;
                }
                let incomplete = listing.incomplete.map(|why| why.to_string());
                let (digest_tags, names): (Vec<Tag>, Vec<Tag>) =
                    listing.tags.into_iter().partition(Tag::is_digest_tag);
                let tags = names.len() as u64;
                let wanted: Vec<Tag> = names.into_iter().filter(|tag| patterns.matches(tag)).collect();
                if wanted.is_empty() && tags > 0 {
                    let (place, patterns) = (place(mirror), mirror.patterns.clone());
                    journal.warn(PollMessage::NoneMatch { place, tags, patterns });
                    warnings += 1;
                }
                (wanted, digest_tags, incomplete)
            }
        };
        if let Some(why) = &incomplete {
            journal.warn(PollMessage::Incomplete { place: place(mirror), why: why.clone() });
            warnings += 1;
        }
        let mut survey =
            Self { tags: Vec::new(), unread: Vec::new(), digest_tags, listed, incomplete, warnings };
        let (mut whole, failed) = (None, AtomicBool::new(false));
        let wanted = wanted.into_iter().take_while(|_| !failed.load(Relaxed));
        let mut found = look_at_all(registry, repository, wanted, notes);
        while let Some((tag, digest)) = found.next().await {
            match digest {
                Ok(Some(digest)) => survey.tags.push((tag, digest)),
                Ok(None) => {
                    journal.warn(PollMessage::Absent { place: place(mirror).tagged(tag) });
                    survey.warnings += 1;
                }
                // No further requests are sent. Those in progress may finish, and the next attempt uses their results.
                Err(trouble) if trouble.is_of_the_whole(registry) => {
                    failed.store(true, Relaxed);
                    whole.get_or_insert(trouble);
                }
                Err(trouble) => survey.unread.push((tag, trouble)),
            }
        }
        drop(found);
        match whole {
            Some(trouble) => Err(trouble),
            None => Ok(survey),
        }
    }
}

/// The digests of tags at the remote, in order. A list may have a million names, so no state but the name is kept for
/// tags whose turn is later (semantics 41).
fn look_at_all<'a>(
    registry: &'a Registry,
    repository: &'a RemoteName,
    tags: impl Iterator<Item = Tag> + Send + 'a,
    notes: &'a Notes,
) -> BoxStream<'a, (Tag, Result<Option<Digest>, Trouble>)> {
    stream::iter(tags).map(move |tag| find(registry, repository, tag, notes)).buffered(HEADS_AT_ONCE).boxed()
}

async fn find(
    registry: &Registry,
    repository: &RemoteName,
    tag: Tag,
    notes: &Notes,
) -> (Tag, Result<Option<Digest>, Trouble>) {
    if let Some(known) = notes.recall(&tag) {
        return (tag, Ok(known));
    }
    let digest = look(registry, repository, &tag).await;
    if let Ok(digest) = &digest {
        notes.add(&tag, digest.as_ref());
    }
    (tag, digest)
}

/// The remote repository of the mirror.
pub(super) fn place(mirror: &PullMirror) -> PlaceRef {
    PlaceRef::new(remote(mirror), mirror.remote_repository.clone())
}

/// The remote of the mirror.
pub(super) fn remote(mirror: &PullMirror) -> RemoteRef {
    RemoteRef::new(mirror.remote, mirror.remote_host.clone())
}

/// The digest of a tag at the remote; `None` if it does not exist.
async fn look(registry: &Registry, repository: &RemoteName, tag: &Tag) -> Result<Option<Digest>, Trouble> {
    let head = registry.head_manifest(repository, &Reference::Tag(tag.clone())).await?;
    Ok(head.map(|head| head.digest))
}

/// The provenance of a tag of the mirror, or of untagged content if `tag` is `None`.
pub(super) fn provenance(mirror: &PullMirror, tag: Option<&Tag>) -> Provenance {
    let any = || Tag::referrers_of(&Digest::sha256([0; 32]));
    Provenance::Mirror {
        policy: mirror.common.id,
        remote: Some(mirror.remote),
        remote_host: mirror.remote_host.clone(),
        remote_repository: mirror.remote_repository.clone(),
        remote_tag: tag.cloned().unwrap_or_else(any),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use longshore_model::RemoteKind;
    use longshore_remote::{Endpoint, Gate};
    use std::sync::atomic::AtomicUsize;

    #[tokio::test]
    async fn semantics_41_a_million_tags_do_not_mean_a_million_pending_requests() {
        // Nothing listens on this port.
        let url = "http://127.0.0.1:1".parse().unwrap();
        let registry = Registry::behind(Endpoint::new(url, RemoteKind::Other), Gate::default()).unwrap();
        let (repository, begun) = ("up/app".parse().unwrap(), AtomicUsize::new(0));
        let notes = Notes::none();
        let names = (0..1_000_000).map(|number| {
            begun.fetch_add(1, Relaxed);
            format!("v{number}").parse().unwrap()
        });
        let mut looks = look_at_all(&registry, &repository, names, &notes);
        assert!(looks.next().now_or_never().is_none(), "nothing is answered yet");
        assert_eq!(begun.load(Relaxed), HEADS_AT_ONCE);
        assert!(looks.next().await.unwrap().1.is_err());
        assert!(begun.load(Relaxed) <= HEADS_AT_ONCE + 1);
    }
}
