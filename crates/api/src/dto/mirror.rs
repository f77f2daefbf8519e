//! Push mirrors and pull mirrors ("poll" in DTR's words).

use jiff::Timestamp;
use longshore_model::policy::{
    DEFAULT_POLL_INTERVAL_SECONDS, Mirror as ModelMirror, PullMirrorDraft, PushMirrorDraft,
};
use longshore_model::{Code, PolicyId, Problem, PullMirror, PushMirror, Remote};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Common;
use super::remote::Connection;
use super::rule::{self, Rule, Rules};
use crate::extract::Wire;

/// The other end of a mirror. Credentials never come back; what the actor may not see of the
/// remote is empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OtherEnd {
    /// The saved remote.
    #[serde(rename = "remoteID")]
    remote_id: Uuid,
    /// The registry's URL.
    remote_host: String,
    /// The repository there.
    remote_repository: String,
    /// A private certificate authority's certificate, as PEM.
    #[serde(rename = "remoteCA")]
    remote_ca: String,
    /// Whether the certificate is not checked.
    #[serde(rename = "skipTLSVerification")]
    skip_tls_verification: bool,
    /// The user name there.
    username: String,
}

impl OtherEnd {
    fn new(id: longshore_model::RemoteId, host: &str, repository: String, remote: Option<&Remote>) -> Self {
        Self {
            remote_id: id.0,
            remote_host: remote.map_or_else(|| host.to_owned(), |remote| remote.url.clone()),
            remote_repository: repository,
            remote_ca: remote.and_then(|remote| remote.ca_pem.clone()).unwrap_or_default(),
            skip_tls_verification: remote.is_some_and(|remote| remote.skip_tls_verify),
            username: remote.map(|remote| remote.username.clone()).unwrap_or_default(),
        }
    }
}

/// A push mirror: copies tags that match to another registry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PushMirroringPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    remote: OtherEnd,
    /// `namespace/name` of the repository here.
    #[schema(example = "dev/website")]
    local_repository: String,
    /// All of them must hold; none means every tag.
    #[schema(value_type = Vec<Rule>)]
    rules: Rules,
    /// The name a tag gets there.
    #[schema(example = "%n")]
    tag_template: String,
    /// Whether tags there that this mirror did not set may be moved.
    overwrite: bool,
    /// Whether non-distributable layers (such as those of Windows base images) that are stored here are sent too.
    foreign_layers: bool,
    /// When it last mirrored a tag.
    last_mirrored_at: Option<Timestamp>,
}

impl PushMirroringPolicy {
    /// `remote` where the actor may see it.
    pub(crate) fn new(mirror: PushMirror, remote: Option<&Remote>) -> Self {
        Self {
            rules: (&mirror.rules).into(),
            remote: OtherEnd::new(
                mirror.remote,
                &mirror.remote_host,
                mirror.remote_repository.to_string(),
                remote,
            ),
            common: mirror.common.into(),
            local_repository: mirror.repository_name.to_string(),
            tag_template: mirror.template,
            overwrite: mirror.overwrite,
            foreign_layers: mirror.foreign_layers,
            last_mirrored_at: mirror.last_mirrored_at,
        }
    }
}

/// A pull mirror: brings tags of another registry in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PollMirroringPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    remote: OtherEnd,
    /// `namespace/name` of the repository here.
    #[schema(example = "dev/website")]
    local_repository: String,
    /// Which tags: comma-separated names and globs.
    #[schema(example = "1.*, latest")]
    patterns: String,
    /// Seconds between two polls.
    interval: u32,
    /// Whether non-distributable layers (such as those of Windows base images) that the remote has are fetched too.
    foreign_layers: bool,
    /// When the next poll is due.
    next_run_at: Timestamp,
    /// When it last brought a tag in.
    last_mirrored_at: Option<Timestamp>,
}

impl PollMirroringPolicy {
    /// `remote` where the actor may see it.
    pub(crate) fn new(mirror: PullMirror, remote: Option<&Remote>) -> Self {
        Self {
            remote: OtherEnd::new(
                mirror.remote,
                &mirror.remote_host,
                mirror.remote_repository.to_string(),
                remote,
            ),
            common: mirror.common.into(),
            local_repository: mirror.repository_name.to_string(),
            patterns: mirror.patterns,
            interval: mirror.interval_seconds,
            foreign_layers: mirror.foreign_layers,
            next_run_at: mirror.next_run_at,
            last_mirrored_at: mirror.last_mirrored_at,
        }
    }
}

/// A mirror of either direction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "mirroringType", rename_all = "lowercase")]
pub(crate) enum MirroringPolicy {
    /// To another registry.
    Push(PushMirroringPolicy),
    /// From another registry.
    Poll(PollMirroringPolicy),
}

impl MirroringPolicy {
    /// `remote` where the actor may see it.
    pub(crate) fn new(mirror: ModelMirror, remote: Option<&Remote>) -> Self {
        match mirror {
            ModelMirror::Push { mirror } => Self::Push(PushMirroringPolicy::new(mirror, remote)),
            ModelMirror::Pull { mirror } => Self::Poll(PollMirroringPolicy::new(mirror, remote)),
        }
    }
}

/// One of several things that are named by their identifiers.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Named {
    /// The identifier.
    id: Uuid,
}

impl Named {
    pub(crate) fn policy(&self) -> PolicyId {
        PolicyId(self.id)
    }
}

impl Wire for Vec<Named> {}

/// A new push mirror.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePushMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository there.
    #[serde(default)]
    #[schema(example = "dev/website")]
    remote_repository: String,
    /// All of them must hold. An explicit empty list means every tag; an absent one is refused.
    rules: Option<Vec<Rule>>,
    /// The name a tag gets there.
    #[serde(default)]
    #[schema(default = "%n")]
    tag_template: String,
    /// Whether it acts.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether tags there that this mirror did not set may be moved.
    #[schema(default = true)]
    overwrite: Option<bool>,
    /// Whether signatures, SBOMs and attestations go along.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// Whether non-distributable layers that are stored here are sent too.
    #[schema(default = false)]
    foreign_layers: Option<bool>,
    /// As in the query.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for CreatePushMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPushMirroringPolicy;
}

impl CreatePushMirroringPolicy {
    pub(crate) fn draft(self) -> Result<PushMirrorDraft, Problem> {
        let (rules, every_tag) = rule::given(self.rules);
        Ok(PushMirrorDraft {
            remote: self.connection.choice()?,
            remote_repository: self.remote_repository,
            rules,
            every_tag,
            template: self.tag_template,
            enabled: self.enabled,
            overwrite: self.overwrite.unwrap_or(true),
            referrers: self.referrers.unwrap_or(true),
            foreign_layers: self.foreign_layers.unwrap_or(false),
        })
    }
}

/// A change of a push mirror; what is absent stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePushMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository there.
    remote_repository: Option<String>,
    /// All of them must hold; an empty list means every tag.
    rules: Option<Vec<Rule>>,
    /// The name a tag gets there.
    tag_template: Option<String>,
    /// Whether it acts.
    enabled: Option<bool>,
    /// Whether tags there that this mirror did not set may be moved.
    overwrite: Option<bool>,
    /// Whether signatures, SBOMs and attestations go along.
    referrers: Option<bool>,
    /// Whether non-distributable layers that are stored here are sent too.
    foreign_layers: Option<bool>,
    /// The version that the change is based on, as an earlier answer gave it. With another one by now the answer is
    /// 409; without, the change is made to whichever version there is.
    pub(crate) version: Option<i64>,
    /// As in the query.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for UpdatePushMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPushMirroringPolicy;
}

impl UpdatePushMirroringPolicy {
    /// Whether it says nothing but this about `enabled`.
    pub(crate) fn only_enabled(&self) -> Option<bool> {
        let rest = !self.connection.is_empty()
            || self.remote_repository.is_some()
            || self.rules.is_some()
            || self.tag_template.is_some()
            || self.overwrite.is_some()
            || self.referrers.is_some()
            || self.foreign_layers.is_some();
        self.enabled.filter(|_| !rest)
    }

    /// The mirror as it will be; `remote` where the actor may see it.
    pub(crate) fn over(
        self,
        mirror: &PushMirror,
        remote: Option<&Remote>,
    ) -> Result<PushMirrorDraft, Problem> {
        let (rules, every_tag) = rule::changed(self.rules, &mirror.rules, Code::InvalidPushMirroringPolicy)?;
        Ok(PushMirrorDraft {
            remote: self.connection.over(mirror.remote, remote)?,
            remote_repository: self.remote_repository.unwrap_or_else(|| mirror.remote_repository.to_string()),
            rules,
            every_tag,
            template: self.tag_template.unwrap_or_else(|| mirror.template.clone()),
            enabled: self.enabled,
            overwrite: self.overwrite.unwrap_or(mirror.overwrite),
            referrers: self.referrers.unwrap_or(mirror.common.referrers),
            foreign_layers: self.foreign_layers.unwrap_or(mirror.foreign_layers),
        })
    }
}

/// Tag patterns as one text or as a list.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(untagged)]
enum PatternList {
    /// Comma-separated.
    Text(String),
    /// One by one.
    List(Vec<String>),
}

impl From<PatternList> for String {
    fn from(patterns: PatternList) -> Self {
        match patterns {
            PatternList::Text(text) => text,
            PatternList::List(list) => list.join(", "),
        }
    }
}

/// A new pull mirror. DTR knew no choice of tags: `rules` and `tagTemplate` are tolerated as far as
/// they say that every tag keeps its name.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePollMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository there.
    #[serde(default)]
    #[schema(example = "dev/website")]
    remote_repository: String,
    /// Only the empty list; `patterns` chooses tags.
    rules: Option<Vec<Rule>>,
    /// Only `%n`; a pull mirror keeps the names of tags.
    tag_template: Option<String>,
    /// Which tags: names and globs; every tag where it does not say.
    #[serde(alias = "tagPatterns")]
    patterns: Option<PatternList>,
    /// Seconds between two polls, 60 to 2592000.
    #[schema(default = 1800)]
    interval: Option<u32>,
    /// Whether it acts.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations come along.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// Whether non-distributable layers that the remote has are fetched too.
    #[schema(default = false)]
    foreign_layers: Option<bool>,
    /// Whether nobody but this mirror may write to the repository from now on.
    #[schema(default = false)]
    exclusive: Option<bool>,
    /// As in the query.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for CreatePollMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPollMirroringPolicy;
}

impl CreatePollMirroringPolicy {
    pub(crate) fn draft(self) -> Result<PullMirrorDraft, Problem> {
        only_every_tag(self.rules.as_deref(), self.tag_template.as_deref())?;
        Ok(PullMirrorDraft {
            remote: self.connection.choice()?,
            remote_repository: self.remote_repository,
            patterns: self.patterns.map(String::from).unwrap_or_default(),
            interval_seconds: self.interval.unwrap_or(DEFAULT_POLL_INTERVAL_SECONDS),
            enabled: self.enabled,
            referrers: self.referrers.unwrap_or(true),
            foreign_layers: self.foreign_layers.unwrap_or(false),
            exclusive: self.exclusive,
        })
    }
}

/// A change of a pull mirror; what is absent stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePollMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository there.
    remote_repository: Option<String>,
    /// Only the empty list; `patterns` chooses tags.
    rules: Option<Vec<Rule>>,
    /// Only `%n`; a pull mirror keeps the names of tags.
    tag_template: Option<String>,
    /// Which tags: names and globs.
    #[serde(alias = "tagPatterns")]
    patterns: Option<PatternList>,
    /// Seconds between two polls, 60 to 2592000.
    interval: Option<u32>,
    /// Whether it acts.
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations come along.
    referrers: Option<bool>,
    /// Whether non-distributable layers that the remote has are fetched too.
    foreign_layers: Option<bool>,
    /// Whether nobody but this mirror may write to the repository.
    exclusive: Option<bool>,
    /// The version that the change is based on, as an earlier answer gave it. With another one by now the answer is
    /// 409; without, the change is made to whichever version there is.
    pub(crate) version: Option<i64>,
}

impl Wire for UpdatePollMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPollMirroringPolicy;
}

impl UpdatePollMirroringPolicy {
    /// Whether it says nothing but this about `enabled`.
    pub(crate) fn only_enabled(&self) -> Option<bool> {
        let rest = !self.connection.is_empty()
            || self.remote_repository.is_some()
            || self.rules.is_some()
            || self.tag_template.is_some()
            || self.patterns.is_some()
            || self.interval.is_some()
            || self.referrers.is_some()
            || self.foreign_layers.is_some()
            || self.exclusive.is_some();
        self.enabled.filter(|_| !rest)
    }

    /// The mirror as it will be; `remote` where the actor may see it.
    pub(crate) fn over(
        self,
        mirror: &PullMirror,
        remote: Option<&Remote>,
    ) -> Result<PullMirrorDraft, Problem> {
        only_every_tag(self.rules.as_deref(), self.tag_template.as_deref())?;
        Ok(PullMirrorDraft {
            remote: self.connection.over(mirror.remote, remote)?,
            remote_repository: self.remote_repository.unwrap_or_else(|| mirror.remote_repository.to_string()),
            patterns: self.patterns.map_or_else(|| mirror.patterns.clone(), String::from),
            interval_seconds: self.interval.unwrap_or(mirror.interval_seconds),
            enabled: self.enabled,
            referrers: self.referrers.unwrap_or(mirror.common.referrers),
            foreign_layers: self.foreign_layers.unwrap_or(mirror.foreign_layers),
            exclusive: self.exclusive,
        })
    }
}

/// Rules and a template that a pull mirror cannot follow are refused, never ignored.
fn only_every_tag(rules: Option<&[Rule]>, template: Option<&str>) -> Result<(), Problem> {
    if rules.is_some_and(|rules| !rules.is_empty()) {
        return Err(Problem::field(
            Code::InvalidPollMirroringPolicy,
            "rules",
            "A pull mirror has no rules; choose its tags by patterns.",
        ));
    }
    if template.is_some_and(|template| !template.is_empty() && template != "%n") {
        return Err(Problem::field(
            Code::InvalidPollMirroringPolicy,
            "tagTemplate",
            "A pull mirror keeps the names of tags; the template can only be %n.",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn create(json: &str) -> Result<PullMirrorDraft, Problem> {
        serde_json::from_str::<CreatePollMirroringPolicy>(json).unwrap().draft()
    }

    #[test]
    fn the_rules_and_template_that_dtr_scripts_send_with_a_pull_mirror_are_tolerated() {
        let draft =
            create(r#"{"remoteHost":"https://r","remoteRepository":"a/b","rules":[],"tagTemplate":"%n"}"#);
        assert_eq!(draft.unwrap().interval_seconds, 1800);
    }

    #[test]
    fn rules_and_templates_that_a_pull_mirror_cannot_follow_are_refused() {
        let rules = create(r#"{"rules":[{"field":"tag","operator":"ew","values":["x"]}]}"#).unwrap_err();
        assert!(rules.about("rules").is_some());
        assert!(create(r#"{"tagTemplate":"%n-%Y"}"#).unwrap_err().about("tagTemplate").is_some());
    }

    #[test]
    fn patterns_come_as_text_or_as_a_list() {
        assert_eq!(create(r#"{"patterns":"1.*, latest"}"#).unwrap().patterns, "1.*, latest");
        assert_eq!(create(r#"{"tagPatterns":["1.*","latest"]}"#).unwrap().patterns, "1.*, latest");
    }
}
