//! The template for a tag's name in the target, with its variables explained. `preview` shows its effect on existing
//! tags.

use leptos::prelude::*;
use longshore_policy::{KEYWORDS, Keyword, Template, TemplateError};

use super::{FieldKind, TextField};
use crate::error::AppError;

/// The most common variables; the others are behind *See all variables*.
const COMMON: [char; 6] = ['n', 'Y', 'm', 'd', 'H', 'M'];

/// The typed template. An empty one keeps the name of the source tag.
///
/// # Errors
/// An unknown variable, or a result that is not a valid tag.
pub fn read_template(typed: &str) -> Result<Template, TemplateError> {
    match typed.trim() {
        "" => Ok(Template::source_tag()),
        template => Template::parse(template),
    }
}

/// A field for a tag template.
#[component]
pub fn TemplateField(
    /// The label: "Tag name in target".
    #[prop(into)]
    label: String,
    value: RwSignal<String>,
    /// The server's error for the last save.
    #[prop(into)]
    problem: Signal<Option<AppError>>,
) -> impl IntoView {
    let error = Signal::derive(move || {
        let mistake = value.with(|typed| read_template(typed).err()).map(|error| error.to_string());
        mistake.or_else(|| problem.with(|problem| problem.as_ref()?.about("tagTemplate")))
    });
    let common =
        COMMON.into_iter().filter_map(|letter| KEYWORDS.iter().find(|keyword| keyword.letter == letter));
    view! {
        <div class="template">
            <TextField
                name="tag-template"
                label=label
                value=value
                kind=FieldKind::Code
                placeholder="%n"
                hint="Text and variables, which start with %. Empty keeps the tag's name."
                error=error
            />
            <dl class="keywords">{common.map(keyword).collect_view()}</dl>
            <details>
                <summary>"See all variables"</summary>
                <dl class="keywords all">
                    {KEYWORDS.iter().map(keyword).collect_view()}
                </dl>
            </details>
        </div>
    }
}

fn keyword(info: &Keyword) -> impl IntoView + use<> {
    view! {
        <div>
            <dt>
                <code>"%" {info.letter}</code>
            </dt>
            <dd>{info.meaning} " " <span class="muted">{info.example}</span></dd>
        </div>
    }
}
