//! The verdicts of policies on tags, with their reasons and results.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows},
    convert::{as_word, from_json, id, instant, json, maybe_id, maybe_parse, micros, parse, readable, word},
};
use longshore_model::{
    JobId, Message, PolicyId, PolicyKind, RepositoryId, Revision, Timestamp, tag::AnswerResult,
};
use longshore_oci::{Digest, Tag};
use longshore_policy::Verdict;

/// A policy's verdict on a revision of a tag.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    pub policy: PolicyId,
    pub kind: PolicyKind,
    /// The version of its rules and template.
    pub version: i64,
    pub repository: RepositoryId,
    pub tag: Tag,
    pub revision: Revision,
    pub digest: Digest,
    pub verdict: Verdict,
    /// The tag at the target, rendered once (semantics 2).
    pub target_tag: Option<Tag>,
    /// The result of what followed.
    pub result: AnswerResult,
    /// What followed, or what else than the rules prevented it.
    pub consequence: Message,
    /// The job that follows from it.
    pub job: Option<JobId>,
    pub at: Timestamp,
}

from_row! {
    struct Row {
        policy: String,
        kind: String,
        version: i64,
        repository: String,
        tag: String,
        revision: i64,
        digest: String,
        verdict: String,
        target_tag: Option<String>,
        result: String,
        consequence: String,
        job: Option<String>,
        at: i64,
    }
}

/// Selects whole verdicts; what follows `FROM verdicts` is given.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT policy, kind, version, repository, tag, revision, digest, verdict, target_tag, result, consequence,
                    job, at
             FROM verdicts ",
            $rest
        )
    };
}

impl TryFrom<Row> for VerdictRow {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let consequence = Message::read(&row.consequence);
        let mut verdict: Verdict = from_json("verdict", &row.verdict)?;
        if matches!(consequence, Message::Plain { .. }) {
            without_objections(&mut verdict);
        }
        Ok(Self {
            policy: id(PolicyId, &row.policy)?,
            kind: word("policy kind", &row.kind)?,
            version: row.version,
            repository: id(RepositoryId, &row.repository)?,
            tag: parse("tag", &row.tag)?,
            revision: Revision(row.revision),
            digest: parse("digest", &row.digest)?,
            verdict,
            target_tag: maybe_parse("tag", row.target_tag.as_deref())?,
            result: word("result", &row.result)?,
            consequence,
            job: maybe_id(JobId, row.job.as_deref())?,
            at: instant(row.at)?,
        })
    }
}

/// Removes objections from the rules, where earlier versions wrote them, with names in them.
fn without_objections(verdict: &mut Verdict) {
    const NAMING: [&str; 2] = ["the target takes promotions", "a tag is not sent back to where it came from"];
    verdict.reasons.retain(|reason| !NAMING.contains(&reason.rule.as_str()));
}

/// Writes a verdict, replacing an earlier one on the same revision by the same version.
pub async fn record(tx: &mut Tx, row: &VerdictRow) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO verdicts (policy, version, repository, tag, revision, kind, digest, verdict, target_tag, result,
                               consequence, job, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (policy, version, repository, tag, revision) DO UPDATE SET
            verdict = excluded.verdict, target_tag = excluded.target_tag, result = excluded.result,
            consequence = excluded.consequence, job = excluded.job, at = excluded.at",
        row.policy.to_string(),
        row.version,
        row.repository.to_string(),
        row.tag.as_str(),
        row.revision.0,
        row.kind.as_str(),
        row.digest.as_str(),
        json(&row.verdict),
        row.target_tag.as_ref().map(Tag::as_str),
        as_word(&row.result),
        row.consequence.stored(),
        row.job.map(|job| job.to_string()),
        micros(row.at)
    )?;
    Ok(())
}

/// Records the result of what followed from a verdict.
pub async fn update_result(
    tx: &mut Tx,
    policy: PolicyId,
    version: i64,
    repository: RepositoryId,
    tag: &Tag,
    revision: Revision,
    result: AnswerResult,
    consequence: &Message,
    job: Option<JobId>,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "UPDATE verdicts SET result = $6, consequence = $7, job = COALESCE($8, job)
         WHERE policy = $1 AND version = $2 AND repository = $3 AND tag = $4 AND revision = $5",
        policy.to_string(),
        version,
        repository.to_string(),
        tag.as_str(),
        revision.0,
        as_word(&result),
        consequence.stored(),
        job.map(|job| job.to_string())
    )?;
    Ok(())
}

/// The verdict of a version of a policy on one revision.
pub async fn find(
    conn: &mut Conn,
    policy: PolicyId,
    version: i64,
    repository: RepositoryId,
    tag: &Tag,
    revision: Revision,
) -> Result<Option<VerdictRow>, Error> {
    row!(
        conn,
        Row,
        select!("WHERE policy = $1 AND version = $2 AND repository = $3 AND tag = $4 AND revision = $5"),
        policy.to_string(),
        version,
        repository.to_string(),
        tag.as_str(),
        revision.0
    )?
    .map(VerdictRow::try_from)
    .transpose()
}

/// All verdicts on one revision, by all versions of all policies, oldest first.
pub async fn for_tag(
    conn: &mut Conn,
    repository: RepositoryId,
    tag: &Tag,
    revision: Revision,
) -> Result<Vec<VerdictRow>, Error> {
    let found = rows!(
        conn,
        Row,
        select!("WHERE repository = $1 AND tag = $2 AND revision = $3 ORDER BY at, version"),
        repository.to_string(),
        tag.as_str(),
        revision.0
    )?;
    let name =
        |row: &Row| format!("policy {} version {} on revision {}", row.policy, row.version, row.revision);
    Ok(readable("verdict", found, name, VerdictRow::try_from))
}
