//! The row of a tag in the list, with the badge of its provenance.

use leptos::{
    either::{Either, EitherOf5},
    prelude::*,
};
use leptos_router::components::A;
use longshore_model::{Author, Provenance, tag::TagSummary};
use longshore_oci::media_type;

use super::actions::{TagActions, TagRights};
use crate::{
    components::{Badge, ButtonKind, ButtonLink, ConfirmButton, DigestText, RelativeTime, Tone, size},
    pages::repository::use_repository,
    paths,
};

#[component]
pub(super) fn TagRow(summary: TagSummary, may: TagRights) -> impl IntoView {
    let here = use_repository();
    let repository = here.name.get_untracked();
    let tag = summary.tag.name.to_string();
    let TagActions { chosen, delete } = expect_context();
    let ticked = {
        let tag = tag.clone();
        move || chosen.with(|chosen| chosen.contains(&tag))
    };
    let tick = {
        let tag = tag.clone();
        move |event| {
            let on = event_target_checked(&event);
            chosen.update(|chosen| {
                if on {
                    chosen.insert(tag.clone());
                } else {
                    chosen.remove(&tag);
                }
            });
        }
    };
    let doomed = StoredValue::new(tag.clone());
    let page = |page| paths::tag(&repository, &tag, page);
    let title = format!("Delete the tag {tag}?");
    let (promote, push) = (page("promote"), page("push"));
    view! {
        <tr>
            <th scope="row">
                <div class="tag-cell">
                    {may.delete.then(|| view! {
                    <input
                        type="checkbox"
                        class="needs-script"
                        aria-label=format!("Select {tag}")
                        prop:checked=ticked
                        on:change=tick
                    />
                    })}
                    <div class="tag-name">
                        <A href=paths::tag(&repository, &tag, "")>
                            <code>{tag.clone()}</code>
                        </A>
                        <ProvenanceBadge summary=summary.clone() repository=repository.clone()/>
                    </div>
                </div>
            </th>
            <td>
                <DigestText digest=summary.tag.digest.to_string()/>
            </td>
            <td>{what(&summary)}</td>
            <td class="number" data-label="Size">{size(summary.size_bytes)}</td>
            <td data-label="Pushed">
                <RelativeTime at=summary.tag.updated_at/>
                {by(&summary.tag.author).map(|author| view! { <span class="muted">" by " {author}</span> })}
            </td>
            <td class="row-actions">
                {may.act.then(|| view! {
                <ButtonLink href=promote kind=ButtonKind::Quiet dialog=true>
                    "Promote…"
                </ButtonLink>
                <ButtonLink
                    href=push
                    kind=ButtonKind::Quiet
                    dialog=true
                    attr:title="Push to a remote…"
                    attr:aria-label="Push to a remote…"
                >
                    "Push…"
                </ButtonLink>
                })}
                {may.delete.then(|| view! {
                <ConfirmButton
                    label="Delete"
                    kind=ButtonKind::Quiet
                    title=title
                    busy=delete.pending()
                    problem=delete.problem()
                    on_confirm=move || delete.send(vec![doomed.get_value()])
                >
                    <p>
                        "The tag can no longer be pulled by name. Its image is kept and can be pulled by digest. Deleted tags can be restored for a while."
                    </p>
                </ConfirmButton>
                })}
            </td>
        </tr>
    }
}

/// The platforms of an image, or the type of another artifact.
pub(crate) fn what(summary: &TagSummary) -> String {
    let is_image = |artifact: &String| media_type::is_image_config(artifact);
    match summary.artifact_type.as_ref().filter(|artifact| !is_image(artifact)) {
        Some(artifact) => artifact.clone(),
        None if summary.platforms.is_empty() => "unknown".to_owned(),
        None => summary.platforms.join(", "),
    }
}

/// The user who changed the tag; `None` if a policy or the system did.
pub(crate) fn by(author: &Author) -> Option<String> {
    match author {
        Author::User { name } => Some(name.to_string()),
        Author::Policy { .. } | Author::System => None,
    }
}

/// `PROMOTED`, `MIRRORED`, `RESTORED` or `PINNED`, with links to the source tag and to the policy; empty for a push.
#[component]
pub(crate) fn ProvenanceBadge(summary: TagSummary, repository: String) -> impl IntoView {
    let visible = summary.source_visible;
    match summary.tag.provenance {
        Provenance::Push => EitherOf5::A(()),
        Provenance::Restored { revision, pin, .. } => {
            let title = format!("Restored by a user from revision {}", revision.0);
            EitherOf5::E(match pin.filter(|pin| !pin.released) {
                Some(pin) => Either::Left(view! {
                    <Badge tone=Tone::Warn>
                        <A
                            href=paths::mirror(&repository, pin.mirror)
                            attr:title=format!("{title}; its mirror does not move it until it is released")
                        >
                            "PINNED"
                        </A>
                    </Badge>
                }),
                None => Either::Right(view! {
                    <span class="badge tone-neutral" title=title>"RESTORED"</span>
                }),
            })
        }
        Provenance::Promotion { .. } if !visible => {
            EitherOf5::B(view! { <Badge tone=Tone::Info>"PROMOTED from another repository"</Badge> })
        }
        Provenance::Promotion { policy, source_repository, source_tag, .. } => {
            let (source, tag) = (source_repository.to_string(), source_tag.to_string());
            let by = match policy {
                Some(policy) => paths::promotion(&source, policy),
                None => paths::tag(&source, &tag, ""),
            };
            let title = match policy {
                Some(_) => format!("Promoted from {source}:{tag} by a policy; show the policy"),
                None => format!("Promoted manually from {source}:{tag}"),
            };
            EitherOf5::C(view! {
                <Badge tone=Tone::Info>
                    <A href=by attr:title=title>"PROMOTED"</A>
                </Badge>
                <A href=paths::tag(&source, &tag, "") attr:class="origin">"from " {source.clone()} ":" {tag.clone()}</A>
            })
        }
        Provenance::Mirror { policy, remote_host, remote_repository, remote_tag, .. } => {
            let source = format!("{remote_host}/{remote_repository}:{remote_tag}");
            EitherOf5::D(view! {
                <Badge tone=Tone::Info>
                    <A href=paths::mirror(&repository, policy) attr:title="Show the mirror">"MIRRORED"</A>
                </Badge>
                {visible.then(|| view! { <span class="origin muted">"from " {source}</span> })}
            })
        }
    }
}
