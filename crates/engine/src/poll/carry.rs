//! Mirrors tags according to the plan, a few at a time. Each tag is set once everything that it references is stored.
//! Referrers and digest tags are mirrored by `families`.

use super::{
    known,
    plan::{BaselineTags, Origin, Step, is_of, step},
    survey::{Survey, place, provenance},
};
use crate::{
    Engine,
    journal::Journal,
    memory::Notes,
    transfer::pull::{self, Pull},
    trouble::{Fate, Trouble},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::SignedDuration;
use longshore_metadata::{
    Error, Priority, Tx,
    jobs::{self, Claim},
    manifests, policies, pull_mirrors, repositories,
    tags::{self, SetOutcome, SetTag},
    work,
};
use longshore_model::{
    Author, JobId, Lineage, Message, PolicyKind, Repository, TagRecord, Timestamp,
    message::{Again, PlaceRef, PollMessage, Polled, PromotionMessage, TagRef, TroubleMessage},
    stored::PullMirror,
};
use longshore_oci::{Digest, Tag};
use longshore_remote::Registry;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};

/// The number of local tags that one database query reads.
const LOCALS_AT_ONCE: usize = 500;
/// The number of tags that are copied at the same time.
const TAGS_AT_ONCE: usize = 4;
/// How many times a tag that moves while it is copied is read again (semantics 4).
const PLANS: u32 = 3;

/// One run of one mirror.
pub(super) struct Carrier<'a> {
    pub(super) engine: &'a Engine,
    pub(super) mirror: &'a PullMirror,
    pub(super) target: Repository,
    pub(super) registry: Registry,
    pub(super) journal: &'a Journal,
    pub(super) pull: Pull,
    pub(super) notes: Notes,
    job: JobId,
    epoch: i64,
    pub(super) attempt: u32,
    author: Author,
    lineage: Lineage,
    baseline: Option<BaselineTags>,
    /// Stored manifests without layers that the mirror is to fetch (semantics 43).
    lacking: HashSet<Digest>,
    state: Mutex<State>,
}

/// The result of the run so far.
#[derive(Default)]
struct State {
    counts: Polled,
    /// The first temporary error of a tag.
    passing: Option<Message>,
    /// The first permanent error of a tag.
    lasting: Option<Message>,
}

/// A tag that has the same digest here and at the remote.
pub(super) struct Present {
    pub digest: Digest,
    /// When it was mirrored; `None` if in this run.
    pub since: Option<Timestamp>,
}

/// The result of copying one tag.
enum Ended {
    Set(Digest),
    /// The tag was deleted at the remote in the meantime.
    Vanished,
    /// Someone else set or restored the local tag in the meantime.
    Conflict,
    /// The local manifest was deleted before the tag could be set.
    Unstored,
}

impl<'a> Carrier<'a> {
    pub(super) async fn new(
        engine: &'a Engine,
        claim: &Claim,
        mirror: &'a PullMirror,
        target: Repository,
        registry: Registry,
        journal: &'a Journal,
        notes: Notes,
    ) -> Result<Self, Trouble> {
        let id = mirror.common.id;
        let mut conn = engine.db().read().await?;
        let baseline = known(&mut conn, mirror).await?;
        let lacking = match mirror.foreign_layers {
            true => manifests::lacking_layers(&mut conn, target.id).await?,
            false => Vec::new(),
        };
        drop(conn);
        let author = Author::Policy { id, policy: PolicyKind::PullMirror };
        // The mirror itself is part of the lineage, so that no push mirror sends the tag back.
        let lineage = Lineage::default().with(id);
        let carrier = pull::Carrier {
            author: author.clone(),
            provenance: provenance(mirror, None),
            lineage: lineage.clone(),
        };
        let (content, from) = (engine.content().clone(), mirror.remote_repository.clone());
        let pull = Pull::new(
            content,
            registry.clone(),
            from,
            target.clone(),
            carrier,
            journal.clone(),
            mirror.foreign_layers,
        );
        let (job, epoch, attempt) = (claim.job.id, claim.epoch, claim.job.attempt);
        Ok(Self {
            engine,
            mirror,
            target,
            registry,
            journal,
            pull,
            notes,
            job,
            epoch,
            attempt,
            author,
            lineage,
            baseline,
            lacking: lacking.into_iter().collect(),
            state: Mutex::default(),
        })
    }

    /// Mirrors the tags that need it. An error of one tag does not affect others (semantics 37); a failure of the
    /// remote as a whole ends the run. If a tag has a temporary error, the run is retried, but no later than the
    /// mirror's next poll is due.
    pub(super) async fn carry_out(mut self, mut survey: Survey) -> Result<Polled, Trouble> {
        self.journal.plan_tags(survey.tags.len() + survey.unread.len());
        self.count(|counts| counts.warnings += survey.warnings);
        for (name, trouble) in std::mem::take(&mut survey.unread) {
            self.heed::<()>(&name, Err(trouble))?;
            self.journal.tag_done();
        }
        // An incomplete list does not show which digest tags are missing.
        if survey.listed && survey.incomplete.is_none() {
            self.pull.listed(&survey.digest_tags);
        }
        let mut present = Vec::new();
        for some in survey.tags.chunks(LOCALS_AT_ONCE) {
            let names: Vec<&Tag> = some.iter().map(|(name, _)| name).collect();
            let locals = {
                let conn = &mut self.engine.db().read().await?;
                tags::find_named(conn, self.target.id, &names).await?
            };
            let mut work = self.bring(some, &locals);
            while let Some(tag) = work.try_next().await? {
                present.extend(tag);
            }
        }
        if let Some(reason) = self.pull.halt().reason() {
            return Err(reason);
        }
        if self.mirror.common.referrers {
            self.families(&survey, &present).await?;
        }
        self.notes.went_through();
        let State { counts, passing, lasting } = self.state.into_inner();
        let may_pass = passing.is_some();
        let Some(first) = lasting.or(passing) else { return Ok(counts) };
        let message = PollMessage::Failed { counts, first: Box::new(first) }.into();
        let comes_round = SignedDuration::from_secs(i64::from(self.mirror.interval_seconds));
        Err(if may_pass { Trouble::Tags { message, comes_round } } else { Trouble::Final(message) })
    }

    /// Processes a few tags at a time, and keeps no state for the others, which may be a million (semantics 41).
    fn bring<'t>(
        &'t self,
        tags: &'t [(Tag, Digest)],
        locals: &'t HashMap<Tag, TagRecord>,
    ) -> BoxStream<'t, Result<Option<Present>, Trouble>> {
        stream::iter(tags)
            .map(|(name, digest)| self.one(name, digest, locals.get(name)))
            .buffer_unordered(TAGS_AT_ONCE)
            .boxed()
    }

    async fn one(
        &self,
        name: &Tag,
        digest: &Digest,
        local: Option<&TagRecord>,
    ) -> Result<Option<Present>, Trouble> {
        if self.pull.halt().check().is_err() {
            return Ok(None);
        }
        let present = self.heed(name, self.tag(name, digest, local).await)?;
        self.journal.tag_done();
        Ok(present.flatten())
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Polled)) {
        count(&mut self.state.lock().counts);
    }

    /// Records an error of one tag, unless it ends the whole run.
    pub(super) fn heed<T>(&self, name: &Tag, outcome: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
        let trouble = match outcome {
            Ok(done) => return Ok(Some(done)),
            Err(trouble) => trouble,
        };
        let why = Box::new(self.journal.told(&trouble));
        let line = Message::from(PollMessage::Tag { place: self.place(name), why });
        let fate = trouble.fate();
        if trouble.ends_all() {
            return Err(trouble);
        }
        // The reason why the run stopped is logged once, at its end.
        if matches!(trouble, Trouble::Halted) {
            return Ok(None);
        }
        let mut state = self.state.lock();
        state.counts.failed += 1;
        if matches!(fate, Fate::Retry(_)) {
            self.journal.warn(line.clone());
            state.passing.get_or_insert(line);
        } else {
            self.journal.error(line.clone());
            state.lasting.get_or_insert(line);
        }
        Ok(None)
    }

    /// Logs an error of optional content as a warning (semantics 37), unless it ends the whole run.
    pub(super) fn forgive<T>(
        &self,
        what: &impl std::fmt::Display,
        outcome: Result<T, Trouble>,
    ) -> Result<Option<T>, Trouble> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(trouble) if trouble.ends_all() => Err(trouble),
            Err(Trouble::Halted) => Ok(None),
            Err(trouble) => {
                self.count(|counts| counts.warnings += 1);
                let why = Box::new(self.journal.told(&trouble));
                self.journal.warn(TroubleMessage::Optional { what: what.to_string(), why });
                Ok(None)
            }
        }
    }

    /// Processes one tag. Returns it if it now has the same digest here as at the remote. `local` is the local tag as
    /// read earlier; [`Set::write`] reads it again before setting it.
    async fn tag(
        &self,
        name: &Tag,
        remote: &Digest,
        local: Option<&TagRecord>,
    ) -> Result<Option<Present>, Trouble> {
        match step(Origin::of(self.mirror), name, remote, local, self.baseline.as_ref()) {
            Step::Unchanged => {
                // It was mirrored before the mirror fetched such layers, or before the remote had them.
                if self.lacking.contains(remote) {
                    self.forgive(&remote.short(), self.pull.tree(remote, None).await)?;
                }
                self.count(|counts| counts.unchanged += 1);
                let since = local.map(|local| local.updated_at);
                Ok(Some(Present { digest: remote.clone(), since }))
            }
            Step::InBaseline => {
                self.count(|counts| counts.in_baseline += 1);
                Ok(None)
            }
            Step::CompletesBaseline(digest) => {
                self.complete_baseline(name, digest).await?;
                self.count(|counts| counts.in_baseline += 1);
                Ok(None)
            }
            Step::Pinned { local } | Step::Conflict { local } => {
                self.leave(name, &local);
                Ok(None)
            }
            Step::Copy(digest) => {
                let arrived = self.copy(name, digest).await?;
                if arrived.is_some() {
                    self.count(|counts| counts.copied += 1);
                }
                Ok(arrived.map(|digest| Present { digest, since: None }))
            }
        }
    }

    async fn complete_baseline(&self, name: &Tag, digest: Digest) -> Result<(), Error> {
        let (job, epoch, policy, name) = (self.job, self.epoch, self.mirror.common.id, name.clone());
        let write = self.engine.db().write(
            Priority::Normal,
            work!(|tx| {
                jobs::fence(tx, job, epoch).await?;
                pull_mirrors::complete_baseline(tx, policy, &name, &digest).await
            }),
        );
        write.await
    }

    pub(super) async fn local(&self, name: &Tag) -> Result<Option<TagRecord>, Error> {
        tags::find(&mut self.engine.db().read().await?, self.target.id, name).await
    }

    /// Reports a tag that this mirror may not move.
    fn leave(&self, name: &Tag, local: &TagRecord) {
        let (tag, digest) = (self.here(name), local.digest.clone());
        if local.provenance.pinned_from() == Some(self.mirror.common.id) {
            self.count(|counts| counts.pinned += 1);
            self.journal.info(PollMessage::Pinned { tag, digest, by: local.author.clone() });
            return;
        }
        self.count(|counts| counts.conflicts += 1);
        self.journal.warn(PollMessage::Conflict { tag, digest });
    }

    /// A tag at the remote.
    fn place(&self, name: &Tag) -> PlaceRef {
        place(self.mirror).tagged(name.clone())
    }

    /// A tag here.
    fn here(&self, name: &Tag) -> TagRef {
        TagRef::new(&self.target, name.clone())
    }

    /// Fetches and sets one tag. Returns its digest if it was set.
    pub(super) async fn copy(&self, name: &Tag, digest: Digest) -> Result<Option<Digest>, Trouble> {
        let ended = self.fetch(name, digest).await;
        self.learn(name, &ended);
        match ended? {
            Ended::Set(digest) => {
                self.journal.info(PollMessage::Set { tag: self.here(name), digest: digest.clone() });
                Ok(Some(digest))
            }
            Ended::Vanished => {
                self.journal.info(PollMessage::Vanished { place: self.place(name) });
                Ok(None)
            }
            Ended::Unstored => {
                Err(Trouble::Passing(PollMessage::DeletedHere { tag: self.here(name) }.into()))
            }
            Ended::Conflict => {
                if let Some(local) = self.local(name).await? {
                    self.leave(name, &local);
                }
                Ok(None)
            }
        }
    }

    /// Updates the notes for the next attempt: a tag that failed is looked up again, since it may have moved, and a tag
    /// that moved during this attempt is not set back to its earlier digest.
    fn learn(&self, name: &Tag, ended: &Result<Ended, Trouble>) {
        match ended {
            Ok(Ended::Set(digest)) => self.notes.add(name, Some(digest)),
            // The run was stopped for a reason that does not concern this tag.
            Err(Trouble::Halted) => {}
            Ok(_) | Err(_) => self.notes.forget(name),
        }
    }

    /// Fetches everything by the planned digest. If that does not exist any more, the manifest is fetched by tag, since
    /// the tag may have moved (semantics 4) or the digest may have been wrong.
    async fn fetch(&self, name: &Tag, mut digest: Digest) -> Result<Ended, Trouble> {
        let mut came = None;
        for plan in 1.. {
            match self.pull.tree(&digest, came.take()).await {
                Ok(()) => match self.set(name, digest.clone()).await? {
                    Ended::Unstored if plan < PLANS => {
                        self.journal.warn(PollMessage::DeletedHere { tag: self.here(name) });
                        self.pull.forget();
                    }
                    ended => return Ok(ended),
                },
                Err(gone @ (Trouble::Gone(_) | Trouble::PartGone { .. })) if plan >= PLANS => {
                    return Err(gone);
                }
                Err(gone @ (Trouble::Gone(_) | Trouble::PartGone { .. })) => {
                    let why = Box::new(self.journal.told(&gone));
                    let why = Box::new(PollMessage::Tag { place: self.place(name), why }.into());
                    self.journal.warn(TroubleMessage::Again { why, again: Again::Tag });
                    self.pull.halt().check()?;
                    let (from, registry) = (&self.mirror.remote_repository, &self.registry);
                    let behind = registry.get_behind(from, name, &digest).await.map_err(Trouble::from);
                    match self.pull.halt().heed(behind)? {
                        Some(fetched) => {
                            digest = fetched.digest.clone();
                            came = Some(fetched);
                        }
                        None => return Ok(Ended::Vanished),
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(Ended::Vanished)
    }

    /// Sets the tag, if this worker still holds the job and the mirror may still set the tag.
    async fn set(&self, name: &Tag, digest: Digest) -> Result<Ended, Trouble> {
        let set = Set {
            job: self.job,
            epoch: self.epoch,
            policy: self.mirror.common.id,
            rules_version: self.mirror.common.rules_version,
            target: self.target.clone(),
            name: name.clone(),
            digest: digest.clone(),
            author: self.author.clone(),
            provenance: provenance(self.mirror, Some(name)),
            lineage: self.lineage.clone(),
            now: self.engine.now(),
        };
        let write = self.engine.db().write(Priority::Normal, work!(|tx| set.write(tx).await));
        match write.await?? {
            None => Ok(Ended::Conflict),
            Some(SetOutcome::Set(_) | SetOutcome::Unchanged(_)) => Ok(Ended::Set(digest)),
            Some(SetOutcome::Unstored) => Ok(Ended::Unstored),
            Some(SetOutcome::Superseded { by }) => {
                let superseded = PollMessage::Superseded { tag: self.here(name), by: by.revision };
                Err(Trouble::Superseded(superseded.into()))
            }
            Some(SetOutcome::Immutable { .. }) => {
                Err(Trouble::Final(PromotionMessage::Immutable { target: self.here(name) }.into()))
            }
        }
    }
}

/// The transaction that sets one tag.
struct Set {
    job: JobId,
    epoch: i64,
    policy: longshore_model::PolicyId,
    rules_version: i64,
    target: Repository,
    name: Tag,
    digest: Digest,
    author: Author,
    provenance: longshore_model::Provenance,
    lineage: Lineage,
    now: Timestamp,
}

impl Set {
    /// `None` if someone else has set the tag since the plan was made.
    async fn write(&self, tx: &mut Tx) -> Result<Result<Option<SetOutcome>, Trouble>, Error> {
        jobs::fence(tx, self.job, self.epoch).await?;
        let version = Some(self.rules_version);
        if let Some(why) = policies::withdrawn(tx, PolicyKind::PullMirror, self.policy, version).await? {
            return Ok(Err(Trouble::Withdrawn(why)));
        }
        // Read again, since it may have been deleted or locked since the job began.
        let Some(target) = repositories::get(tx, self.target.id).await? else {
            let repository = (&self.target).into();
            return Ok(Err(Trouble::Final(TroubleMessage::Deleted { repository }.into())));
        };
        if let Err(locked) = longshore_content::may_write_tags(&target, &self.provenance) {
            return Ok(Err(locked.into()));
        }
        let existing = tags::find(tx, self.target.id, &self.name).await?;
        if existing.is_some_and(|tag| tag.digest != self.digest && !is_of(self.policy, &tag)) {
            return Ok(Ok(None));
        }
        let change = SetTag {
            repository: &target,
            name: &self.name,
            digest: &self.digest,
            source_revision: None,
            author: &self.author,
            provenance: &self.provenance,
            lineage: &self.lineage,
            now: self.now,
        };
        tags::set(tx, change).await.map(|outcome| Ok(Some(outcome)))
    }
}
