//! Manifests that refer to another by its `subject`: signatures, SBOMs, attestations.

use crate::{
    Conn, Error,
    conn::{from_row, rows},
    convert::{from_json, parse},
};
use longshore_model::RepositoryId;
use longshore_oci::{Descriptor, Digest};
use std::collections::BTreeMap;

from_row! {
    struct ReferrerRow {
        digest: String,
        media_type: String,
        artifact_type: Option<String>,
        annotations: String,
        size: i64,
    }
}

/// Both statements start at the subject, which few manifests have, and then check whether the repository has these.
/// CROSS JOIN prevents SQLite from starting with all manifests of the repository. PostgreSQL decides by its statistics.
pub(crate) const REFERRERS: &str = "SELECT m.digest, m.media_type, m.artifact_type, m.annotations, m.size
     FROM manifests m CROSS JOIN repository_manifests l
     WHERE m.subject = $2 AND l.repository = $1 AND l.digest = m.digest AND l.removed_at IS NULL
       AND ($3 IS NULL OR m.artifact_type = $3)
     ORDER BY m.digest";
/// Annotations may be long, so only their lengths decide which referrers are read.
pub(crate) const REFERRERS_PAGE: &str = "SELECT page.remaining, m.digest, m.media_type, m.artifact_type, m.annotations, m.size
     FROM (SELECT digest, own, CAST(COUNT(*) OVER () AS BIGINT) AS remaining,
                  SUM(own) OVER (ORDER BY digest) AS reach
           FROM (SELECT m.digest, OCTET_LENGTH(m.annotations) + COALESCE(OCTET_LENGTH(m.artifact_type), 0) + 512 AS own
                 FROM manifests m CROSS JOIN repository_manifests l
                 WHERE m.subject = $2 AND l.repository = $1 AND l.digest = m.digest AND l.removed_at IS NULL
                   AND ($3 IS NULL OR m.artifact_type = $3) AND ($4 IS NULL OR m.digest > $4)) AS lengths) AS page
     JOIN manifests m ON m.digest = page.digest
     WHERE page.reach <= $6 OR page.reach = page.own
     ORDER BY m.digest LIMIT $5";

/// The repository's manifests with this subject, of one artifact type or of any.
pub async fn referrers(
    conn: &mut Conn,
    repository: RepositoryId,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Vec<Descriptor>, Error> {
    let found = rows!(conn, ReferrerRow, REFERRERS, repository.to_string(), subject.as_str(), artifact_type)?;
    found.into_iter().map(descriptor).collect()
}

/// A page of a list of referrers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferrersPage {
    /// Ordered by digest.
    pub descriptors: Vec<Descriptor>,
    /// Whether there are more.
    pub more: bool,
}

/// The page of the list of [`referrers`] to read.
#[derive(Debug, Clone, Copy)]
pub struct ReferrersWanted<'a> {
    /// `None` means any artifact type.
    pub artifact_type: Option<&'a str>,
    /// Only those after this digest.
    pub after: Option<&'a str>,
    /// The maximum number of referrers.
    pub count: i64,
    /// The maximum number of bytes of annotations, artifact types and the other parts of descriptors. The page has at
    /// least one referrer, whatever its size.
    pub bytes: i64,
}

from_row! {
    struct CountedRow {
        remaining: i64,
    } and referrer: ReferrerRow
}

/// A page of the repository's manifests with this subject. Annotations may be long, so only their lengths decide which
/// referrers are read.
pub async fn referrers_page(
    conn: &mut Conn,
    repository: RepositoryId,
    subject: &Digest,
    wanted: ReferrersWanted<'_>,
) -> Result<ReferrersPage, Error> {
    let found = rows!(
        conn,
        CountedRow,
        REFERRERS_PAGE,
        repository.to_string(),
        subject.as_str(),
        wanted.artifact_type,
        wanted.after,
        wanted.count,
        wanted.bytes
    )?;
    let more = found.first().is_some_and(|row| row.remaining > found.len() as i64);
    let descriptors = found.into_iter().map(|row| descriptor(row.referrer)).collect::<Result<_, _>>()?;
    Ok(ReferrersPage { descriptors, more })
}

fn descriptor(row: ReferrerRow) -> Result<Descriptor, Error> {
    let annotations: BTreeMap<String, String> = from_json("annotations", &row.annotations)?;
    let mut descriptor =
        Descriptor::new(&row.media_type, parse("digest", &row.digest)?, row.size.unsigned_abs());
    descriptor.artifact_type = row.artifact_type;
    descriptor.annotations = annotations;
    Ok(descriptor)
}
