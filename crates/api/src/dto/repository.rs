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
    /// The identifier; never changes.
    id: Uuid,
    /// The version of the settings, which increases with each change. Send it with a change to detect concurrent
    /// changes.
    version: i64,
    /// The namespace.
    #[schema(example = "dev")]
    namespace: String,
    /// The name in the namespace.
    #[schema(example = "website")]
    name: String,
    /// A short description.
    short_description: String,
    /// A long description.
    long_description: String,
    /// Who may pull.
    visibility: Visibility,
    /// Which writes are allowed.
    state: RepositoryState,
    /// Whether tags are immutable, that is, cannot be overwritten or deleted: all tags, or those that match
    /// `immutableTagPatterns`.
    immutable_tags: bool,
    /// The immutable tags, as names and globs; absent if all tags are immutable, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "v*, 3.?-stable")]
    immutable_tag_patterns: Option<String>,
    /// Whether images are scanned when they are pushed; always false.
    scan_on_push: bool,
    /// The time of creation.
    created_at: Timestamp,
    /// Statistics of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

/// Statistics of a repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// The number of tags.
    tags: u64,
    /// The number of bytes of all content, each blob counted once.
    size_bytes: u64,
    /// The number of bytes that no other repository holds, which deleting the repository would free. Null if not
    /// computed: in lists, and for repositories with more than 5,000 blobs and manifests.
    unique_bytes: Option<u64>,
    /// The number of bytes that other repositories hold too. Null if not computed: in lists, and for repositories with
    /// more than 5,000 blobs and manifests.
    shared_bytes: Option<u64>,
    /// The time of the last change of a tag.
    last_push: Option<Timestamp>,
    /// Promotion policies whose source is the repository.
    promotions_out: Flow,
    /// Promotion policies whose target is the repository.
    promotions_in: Flow,
    /// Push mirrors.
    push_mirrors: Flow,
    /// Pull mirrors.
    pull_mirrors: Flow,
    /// The pause of the system or namespace that holds these policies and mirrors.
    held_by: Option<Pause>,
}

/// The number of policies or mirrors of one kind, and the worst result of their last runs.
#[derive(Debug, Serialize, ToSchema)]
struct Flow {
    /// The number of enabled policies or mirrors.
    count: u32,
    /// The worst result of their last runs.
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
    /// The repositories, ordered by name.
    pub(crate) repositories: Vec<Repository>,
}

/// A filter for the list of repositories.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RepositoryQuery {
    /// Part of the name.
    pub(crate) search: Option<String>,
    /// The state.
    pub(crate) state: Option<RepositoryState>,
}

/// A repository to create. The namespace is in the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateRepository {
    /// The name in the namespace; may contain `/`.
    #[serde(default)]
    #[schema(example = "website")]
    name: String,
    /// A short description.
    #[serde(default)]
    short_description: String,
    /// A long description.
    #[serde(default)]
    long_description: String,
    /// Who may pull; private if omitted.
    visibility: Option<Visibility>,
    /// Whether tags are immutable, that is, cannot be overwritten or deleted: all tags, or those that match
    /// `immutableTagPatterns`.
    immutable_tags: Option<bool>,
    /// The immutable tags, as names and globs (`*`, `?`, `[seq]`, `[!seq]`), separated by commas.
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

/// The immutable tags; DTR's switch means all. `None` if neither field is set.
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

/// A change of a repository. Omitted fields are unchanged. A repository cannot be renamed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateRepository {
    /// A short description.
    short_description: Option<String>,
    /// A long description.
    long_description: Option<String>,
    /// Who may pull.
    visibility: Option<Visibility>,
    /// Which writes are allowed.
    state: Option<RepositoryState>,
    /// Whether tags are immutable, that is, cannot be overwritten or deleted: all tags, or those that match
    /// `immutableTagPatterns`.
    immutable_tags: Option<bool>,
    /// The immutable tags, as names and globs (`*`, `?`, `[seq]`, `[!seq]`), separated by commas.
    #[schema(example = "v*, 3.?-stable")]
    immutable_tag_patterns: Option<String>,
    /// The version that the change is based on, as returned earlier. A change of an older version is rejected with 409.
    /// If omitted, the change applies to any version.
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
    fn dtrs_switch_means_all_tags_unless_patterns_restrict_it() {
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
