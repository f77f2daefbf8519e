//! The details page of a tag: what the tag is, where it came from, where it went, and what each policy decided about
//! it. `engine` recorded the verdicts; only whether the tag would qualify today is decided here, by the same code.

use crate::Admin;
use crate::hide::Redaction;
use crate::tags::no_such_tag;
use longshore_access::Permission;
use longshore_metadata::deliveries::{self, Delivery};
use longshore_metadata::verdicts::{self, VerdictRow};
use longshore_metadata::{facts, manifests, promotions, push_mirrors, tags};
use longshore_model::message::{Eyes, Mentions, Message, PolicyMessage};
use longshore_model::stored::{PolicyCommon, PromotionPolicy, PushMirror, Speaks};
use longshore_model::tag::{AnswerResult, PolicyAnswer, TagDetail};
use longshore_model::view::ANOTHER_REGISTRY;
use longshore_model::{Actor, PolicyId, PolicyKind, Problem, Provenance, Repository, TagRecord, Timestamp};
use longshore_oci::{Descriptor, Manifest, ReferenceRole, RepositoryName, Tag};
use longshore_policy::{Facts, Reason, StoredRules, Verdict, decide};

/// The number of bytes of a manifest that are shown.
const MANIFEST_TEXT: usize = 64 * 1024;

/// A promotion policy or push mirror, as far as an answer needs it.
struct Asked {
    kind: PolicyKind,
    common: PolicyCommon,
    rules: StoredRules,
    /// `None` if the reader may not know it.
    destination: Option<String>,
}

impl Asked {
    async fn promotion(redaction: &mut Redaction<'_>, policy: PromotionPolicy) -> Result<Self, Problem> {
        let sees = redaction.sees(policy.target).await?;
        Ok(Self {
            kind: PolicyKind::Promotion,
            destination: sees.then(|| policy.target_name.to_string()),
            common: policy.common,
            rules: policy.rules,
        })
    }

    async fn push(redaction: &mut Redaction<'_>, mirror: PushMirror) -> Result<Self, Problem> {
        let sees = redaction.sees_remote(mirror.remote).await?;
        Ok(Self {
            kind: PolicyKind::PushMirror,
            destination: sees.then(|| format!("{}/{}", mirror.remote_host, mirror.remote_repository)),
            common: mirror.common,
            rules: mirror.rules,
        })
    }

    /// Combines what is known of a tag under this policy.
    fn answer(
        self,
        tag: &TagRecord,
        facts: &Facts,
        row: Option<VerdictRow>,
        delivery: Option<&Delivery>,
        eyes: &dyn Eyes,
    ) -> PolicyAnswer {
        let qualifies = self.rules.readable().map(|rules| decide(rules, facts).is_match());
        let mut answer = match row {
            Some(row) => PolicyAnswer {
                policy: self.common.id,
                kind: self.kind,
                destination: String::new(),
                verdict: Some(with_objection(row.verdict, &row.consequence, eyes)),
                consequence: row.consequence.sentence(eyes),
                result: row.result,
                target_tag: row.target_tag,
                job: row.job,
                at: Some(row.at),
                would_qualify_today: qualifies,
            },
            None => PolicyAnswer {
                policy: self.common.id,
                kind: self.kind,
                destination: String::new(),
                verdict: None,
                consequence: not_looked_at(&self.common, tag, eyes),
                result: AnswerResult::NotEvaluated,
                target_tag: None,
                job: None,
                at: None,
                would_qualify_today: qualifies,
            },
        };
        let stayed = matches!(answer.result, AnswerResult::NotMatched | AnswerResult::NotEvaluated);
        if let (true, Some(delivery)) = (stayed, delivery) {
            // It was delivered under an earlier version of the policy, and that is not undone (semantics 2).
            let name = delivery.target_tag.as_ref().map_or_else(String::new, |name| format!(" as {name}"));
            answer.consequence = match answer.would_qualify_today {
                Some(true) => format!("delivered{name} before the policy was changed"),
                _ => format!("delivered{name} before the policy was changed; it would not qualify today"),
            };
            answer.result = AnswerResult::Done;
            answer.target_tag.clone_from(&delivery.target_tag);
            answer.job = delivery.job;
            answer.at = Some(delivery.at);
        }
        match self.destination {
            Some(destination) => answer.destination = destination,
            None => {
                answer.destination = match self.kind {
                    PolicyKind::Promotion => "another repository".to_owned(),
                    PolicyKind::PushMirror | PolicyKind::PullMirror => ANOTHER_REGISTRY.to_owned(),
                };
                if answer.verdict.as_ref().is_none_or(Verdict::is_match) {
                    answer.consequence = in_general(answer.result).to_owned();
                }
                answer.target_tag = None;
                answer.job = None;
            }
        }
        answer
    }
}

/// Why there is no verdict.
fn not_looked_at(common: &PolicyCommon, tag: &TagRecord, eyes: &dyn Eyes) -> String {
    if matches!(tag.provenance, Provenance::Restored { quietly: true, .. }) {
        return format!("not evaluated: {} restored the tag without running policies", tag.author);
    }
    match (&common.stopped, common.enabled) {
        (Some(why), _) => {
            format!("not evaluated because the policy has stopped: {}", why.sentence(eyes))
        }
        (None, false) => "not evaluated because the policy is disabled".to_owned(),
        (None, true) => {
            "not evaluated: the tag is older than the policy or its last change; push the tag again, or use \
             Save & Apply"
                .to_owned()
        }
    }
}

/// Adds the objection, if one other than the rules prevented the copy, to the verdict as one more reason.
fn with_objection(mut verdict: Verdict, consequence: &Message, eyes: &dyn Eyes) -> Verdict {
    if let Message::Policy(PolicyMessage::NotMatched { objection: Some(objection), .. }) = consequence {
        let (rule, found) = (objection.rule(), objection.sentence(eyes));
        verdict.reasons.push(Reason { rule, holds: Some(false), found });
    }
    verdict
}

/// The consequence, without any names.
fn in_general(result: AnswerResult) -> &'static str {
    match result {
        AnswerResult::Done => "delivered",
        AnswerResult::Running => "in progress",
        AnswerResult::NotMatched => "the rules do not match",
        AnswerResult::Waiting => "waiting",
        AnswerResult::Failed => "failed; administrators of the repository can see the reason",
        AnswerResult::Superseded => "superseded by a later change",
        AnswerResult::NotEvaluated => "not evaluated yet",
    }
}

/// The verdict of the newest version of a policy.
fn newest(rows: &[VerdictRow], policy: PolicyId) -> Option<VerdictRow> {
    rows.iter().filter(|row| row.policy == policy).max_by_key(|row| (row.version, row.at)).cloned()
}

impl Admin {
    /// The details of one tag. For users who may read the repository; places that the actor may not see are not named
    /// (semantics 17).
    ///
    /// # Errors
    /// The repository or tag does not exist.
    pub async fn tag(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<TagDetail, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        // Before the redaction, which holds a connection: tasks that hold one connection and wait for a second can
        // deadlock.
        let history = self.tag_history(actor, &repository.name, tag, None).await?;
        let mut redaction = self.redaction(actor).await?;
        let summary = tags::summary(redaction.conn(), repository.id, tag).await?;
        let summary = summary.ok_or_else(|| no_such_tag(&repository.name, tag))?;
        let record = summary.tag.clone();
        let answers = answers(&mut redaction, &repository, &record, self.now()).await?;
        let summary = redaction.summary(summary).await?;
        let conn = redaction.conn();
        let stored = manifests::get(conn, repository.id, &record.digest).await?;
        let (manifest, parsed) = match &stored {
            Some(stored) => {
                let shown = &stored.bytes[..stored.bytes.len().min(MANIFEST_TEXT)];
                let parsed = Manifest::parse(&stored.bytes, Some(&stored.media_type)).ok();
                (String::from_utf8_lossy(shown).into_owned(), parsed)
            }
            None => (String::new(), None),
        };
        Ok(TagDetail {
            answers,
            referrers: manifests::referrers(conn, repository.id, &record.digest, None).await?,
            layers: named(parsed.as_ref(), ReferenceRole::Layer),
            children: named(parsed.as_ref(), ReferenceRole::Child),
            manifest,
            manifest_bytes: stored.map_or(0, |stored| stored.bytes.len() as u64),
            history,
            summary,
        })
    }
}

/// The descriptors that a manifest contains in one role.
fn named(manifest: Option<&Manifest>, role: ReferenceRole) -> Vec<Descriptor> {
    let references = manifest.into_iter().flat_map(Manifest::references);
    references.filter(|part| part.role == role).map(|part| part.descriptor.clone()).collect()
}

async fn answers(
    redaction: &mut Redaction<'_>,
    repository: &Repository,
    tag: &TagRecord,
    now: Timestamp,
) -> Result<Vec<PolicyAnswer>, Problem> {
    let mut asked = Vec::new();
    for policy in promotions::for_source(redaction.conn(), repository.id).await? {
        asked.push(Asked::promotion(redaction, policy).await?);
    }
    for mirror in push_mirrors::for_repository(redaction.conn(), repository.id).await? {
        asked.push(Asked::push(redaction, mirror).await?);
    }
    let conn = redaction.conn();
    let facts = facts::of_tag(conn, tag, now).await?;
    let rows = verdicts::for_tag(conn, repository.id, &tag.name, tag.revision).await?;
    let policies: Vec<PolicyId> = asked.iter().map(|policy| policy.common.id).collect();
    let went = deliveries::latest_by(conn, repository.id, &tag.name, tag.revision, &policies).await?;
    let mut answers = Vec::with_capacity(asked.len() + 1);
    if let Some(arrival) = arrival(redaction, repository, tag, now).await? {
        answers.push(arrival);
    }
    let mentions = Mentions::default();
    rows.iter().for_each(|row| mentions.note(&row.consequence));
    asked.iter().for_each(|policy| policy.common.mention(&mentions));
    redaction.look_at(&mentions).await?;
    answers.extend(asked.into_iter().map(|policy| {
        let id = policy.common.id;
        let delivery = went.iter().find(|delivery| delivery.policy == Some(id));
        policy.answer(tag, &facts, newest(&rows, id), delivery, redaction)
    }));
    Ok(answers)
}

/// Whether the policy that promoted the tag into this repository would do so today; `None` if the reader may not see
/// its source.
async fn arrival(
    redaction: &mut Redaction<'_>,
    repository: &Repository,
    tag: &TagRecord,
    now: Timestamp,
) -> Result<Option<PolicyAnswer>, Problem> {
    let Provenance::Promotion { policy: Some(id), source_tag, source_repository, .. } = &tag.provenance
    else {
        return Ok(None);
    };
    let Some(policy) = promotions::get(redaction.conn(), *id).await? else { return Ok(None) };
    if !redaction.sees(policy.source).await? {
        return Ok(None);
    }
    // The same manifest, under the name of its tag in the source.
    let there = TagRecord { repository: policy.source, name: source_tag.clone(), ..tag.clone() };
    let facts = facts::of_tag(redaction.conn(), &there, now).await?;
    let verdict = policy.rules.readable().map(|rules| decide(rules, &facts));
    let today = verdict.as_ref().map(Verdict::is_match);
    let consequence = match today {
        Some(true) | None => format!("came from {source_repository}:{source_tag}"),
        Some(false) => {
            format!(
                "came from {source_repository}:{source_tag}, which would not qualify today; the tag is kept"
            )
        }
    };
    Ok(Some(PolicyAnswer {
        policy: *id,
        kind: PolicyKind::Promotion,
        destination: repository.name.to_string(),
        verdict,
        consequence,
        result: AnswerResult::Done,
        target_tag: Some(tag.name.clone()),
        job: None,
        at: Some(tag.updated_at),
        would_qualify_today: today,
    }))
}
