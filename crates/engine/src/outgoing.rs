//! What leads out of a repository, promotion policies and push mirrors alike, and the reasons besides its
//! rules for which such a policy does not act on a tag (semantics 5, 18).

use crate::pause::Culprit;
use longshore_metadata::{Conn, Error, deliveries, promotions, pull_mirrors, push_mirrors, repositories};
use longshore_model::{
    Lineage, PolicyId, PolicyKind, PromotionPolicy, Provenance, PushMirror, RepositoryId, RepositoryState,
    TagRecord, Timestamp, policy::PolicyCommon,
};
use longshore_oci::{Digest, Tag};
use longshore_policy::{Moment, Reason, StoredRules, Template, TemplateError};

/// A policy makes at most this many tags of one digest within [`BRAKE_WINDOW`] before it stops itself.
const BRAKE: u64 = 20;
const BRAKE_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// A promotion policy or push mirror.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    Promotion(PromotionPolicy),
    Push(PushMirror),
}

impl Outgoing {
    /// All that lead out of a repository and are neither disabled nor paused.
    pub(crate) async fn active_of(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Self>, Error> {
        let promotions = promotions::for_source(conn, repository).await?.into_iter().map(Self::Promotion);
        let mirrors = push_mirrors::for_repository(conn, repository).await?.into_iter().map(Self::Push);
        Ok(promotions.chain(mirrors).filter(Self::is_active).collect())
    }

    /// The one with this identifier.
    pub(crate) async fn get(conn: &mut Conn, kind: PolicyKind, id: PolicyId) -> Result<Option<Self>, Error> {
        Ok(match kind {
            PolicyKind::Promotion => promotions::get(conn, id).await?.map(Self::Promotion),
            PolicyKind::PushMirror => push_mirrors::get(conn, id).await?.map(Self::Push),
            PolicyKind::PullMirror => None,
        })
    }

    pub(crate) fn common(&self) -> &PolicyCommon {
        match self {
            Self::Promotion(policy) => &policy.common,
            Self::Push(mirror) => &mirror.common,
        }
    }

    pub(crate) fn id(&self) -> PolicyId {
        self.common().id
    }

    pub(crate) fn kind(&self) -> PolicyKind {
        match self {
            Self::Promotion(_) => PolicyKind::Promotion,
            Self::Push(_) => PolicyKind::PushMirror,
        }
    }

    pub(crate) fn source(&self) -> RepositoryId {
        match self {
            Self::Promotion(policy) => policy.source,
            Self::Push(mirror) => mirror.repository,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.common().enabled && self.common().paused.is_none()
    }

    pub(crate) fn rules(&self) -> &StoredRules {
        match self {
            Self::Promotion(policy) => &policy.rules,
            Self::Push(mirror) => &mirror.rules,
        }
    }

    /// The name that `tag` gets at the destination at `moment`.
    pub(crate) fn render(&self, tag: &Tag, moment: &Moment) -> Result<Tag, TemplateError> {
        let template = match self {
            Self::Promotion(policy) => &policy.template,
            Self::Push(mirror) => &mirror.template,
        };
        Template::parse(template)?.render(tag, moment)
    }

    /// Who it is, when it stops itself.
    pub(crate) fn culprit(&self) -> Culprit {
        Culprit { id: self.id(), kind: self.kind(), repository: self.source() }
    }

    /// Why it does not act on a tag that its rules let through, when there is a reason.
    pub(crate) async fn objection(
        &self,
        conn: &mut Conn,
        tag: &TagRecord,
        now: Timestamp,
    ) -> Result<Option<Objection>, Error> {
        let reason = match (cycle(&tag.lineage, self.id()), self) {
            (Some(reason), _) => Some(reason),
            (None, Self::Promotion(policy)) => {
                let target = repositories::get(conn, policy.target).await?;
                target.and_then(|target| closed(target.state, policy.target_name.as_str()))
            }
            (None, Self::Push(mirror)) => came_from(conn, tag, mirror).await?,
        };
        match reason {
            Some(reason) => Ok(Some(Objection { reason, stops: None })),
            None => runs_wild(conn, self.id(), &tag.digest, now).await,
        }
    }
}

/// A reason besides its rules for which a policy does not act.
#[derive(Debug)]
pub(crate) struct Objection {
    /// For the verdict.
    pub reason: Reason,
    /// Why the policy must stop itself altogether, when it must.
    pub stops: Option<String>,
}

/// The brake: whether `policy` has made so many tags of a digest within the last hour that it must stop.
pub(crate) async fn runs_wild(
    conn: &mut Conn,
    policy: PolicyId,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<Objection>, Error> {
    let made = deliveries::count_since(conn, policy, digest, now - BRAKE_WINDOW).await?;
    if made < BRAKE {
        return Ok(None);
    }
    let found = format!("it made {made} tags of the image {} within an hour", digest.short());
    let stops = format!(
        "{found}, which looks like a loop; look at its template and at what leads back into the repository, \
         then enable it again"
    );
    let rule = format!("a policy makes at most {BRAKE} tags of one image within an hour");
    Ok(Some(Objection { reason: objection(&rule, found), stops: Some(stops) }))
}

/// A policy acts once on the way of one event.
fn cycle(lineage: &Lineage, policy: PolicyId) -> Option<Reason> {
    let found = if lineage.has(policy) {
        "the tag came here through this very policy: the cycle stops".to_owned()
    } else if lineage.is_full() {
        format!(
            "the tag has passed {} policies on its way, the most there may be: it stops here",
            Lineage::MAX
        )
    } else {
        return None;
    };
    Some(objection("a policy acts once on the way of a tag", found))
}

/// A repository that only its mirrors, or nobody, may write takes no promotions.
fn closed(state: RepositoryState, target: &str) -> Option<Reason> {
    let found = match state {
        RepositoryState::Normal => return None,
        RepositoryState::ReadOnly => format!("{target} is read-only"),
        RepositoryState::Mirror => format!("{target} is written by its pull mirrors alone"),
    };
    Some(objection("the target takes promotions", found))
}

/// What came from a repository of a remote is not sent back there. The lineage names every pull mirror that
/// the tag came through, also before a promotion.
async fn came_from(conn: &mut Conn, tag: &TagRecord, mirror: &PushMirror) -> Result<Option<Reason>, Error> {
    let is_target = |host: &str, repository: &str| {
        host.eq_ignore_ascii_case(&mirror.remote_host) && repository == mirror.remote_repository.as_str()
    };
    let mut came = match &tag.provenance {
        Provenance::Mirror { remote_host, remote_repository, .. } => {
            is_target(remote_host, remote_repository.as_str())
        }
        // The lineage of what was brought back tells where it had come from.
        Provenance::Push | Provenance::Promotion { .. } | Provenance::Restored { .. } => false,
    };
    for policy in tag.lineage.policies() {
        if came {
            break;
        }
        came = pull_mirrors::get(conn, *policy)
            .await?
            .is_some_and(|origin| is_target(&origin.remote_host, origin.remote_repository.as_str()));
    }
    Ok(came.then(|| {
        objection(
            "a tag is not sent back to where it came from",
            format!("it came from {}/{}", mirror.remote_host, mirror.remote_repository),
        )
    }))
}

fn objection(rule: &str, found: String) -> Reason {
    Reason { rule: rule.to_owned(), holds: Some(false), found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn policy(number: u128) -> PolicyId {
        PolicyId(Uuid::from_u128(number))
    }

    #[test]
    fn semantics_05_a_policy_acts_once_per_lineage() {
        let passed: Lineage = [policy(1), policy(2)].into_iter().collect();
        assert!(cycle(&passed, policy(2)).is_some_and(|reason| reason.found.contains("the cycle stops")));
        assert_eq!(cycle(&passed, policy(3)), None);
    }

    #[test]
    fn semantics_05_nothing_acts_on_a_full_lineage() {
        let full: Lineage = (0..40).map(policy).collect();
        assert!(cycle(&full, policy(99)).is_some_and(|reason| reason.found.contains("32 policies")));
    }

    #[test]
    fn semantics_18_promotions_into_a_closed_repository_are_refused_as_a_verdict() {
        assert_eq!(closed(RepositoryState::Normal, "qa/website"), None);
        for state in [RepositoryState::ReadOnly, RepositoryState::Mirror] {
            let reason = closed(state, "qa/website").map(|reason| (reason.holds, reason.found));
            assert!(
                reason.is_some_and(|(holds, found)| holds == Some(false) && found.contains("qa/website"))
            );
        }
    }
}
