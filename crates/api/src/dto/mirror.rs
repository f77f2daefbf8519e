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

/// The other end of a mirror. Credentials are never returned; settings of a remote that the caller may not see are
/// empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OtherEnd {
    /// The identifier of the saved remote.
    #[serde(rename = "remoteID")]
    remote_id: Uuid,
    /// The URL of the registry.
    remote_host: String,
    /// The repository in that registry.
    remote_repository: String,
    /// The certificate of a private certificate authority, as PEM.
    #[serde(rename = "remoteCA")]
    remote_ca: String,
    /// Whether the server's certificate is not verified.
    #[serde(rename = "skipTLSVerification")]
    skip_tls_verification: bool,
    /// The username.
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

/// A push mirror, which copies matching tags to another registry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PushMirroringPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    remote: OtherEnd,
    /// The local repository, as `namespace/name`.
    #[schema(example = "dev/website")]
    local_repository: String,
    /// Rules, all of which must match. An empty list matches every tag.
    #[schema(value_type = Vec<Rule>)]
    rules: Rules,
    /// The template of the remote tag.
    #[schema(example = "%n")]
    tag_template: String,
    /// Whether remote tags that this mirror did not set may be overwritten.
    overwrite: bool,
    /// Whether non-distributable layers (such as those of Windows base images) are pushed too, if they are stored here.
    foreign_layers: bool,
    /// The time at which a tag was last mirrored.
    last_mirrored_at: Option<Timestamp>,
}

impl PushMirroringPolicy {
    /// `remote` is `None` if the caller may not see it.
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

/// A pull mirror, which copies tags from another registry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PollMirroringPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    remote: OtherEnd,
    /// The local repository, as `namespace/name`.
    #[schema(example = "dev/website")]
    local_repository: String,
    /// The tags to mirror: names and globs, separated by commas.
    #[schema(example = "1.*, latest")]
    patterns: String,
    /// The number of seconds between two polls.
    interval: u32,
    /// Whether non-distributable layers (such as those of Windows base images) are fetched too, if the remote has them.
    foreign_layers: bool,
    /// The time of the next poll.
    next_run_at: Timestamp,
    /// The time at which a tag was last mirrored.
    last_mirrored_at: Option<Timestamp>,
}

impl PollMirroringPolicy {
    /// `remote` is `None` if the caller may not see it.
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
    /// A push mirror.
    Push(PushMirroringPolicy),
    /// A pull mirror.
    Poll(PollMirroringPolicy),
}

impl MirroringPolicy {
    /// `remote` is `None` if the caller may not see it.
    pub(crate) fn new(mirror: ModelMirror, remote: Option<&Remote>) -> Self {
        match mirror {
            ModelMirror::Push { mirror } => Self::Push(PushMirroringPolicy::new(mirror, remote)),
            ModelMirror::Pull { mirror } => Self::Poll(PollMirroringPolicy::new(mirror, remote)),
        }
    }
}

/// A reference by identifier.
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

/// A push mirror to create.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePushMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository in that registry.
    #[serde(default)]
    #[schema(example = "dev/website")]
    remote_repository: String,
    /// Rules, all of which must match. Required; an empty list matches every tag.
    rules: Option<Vec<Rule>>,
    /// The template of the remote tag.
    #[serde(default)]
    #[schema(default = "%n")]
    tag_template: String,
    /// Whether the mirror is enabled.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether remote tags that this mirror did not set may be overwritten.
    #[schema(default = true)]
    overwrite: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// Whether non-distributable layers that are stored here are pushed too.
    #[schema(default = false)]
    foreign_layers: Option<bool>,
    /// The same as the query parameter `initialEvaluation`.
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

/// A change of a push mirror. Omitted fields are unchanged.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePushMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository in that registry.
    remote_repository: Option<String>,
    /// Rules, all of which must match. An empty list matches every tag.
    rules: Option<Vec<Rule>>,
    /// The template of the remote tag.
    tag_template: Option<String>,
    /// Whether the mirror is enabled.
    enabled: Option<bool>,
    /// Whether remote tags that this mirror did not set may be overwritten.
    overwrite: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    referrers: Option<bool>,
    /// Whether non-distributable layers that are stored here are pushed too.
    foreign_layers: Option<bool>,
    /// The version that the change is based on, as returned earlier. A change of an older version is rejected with 409.
    /// If omitted, the change applies to any version.
    pub(crate) version: Option<i64>,
    /// The same as the query parameter `initialEvaluation`.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for UpdatePushMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPushMirroringPolicy;
}

impl UpdatePushMirroringPolicy {
    /// The value of `enabled`, if the change sets nothing else.
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

    /// The mirror after the change; `remote` is `None` if the caller may not see it.
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

/// Tag patterns, as a string or a list.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(untagged)]
enum PatternList {
    /// Separated by commas.
    Text(String),
    /// One pattern per item.
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

/// A pull mirror to create. DTR mirrors every tag under its own name: `rules` and `tagTemplate` are accepted only with
/// the values that mean that.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePollMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository in that registry.
    #[serde(default)]
    #[schema(example = "dev/website")]
    remote_repository: String,
    /// Must be empty; use `patterns` to select tags.
    rules: Option<Vec<Rule>>,
    /// Must be `%n`; a pull mirror keeps the names of tags.
    tag_template: Option<String>,
    /// The tags to mirror, as names and globs; every tag if omitted.
    #[serde(alias = "tagPatterns")]
    patterns: Option<PatternList>,
    /// The number of seconds between two polls, 60 to 2592000.
    #[schema(default = 1800)]
    interval: Option<u32>,
    /// Whether the mirror is enabled.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// Whether non-distributable layers that the remote has are fetched too.
    #[schema(default = false)]
    foreign_layers: Option<bool>,
    /// Whether only mirrors may write to the repository.
    #[schema(default = false)]
    exclusive: Option<bool>,
    /// The same as the query parameter `initialEvaluation`.
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

/// A change of a pull mirror. Omitted fields are unchanged.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePollMirroringPolicy {
    #[serde(flatten)]
    connection: Connection,
    /// The repository in that registry.
    remote_repository: Option<String>,
    /// Must be empty; use `patterns` to select tags.
    rules: Option<Vec<Rule>>,
    /// Must be `%n`; a pull mirror keeps the names of tags.
    tag_template: Option<String>,
    /// The tags to mirror, as names and globs.
    #[serde(alias = "tagPatterns")]
    patterns: Option<PatternList>,
    /// The number of seconds between two polls, 60 to 2592000.
    interval: Option<u32>,
    /// Whether the mirror is enabled.
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    referrers: Option<bool>,
    /// Whether non-distributable layers that the remote has are fetched too.
    foreign_layers: Option<bool>,
    /// Whether only mirrors may write to the repository.
    exclusive: Option<bool>,
    /// The version that the change is based on, as returned earlier. A change of an older version is rejected with 409.
    /// If omitted, the change applies to any version.
    pub(crate) version: Option<i64>,
}

impl Wire for UpdatePollMirroringPolicy {
    const INVALID_RULE: Code = Code::InvalidPollMirroringPolicy;
}

impl UpdatePollMirroringPolicy {
    /// The value of `enabled`, if the change sets nothing else.
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

    /// The mirror after the change; `remote` is `None` if the caller may not see it.
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

/// Rejects rules and a template that a pull mirror cannot follow, instead of ignoring them.
fn only_every_tag(rules: Option<&[Rule]>, template: Option<&str>) -> Result<(), Problem> {
    if rules.is_some_and(|rules| !rules.is_empty()) {
        return Err(Problem::field(
            Code::InvalidPollMirroringPolicy,
            "rules",
            "A pull mirror has no rules; use patterns to select tags.",
        ));
    }
    if template.is_some_and(|template| !template.is_empty() && template != "%n") {
        return Err(Problem::field(
            Code::InvalidPollMirroringPolicy,
            "tagTemplate",
            "A pull mirror keeps the names of tags; the template must be %n.",
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
    fn the_rules_and_template_that_dtr_scripts_send_for_a_pull_mirror_are_accepted() {
        let draft =
            create(r#"{"remoteHost":"https://r","remoteRepository":"a/b","rules":[],"tagTemplate":"%n"}"#);
        assert_eq!(draft.unwrap().interval_seconds, 1800);
    }

    #[test]
    fn rules_and_templates_that_a_pull_mirror_cannot_follow_are_rejected() {
        let rules = create(r#"{"rules":[{"field":"tag","operator":"ew","values":["x"]}]}"#).unwrap_err();
        assert!(rules.about("rules").is_some());
        assert!(create(r#"{"tagTemplate":"%n-%Y"}"#).unwrap_err().about("tagTemplate").is_some());
    }

    #[test]
    fn patterns_are_accepted_as_a_string_or_a_list() {
        assert_eq!(create(r#"{"patterns":"1.*, latest"}"#).unwrap().patterns, "1.*, latest");
        assert_eq!(create(r#"{"tagPatterns":["1.*","latest"]}"#).unwrap().patterns, "1.*, latest");
    }
}
