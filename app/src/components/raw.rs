//! The two elements whose text Leptos leaves as it is when it renders on the server: `<title>` and
//! `<textarea>`. Their text is escaped here, or it could end them early and go on as markup.

use leptos::prelude::*;
use leptos_meta::Title;

/// The window's title where no page has named its own.
#[component]
pub(crate) fn SiteTitle() -> impl IntoView {
    view! { <Title text="Longshore"/> }
}

/// The window's title: what the page shows, then the product.
///
/// The element is written outside of what owns the page: on the server when the page is done, so it is
/// read at once there; in the browser also when another page has come or gone, so what is written is
/// held by itself there, and the page only keeps it up to date.
#[component]
pub fn PageTitle(
    /// What the page shows, as a noun.
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

/// What stands inside of a `<textarea>`. In the browser that is a text like any other.
pub(super) fn area_text(text: &str) -> String {
    if !cfg!(feature = "ssr") {
        return text.to_owned();
    }
    // Browsers drop a line break that stands first.
    let first = if text.starts_with(['\n', '\r']) { "\n" } else { "" };
    format!("{first}{}", escaped(text))
}

/// Text for where character references are read and tags are not (HTML, "RCDATA").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::{area_text, escaped};

    #[test]
    fn no_text_ends_its_element() {
        assert_eq!(escaped("a</title><b>&lt;"), "a&lt;/title>&lt;b>&amp;lt;");
        assert_eq!(area_text("</textarea>"), "&lt;/textarea>");
    }

    #[test]
    fn a_line_break_at_the_beginning_stays() {
        assert_eq!(area_text("\none\ntwo"), "\n\none\ntwo");
        assert_eq!(area_text("one\n"), "one\n");
    }
}
