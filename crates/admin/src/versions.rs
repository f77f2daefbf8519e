//! Changes over a version (semantics 33). Whatever people change counts its versions, and a change names the version
//! that it is based on. It is read again in the transaction that writes it, and is written only over that version.

use longshore_metadata::{Tx, repositories};
use longshore_model::policy::Mirror;
use longshore_model::stored::{self, PolicyCommon, PromotionPolicy, PullMirror, PushMirror};
use longshore_model::{Code, LastChange, PolicyKind, Problem, Remote, Repository, Version};

/// A version of something, as a change finds it.
pub(crate) struct Found<'a> {
    version: Version,
    /// The change that made this version.
    last: Option<&'a LastChange>,
    /// The code of a conflict.
    code: Code,
    /// What it is, in sentences.
    noun: &'static str,
}

/// Something that is changed only over the version that the change is based on.
pub(crate) trait Versioned: Sized {
    fn found(&self) -> Found<'_>;

    /// Rejects a change that is based on another version than this one.
    ///
    /// # Errors
    /// The conflict, with the last change and its author.
    fn check(&self, based_on: Version) -> Result<(), Problem> {
        let Found { version, last, code, noun } = self.found();
        match version == based_on {
            true => Ok(()),
            false => Err(LastChange::conflict(last, code, noun, based_on, version)),
        }
    }

    /// The same, to be changed; `None` stands for any version.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn over(self, based_on: impl Into<Option<Version>>) -> Result<Self, Problem> {
        match based_on.into() {
            Some(based_on) => self.check(based_on).map(|()| self),
            None => Ok(self),
        }
    }
}

fn policy(common: &PolicyCommon, kind: PolicyKind) -> Found<'_> {
    let last = common.last_change.as_ref();
    Found { version: common.version, last, code: Code::PolicyChanged, noun: kind.noun() }
}

impl Versioned for PromotionPolicy {
    fn found(&self) -> Found<'_> {
        policy(&self.common, PolicyKind::Promotion)
    }
}

impl Versioned for PushMirror {
    fn found(&self) -> Found<'_> {
        policy(&self.common, PolicyKind::PushMirror)
    }
}

impl Versioned for PullMirror {
    fn found(&self) -> Found<'_> {
        policy(&self.common, PolicyKind::PullMirror)
    }
}

impl Versioned for stored::Mirror {
    fn found(&self) -> Found<'_> {
        match self {
            Mirror::Push { mirror } => mirror.found(),
            Mirror::Pull { mirror } => mirror.found(),
        }
    }
}

impl Versioned for Remote {
    fn found(&self) -> Found<'_> {
        let last = self.last_change.as_ref();
        Found { version: self.version, last, code: Code::RemoteChanged, noun: "remote" }
    }
}

/// A repository with the last change of its settings, which is read only to change them.
pub(crate) struct Settings {
    pub(crate) of: Repository,
    last: Option<LastChange>,
}

impl Settings {
    pub(crate) async fn read(tx: &mut Tx, of: Repository) -> Result<Self, Problem> {
        let last = repositories::last_change(tx, of.id).await?;
        Ok(Self { of, last })
    }
}

impl Versioned for Settings {
    fn found(&self) -> Found<'_> {
        let last = self.last.as_ref();
        Found { version: self.of.version, last, code: Code::RepositoryChanged, noun: "repository" }
    }
}
