//! Finds the referrers and digest tags of an image and of its parts within a repository (semantics 6, 7). Promotions
//! and transfers copy them.

use longshore_metadata::{Conn, Error, manifests, tags};
use longshore_model::{RepositoryId, TagRecord};
use longshore_oci::Digest;
use std::collections::HashSet;

/// The maximum depth to which referrers of referrers are followed.
const DEPTH: usize = 4;
/// The maximum number of manifests that [`roots`] visits: an image may be a part of many indexes.
const MOST_ROOTS: usize = 256;

/// The referrers and digest tags of one image.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// Manifests whose subject is the image, one of its children, or another referrer; nearest first.
    pub referrers: Vec<Digest>,
    /// Tags such as `sha256-….sig` of the image or one of its children.
    pub digest_tags: Vec<TagRecord>,
}

/// The referrers and digest tags of `root` in `repository`.
pub(crate) async fn of(conn: &mut Conn, repository: RepositoryId, root: &Digest) -> Result<Family, Error> {
    let mut family = Family::default();
    let mut seen: HashSet<Digest> = HashSet::new();
    let mut subjects = members(conn, root).await?;
    let mut tagged: HashSet<Digest> = HashSet::new();
    for _ in 0..DEPTH {
        let (mut found, mut by_tag) = (Vec::new(), Vec::new());
        for subject in &subjects {
            for tag in tags::digest_tags_of(conn, repository, subject).await? {
                // The manifest of a digest tag may itself have a signature.
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

/// The manifests that `subject` belongs to, itself included: indexes that contain it, its subject and the subjects of
/// its digest tags, and so on up to the image; nearest first, without duplicates. Goes up as far as [`of`] goes down.
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

/// The manifest itself and, if it is an index, its children, recursively.
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
