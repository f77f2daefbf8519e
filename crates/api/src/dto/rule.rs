//! Rules in requests and responses.

use longshore_model::{Code, Problem};
use longshore_policy::{FIELDS, Field, Operator, RawRule, StoredRules};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

/// A rule. Unknown members are rejected.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The field to compare.
    #[schema(schema_with = field)]
    field: String,
    /// The operator.
    #[schema(schema_with = operator)]
    operator: String,
    /// The values to compare with; more than one only with `oo` and `noo`.
    #[schema(example = json!(["stable"]))]
    values: Vec<String>,
}

fn field() -> Object {
    let fields: Vec<_> =
        FIELDS.iter().map(|field| format!("`{}` ({})", field.code(), field.label())).collect();
    text(format!("The field to compare: {}.", fields.join(", ")), "tag")
}

fn operator() -> Object {
    let named = |operator: Operator| format!("`{}` ({})", operator.code(), operator.label());
    let fitting = |field: &Field| {
        let operators: Vec<_> = field.operators().into_iter().map(named).collect();
        format!("\n- with `{}`: {}", field.code(), operators.join(", "))
    };
    let fitting: String = FIELDS.iter().map(fitting).collect();
    text(format!("The operator; `m` takes a regular expression.\n{fitting}"), "ew")
}

/// A string schema with a description and an example.
fn text(description: String, example: &str) -> Object {
    let mut text = ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build();
    text.example = Some(Value::from(example));
    text
}

impl From<Rule> for RawRule {
    fn from(rule: Rule) -> Self {
        Self { field: rule.field, operator: rule.operator, values: rule.values }
    }
}

/// The rules of a saved policy. Rules that this version cannot read are shown as stored, so that they are not mistaken
/// for an empty list.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Rules(Value);

impl From<&StoredRules> for Rules {
    fn from(stored: &StoredRules) -> Self {
        Self(match stored {
            StoredRules::Readable(rules) => serde_json::to_value(rules).unwrap_or_default(),
            StoredRules::Unreadable { raw, .. } => raw.clone(),
        })
    }
}

/// The rules of a request, and whether they match every tag, which requires an explicit empty list (semantics 10).
pub(crate) fn given(rules: Option<Vec<Rule>>) -> (Vec<RawRule>, bool) {
    match rules {
        None => (Vec::new(), false),
        Some(rules) => {
            let every_tag = rules.is_empty();
            (rules.into_iter().map(RawRule::from).collect(), every_tag)
        }
    }
}

/// The rules of a policy after a change, which may keep the stored ones.
///
/// # Errors
/// The change keeps rules that this version cannot read; such a policy can only be changed together with its rules.
/// `invalid` is the code of the problem.
pub(crate) fn changed(
    rules: Option<Vec<Rule>>,
    stored: &StoredRules,
    invalid: Code,
) -> Result<(Vec<RawRule>, bool), Problem> {
    match (rules, stored) {
        (Some(rules), _) => Ok(given(Some(rules))),
        (None, StoredRules::Readable(rules)) => {
            let raw = rules.to_raw();
            let every_tag = raw.is_empty();
            Ok((raw, every_tag))
        }
        (None, StoredRules::Unreadable { reason, .. }) => Err(Problem::field(
            invalid,
            "rules",
            format!("{reason}; send new rules together with the change."),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_10_only_an_explicit_empty_list_means_every_tag() {
        assert_eq!(given(None), (vec![], false));
        assert_eq!(given(Some(vec![])), (vec![], true));
        let rule: Rule =
            serde_json::from_str(r#"{"field":"tag","operator":"ew","values":["stable"]}"#).unwrap();
        assert!(!given(Some(vec![rule])).1);
    }

    #[test]
    fn semantics_10_rules_that_cannot_be_read_are_shown_as_stored() {
        let stored = StoredRules::from_json(r#"[{"field":"moon","operator":"eq","values":["full"]}]"#);
        let shown = serde_json::to_value(Rules::from(&stored)).unwrap();
        assert_eq!(shown[0]["field"], "moon");
    }
}
