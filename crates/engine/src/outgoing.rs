//! Promotion policies and push mirrors of a repository under one type, and the reasons apart from their rules why they
//! do not act on a tag (semantics 5, 18).

use crate::stopping::StoppedPolicy;
use longshore_metadata::{
    Conn, Error,
    deliveries::{self, DeliveryTarget},
    policies::Readable,
    promotions, pull_mirrors, push_mirrors, repositories,
};
use longshore_model::{
    Lineage, Message, PolicyId, PolicyKind, Provenance, RepositoryId, RepositoryState, TagRecord, Timestamp,
    message::{Objection, PlaceRef, PolicyMessage, RemoteRef, RepositoryRef},
    stored::{PolicyCommon, PromotionPolicy, PushMirror},
};
use longshore_oci::{Digest, Tag};
use longshore_policy::{Moment, StoredRules, Template, TemplateError};

/// The number of tags of one digest that a policy may create within [`BRAKE_WINDOW`] before it stops itself.
const BRAKE: u64 = 20;
const BRAKE_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// A promotion policy or push mirror.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    Promotion(PromotionPolicy),
    Push(PushMirror),
}

/// A position in the list of a repository's policies: promotion policies first, then push mirrors, each ordered by
/// identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub kind: PolicyKind,
    pub id: String,
}

impl Reached {
    /// The position before the first policy.
    pub(crate) fn nothing() -> Self {
        Self { kind: PolicyKind::Promotion, id: String::new() }
    }
}

impl Outgoing {
    /// The promotion policies and push mirrors of a repository that are neither disabled nor stopped.
    pub(crate) async fn active_of(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Self>, Error> {
        let promotions = promotions::for_source(conn, repository).await?.into_iter().map(Self::Promotion);
        let mirrors = push_mirrors::for_repository(conn, repository).await?.into_iter().map(Self::Push);
        Ok(promotions.chain(mirrors).filter(Self::is_active).collect())
    }

    /// At most `limit` policies after the position `after`, in the order of [`Reached`]. Includes disabled and stopped
    /// ones, since the caller needs the position of the last one to continue from there.
    pub(crate) async fn behind(
        conn: &mut Conn,
        repository: RepositoryId,
        after: &Reached,
        limit: i64,
    ) -> Result<Vec<(Reached, Readable<Self>)>, Error> {
        fn of<T>(
            kind: PolicyKind,
            found: Vec<Readable<T>>,
            id: impl Fn(&T) -> PolicyId,
            made: impl Fn(T) -> Outgoing,
        ) -> Vec<(Reached, Readable<Outgoing>)> {
            let named = |policy: Readable<T>| match policy {
                Ok(policy) => (Reached { kind, id: id(&policy).to_string() }, Ok(made(policy))),
                Err(unreadable) => (Reached { kind, id: unreadable.id.clone() }, Err(unreadable)),
            };
            found.into_iter().map(named).collect()
        }
        let mut found = Vec::new();
        if after.kind == PolicyKind::Promotion {
            let promotions = promotions::for_source_behind(conn, repository, &after.id, limit).await?;
            found = of(PolicyKind::Promotion, promotions, |policy| policy.common.id, Self::Promotion);
        }
        let left = limit - i64::try_from(found.len()).unwrap_or(limit);
        if left > 0 {
            let after = if after.kind == PolicyKind::PushMirror { after.id.as_str() } else { "" };
            let mirrors = push_mirrors::for_repository_behind(conn, repository, after, left).await?;
            found.extend(of(PolicyKind::PushMirror, mirrors, |mirror| mirror.common.id, Self::Push));
        }
        Ok(found)
    }

    /// The policy with this identifier; `None` for pull mirrors.
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

    /// The repository that it promotes or pushes to.
    pub(crate) fn target(&self) -> DeliveryTarget {
        match self {
            Self::Promotion(policy) => DeliveryTarget::Local(policy.target),
            Self::Push(mirror) => DeliveryTarget::Remote {
                remote: mirror.remote,
                host: mirror.remote_host.clone(),
                repository: mirror.remote_repository.clone(),
            },
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.common().enabled && self.common().stopped.is_none()
    }

    pub(crate) fn rules(&self) -> &StoredRules {
        match self {
            Self::Promotion(policy) => &policy.rules,
            Self::Push(mirror) => &mirror.rules,
        }
    }

    /// The target tag that the template renders for `tag` at `moment`.
    pub(crate) fn render(&self, tag: &Tag, moment: &Moment) -> Result<Tag, TemplateError> {
        let template = match self {
            Self::Promotion(policy) => &policy.template,
            Self::Push(mirror) => &mirror.template,
        };
        Template::parse(template)?.render(tag, moment)
    }

    /// The policy in the form that [`crate::stopping::stop`] takes.
    pub(crate) fn policy(&self) -> StoppedPolicy {
        StoppedPolicy { id: self.id(), kind: self.kind(), repository: self.source() }
    }

    /// The reason why the policy does not act on a tag that its rules match; `None` if there is none.
    pub(crate) async fn objection(
        &self,
        conn: &mut Conn,
        tag: &TagRecord,
        now: Timestamp,
    ) -> Result<Option<Objection>, Error> {
        let objection = match (cycle(&tag.lineage, self.id()), self) {
            (Some(objection), _) => Some(objection),
            (None, Self::Promotion(policy)) => {
                let target = repositories::get(conn, policy.target).await?;
                target.and_then(|target| closed(target.state, RepositoryRef::from(&target)))
            }
            (None, Self::Push(mirror)) => came_from(conn, tag, mirror).await?,
        };
        match objection {
            Some(objection) => Ok(Some(objection)),
            None => runs_wild(conn, self.id(), &tag.digest, now).await,
        }
    }
}

/// The reason for the policy to stop, if the objection requires that.
pub(crate) fn stops(objection: &Objection) -> Option<Message> {
    match objection {
        Objection::Brake { .. } => Some(PolicyMessage::Loop { found: objection.clone() }.into()),
        Objection::Cycle
        | Objection::FullLineage
        | Objection::ReadOnly { .. }
        | Objection::Mirrored { .. }
        | Objection::CameFrom { .. } => None,
    }
}

/// The brake: an objection if `policy` has created too many tags of one digest within [`BRAKE_WINDOW`].
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
    Ok(Some(Objection::Brake { made, most: BRAKE, digest: digest.clone() }))
}

/// A policy acts only once in a lineage, and a lineage has a maximum length.
fn cycle(lineage: &Lineage, policy: PolicyId) -> Option<Objection> {
    match lineage.has(policy) {
        true => Some(Objection::Cycle),
        false => lineage.is_full().then_some(Objection::FullLineage),
    }
}

/// Promotions into a read-only repository or one in state `mirror` are refused.
fn closed(state: RepositoryState, target: RepositoryRef) -> Option<Objection> {
    match state {
        RepositoryState::Normal => None,
        RepositoryState::ReadOnly => Some(Objection::ReadOnly { target }),
        RepositoryState::Mirror => Some(Objection::Mirrored { target }),
    }
}

/// A tag that was mirrored from a remote repository is not pushed back there. The lineage names every pull mirror that
/// the tag passed, even before a promotion.
async fn came_from(
    conn: &mut Conn,
    tag: &TagRecord,
    mirror: &PushMirror,
) -> Result<Option<Objection>, Error> {
    let is_target = |host: &str, repository: &str| {
        host.eq_ignore_ascii_case(&mirror.remote_host) && repository == mirror.remote_repository.as_str()
    };
    let mut came = match &tag.provenance {
        Provenance::Mirror { remote_host, remote_repository, .. } => {
            is_target(remote_host, remote_repository.as_str())
        }
        // The origin of a restored tag is in its lineage.
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
    Ok(came.then(|| Objection::CameFrom { place: place(mirror) }))
}

/// The remote repository of a push mirror.
pub(crate) fn place(mirror: &PushMirror) -> PlaceRef {
    let remote = RemoteRef::new(mirror.remote, mirror.remote_host.clone());
    PlaceRef::new(remote, mirror.remote_repository.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn policy(number: u128) -> PolicyId {
        PolicyId(Uuid::from_u128(number))
    }

    #[test]
    fn semantics_05_a_policy_acts_once_per_lineage() {
        let passed: Lineage = [policy(1), policy(2)].into_iter().collect();
        assert_eq!(cycle(&passed, policy(2)), Some(Objection::Cycle));
        assert_eq!(cycle(&passed, policy(3)), None);
    }

    #[test]
    fn semantics_05_nothing_acts_on_a_full_lineage() {
        let full: Lineage = (0..40).map(policy).collect();
        assert_eq!(cycle(&full, policy(99)), Some(Objection::FullLineage));
    }

    #[test]
    fn semantics_18_promotions_into_a_closed_repository_are_refused_as_a_verdict() {
        let target = || RepositoryRef::new(RepositoryId(Uuid::from_u128(1)), "qa/website".parse().unwrap());
        assert_eq!(closed(RepositoryState::Normal, target()), None);
        let refused = Some(Objection::ReadOnly { target: target() });
        assert_eq!(closed(RepositoryState::ReadOnly, target()), refused);
        let refused = Some(Objection::Mirrored { target: target() });
        assert_eq!(closed(RepositoryState::Mirror, target()), refused);
    }
}
