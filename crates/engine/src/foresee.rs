//! A preview of what the policies of a repository would do with a tag, for a person who is about to restore it. It uses
//! the same functions as `evaluate`.

use crate::{Engine, outgoing::Outgoing};
use longshore_metadata::{Conn, Error, facts};
use longshore_model::{
    Repository, TagRecord,
    stored::{PromotionPolicy, PushMirror},
};
use longshore_oci::Tag;
use longshore_policy::decide;

/// A policy that would act.
#[derive(Debug, Clone)]
pub enum Ahead {
    /// The policy would promote the tag.
    Promotion {
        policy: PromotionPolicy,
        /// The name in the target repository.
        target_tag: Tag,
    },
    /// The mirror would push the tag to another registry.
    Push {
        mirror: PushMirror,
        /// The name in the other registry.
        target_tag: Tag,
    },
}

impl Engine {
    /// The policies that would act on `tag`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn foresee(
        &self,
        conn: &mut Conn,
        repository: &Repository,
        tag: &TagRecord,
    ) -> Result<Vec<Ahead>, Error> {
        let policies = Outgoing::active_of(conn, repository.id).await?;
        if policies.is_empty() {
            return Ok(Vec::new());
        }
        let (now, moment) = (self.now(), self.moment());
        let facts = facts::of_tag(conn, tag, now).await?;
        let mut ahead = Vec::new();
        for policy in policies {
            let matches = policy.rules().readable().is_some_and(|rules| decide(rules, &facts).is_match());
            if !matches || policy.objection(conn, tag, now).await?.is_some() {
                continue;
            }
            let Ok(target_tag) = policy.render(&tag.name, &moment) else { continue };
            ahead.push(match policy {
                Outgoing::Promotion(policy) => Ahead::Promotion { policy, target_tag },
                Outgoing::Push(mirror) => Ahead::Push { mirror, target_tag },
            });
        }
        Ok(ahead)
    }
}
