//! The rules of a policy as typed: operators and values, checked by the parser that the server uses. `preview` shows
//! what the rules do to existing tags.

use leptos::prelude::*;
use longshore_policy::{FIELDS, Field, Operator, RawRule, Rule, Rules, RulesError, StoredRules};

use super::{Choice, form::told, live_form::use_filling};
use crate::{error::AppError, sentence::sentence};

/// One rule in the form. Cheap to copy; its key stays the same when other rules are removed.
#[derive(Clone, Copy, Debug)]
struct RuleInput {
    key: usize,
    field: RwSignal<String>,
    operator: RwSignal<String>,
    value: RwSignal<String>,
    /// Whether the value was edited: before that, an empty field is no error.
    touched: RwSignal<bool>,
}

impl RuleInput {
    fn new(key: usize, field: &str, operator: &str, value: String) -> Self {
        Self {
            key,
            field: RwSignal::new(field.to_owned()),
            operator: RwSignal::new(operator.to_owned()),
            value: RwSignal::new(value),
            touched: RwSignal::new(false),
        }
    }

    /// The field it compares.
    fn looked_at(self) -> Option<&'static Field> {
        self.field.with(|code| Field::parse(code)).ok()
    }

    /// The operator, if it fits the field.
    fn compares(self) -> Option<Operator> {
        let field = self.looked_at()?;
        self.operator.with(|code| field.operator(code))
    }

    fn takes_several_values(self) -> bool {
        self.compares().is_some_and(Operator::takes_several_values)
    }

    /// Selects another field. An operator that does not fit it is replaced by the first that does.
    fn look_at(self, code: String) {
        let operators = Field::parse(&code).map(Field::operators).unwrap_or_default();
        let fits = self.operator.with_untracked(|chosen| operators.iter().any(|fits| fits.code() == chosen));
        if let (false, Some(first)) = (fits, operators.first()) {
            self.operator.set(first.code().to_owned());
        }
        self.field.set(code);
    }

    /// The rule on the wire. *Is one of* splits its value at commas.
    fn raw(self) -> RawRule {
        let compares = self.compares();
        let values: Vec<String> = self.value.with(|text| match compares {
            Some(operator) if operator.takes_several_values() => {
                text.split(',').map(str::trim).map(str::to_owned).collect()
            }
            // Spaces at the ends are never part of a value, but may be part of an expression.
            Some(Operator::Matches) => vec![text.clone()],
            _ => vec![text.trim().to_owned()],
        });
        let values = values.into_iter().filter(|value| !value.is_empty()).collect();
        RawRule { field: self.field.get(), operator: self.operator.get(), values }
    }

    /// The rule's error. An empty value counts only once the field was edited.
    fn mistake(self) -> Option<String> {
        let raw = self.raw();
        if raw.values.is_empty() && !self.touched.get() {
            return None;
        }
        Rule::parse(raw).err().map(|error| error.to_string())
    }
}

/// The rules of a form. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct RulesInput {
    every_tag: RwSignal<bool>,
    rules: RwSignal<Vec<RuleInput>>,
    next_key: StoredValue<usize>,
}

impl Default for RulesInput {
    /// One rule with an empty value.
    fn default() -> Self {
        let input = Self::from_raw(false, Vec::new());
        input.add();
        input
    }
}

impl RulesInput {
    /// The rules of a stored policy, for editing. If this version cannot read them, they have to be entered again.
    #[must_use]
    pub fn of(stored: &StoredRules) -> Self {
        match stored.readable() {
            Some(rules @ Rules::EveryTag) => Self::from_raw(true, rules.to_raw()),
            Some(rules) => Self::from_raw(false, rules.to_raw()),
            None => Self::default(),
        }
    }

    fn from_raw(every_tag: bool, raw: Vec<RawRule>) -> Self {
        let rules: Vec<_> = raw
            .into_iter()
            .enumerate()
            .map(|(key, rule)| RuleInput::new(key, &rule.field, &rule.operator, rule.values.join(", ")))
            .collect();
        Self {
            every_tag: RwSignal::new(every_tag),
            next_key: StoredValue::new(rules.len()),
            rules: RwSignal::new(rules),
        }
    }

    /// Whether *every tag* is chosen instead of rules (semantics 10).
    #[must_use]
    pub fn every_tag(self) -> bool {
        self.every_tag.get()
    }

    /// The rules on the wire; empty if *every tag* is chosen.
    #[must_use]
    pub fn raw(self) -> Vec<RawRule> {
        if self.every_tag.get() {
            return Vec::new();
        }
        self.rules.get().into_iter().map(RuleInput::raw).collect()
    }

    /// The parsed rules.
    ///
    /// # Errors
    /// The first invalid rule.
    pub fn parsed(self) -> Result<Rules, RulesError> {
        Rules::parse(self.raw(), self.every_tag())
    }

    /// Shows all errors, including empty values, on an attempt to save. Returns whether all rules are valid.
    pub fn insist(self) -> bool {
        for rule in self.rules.get_untracked() {
            rule.touched.set(true);
        }
        untrack(|| self.parsed()).is_ok()
    }

    fn add(self) {
        let key = self.next_key.get_value();
        self.next_key.set_value(key + 1);
        let rule = RuleInput::new(key, FIELDS[0].code(), Operator::EndsWith.code(), String::new());
        self.rules.update(|rules| rules.push(rule));
    }

    fn remove(self, key: usize) {
        self.rules.update(|rules| rules.retain(|rule| rule.key != key));
    }
}

/// The rules of a policy: all must match, or every tag matches.
#[component]
pub fn RulesEditor(
    input: RulesInput,
    /// The policy's verb: "Promote".
    verb: &'static str,
    /// The server's error for the last save; shown for rules without an error of their own.
    #[prop(into)]
    problem: Signal<Option<AppError>>,
) -> impl IntoView {
    let (every_tag, fill) = (input.every_tag, use_filling());
    let add = move |_| {
        input.add();
        fill();
    };
    let whole = move || problem.with(|problem| problem.as_ref().and_then(|problem| problem.about("rules")));
    view! {
        <fieldset class="rules">
            <legend>{verb} " a tag when"</legend>
            <label class="rules-choice">
                <input
                    type="radio"
                    name="every-tag"
                    value="false"
                    checked=!every_tag.get_untracked()
                    prop:checked=move || !every_tag.get()
                    on:change=move |_| every_tag.set(false)
                />
                "all rules match"
            </label>
            <label class="rules-choice">
                <input
                    type="radio"
                    name="every-tag"
                    value="true"
                    checked=every_tag.get_untracked()
                    prop:checked=every_tag
                    on:change=move |_| every_tag.set(true)
                />
                "always: every tag"
            </label>
            <div class="rules-list" hidden=every_tag>
                <ol>
                    <For
                        each=move || input.rules.get().into_iter().enumerate()
                        key=|(index, rule)| (*index, rule.key)
                        let((index, rule))
                    >
                        <RuleRow input=input rule=rule index=index problem=problem/>
                    </For>
                </ol>
                <button type="button" class="button" on:click=add>"+ Add a rule"</button>
                <p class="error" aria-live="polite">{move || whole().map(|whole| sentence(&whole))}</p>
            </div>
        </fieldset>
    }
}

/// One rule: field, operator, value.
#[component]
fn RuleRow(
    input: RulesInput,
    rule: RuleInput,
    index: usize,
    problem: Signal<Option<AppError>>,
) -> impl IntoView {
    let refused = move || {
        let problem = problem.get()?;
        ["values", "operator", "field"]
            .into_iter()
            .find_map(|part| problem.about(&format!("rules[{index}].{part}")))
    };
    let error = Memo::new(move |_| rule.mistake().or_else(refused));
    let several = move || rule.takes_several_values();
    let error_id = format!("rule-{index}-error");
    let fill = use_filling();
    let remove = move |_| {
        input.remove(rule.key);
        fill();
    };
    let fields: Vec<_> = FIELDS.iter().map(|field| Choice::new(field.code(), field.label())).collect();
    let operators = Memo::new(move |_| operators(rule.looked_at()));
    let only_one = move || input.rules.with(|rules| rules.len() == 1);
    view! {
        <li><div class="rule" role="group" aria-label=format!("Rule {}", index + 1)>
            <Select
                label="Attribute"
                value=rule.field
                choices=fields
                choose=move |code| rule.look_at(code)
            />
            <Select
                label="Operator"
                value=rule.operator
                choices=operators
                choose=move |code| rule.operator.set(code)
            />
            <input
                class="code"
                type="text"
                aria-label=move || value_label(rule.looked_at())
                placeholder=move || example(rule.looked_at(), several())
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                value=rule.value.get_untracked()
                prop:value=rule.value
                aria-describedby=error_id.clone()
                aria-invalid=move || error.get().map(|_| "true")
                on:input=move |event| rule.value.set(event_target_value(&event))
                on:blur=move |_| rule.touched.set(true)
            />
            <button
                type="button"
                class="button quiet"
                aria-label=format!("Remove rule {}", index + 1)
                title="Remove this rule"
                disabled=only_one
                on:click=remove
            >
                "✕"
            </button>
            <p class="hint" hidden=move || !several()>"Separate values with commas."</p>
            <p class="error" id=error_id aria-live="polite">{told(error.into())}</p>
        </div></li>
    }
}

/// A select without a visible label.
#[component]
fn Select(
    label: &'static str,
    value: RwSignal<String>,
    #[prop(into)] choices: Signal<Vec<Choice>>,
    choose: impl Fn(String) + 'static,
) -> impl IntoView {
    view! {
        <select aria-label=label on:change=move |event| choose(event_target_value(&event))>
            {move || {
                choices
                    .get()
                    .into_iter()
                    .map(|choice| {
                        let own = choice.value.clone();
                        view! {
                            <option value=choice.value selected=move || value.with(|value| *value == own)>
                                {choice.label}
                            </option>
                        }
                    })
                    .collect_view()
            }}
        </select>
    }
}

/// The value is labelled after the field it is compared with: "Tag name".
fn value_label(field: Option<&Field>) -> String {
    let label = field.map_or("value", Field::label);
    let mut letters = label.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// An example value: "stable", or "stable, beta".
fn example(field: Option<&Field>, several: bool) -> String {
    let [first, second] = field.map_or([""; 2], Field::examples);
    if several { format!("{first}, {second}") } else { first.to_owned() }
}

/// The operators that fit a field.
fn operators(field: Option<&Field>) -> Vec<Choice> {
    let fitting = field.map(Field::operators).unwrap_or_default();
    fitting.into_iter().map(|operator| Choice::new(operator.code(), operator.label())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(operator: Operator, value: &str) -> Vec<String> {
        let owner = Owner::new();
        owner.with(|| RuleInput::new(0, "tag", operator.code(), value.to_owned()).raw().values)
    }

    #[test]
    fn values_are_separated_by_commas_where_an_operator_takes_several() {
        assert_eq!(raw(Operator::IsOneOf, " stable, beta ,,"), ["stable", "beta"]);
        assert_eq!(raw(Operator::EndsWith, " a,b "), ["a,b"]);
        assert_eq!(raw(Operator::Matches, "^v[0-9]{1,3}$"), ["^v[0-9]{1,3}$"]);
        assert!(raw(Operator::Equals, "  ").is_empty());
    }

    #[test]
    fn a_value_is_labelled_after_its_field() {
        assert_eq!(value_label(Some(&FIELDS[0])), "Tag name");
    }

    #[test]
    fn only_operators_that_fit_the_field_are_offered() {
        let offered: Vec<_> = operators(Some(&FIELDS[0])).into_iter().map(|choice| choice.value).collect();
        assert_eq!(offered, ["eq", "sw", "ew", "c", "oo", "noo", "m"]);
        assert_eq!(example(Some(&FIELDS[0]), true), "stable, beta");
        Owner::new().with(|| {
            let rule = RuleInput::new(0, "tag", "gte", String::new());
            assert_eq!(rule.compares(), None);
            rule.look_at("tag".to_owned());
            assert_eq!(rule.compares(), Some(Operator::Equals));
        });
    }

    #[test]
    fn semantics_10_every_tag_must_be_chosen_explicitly() {
        Owner::new().with(|| {
            let input = RulesInput::default();
            assert!(input.parsed().is_err());
            assert!(!input.insist());
            input.every_tag.set(true);
            assert_eq!(input.parsed(), Ok(Rules::EveryTag));
        });
    }
}
