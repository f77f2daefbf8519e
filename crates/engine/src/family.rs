//! What hangs on an image within a repository: referrers of it and of its parts, and digest tags
//! (semantics 6, 7). Moving them is the business of promotions and transfers.

use longshore_metadata::{Conn, Error, manifests, tags};
use longshore_model::{RepositoryId, TagRecord};
use longshore_oci::Digest;
use std::collections::HashSet;

/// Referrers of referrers, and so on, are followed this far.
const DEPTH: usize = 4;
/// At most so many manifests are looked at on the way up: an image may be a part of many indexes.
const MOST_ROOTS: usize = 256;

/// What hangs on one image.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// Manifests whose subject is the image, one of its children, or another referrer; nearest first.
    pub referrers: Vec<Digest>,
    /// Tags such as `sha256-….sig` of the image or one of its children.
    pub digest_tags: Vec<TagRecord>,
}

/// Finds what hangs on `root` in `repository`.
pub(crate) async fn of(conn: &mut Conn, repository: RepositoryId, root: &Digest) -> Result<Family, Error> {
    let mut family = Family::default();
    let mut seen: HashSet<Digest> = HashSet::new();
    let mut subjects = members(conn, root).await?;
    let mut tagged: HashSet<Digest> = HashSet::new();
    for _ in 0..DEPTH {
        let (mut found, mut by_tag) = (Vec::new(), Vec::new());
        for subject in &subjects {
            for tag in tags::digest_tags_of(conn, repository, subject).await? {
                // What hangs on an image by its tag may be signed itself.
                if tagged.insert(tag.digest.clone()) {
                    by_tag.push(tag.digest.clone());
                }
                family.digest_tags.push(tag);
            }
            for referrer in manifests::referrers(conn, repository, subject, None).await? {
                if seen.insert(referrer.digest.clone()) {
                    found.push(referrer.digest);
                }
            }
        }
        family.referrers.extend(found.iter().cloned());
        found.extend(by_tag);
        if found.is_empty() {
            break;
        }
        subjects = found;
    }
    Ok(family)
}

/// What a manifest hangs on: its subject and the subjects of its digest tags, what those are parts of, and so on up
/// to the image; nearest first, each once. Climbs as far as [`of`] goes down.
pub(crate) async fn roots(
    conn: &mut Conn,
    repository: RepositoryId,
    subject: &Digest,
) -> Result<Vec<Digest>, Error> {
    let mut roots = vec![subject.clone()];
    let mut level = roots.clone();
    for _ in 0..=DEPTH {
        let mut above = Vec::new();
        for manifest in &level {
            above.extend(manifests::parents(conn, repository, manifest).await?);
            above.extend(manifests::subject(conn, manifest).await?);
            above.extend(tags::subjects_by_tag(conn, repository, manifest).await?);
        }
        level.clear();
        for manifest in above {
            if roots.len() < MOST_ROOTS && !roots.contains(&manifest) {
                roots.push(manifest.clone());
                level.push(manifest);
            }
        }
        if level.is_empty() {
            break;
        }
    }
    Ok(roots)
}

/// The manifest itself and, of an index, its children.
async fn members(conn: &mut Conn, root: &Digest) -> Result<Vec<Digest>, Error> {
    let mut members = vec![root.clone()];
    let mut next = 0;
    while let Some(manifest) = members.get(next) {
        let parts = manifests::parts(conn, manifest).await?;
        for child in parts.into_iter().filter(|part| part.is_manifest()) {
            if !members.contains(&child.digest) {
                members.push(child.digest);
            }
        }
        next += 1;
    }
    Ok(members)
}
