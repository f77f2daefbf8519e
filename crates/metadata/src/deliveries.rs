//! Deliveries: each promotion and each copy to another registry, by a policy or by a person.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{id, instant, json, maybe_id, maybe_parse, micros, parse, readable, word},
};
use longshore_model::{JobId, PolicyId, PolicyKind, RemoteId, RepositoryId, Revision, Timestamp};
use longshore_oci::{Digest, RemoteName, Tag};
use std::hash::{Hash, Hasher};

/// A repository that images are delivered to. Two remotes of one registry, with different credentials for example, lead
/// to the same place and compare as equal (semantics 35).
#[derive(Debug, Clone)]
pub enum DeliveryTarget {
    /// A repository of this server.
    Local(RepositoryId),
    /// A repository of another registry.
    Remote {
        remote: RemoteId,
        /// The registry's host.
        host: String,
        repository: RemoteName,
    },
}

impl DeliveryTarget {
    /// The parts that distinguish places.
    fn place(&self) -> Result<RepositoryId, (&str, &RemoteName)> {
        match self {
            Self::Local(repository) => Ok(*repository),
            Self::Remote { remote: _, host, repository } => Err((host, repository)),
        }
    }
}

impl PartialEq for DeliveryTarget {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for DeliveryTarget {}

impl Hash for DeliveryTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// One delivery of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `None` if a person delivered it.
    pub policy: Option<PolicyId>,
    /// By promotion or by push mirror.
    pub kind: PolicyKind,
    pub source_repository: RepositoryId,
    /// `None` for a referrer without a tag.
    pub source_tag: Option<Tag>,
    /// The revision of the source tag.
    pub source_revision: Revision,
    pub digest: Digest,
    pub target: DeliveryTarget,
    pub target_tag: Option<Tag>,
    pub at: Timestamp,
    pub job: Option<JobId>,
}

from_row! {
    struct Row {
        policy: Option<String>,
        kind: String,
        source_repository: String,
        source_tag: Option<String>,
        source_revision: i64,
        digest: String,
        target_repository: Option<String>,
        remote: Option<String>,
        remote_host: Option<String>,
        remote_repository: Option<String>,
        target_tag: Option<String>,
        at: i64,
        job: Option<String>,
    }
}

/// Selects whole deliveries; what follows their columns is given.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT policy, kind, source_repository, source_tag, source_revision, digest, target_repository, remote,
                    remote_host, remote_repository, target_tag, at, job ",
            $rest
        )
    };
}

impl Row {
    /// Its name in the log if the row is unreadable.
    fn place(&self) -> String {
        format!("revision {} of repository {}", self.source_revision, self.source_repository)
    }
}

impl TryFrom<Row> for Delivery {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let target = match (&row.target_repository, &row.remote) {
            (Some(repository), _) => DeliveryTarget::Local(id(RepositoryId, repository)?),
            (None, Some(remote)) => DeliveryTarget::Remote {
                remote: id(RemoteId, remote)?,
                host: row.remote_host.unwrap_or_default(),
                repository: parse("repository name", &row.remote_repository.unwrap_or_default())?,
            },
            (None, None) => {
                return Err(Error::Unreadable { what: "delivery", why: "it has no target".to_owned() });
            }
        };
        Ok(Self {
            policy: maybe_id(PolicyId, row.policy.as_deref())?,
            kind: word("policy kind", &row.kind)?,
            source_repository: id(RepositoryId, &row.source_repository)?,
            source_tag: maybe_parse("tag", row.source_tag.as_deref())?,
            source_revision: Revision(row.source_revision),
            digest: parse("digest", &row.digest)?,
            target,
            target_tag: maybe_parse("tag", row.target_tag.as_deref())?,
            at: instant(row.at)?,
            job: maybe_id(JobId, row.job.as_deref())?,
        })
    }
}

/// Records a delivery.
pub async fn record(tx: &mut Tx, delivery: &Delivery) -> Result<(), Error> {
    let (local, remote, host, repository) = match &delivery.target {
        DeliveryTarget::Local(repository) => (Some(repository.to_string()), None, None, None),
        DeliveryTarget::Remote { remote, host, repository } => {
            (None, Some(remote.to_string()), Some(host.as_str()), Some(repository.as_str()))
        }
    };
    change!(
        tx.conn,
        "INSERT INTO deliveries (policy, kind, source_repository, source_tag, source_revision, digest,
                                 target_repository, remote, remote_host, remote_repository, target_tag, at, job)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        delivery.policy.map(|policy| policy.to_string()),
        delivery.kind.as_str(),
        delivery.source_repository.to_string(),
        delivery.source_tag.as_ref().map(Tag::as_str),
        delivery.source_revision.0,
        delivery.digest.as_str(),
        local,
        remote,
        host,
        repository,
        delivery.target_tag.as_ref().map(Tag::as_str),
        micros(delivery.at),
        delivery.job.map(|job| job.to_string())
    )?;
    Ok(())
}

/// The last delivery to a tag of a target. Two remotes with the same host lead to the same target.
pub async fn latest_at(
    conn: &mut Conn,
    target: &DeliveryTarget,
    tag: &Tag,
) -> Result<Option<Delivery>, Error> {
    let found = match target {
        DeliveryTarget::Local(repository) => row!(
            conn,
            Row,
            select!(
                "FROM deliveries WHERE target_repository = $1 AND target_tag = $2 ORDER BY id DESC LIMIT 1"
            ),
            repository.to_string(),
            tag.as_str()
        )?,
        DeliveryTarget::Remote { host, repository, .. } => row!(
            conn,
            Row,
            select!(
                "FROM deliveries WHERE remote_host = $1 AND remote_repository = $2 AND target_tag = $3
                 ORDER BY id DESC LIMIT 1"
            ),
            host.as_str(),
            repository.as_str(),
            tag.as_str()
        )?,
    };
    found.map(Delivery::try_from).transpose()
}

/// The deliveries of a manifest of a repository, oldest first.
pub async fn of_digest(
    conn: &mut Conn,
    source: RepositoryId,
    digest: &Digest,
) -> Result<Vec<Delivery>, Error> {
    let found = rows!(
        conn,
        Row,
        select!("FROM deliveries WHERE source_repository = $1 AND digest = $2 ORDER BY id"),
        source.to_string(),
        digest.as_str()
    )?;
    Ok(readable("delivery", found, Row::place, Delivery::try_from))
}

/// The last delivery of a revision of a tag by each of these policies, in no particular order. An index finds each,
/// however many deliveries there are.
pub async fn latest_by(
    conn: &mut Conn,
    source: RepositoryId,
    tag: &Tag,
    revision: Revision,
    policies: &[PolicyId],
) -> Result<Vec<Delivery>, Error> {
    let sql = latest_by_sql(conn.is_postgres());
    let found = rows!(conn, Row, sql, source.to_string(), tag.as_str(), revision.0, json(&policies))?;
    Ok(readable("delivery", found, Row::place, Delivery::try_from))
}

/// The statement of [`latest_by`].
pub(crate) const fn latest_by_sql(is_postgres: bool) -> &'static str {
    macro_rules! latest {
        ($policies:literal) => {
            concat!(
                "WITH asked (one) AS (",
                $policies,
                ") ",
                select!(
                    "FROM asked CROSS JOIN deliveries d
                 WHERE d.id = (SELECT n.id FROM deliveries n
                               WHERE n.source_repository = $1 AND n.source_tag = $2 AND n.source_revision = $3
                                 AND n.policy = asked.one
                               ORDER BY n.at DESC, n.id DESC LIMIT 1)"
                )
            )
        };
    }
    match is_postgres {
        false => latest!("SELECT value FROM json_each($4)"),
        true => latest!("SELECT json_array_elements_text($4::json)"),
    }
}

/// How many tags a policy has created for a manifest since an instant, for the limit of semantics 5.
pub async fn count_since(
    conn: &mut Conn,
    policy: PolicyId,
    digest: &Digest,
    since: Timestamp,
) -> Result<u64, Error> {
    let made = value!(
        conn,
        i64,
        "SELECT COUNT(*) FROM deliveries WHERE policy = $1 AND digest = $2 AND at >= $3 AND target_tag IS NOT NULL",
        policy.to_string(),
        digest.as_str(),
        micros(since)
    )?;
    Ok(made.unsigned_abs())
}
