//! What hangs on an image within a repository: referrers of it and of its parts, and digest tags
//! (semantics 6, 7). Moving them is the business of promotions and transfers.

use longshore_metadata::{Conn, Error, manifests, tags};
use longshore_model::{RepositoryId, TagRecord};
use longshore_oci::Digest;
use std::collections::HashSet;

/// Referrers of referrers, and so on, are followed this far.
const DEPTH: usize = 4;

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
    for _ in 0..DEPTH {
        let mut found = Vec::new();
        for subject in &subjects {
            family.digest_tags.extend(tags::digest_tags_of(conn, repository, subject).await?);
            for referrer in manifests::referrers(conn, repository, subject, None).await? {
                if seen.insert(referrer.digest.clone()) {
                    found.push(referrer.digest);
                }
            }
        }
        if found.is_empty() {
            break;
        }
        family.referrers.extend(found.iter().cloned());
        subjects = found;
    }
    Ok(family)
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
