//! Repositories.

use jiff::Timestamp;
use longshore_model::policy::RunCode;
use longshore_model::repository::{Flow as ModelFlow, NewRepository, RepositoryChange, RepositorySummary};
use longshore_model::{
    Code, ImmutableTags, Problem, Repository as Model, RepositoryState, Version, Visibility,
};
use longshore_policy::PatternError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::pause::Pause;
use crate::extract::Wire;

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Repository {
    /// Its identifier; stays the same for its whole life.
    id: Uuid,
    /// Grows with each change of its settings. Who sends it with a change learns of one that somebody else made
    /// meanwhile.
    version: i64,
    /// The first part of its name.
    #[schema(example = "dev")]
    namespace: String,
    /// The rest of its name.
    #[schema(example = "website")]
    name: String,
    /// One line about it.
    short_description: String,
    /// More about it.
    long_description: String,
    /// Who may pull.
    visibility: Visibility,
    /// Who may write.
    state: RepositoryState,
    /// Whether tags stay at the digest they were first set to, and cannot be deleted: all of them, or those
    /// that `immutableTagPatterns` match.
    immutable_tags: bool,
    /// The tags that are immutable, as names and globs; absent where all or none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "v*, 3.?-stable")]
    immutable_tag_patterns: Option<String>,
    /// Whether images are scanned when pushed; not yet.
    scan_on_push: bool,
    /// When it was made.
    created_at: Timestamp,
    /// What it holds and what flows in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

/// What a repository holds and what flows in and out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// How many tags it has.
    tags: u64,
    /// Bytes of all it holds, each blob counted once.
    size_bytes: u64,
    /// How much of that no other repository holds: what deleting it would free. Null where it is not worked out: in
    /// lists, and of a repository with more than 5,000 blobs and manifests.
    unique_bytes: Option<u64>,
    /// How much of that other repositories hold as well. Null where it is not worked out: in lists, and of a repository
    /// with more than 5,000 blobs and manifests.
    shared_bytes: Option<u64>,
    /// When a tag last changed.
    last_push: Option<Timestamp>,
    /// Promotion policies that have it as source.
    promotions_out: Flow,
    /// Promotion policies that have it as target.
    promotions_in: Flow,
    /// Push mirrors.
    push_mirrors: Flow,
    /// Pull mirrors.
    pull_mirrors: Flow,
    /// The pause of everything or of its namespace that all these wait for to end.
    held_by: Option<Pause>,
}

/// How many flows of a sort there are, and how the worst of them last went.
#[derive(Debug, Serialize, ToSchema)]
struct Flow {
    /// How many are enabled.
    count: u32,
    /// The worst last status among them.
    last: Option<&'static str>,
}

impl From<ModelFlow> for Flow {
    fn from(flow: ModelFlow) -> Self {
        let last = flow.last.map(|code| match code {
            RunCode::Never => "never",
            RunCode::Success => "success",
            RunCode::Running => "running",
            RunCode::Failed => "failed",
        });
        Self { count: flow.count, last }
    }
}

impl From<Model> for Repository {
    fn from(repository: Model) -> Self {
        Self {
            id: repository.id.0,
            version: repository.version.0,
            namespace: repository.name.namespace().to_owned(),
            name: repository.name.name().to_owned(),
            short_description: repository.short_description,
            long_description: repository.long_description,
            visibility: repository.visibility,
            state: repository.state,
            immutable_tags: repository.immutable_tags.is_on(),
            immutable_tag_patterns: repository.immutable_tags.patterns(),
            scan_on_push: false,
            created_at: repository.created_at,
            summary: None,
        }
    }
}

impl From<RepositorySummary> for Repository {
    fn from(row: RepositorySummary) -> Self {
        let summary = Summary {
            tags: row.tags,
            size_bytes: row.size_bytes,
            unique_bytes: row.unique_bytes,
            shared_bytes: row.unique_bytes.map(|unique| row.size_bytes.saturating_sub(unique)),
            last_push: row.last_push,
            promotions_out: row.promotions_out.into(),
            promotions_in: row.promotions_in.into(),
            push_mirrors: row.push_mirrors.into(),
            pull_mirrors: row.pull_mirrors.into(),
            held_by: row.held_by.map(Pause::from),
        };
        Self { summary: Some(summary), ..row.repository.into() }
    }
}

/// A page of repositories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Repositories {
    /// The repositories, by name.
    pub(crate) repositories: Vec<Repository>,
}

/// Which repositories a list holds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RepositoryQuery {
    /// Part of the name.
    pub(crate) search: Option<String>,
    /// One write state alone.
    pub(crate) state: Option<RepositoryState>,
}

/// A new repository. The namespace stands in the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRepository {
    /// The name behind the namespace; may contain `/`.
    #[serde(default)]
    #[schema(example = "website")]
    name: String,
    /// One line about it.
    #[serde(default)]
    short_description: String,
    /// More about it.
    #[serde(default)]
    long_description: String,
    /// Who may pull; private where it does not say.
    visibility: Option<Visibility>,
    /// Whether tags stay at the digest they were first set to, and cannot be deleted: all of them, or those
    /// that `immutableTagPatterns` match.
    immutable_tags: Option<bool>,
    /// Names and globs (`*`, `?`, `[seq]`, `[!seq]`), separated by commas: only these tags are immutable.
    #[schema(example = "v*, 3.?-stable")]
    immutable_tag_patterns: Option<String>,
}

impl Wire for CreateRepository {}

impl CreateRepository {
    /// The new repository, in the namespace of the path.
    pub(crate) fn in_namespace(self, namespace: String) -> Result<NewRepository, Problem> {
        Ok(NewRepository {
            namespace,
            name: self.name,
            visibility: self.visibility.unwrap_or_default(),
            short_description: self.short_description,
            long_description: self.long_description,
            immutable_tags: immutable(self.immutable_tags, self.immutable_tag_patterns)?.unwrap_or_default(),
        })
    }
}

/// Which tags stay as they are: DTR's switch means all of them. None where nothing is said.
fn immutable(switch: Option<bool>, patterns: Option<String>) -> Result<Option<ImmutableTags>, Problem> {
    let unreadable = |error: PatternError| {
        Problem::field(Code::InvalidTagPatterns, "immutableTagPatterns", format!("{error}."))
    };
    Ok(match (switch, patterns) {
        (Some(false), _) => Some(ImmutableTags::Off),
        (_, Some(patterns)) => Some(ImmutableTags::Matching(patterns.parse().map_err(unreadable)?)),
        (Some(true), None) => Some(ImmutableTags::All),
        (None, None) => None,
    })
}

/// A change of a repository; what is absent stays. It cannot be renamed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateRepository {
    /// One line about it.
    short_description: Option<String>,
    /// More about it.
    long_description: Option<String>,
    /// Who may pull.
    visibility: Option<Visibility>,
    /// Who may write.
    state: Option<RepositoryState>,
    /// Whether tags stay at the digest they were first set to, and cannot be deleted: all of them, or those
    /// that `immutableTagPatterns` match.
    immutable_tags: Option<bool>,
    /// Names and globs (`*`, `?`, `[seq]`, `[!seq]`), separated by commas: only these tags are immutable.
    #[schema(example = "v*, 3.?-stable")]
    immutable_tag_patterns: Option<String>,
    /// The version that the change is based on, as an earlier answer gave it. With another one by now the answer is
    /// 409; without, the change is made to whichever version there is.
    version: Option<i64>,
}

impl Wire for UpdateRepository {}

impl TryFrom<UpdateRepository> for RepositoryChange {
    type Error = Problem;
    fn try_from(change: UpdateRepository) -> Result<Self, Problem> {
        Ok(Self {
            visibility: change.visibility,
            state: change.state,
            short_description: change.short_description,
            long_description: change.long_description,
            immutable_tags: immutable(change.immutable_tags, change.immutable_tag_patterns)?,
            based_on: change.version.map(Version),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Option<ImmutableTags>, Problem> {
        let change: UpdateRepository = serde_json::from_str(body).unwrap();
        RepositoryChange::try_from(change).map(|change| change.immutable_tags)
    }

    #[test]
    fn dtrs_switch_still_means_all_tags_and_patterns_narrow_it() {
        assert_eq!(read("{}"), Ok(None));
        assert_eq!(read(r#"{"immutableTags": true}"#), Ok(Some(ImmutableTags::All)));
        assert_eq!(
            read(r#"{"immutableTags": true, "immutableTagPatterns": null}"#),
            Ok(Some(ImmutableTags::All))
        );
        assert_eq!(
            read(r#"{"immutableTags": false, "immutableTagPatterns": "v*"}"#),
            Ok(Some(ImmutableTags::Off))
        );
        let matching = Ok(Some(ImmutableTags::Matching("v*".parse().unwrap())));
        assert_eq!(read(r#"{"immutableTagPatterns": "v*"}"#), matching);
        let refused = read(r#"{"immutableTagPatterns": "v["}"#).unwrap_err();
        assert_eq!(refused.code, Code::InvalidTagPatterns);
        assert!(refused.about("immutableTagPatterns").is_some());
    }
}
