//! The parts that a manifest names: recorded when it is stored, and checked before. There may be thousands, so each of
//! the two is one statement that takes the parts as JSON.

use super::NewManifest;
use crate::{
    Conn, Error, Tx,
    conn::{change, rows},
    convert::{json, parse},
};
use longshore_model::RepositoryId;
use longshore_oci::{Digest, Manifest, ManifestReference, ReferenceRole};
use serde_json::{Value, json as object};
use std::collections::HashSet;

/// Why a layer with a non-distributable media type need not be stored.
const NOT_DISTRIBUTED: &str = "its media type says that it is not distributed";

/// Records the parts that a manifest names.
pub(super) async fn insert(tx: &mut Tx, new: &NewManifest<'_>) -> Result<(), Error> {
    let edges = new.parsed.references().enumerate().map(|(position, reference)| {
        let part = reference.descriptor;
        let platform = match reference.role {
            ReferenceRole::Config => new.platform,
            _ => part.platform.as_ref(),
        };
        let absent = match (reference.absent_ok, reference.role) {
            (false, _) => None,
            (true, ReferenceRole::Subject) => Some("a subject may arrive later"),
            (true, _) => Some(NOT_DISTRIBUTED),
        };
        object!({
            "child": part.digest,
            "role": role(reference.role),
            "position": position,
            "media_type": part.media_type,
            "size": part.size.cast_signed(),
            "platform": platform.filter(|platform| platform.is_well_formed()).map(ToString::to_string),
            "absent": absent,
        })
    });
    let edges = Value::Array(edges.collect()).to_string();
    let sql = match tx.is_postgres() {
        true => {
            "INSERT INTO manifest_edges (parent, child, role, position, media_type, size, platform, absent)
             SELECT $1, e.child, e.role, e.position, e.media_type, e.size, e.platform, e.absent
             FROM json_to_recordset($2::json) AS e (child TEXT, role TEXT, position BIGINT, media_type TEXT,
                                                    size BIGINT, platform TEXT, absent TEXT)"
        }
        false => {
            "INSERT INTO manifest_edges (parent, child, role, position, media_type, size, platform, absent)
             SELECT $1, e.value ->> 'child', e.value ->> 'role', e.value ->> 'position', e.value ->> 'media_type',
                    e.value ->> 'size', e.value ->> 'platform', e.value ->> 'absent'
             FROM json_each($2) e"
        }
    };
    change!(tx.conn, sql, new.digest.as_str(), edges)?;
    Ok(())
}

fn role(role: ReferenceRole) -> &'static str {
    match role {
        ReferenceRole::Config => "config",
        ReferenceRole::Layer => "layer",
        ReferenceRole::Child => "child",
        ReferenceRole::Subject => "subject",
    }
}

/// The parts of a manifest that must be stored (semantics 9) and that the repository does not have.
pub async fn has_all(
    conn: &mut Conn,
    repository: RepositoryId,
    manifest: &Manifest,
) -> Result<Vec<Digest>, Error> {
    let needed = manifest.references().filter(|reference| !reference.absent_ok);
    let (mut children, mut blobs): (Vec<_>, Vec<_>) =
        needed.partition(|part| part.role == ReferenceRole::Child);
    // The same part may be named thousands of times.
    for parts in [&mut children, &mut blobs] {
        let mut seen = HashSet::new();
        parts.retain(|part| seen.insert(&part.descriptor.digest));
    }
    let mut missing = lacking(conn, repository, Part::Blob, &blobs).await?;
    missing.extend(lacking(conn, repository, Part::Manifest, &children).await?);
    Ok(missing)
}

/// The tagged manifests of a repository that lack a non-distributable layer, themselves or in one of their children
/// (semantics 43). One statement, which checks each manifest of the repository once.
pub async fn lacking_layers(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Digest>, Error> {
    let found = rows!(
        conn,
        (String,),
        "WITH RECURSIVE lacking (digest) AS (
             SELECT e.parent FROM repository_manifests l JOIN manifest_edges e ON e.parent = l.digest
             WHERE l.repository = $1 AND l.removed_at IS NULL AND e.role = 'layer' AND e.absent = $2
               AND NOT EXISTS (SELECT 1 FROM repository_blobs b WHERE b.repository = $1 AND b.digest = e.child)
             UNION
             SELECT e.parent FROM lacking v JOIN manifest_edges e ON e.child = v.digest AND e.role = 'child')
         SELECT DISTINCT t.digest FROM lacking v JOIN tags t ON t.repository = $1 AND t.digest = v.digest",
        repository.to_string(),
        NOT_DISTRIBUTED
    )?;
    found.into_iter().map(|(digest,)| parse("digest", &digest)).collect()
}

/// The kind of a part.
#[derive(Clone, Copy)]
enum Part {
    Blob,
    Manifest,
}

/// Those of these parts that a repository does not have, in their order.
async fn lacking(
    conn: &mut Conn,
    repository: RepositoryId,
    part: Part,
    parts: &[ManifestReference<'_>],
) -> Result<Vec<Digest>, Error> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match (part, conn.is_postgres()) {
        (Part::Blob, true) => {
            "SELECT p.digest FROM json_array_elements_text($2::json) WITH ORDINALITY AS p (digest, position)
             WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository = $1 AND l.digest = p.digest)
             ORDER BY p.position"
        }
        (Part::Blob, false) => {
            "SELECT p.value FROM json_each($2) p
             WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository = $1 AND l.digest = p.value)
             ORDER BY p.key"
        }
        (Part::Manifest, true) => {
            "SELECT p.digest FROM json_array_elements_text($2::json) WITH ORDINALITY AS p (digest, position)
             WHERE NOT EXISTS (SELECT 1 FROM repository_manifests l
                               WHERE l.repository = $1 AND l.digest = p.digest AND l.removed_at IS NULL)
             ORDER BY p.position"
        }
        (Part::Manifest, false) => {
            "SELECT p.value FROM json_each($2) p
             WHERE NOT EXISTS (SELECT 1 FROM repository_manifests l
                               WHERE l.repository = $1 AND l.digest = p.value AND l.removed_at IS NULL)
             ORDER BY p.key"
        }
    };
    let digests: Vec<&Digest> = parts.iter().map(|part| &part.descriptor.digest).collect();
    let found = rows!(conn, (String,), sql, repository.to_string(), json(&digests))?;
    found.into_iter().map(|(digest,)| parse("digest", &digest)).collect()
}
