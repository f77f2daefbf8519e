//! `<title>` and `<textarea>`, the two elements whose text Leptos does not escape when it renders on the server. It is
//! escaped here; otherwise it could close the element and continue as markup.

use leptos::prelude::*;
use leptos_meta::Title;

/// The window title of pages that set none.
#[component]
pub(crate) fn SiteTitle() -> impl IntoView {
    view! { <Title text="Longshore"/> }
}

/// The window title: the page's title, then the product.
///
/// The element is rendered outside the page's owner: on the server when the page is complete, so the title is read at
/// once; in the browser also after another page has replaced this one, so there the text has an owner of its own and
/// the page only updates it.
#[component]
pub fn PageTitle(
    /// A noun.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let whole = |text: &str| format!("{text} · Longshore");
    if cfg!(feature = "ssr") {
        let title = escaped(&text.with_untracked(|text| whole(text)));
        view! { <Title text=title/> }.into_any()
    } else {
        let title = ArcRwSignal::new(text.with_untracked(|text| whole(text)));
        let writer = title.clone();
        Effect::new(move |_| writer.set(text.with(|text| whole(text))));
        view! { <Title text=move || title.get()/> }.into_any()
    }
}

/// The contents of a `<textarea>`. The browser needs no escaping.
pub(super) fn area_text(text: &str) -> String {
    if !cfg!(feature = "ssr") {
        return text.to_owned();
    }
    // Browsers drop a leading line break.
    let first = if text.starts_with(['\n', '\r']) { "\n" } else { "" };
    format!("{first}{}", escaped(text))
}

/// Escapes text for elements that decode character references but no tags (HTML, "RCDATA").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::{area_text, escaped};

    #[test]
    fn no_text_can_close_its_element() {
        assert_eq!(escaped("a</title><b>&lt;"), "a&lt;/title>&lt;b>&amp;lt;");
        assert_eq!(area_text("</textarea>"), "&lt;/textarea>");
    }

    #[test]
    fn a_leading_line_break_is_kept() {
        assert_eq!(area_text("\none\ntwo"), "\n\none\ntwo");
        assert_eq!(area_text("one\n"), "one\n");
    }
}
