//! *Save & Apply*: evaluates one policy for all existing tags of its repository, oldest first, so that of several tags
//! with the same target name the newest wins (semantics 3). The job stores the last revision it evaluated, and resumes
//! there.

use crate::{
    Engine,
    answer::Answers,
    evaluate::{JobContext, consider},
    outgoing::Outgoing,
    trouble::Trouble,
};
use longshore_metadata::{
    Error, Priority, Tx, facts,
    jobs::{self, Claim},
    repositories, tags, work,
};
use longshore_model::{
    Message, PolicyId, PolicyKind, Repository, Revision, TagRecord,
    job::{Parameters, Progress},
    message::JobMessage,
};

/// The maximum number of tags in one transaction. A transaction ends earlier when its turn is over, so that pushes do
/// not have to wait for it.
const BATCH: usize = 25;

/// Evaluates the policy for all tags with a revision above `after`; returns the job's outcome.
pub(crate) async fn run(
    engine: &Engine,
    claim: &Claim,
    policy: PolicyId,
    kind: PolicyKind,
    after: Revision,
) -> Result<Message, Trouble> {
    let mut conn = engine.db().read().await?;
    let Some((found, source)) = of(&mut conn, kind, policy).await? else {
        return Ok(JobMessage::PolicyGone.into());
    };
    // Any later change of a tag gets an evaluation of its own.
    let all = tags::all(&mut conn, source.id).await?;
    drop(conn);
    let tags: Vec<TagRecord> = all.into_iter().filter(|tag| tag.revision > after).collect();
    let mut progress = Progress { tags_total: tags.len() as u64, ..Progress::default() };
    let mut answers = Answers::default();
    let version = found.common().rules_version;
    let mut left = tags.as_slice();
    while !left.is_empty() {
        let batch = left[..left.len().min(BATCH)].to_vec();
        let step = Step { policy, kind, version, source: source.clone(), tags: batch, progress };
        match step.take(engine, claim).await? {
            Some((asked, more)) => {
                left = &left[asked..];
                progress.tags_done += asked as u64;
                answers.merge(more);
            }
            None => return Ok(JobMessage::PolicyChanged { counts: answers.counts() }.into()),
        }
    }
    Ok(JobMessage::Applied { counts: answers.counts() }.into())
}

async fn of(
    conn: &mut longshore_metadata::Conn,
    kind: PolicyKind,
    id: PolicyId,
) -> Result<Option<(Outgoing, Repository)>, Error> {
    let Some(policy) = Outgoing::get(conn, kind, id).await? else { return Ok(None) };
    let source = repositories::get(conn, policy.source()).await?;
    Ok(source.map(|source| (policy, source)))
}

/// The tags that one transaction evaluates.
struct Step {
    policy: PolicyId,
    kind: PolicyKind,
    version: i64,
    source: Repository,
    tags: Vec<TagRecord>,
    progress: Progress,
}

impl Step {
    /// The number of tags evaluated, and the results. `None` if the policy was changed, stopped or deleted since the
    /// job began.
    async fn take(self, engine: &Engine, claim: &Claim) -> Result<Option<(usize, Answers)>, Error> {
        let at = engine.context(claim.job.id);
        let (job, epoch) = (claim.job.id, claim.epoch);
        engine
            .db()
            .write(
                Priority::Normal,
                work!(|tx| {
                    // Needed in case the policy stops itself.
                    jobs::lock_endings(tx).await?;
                    // Lock order: changes of tags before the quota of the target's namespace.
                    tags::lock_changes(tx).await?;
                    jobs::fence(tx, job, epoch).await?;
                    let Some((asked, answers)) = self.ask(tx, &at).await? else { return Ok(None) };
                    if let Some(last) = self.tags[..asked].last() {
                        let (policy, kind) = (self.policy, self.kind);
                        let reached = Parameters::ApplyPolicy { policy, kind, after: last.revision };
                        jobs::set_parameters(tx, job, epoch, &reached).await?;
                    }
                    let progress =
                        Progress { tags_done: self.progress.tags_done + asked as u64, ..self.progress };
                    jobs::progress(tx, job, epoch, &progress, at.now).await?;
                    Ok(Some((asked, answers)))
                }),
            )
            .await
    }

    async fn ask(&self, tx: &mut Tx, at: &JobContext) -> Result<Option<(usize, Answers)>, Error> {
        let (turn, mut asked, mut answers) = (tx.begin_turn(), 0, Answers::default());
        let facts = facts::of_tags(tx, &self.tags, at.now).await?;
        for (tag, facts) in self.tags.iter().zip(&facts) {
            if turn.is_over() {
                break;
            }
            asked += 1;
            // Read again for each tag, since the policy may have stopped itself at the previous one.
            let policy = Outgoing::get(tx, self.kind, self.policy).await?;
            let Some(policy) = policy.filter(|p| p.is_active() && p.common().rules_version == self.version)
            else {
                return Ok(None);
            };
            let current = tags::find(tx, self.source.id, &tag.name).await?;
            if current.is_some_and(|current| current.revision == tag.revision) {
                answers.add(consider(tx, &policy, &self.source, tag, facts, at).await?);
            }
        }
        Ok(Some((asked, answers)))
    }
}
