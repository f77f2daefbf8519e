//! Form fields: a label, a hint, what is wrong, and the control itself, tied together.
//!
//! Every field has a name, by which a plain form sends it; what one types is kept in a signal, so
//! that a page can react to it and a failed attempt loses nothing. None lets the browser put back what stood
//! in it before a reload: it would pass for something that was typed.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast;
use web_sys::{FormData, HtmlElement, HtmlFormElement, SubmitEvent, UrlSearchParams};

use super::{live_form::cannot_submit, raw::area_text};
use crate::{paths::without_empty, sentence::sentence};

/// What a [`TextField`] takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text.
    #[default]
    Text,
    /// Names, tags, patterns: set in a fixed width, neither corrected nor capitalised.
    Code,
    /// A secret. Its value never stands in the HTML.
    Password,
    /// The address of something.
    Url,
    /// A whole number.
    Number,
}

/// Moves the focus to the first field with an error, or to what is wrong with the whole form, once that is on
/// the page.
pub fn focus_first_error() {
    request_animation_frame(|| {
        let find = |selector| document().query_selector(selector).ok().flatten();
        let field = find("[aria-invalid=true]").or_else(|| find(".form-problem"));
        if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) {
            // Focusing an element that is on the page cannot fail.
            let _ = field.focus();
        }
    });
}

/// The ids by which a field's parts refer to each other.
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

/// What is wrong with a field, as a sentence.
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

/// A field for one line of text.
#[component]
pub fn TextField(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What one writes there.
    #[prop(into)]
    label: String,
    /// What is written there.
    value: RwSignal<String>,
    /// What it takes.
    #[prop(optional)]
    kind: FieldKind,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
    /// An example, shown while the field is empty.
    #[prop(optional, into)]
    placeholder: Option<String>,
    /// What browsers may fill in, such as `username`; nothing when not given.
    #[prop(optional, into)]
    autocomplete: Option<String>,
    /// Whether it must be filled.
    #[prop(optional)]
    required: bool,
) -> impl IntoView {
    let ids = Ids::of(&name);
    let (control, described_by) = (ids.control.clone(), ids.described_by());
    let exact = matches!(kind, FieldKind::Code | FieldKind::Url | FieldKind::Password);
    // The address check of browsers wants a scheme where ours supplies one, so `url` is a text too.
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

/// A field for several lines, such as a certificate.
#[component]
pub fn TextArea(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What one writes there.
    #[prop(into)]
    label: String,
    /// What is written there.
    value: RwSignal<String>,
    /// How many lines are seen at once.
    #[prop(default = 6)]
    rows: u32,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
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
    /// What the form is told.
    pub value: String,
    /// What one reads.
    pub label: String,
    /// What it means, where the label does not say it all.
    pub hint: Option<String>,
}

impl Choice {
    /// A choice that its label explains.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), hint: None }
    }

    /// The same choice with an explanation.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A list to choose one value from.
#[component]
pub fn SelectField(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What one chooses.
    #[prop(into)]
    label: String,
    /// What is chosen.
    value: RwSignal<String>,
    /// What there is to choose from.
    #[prop(into)]
    choices: Signal<Vec<Choice>>,
    /// One sentence of help.
    #[prop(optional, into)]
    hint: Option<String>,
    /// What is wrong with it.
    #[prop(optional, into)]
    error: Signal<Option<String>>,
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

/// A few values side by side, one of them chosen.
#[component]
pub fn Choices(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What one chooses.
    #[prop(into)]
    legend: String,
    /// What is chosen.
    value: RwSignal<String>,
    /// What there is to choose from.
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
                    // The hint describes the choice; it is no part of its name.
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

/// A box to tick.
#[component]
pub fn Checkbox(
    /// The field's name in the form; unique on the page.
    #[prop(into)]
    name: String,
    /// What ticking it means.
    #[prop(into)]
    label: String,
    /// Whether it is ticked.
    value: RwSignal<bool>,
    /// One sentence of help.
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

/// A switch that acts at once. It submits the form around it, which says what is switched.
#[component]
pub fn Switch(
    /// Whether it is on.
    #[prop(into)]
    on: Signal<bool>,
    /// What is switched, for those who hear the page: "Policy to qa/website".
    #[prop(into)]
    label: String,
    /// Whether the last press is still being carried out.
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

/// The search over a list. Its words are part of the address, so they survive a reload; `/` leads to
/// it from anywhere on the page.
#[component]
pub fn SearchBox(
    /// The address of the list.
    #[prop(into)]
    action: String,
    /// The words that are searched for now.
    #[prop(into)]
    value: Signal<String>,
    /// What is searched, for those who hear the page: "Search the repositories".
    #[prop(into)]
    label: String,
    /// The id of a `<datalist>` with words to search for.
    #[prop(optional, into)]
    list: Option<String>,
    /// Told what stands in the search when it is entered and with each change, so that words can be suggested.
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

/// Where a form leads that only asks: to its address, with the fields that say something. Without script the server
/// leads there.
fn address_of(form: &HtmlFormElement) -> Option<String> {
    let fields = FormData::new_with_form(form).ok()?;
    let query = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?.to_string();
    let query = without_empty(&String::from(query));
    let path = form.get_attribute("action")?;
    Some(if query.is_empty() { path } else { format!("{path}?{query}") })
}
