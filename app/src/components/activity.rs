//! The activity table: who did what to which tag, and when.

use leptos::{either::Either, prelude::*};
use leptos_router::components::A;
use longshore_model::activity::{Activity, ActivityKind};

use super::{DigestText, RelativeTime, Table};
use crate::paths;

/// A table of activity entries.
#[component]
pub fn ActivityTable(
    items: Vec<Activity>,
    /// Whether the repository is named, since the list is about several.
    with_repository: bool,
) -> impl IntoView {
    let columns = match with_repository {
        true => vec!["When", "Who", "What", "Repository", "Tag", "Digest"],
        false => vec!["When", "Who", "What", "Tag", "Digest"],
    };
    view! {
        <Table label="Activity" columns=columns>
            {items.into_iter().map(|item| row(item, with_repository)).collect_view()}
        </Table>
    }
}

fn row(item: Activity, with_repository: bool) -> impl IntoView {
    let repository = item.repository.map(|name| name.to_string());
    let tag = item.tag.map(|tag| tag.to_string());
    let tag_exists = item.kind != ActivityKind::TagDeleted;
    let what = sentence(item.kind);
    view! {
        <tr>
            <td>
                <RelativeTime at=item.at/>
            </td>
            <td data-label="Who">{item.author.to_string()}</td>
            <td>
                {match item.job {
                    Some(job) => Either::Left(view! { <A href=paths::job(job)>{what}</A> }),
                    None => Either::Right(what),
                }}
                {(!item.detail.is_empty()).then(|| view! { <p class="note">{item.detail}</p> })}
            </td>
            {with_repository
                .then(|| {
                    let name = repository.clone();
                    view! {
                        <td data-label="Repository">{name.map(|name| view! { <A href=paths::below(&name, "")>{name.clone()}</A> })}</td>
                    }
                })}
            <td data-label="Tag">
                {match (repository, tag) {
                    (Some(name), Some(tag)) if tag_exists => {
                        Some(Either::Left(view! { <A href=paths::tag(&name, &tag, "")><code>{tag.clone()}</code></A> }))
                    }
                    (_, Some(tag)) => Some(Either::Right(view! { <code>{tag}</code> })),
                    (_, None) => None,
                }}
            </td>
            <td>{item.digest.map(|digest| view! { <DigestText digest=digest.to_string()/> })}</td>
        </tr>
    }
}

fn sentence(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::TagPushed => "pushed a tag",
        ActivityKind::TagPromoted => "promoted a tag into the repository",
        ActivityKind::TagMirrored => "mirrored a tag into the repository",
        ActivityKind::TagSent => "pushed a tag to another registry",
        ActivityKind::TagDeleted => "deleted a tag",
        ActivityKind::TagRestored => "restored a tag",
        ActivityKind::TagReleased => "released a pinned tag",
        ActivityKind::RepositoryCreated => "created the repository",
        ActivityKind::RepositoryChanged => "changed the settings",
        ActivityKind::RepositoryDeleted => "deleted the repository",
        ActivityKind::RepositoryRestored => "restored the repository",
        ActivityKind::RepositoryPurged => "purged a deleted repository",
        ActivityKind::PolicyCreated => "set up a policy",
        ActivityKind::PolicyChanged => "changed a policy",
        ActivityKind::PolicyDeleted => "deleted a policy",
        ActivityKind::PolicyStopped => "stopped itself",
        ActivityKind::Paused => "paused policies and mirrors",
        ActivityKind::Resumed => "resumed policies and mirrors",
        ActivityKind::RemoteChanged => "changed a remote",
        ActivityKind::AccountCreated => "created an account",
        ActivityKind::QuotaChanged => "changed a quota",
    }
}
