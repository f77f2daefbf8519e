//! The template that names a tag in its target, with the legend of its keywords. What it makes of
//! the tags there are shows `preview`.

use leptos::prelude::*;
use longshore_policy::{KEYWORDS, Keyword, Template, TemplateError};

use super::{FieldKind, TextField};
use crate::error::AppError;

/// The keywords that most templates are made of; the others are behind *See all variables*.
const COMMON: [char; 6] = ['n', 'Y', 'm', 'd', 'H', 'M'];

/// The template that was typed. An empty one keeps the name of the source tag.
///
/// # Errors
/// An unknown keyword, or a result that is no tag.
pub fn read_template(typed: &str) -> Result<Template, TemplateError> {
    match typed.trim() {
        "" => Ok(Template::source_tag()),
        template => Template::parse(template),
    }
}

/// A field for a tag template.
#[component]
pub fn TemplateField(
    /// What the field is called: "Tag name in target".
    #[prop(into)]
    label: String,
    /// The template as it is typed.
    value: RwSignal<String>,
    /// What the server said of the last attempt to save.
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
