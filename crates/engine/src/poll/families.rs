//! Mirrors the referrers and digest tags of mirrored tags (semantics 6, 7): together with each new tag, in every run
//! during the day after that, and for all tags once a day.

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

/// How long after the arrival of a tag every run looks for new referrers of it.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// How often a run looks for new referrers of all tags.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// The number of attempts of a run whose only problem is that the remote stops answering requests for referrers.
const TRIES: u32 = 3;
/// The number of images whose referrers are requested at the same time, within the remote's rate limit.
const SUBJECTS_AT_ONCE: usize = 8;
/// The number of images whose parts one database query reads.
const MEMBERS_AT_ONCE: usize = 500;
/// The suffixes of cosign's tags, and of the list of referrers (none); requested by name if tags are not listed.
const SUFFIXES: [&str; 4] = ["", ".sig", ".att", ".sbom"];

impl Carrier<'_> {
    /// Mirrors the referrers and digest tags of tags that have the same digest here and at the remote.
    pub(super) async fn families(&self, survey: &Survey, present: &[Present]) -> Result<(), Trouble> {
        let now = self.engine.now();
        let all = self.looked_at().await?.is_none_or(|last| now.duration_since(last) >= EVERY);
        let is_due = |tag: &&Present| all || tag.since.is_none_or(|since| now.duration_since(since) < FRESH);
        let due = self.members(present.iter().filter(is_due)).await?;
        let asked: Vec<Digest> = due.iter().filter(|subject| !self.notes.know(subject)).cloned().collect();
        let mut asking = self.asking(&asked);
        while let Some((subject, came)) = asking.next().await {
            if came.left_behind.is_empty() {
                // The subject and all its referrers are here.
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
            // All tags are here. Their referrers are worth a few attempts, and then have to wait for the next run.
            Some(reason) if self.attempt < TRIES => return Err(reason),
            Some(reason) => drop(self.forgive::<()>(&"signatures and other referrers", Err(reason))?),
            None if all => self.looked(now).await?,
            None => {}
        }
        Ok(())
    }

    /// Mirrors the referrers of images, a few images at a time.
    fn asking<'t>(&'t self, subjects: &'t [Digest]) -> BoxStream<'t, (&'t Digest, Referrers)> {
        stream::iter(subjects).map(|subject| self.ask(subject)).buffer_unordered(SUBJECTS_AT_ONCE).boxed()
    }

    async fn ask<'t>(&self, subject: &'t Digest) -> (&'t Digest, Referrers) {
        (subject, self.pull.referrers(subject).await)
    }

    /// The images and the children of indexes.
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

    /// The digest tags to mirror: the listed ones whose subject is here, or the usual names if tags were not listed.
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

    /// Copies one digest tag, if it exists and differs from the local one.
    async fn digest_tag(&self, name: &Tag) -> Result<bool, Trouble> {
        self.pull.halt().check()?;
        let there = match self.notes.recall(name) {
            Some(known) => known,
            None => self.look_at_digest_tag(name).await?,
        };
        let Some(digest) = there else { return Ok(false) };
        // Some registries return the image itself for any such name, which means that the tag does not exist
        // (semantics 41).
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

    /// When a run last looked for the referrers of all tags.
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
