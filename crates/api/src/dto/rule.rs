//! Rules on the wire.

use longshore_model::{Code, Problem};
use longshore_policy::{RawRule, StoredRules};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One rule; all rules of a policy must hold. Members beside these three are refused.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// What it looks at: `tag`, the tag's name.
    #[schema(example = "tag")]
    field: String,
    /// How it compares: `eq` equals, `sw` starts with, `ew` ends with, `c` contains, `oo` one of,
    /// `noo` not one of, `m` matches (a regular expression).
    #[schema(example = "ew")]
    operator: String,
    /// What it compares with; several only for `oo` and `noo`.
    #[schema(example = json!(["stable"]))]
    values: Vec<String>,
}

impl From<Rule> for RawRule {
    fn from(rule: Rule) -> Self {
        Self { field: rule.field, operator: rule.operator, values: rule.values }
    }
}

/// The rules of a saved policy. Rules that this version cannot read are shown as they are stored,
/// so that nobody takes them for none.
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

/// Rules as they came: those that are meant, and whether no rules are meant as every tag
/// (an explicit empty list, semantics 10).
pub(crate) fn given(rules: Option<Vec<Rule>>) -> (Vec<RawRule>, bool) {
    match rules {
        None => (Vec::new(), false),
        Some(rules) => {
            let every_tag = rules.is_empty();
            (rules.into_iter().map(RawRule::from).collect(), every_tag)
        }
    }
}

/// The rules of a policy after a change that may leave them as they are stored.
///
/// # Errors
/// They stay, but this version cannot read them: saying them anew is the only way to change such a
/// policy. `invalid` is the code for that.
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
            format!("{reason}; send the rules anew together with the change."),
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
