//! Signatures, SBOMs and digest tags of the tags a mirror brought in (semantics 6, 7): with every tag that
//! arrives, for a day at every run after that, and for all tags once a day.

use super::{
    carry::{Carrier, Present},
    survey::Survey,
};
use crate::{transfer::pull::Referrers, trouble::Trouble};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::SignedDuration;
use longshore_metadata::{Error, Priority, manifests, settings, work};
use longshore_model::Timestamp;
use longshore_oci::{Digest, Reference, Tag};
use std::collections::BTreeSet;

/// New referrers of a tag are looked for at every run this long after its arrival,
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// and those of all tags this often.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// A run is tried so often for their sake when the remote does not let itself be asked for them.
const TRIES: u32 = 3;
/// Images for whose referrers the remote is asked at the same time, within its pace.
const SUBJECTS_AT_ONCE: usize = 8;
/// Images whose parts are looked up here in one query.
const MEMBERS_AT_ONCE: usize = 500;
/// What cosign calls its tags, and the list of referrers; asked for by name where nothing is listed.
const SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

impl Carrier<'_> {
    /// Brings in what hangs on the tags that stand here as they do at the remote.
    pub(super) async fn families(&self, survey: &Survey, present: &[Present]) -> Result<(), Trouble> {
        let now = self.engine.now();
        let all = self.looked_at().await?.is_none_or(|last| now.duration_since(last) >= EVERY);
        let is_due = |tag: &&Present| all || tag.since.is_none_or(|since| now.duration_since(since) < FRESH);
        let due = self.members(present.iter().filter(is_due)).await?;
        let asked: Vec<Digest> = due.iter().filter(|subject| !self.notes.know(subject)).cloned().collect();
        let mut asking = self.asking(&asked);
        while let Some((subject, came)) = asking.next().await {
            if came.left_behind.is_empty() {
                // With all that hangs on it.
                self.notes.add(subject, Some(subject));
            }
            self.count(|tally| tally.referrers += came.arrived);
            for (referrer, trouble) in came.left_behind {
                self.forgive::<()>(&referrer, Err(trouble))?;
            }
        }
        drop(asking);
        for name in self.digest_tags(survey, present, &due).await? {
            if let Some(true) = self.forgive(&name, self.digest_tag(&name).await)? {
                self.count(|tally| tally.referrers += 1);
            }
        }
        match self.pull.halt().reason() {
            // The tags are all here: what hangs on them may wait for a few tries, and then for the next run.
            Some(reason) if self.attempt < TRIES => return Err(reason),
            Some(reason) => drop(self.forgive::<()>(&"signatures and other referrers", Err(reason))?),
            None if all => self.looked(now).await?,
            None => {}
        }
        Ok(())
    }

    /// Asks for what hangs on images, for a few of them at a time.
    fn asking<'t>(&'t self, subjects: &'t [Digest]) -> BoxStream<'t, (&'t Digest, Referrers)> {
        stream::iter(subjects).map(|subject| self.ask(subject)).buffer_unordered(SUBJECTS_AT_ONCE).boxed()
    }

    async fn ask<'t>(&self, subject: &'t Digest) -> (&'t Digest, Referrers) {
        (subject, self.pull.referrers(subject).await)
    }

    /// The images and, of indexes, their children.
    async fn members<'p>(&self, tags: impl Iterator<Item = &'p Present>) -> Result<BTreeSet<Digest>, Error> {
        let mut conn = self.engine.db().read().await?;
        let mut members = BTreeSet::new();
        for tag in tags {
            members.insert(tag.digest.clone());
        }
        let roots: Vec<Digest> = members.iter().cloned().collect();
        for some in roots.chunks(MEMBERS_AT_ONCE) {
            let some: Vec<&Digest> = some.iter().collect();
            members.extend(manifests::members(&mut conn, &some).await?);
        }
        Ok(members)
    }

    /// The digest tags to look at: those that were listed and hang on something that is here, or else the names
    /// they usually have.
    async fn digest_tags(
        &self,
        survey: &Survey,
        present: &[Present],
        due: &BTreeSet<Digest>,
    ) -> Result<Vec<Tag>, Error> {
        if !survey.listed {
            let names = due.iter().flat_map(|subject| {
                SUFFIXES
                    .iter()
                    .filter_map(move |suffix| format!("{}{suffix}", Tag::referrers_of(subject)).parse().ok())
            });
            return Ok(names.collect());
        }
        if survey.digest_tags.is_empty() {
            return Ok(Vec::new());
        }
        let here = self.members(present.iter()).await?;
        let hangs = |name: &&Tag| name.digest_tag_subject().is_some_and(|subject| here.contains(&subject));
        Ok(survey.digest_tags.iter().filter(hangs).cloned().collect())
    }

    /// Copies one digest tag, if it is there and differs from what is here.
    async fn digest_tag(&self, name: &Tag) -> Result<bool, Trouble> {
        self.pull.halt().check()?;
        let there = match self.notes.recall(name) {
            Some(known) => known,
            None => self.look_at_digest_tag(name).await?,
        };
        let Some(digest) = there else { return Ok(false) };
        // A registry that answers to any name with the image itself has no such tag (semantics 41).
        if name.digest_tag_subject().as_ref() == Some(&digest) {
            return Ok(false);
        }
        if self.local(name).await?.is_some_and(|local| local.digest == digest) {
            return Ok(false);
        }
        Ok(self.copy(name, digest).await?.is_some())
    }

    async fn look_at_digest_tag(&self, name: &Tag) -> Result<Option<Digest>, Trouble> {
        let reference = Reference::Tag(name.clone());
        let there = self.registry.look_at_manifest(&self.mirror.remote_repository, &reference).await;
        let there = self.pull.halt().heed(there.map_err(Trouble::from))?.optional().map(|head| head.digest);
        self.notes.add(name, there.as_ref());
        Ok(there)
    }

    fn looked_key(&self) -> String {
        format!("pull_mirror/{}/referrers_looked_at", self.mirror.common.id)
    }

    /// When the referrers of all tags were last looked at.
    async fn looked_at(&self) -> Result<Option<Timestamp>, Error> {
        let stored = settings::get(&mut self.engine.db().read().await?, &self.looked_key()).await?;
        Ok(stored.and_then(|at| at.parse().ok()))
    }

    async fn looked(&self, now: Timestamp) -> Result<(), Error> {
        let key = self.looked_key();
        let write = self
            .engine
            .db()
            .write(Priority::Normal, work!(|tx| settings::put(tx, &key, &now.to_string()).await));
        write.await
    }
}
