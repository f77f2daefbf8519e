//! Copying text to the clipboard: digests, commands, names.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlDocument, HtmlTextAreaElement};

/// Copies a text and briefly confirms it.
#[component]
pub fn CopyButton(
    #[prop(into)] text: Signal<String>,
    /// Label for screen readers: "Copy the digest".
    #[prop(into)]
    label: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let text = text.get_untracked();
        leptos::task::spawn_local(async move {
            if copy_text(&text).await {
                copied.set(true);
                set_timeout(move || copied.set(false), Duration::from_secs(2));
            }
        });
    };
    view! {
        <button type="button" class="button quiet copy needs-script" aria-label=label.clone() title=label on:click=copy>
            <span aria-live="polite">{move || if copied.get() { "Copied" } else { "Copy" }}</span>
        </button>
    }
}

/// Terminal commands to copy.
#[component]
pub fn Commands(
    /// One command per line.
    #[prop(into)]
    text: String,
    /// Label of the copy button: "Copy the commands".
    #[prop(into)]
    label: String,
) -> impl IntoView {
    view! {
        <div class="commands">
            <pre tabindex="0">{text.clone()}</pre>
            <CopyButton text=text label=label/>
        </div>
    }
}

/// A shortened digest, with the full one on hover and on the clipboard.
#[component]
pub fn DigestText(
    /// The full digest, such as `sha256:8c1f…`.
    #[prop(into)]
    digest: String,
) -> impl IntoView {
    view! {
        <span class="digest">
            <code title=digest.clone()>{short(&digest)}</code>
            <CopyButton text=digest label="Copy the digest"/>
        </span>
    }
}

/// The algorithm and the first twelve digits.
fn short(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hex)) if hex.len() > 12 => {
            format!("{algorithm}:{}", hex.chars().take(12).collect::<String>())
        }
        _ => digest.to_owned(),
    }
}

async fn copy_text(text: &str) -> bool {
    if window().is_secure_context() {
        return JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok();
    }
    // Over plain HTTP, except on localhost, browsers offer no clipboard API; selecting and copying still works.
    copy_selection(text).unwrap_or(false)
}

fn copy_selection(text: &str) -> Option<bool> {
    let document = document().dyn_into::<HtmlDocument>().ok()?;
    let area = document.create_element("textarea").ok()?.dyn_into::<HtmlTextAreaElement>().ok()?;
    area.set_value(text);
    area.set_class_name("visually-hidden");
    document.body()?.append_child(&area).ok()?;
    area.select();
    let copied = document.exec_command("copy");
    area.remove();
    copied.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shortened_to_twelve_digits() {
        let digest = "sha256:8c1f5d0b9a7e44c1a1f0a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7";
        assert_eq!(short(digest), "sha256:8c1f5d0b9a7e");
        assert_eq!(short("sha256:8c1f"), "sha256:8c1f");
    }
}
