//! The contents of a tag: layers or images of the index, manifest, and referrers.

use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_query_map};
use longshore_model::tag::TagDetail;
use longshore_oci::Descriptor;

use crate::{
    components::{DigestText, Table, size},
    paths,
};

/// The views: the value of `show` in the address, and the label.
const VIEWS: [(&str, &str); 3] = [("layers", "Layers"), ("manifest", "Manifest"), ("referrers", "Referrers")];

/// Tabs with the contents of the tag; the address selects one.
#[component]
pub(super) fn Contents(detail: TagDetail) -> impl IntoView {
    let query = use_query_map();
    let path = use_location().pathname;
    let chosen = Memo::new(move |_| {
        let asked = query.with(|query| query.get("show"));
        VIEWS.iter().map(|(word, _)| *word).find(|word| asked.as_deref() == Some(word)).unwrap_or(VIEWS[0].0)
    });
    let is_index = !detail.children.is_empty();
    let detail = StoredValue::new(detail);
    let links = VIEWS.map(|(word, label)| {
        let label = if word == "layers" && is_index { "Images" } else { label };
        let count = detail.with_value(|detail| match word {
            "layers" => detail.layers.len() + detail.children.len(),
            "referrers" => detail.referrers.len(),
            _ => 0,
        });
        view! {
            <a
                href=move || path.with(|path| paths::with_query(path, &[("show", Some(word))]))
                aria-current=move || (chosen.get() == word).then_some("true")
                data-noscroll=""
            >
                {label}
                {(count > 0).then(|| view! { <span class="count">{count}</span> })}
            </a>
        }
    });
    view! {
        <nav class="tabs" aria-label="Contents">
            {links.collect_view()}
        </nav>
        {move || detail.with_value(|detail| match chosen.get() {
            "manifest" => view! {
                <pre class="manifest" tabindex="0">{pretty(&detail.manifest)}</pre>
                {cut(detail).map(|note| view! { <p class="muted">{note}</p> })}
            }
            .into_any(),
            "referrers" => referrers(detail.referrers.clone()).into_any(),
            _ if is_index => children(detail.children.clone()).into_any(),
            _ => layers(detail.layers.clone()).into_any(),
        })}
    }
}

/// The note below a truncated manifest; `None` if it is complete.
fn cut(detail: &TagDetail) -> Option<String> {
    let shown = detail.manifest.len() as u64;
    (shown < detail.manifest_bytes).then(|| {
        let (shown, whole) = (size(shown), size(detail.manifest_bytes));
        format!("First {shown} of {whole}. The registry API returns the whole manifest.")
    })
}

/// The manifest, indented if it is complete JSON.
fn pretty(manifest: &str) -> String {
    serde_json::from_str::<serde_json::Value>(manifest)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| manifest.to_owned())
}

fn layers(layers: Vec<Descriptor>) -> impl IntoView {
    if layers.is_empty() {
        return view! { <p class="muted">"No layers"</p> }.into_any();
    }
    view! {
        <Table label="Layers" columns=vec!["Digest", "Type", "Size"]>
            {layers
                .into_iter()
                .map(|layer| {
                    view! {
                        <tr>
                            <td><DigestText digest=layer.digest.to_string()/></td>
                            <td data-label="Type"><code>{layer.media_type}</code></td>
                            <td class="number" data-label="Size">{size(layer.size)}</td>
                        </tr>
                    }
                })
                .collect_view()}
        </Table>
    }
    .into_any()
}

fn children(children: Vec<Descriptor>) -> impl IntoView {
    view! {
        <Table label="Images" columns=vec!["Platform", "Digest", "Type", "Manifest size"]>
            {children
                .into_iter()
                .map(|child| {
                    let platform = child.platform.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
                    view! {
                        <tr>
                            <th scope="row">{platform}</th>
                            <td><DigestText digest=child.digest.to_string()/></td>
                            <td data-label="Type"><code>{child.media_type}</code></td>
                            <td class="number" data-label="Manifest">{size(child.size)}</td>
                        </tr>
                    }
                })
                .collect_view()}
        </Table>
    }
}

fn referrers(referrers: Vec<Descriptor>) -> impl IntoView {
    if referrers.is_empty() {
        return view! {
            <p class="muted">"No referrers: this tag has no signatures, SBOMs or attestations."</p>
        }
        .into_any();
    }
    view! {
        <Table label="Referrers" columns=vec!["Type", "Digest", "Manifest size"]>
            {referrers
                .into_iter()
                .map(|referrer| {
                    let kind = referrer.artifact_type.unwrap_or(referrer.media_type);
                    view! {
                        <tr>
                            <th scope="row"><code>{kind}</code></th>
                            <td><DigestText digest=referrer.digest.to_string()/></td>
                            <td class="number" data-label="Manifest">{size(referrer.size)}</td>
                        </tr>
                    }
                })
                .collect_view()}
        </Table>
    }
    .into_any()
}
