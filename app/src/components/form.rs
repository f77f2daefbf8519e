//! Form fields: label, hint, error and control, linked by ids.
//!
//! Every field has a name, under which a plain form submits it; its value lives in a signal, so that a page can react
//! to it and a failed attempt loses nothing. Autofill after a reload is off for all fields: restored values would pass
//! for typed ones.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{FormData, HtmlElement, HtmlFormElement, SubmitEvent, UrlSearchParams};

use super::{live_form::cannot_submit, raw::area_text};
use crate::{paths::without_empty, sentence::sentence};

/// The kind of value a [`TextField`] takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    #[default]
    Text,
    /// Names, tags, patterns: monospaced, no spell checking, no capitalisation.
    Code,
    /// A secret. Its value is never written to the HTML.
    Password,
    Url,
    /// An integer.
    Number,
}

/// Focuses the first invalid field, or the error of the whole form, once it is on the page.
pub fn focus_first_error() {
    request_animation_frame(|| {
        let find = |selector| document().query_selector(selector).ok().flatten();
        let field = find("[aria-invalid=true]").or_else(|| find(".form-problem"));
        if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) {
            // Focusing an element on the page cannot fail.
            let _ = field.focus();
        }
    });
}

/// The ids that link the parts of a field.
pub(super) struct Ids {
    pub(super) control: String,
    hint: String,
    error: String,
}

impl Ids {
    pub(super) fn of(name: &str) -> Self {
        Self {
            control: format!("field-{name}"),
            hint: format!("field-{name}-hint"),
            error: format!("field-{name}-error"),
        }
    }

    pub(super) fn described_by(&self) -> String {
        format!("{} {}", self.hint, self.error)
    }
}

/// A field's error, as a sentence.
pub(super) fn told(error: Signal<Option<String>>) -> impl Fn() -> Option<String> {
    move || error.get().map(|error| sentence(&error))
}

/// The frame of a field: label above, hint and error below.
#[component]
pub(super) fn Field(
    ids: Ids,
    label: String,
    hint: Option<String>,
    error: Signal<Option<String>>,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="field">
            <label for=ids.control>{label}</label>
            {children()}
            {hint.map(|hint| view! { <p class="hint" id=ids.hint>{hint}</p> })}
            <p class="error" id=ids.error aria-live="polite">{told(error)}</p>
        </div>
    }
}

/// A single-line text field.
#[component]
pub fn TextField(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    value: RwSignal<String>,
    #[prop(optional)] kind: FieldKind,
    /// One sentence.
    #[prop(optional, into)]
    hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    /// An example, shown while the field is empty.
    #[prop(optional, into)]
    placeholder: Option<String>,
    /// The `autocomplete` token, such as `username`; off by default.
    #[prop(optional, into)]
    autocomplete: Option<String>,
    #[prop(optional)] required: bool,
) -> impl IntoView {
    let ids = Ids::of(&name);
    let (control, described_by) = (ids.control.clone(), ids.described_by());
    let exact = matches!(kind, FieldKind::Code | FieldKind::Url | FieldKind::Password);
    // Browsers require a scheme in `type="url"`; Longshore adds a missing one, so `url` is a text field too.
    let (input_type, input_mode) = match kind {
        FieldKind::Password => ("password", None),
        FieldKind::Number => ("text", Some("numeric")),
        FieldKind::Url => ("text", Some("url")),
        FieldKind::Text | FieldKind::Code => ("text", None),
    };
    let initial = (kind != FieldKind::Password).then(|| value.get_untracked());
    view! {
        <Field ids=ids label=label hint=hint error=error>
            <input
                id=control
                class=exact.then_some("code")
                name=name
                type=input_type
                inputmode=input_mode
                value=initial
                prop:value=value
                placeholder=placeholder
                autocomplete=autocomplete.unwrap_or_else(|| "off".to_owned())
                autocapitalize=exact.then_some("none")
                spellcheck=exact.then_some("false")
                required=required
                aria-describedby=described_by
                aria-invalid=move || error.get().map(|_| "true")
                on:input=move |event| value.set(event_target_value(&event))
            />
        </Field>
    }
}

/// A multi-line field, such as for a certificate.
#[component]
pub fn TextArea(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    value: RwSignal<String>,
    /// Number of visible lines.
    #[prop(default = 6)]
    rows: u32,
    /// One sentence.
    #[prop(optional, into)]
    hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let ids = Ids::of(&name);
    let (control, described_by) = (ids.control.clone(), ids.described_by());
    view! {
        <Field ids=ids label=label hint=hint error=error>
            <textarea
                id=control
                class="code"
                name=name
                rows=rows
                autocomplete="off"
                spellcheck="false"
                prop:value=value
                aria-describedby=described_by
                aria-invalid=move || error.get().map(|_| "true")
                on:input=move |event| value.set(event_target_value(&event))
            >
                {value.with_untracked(|text| area_text(text))}
            </textarea>
        </Field>
    }
}

/// One of several values to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The submitted value.
    pub value: String,
    pub label: String,
    /// Explanation, if the label is not enough.
    pub hint: Option<String>,
}

impl Choice {
    /// A choice without a hint.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), hint: None }
    }

    /// Adds an explanation.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A drop-down list.
#[component]
pub fn SelectField(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    value: RwSignal<String>,
    #[prop(into)] choices: Signal<Vec<Choice>>,
    /// One sentence.
    #[prop(optional, into)]
    hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let ids = Ids::of(&name);
    let (control, described_by) = (ids.control.clone(), ids.described_by());
    view! {
        <Field ids=ids label=label hint=hint error=error>
            <select
                id=control
                name=name
                autocomplete="off"
                aria-describedby=described_by
                aria-invalid=move || error.get().map(|_| "true")
                on:change=move |event| value.set(event_target_value(&event))
            >
                {move || {
                    choices
                        .get()
                        .into_iter()
                        .map(|choice| {
                            let own = choice.value.clone();
                            view! {
                                <option value=choice.value selected=move || value.get() == own>
                                    {choice.label}
                                </option>
                            }
                        })
                        .collect_view()
                }}
            </select>
        </Field>
    }
}

/// A row of radio buttons.
#[component]
pub fn Choices(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] legend: String,
    value: RwSignal<String>,
    choices: Vec<Choice>,
) -> impl IntoView {
    view! {
        <fieldset class="choices">
            <legend>{legend}</legend>
            {choices
                .into_iter()
                .map(|choice| {
                    let own = StoredValue::new(choice.value.clone());
                    let chosen = move || own.with_value(|own| *own == value.get());
                    // The hint describes the choice; it is not part of its accessible name.
                    let label_id = format!("field-{name}-{}-label", choice.value);
                    let hint_id = format!("field-{name}-{}-hint", choice.value);
                    let described_by = choice.hint.is_some().then(|| hint_id.clone());
                    view! {
                        <label>
                            <input
                                type="radio"
                                autocomplete="off"
                                name=name.clone()
                                value=choice.value
                                checked=untrack(chosen)
                                prop:checked=chosen
                                aria-labelledby=label_id.clone()
                                aria-describedby=described_by
                                on:change=move |_| value.set(own.get_value())
                            />
                            <span>
                                <span id=label_id>{choice.label}</span>
                                {choice.hint.map(|hint| view! { <small id=hint_id>{hint}</small> })}
                            </span>
                        </label>
                    }
                })
                .collect_view()}
        </fieldset>
    }
}

/// A check box.
#[component]
pub fn Checkbox(
    /// Field name in the form; unique on the page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    value: RwSignal<bool>,
    /// One sentence.
    #[prop(optional, into)]
    hint: Option<String>,
) -> impl IntoView {
    let hint_id = format!("field-{name}-hint");
    view! {
        <div class="field checkbox">
            <label>
                <input
                    type="checkbox"
                    name=name
                    autocomplete="off"
                    value="true"
                    checked=value.get_untracked()
                    prop:checked=value
                    aria-describedby=hint_id.clone()
                    on:change=move |event| value.set(event_target_checked(&event))
                />
                {label}
            </label>
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
        </div>
    }
}

/// A switch with immediate effect. It submits the surrounding form, which says what is switched.
#[component]
pub fn Switch(
    #[prop(into)] on: Signal<bool>,
    /// Label for screen readers: "Policy to qa/website".
    #[prop(into)]
    label: String,
    /// Whether the last change is still being saved.
    #[prop(optional, into)]
    busy: Signal<bool>,
) -> impl IntoView {
    let too_early = cannot_submit();
    view! {
        <button
            type="submit"
            class="switch"
            role="switch"
            aria-checked=move || if on.get() { "true" } else { "false" }
            aria-label=label
            disabled=move || busy.get() || too_early.get()
        >
            <span class="switch-track" aria-hidden="true"></span>
            <span aria-hidden="true">{move || if on.get() { "On" } else { "Off" }}</span>
        </button>
    }
}

/// The search field of a list. The search is part of the address, so it survives a reload; `/` focuses the field from
/// anywhere on the page.
#[component]
pub fn SearchBox(
    /// The address of the list.
    #[prop(into)]
    action: String,
    /// The current search.
    #[prop(into)]
    value: Signal<String>,
    /// Label for screen readers: "Search the repositories".
    #[prop(into)]
    label: String,
    /// The id of a `<datalist>` with suggestions.
    #[prop(optional, into)]
    list: Option<String>,
    /// Called with the text when the field gains focus and on each change, to load suggestions.
    #[prop(optional, into)]
    on_search: Option<Callback<String>>,
    /// Other fields of the same form, such as filters.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let navigate = use_navigate();
    let search = move |event: SubmitEvent| {
        let form = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok());
        if let Some(address) = form.as_ref().and_then(address_of) {
            event.prevent_default();
            navigate(&address, NavigateOptions { scroll: false, ..NavigateOptions::default() });
        }
    };
    let suggest = move |text: String| {
        if let Some(on_search) = on_search {
            on_search.run(text);
        }
    };
    view! {
        <form method="GET" action=action class="search" role="search" on:submit=search>
            <input
                type="search"
                name="q"
                value=value.get_untracked()
                prop:value=value
                aria-label=label.clone()
                placeholder=label
                autocomplete="off"
                list=list
                on:focus=move |event| suggest(event_target_value(&event))
                on:input=move |event| suggest(event_target_value(&event))
            />
            <kbd aria-hidden="true">"/"</kbd>
            {children.map(|children| children())}
            <button type="submit" class="button">"Search"</button>
        </form>
    }
}

/// The address that a GET form leads to, without its empty fields. Without script, the server redirects there.
fn address_of(form: &HtmlFormElement) -> Option<String> {
    let fields = FormData::new_with_form(form).ok()?;
    let query = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?.to_string();
    let query = without_empty(&String::from(query));
    let path = form.get_attribute("action")?;
    Some(if query.is_empty() { path } else { format!("{path}?{query}") })
}
