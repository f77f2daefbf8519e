//! The verdict of a policy on the facts of one tag, with a reason for each rule. Gathering the facts and acting on
//! the verdict happens elsewhere.

use serde::{Deserialize, Serialize};

use crate::{field::Facts, rules::Rules};

/// Whether the facts satisfy a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The facts satisfy it.
    Holds,
    /// The facts contradict it.
    Fails,
    /// The fact is absent; with what the verdict waits for, if the fact may still arrive.
    Absent(Option<WaitingFor>),
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub standing: Standing,
    /// What was found, as a sentence: "the tag is “1.0”".
    pub found: String,
}

/// What a verdict waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// The scan report of the image.
    Scan,
    /// An approval by a person.
    Approval,
    /// The minimum time of a tag in its source repository.
    Soak,
}

/// The outcome of a policy for one tag revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every rule holds.
    Match,
    /// A rule fails, or its fact is absent and will not arrive.
    NoMatch,
    /// No rule fails, but the fact of one may still arrive.
    Waiting(WaitingFor),
}

/// The reason of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule as a sentence.
    pub rule: String,
    /// Whether the rule holds; `None` if its fact is absent.
    pub holds: Option<bool>,
    /// What was found, as a sentence.
    pub found: String,
}

/// The outcome, with one reason per rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub outcome: Outcome,
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Whether the policy acts on the tag.
    pub const fn is_match(&self) -> bool {
        matches!(self.outcome, Outcome::Match)
    }
}

/// Evaluates `rules` for the tag with these `facts`. Digest tags match no rules, not even *every tag*: they are
/// copied with their subject.
pub fn decide(rules: &Rules, facts: &Facts) -> Verdict {
    let tag = &facts.tag;
    if tag.is_digest_tag() {
        let reason = Reason {
            rule: "the tag is not a digest tag".to_owned(),
            holds: Some(false),
            found: format!("“{tag}” is the digest tag of another image and is copied with it"),
        };
        return Verdict { outcome: Outcome::NoMatch, reasons: vec![reason] };
    }
    match rules {
        Rules::EveryTag => Verdict {
            outcome: Outcome::Match,
            reasons: vec![Reason {
                rule: rules.describe(),
                holds: Some(true),
                found: format!("the tag is “{tag}”"),
            }],
        },
        Rules::All(rules) => {
            let findings: Vec<Finding> = rules.iter().map(|rule| rule.check(facts)).collect();
            let outcome = conclude(findings.iter().map(|finding| finding.standing));
            let reasons = rules.iter().zip(findings).map(|(rule, finding)| Reason {
                rule: rule.describe(),
                holds: match finding.standing {
                    Standing::Holds => Some(true),
                    Standing::Fails => Some(false),
                    Standing::Absent(_) => None,
                },
                found: finding.found,
            });
            Verdict { outcome, reasons: reasons.collect() }
        }
    }
}

/// A rule that fails decides at once; the verdict only waits if no rule fails.
fn conclude(standings: impl Iterator<Item = Standing>) -> Outcome {
    let mut outcome = Outcome::Match;
    for standing in standings {
        match standing {
            Standing::Holds => {}
            Standing::Fails | Standing::Absent(None) => return Outcome::NoMatch,
            Standing::Absent(Some(awaited)) => outcome = Outcome::Waiting(awaited),
        }
    }
    outcome
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn verdict(rules: &str, tag: &str) -> Verdict {
        let facts = Facts::new(tag.parse().unwrap(), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        decide(&serde_json::from_str(rules).unwrap(), &facts)
    }

    const STABLE_ONE: &str = r#"[{"field":"tag","operator":"ew","values":["stable"]},
                                 {"field":"tag","operator":"sw","values":["1."]}]"#;

    #[test]
    fn semantics_10_all_rules_must_hold() {
        assert_eq!(verdict(STABLE_ONE, "1.0-stable").outcome, Outcome::Match);
        let half = verdict(STABLE_ONE, "2.0-stable");
        assert_eq!(half.outcome, Outcome::NoMatch);
        assert_eq!(half.reasons[0].holds, Some(true));
        assert_eq!(
            half.reasons[1],
            Reason {
                rule: "tag name starts with “1.”".to_owned(),
                holds: Some(false),
                found: "the tag is “2.0-stable”".to_owned(),
            }
        );
    }

    #[test]
    fn semantics_06_rules_never_match_digest_tags() {
        let digest_tag = format!("sha256-{}", "a".repeat(64));
        let any = r#"[{"field":"tag","operator":"sw","values":["sha256"]}]"#;
        for tag in [digest_tag.clone(), format!("{digest_tag}.sig")] {
            assert_eq!(verdict("[]", &tag).outcome, Outcome::NoMatch);
            assert_eq!(verdict(any, &tag).outcome, Outcome::NoMatch);
            assert!(verdict(any, &tag).reasons[0].found.contains("digest tag"));
        }
        assert!(verdict("[]", "sha256-short").is_match());
    }

    #[test]
    fn semantics_32_a_verdict_waits_only_if_no_rule_fails() {
        use Standing::{Absent, Fails, Holds};
        let awaited = Absent(Some(WaitingFor::Scan));
        assert_eq!(conclude([Holds, awaited].into_iter()), Outcome::Waiting(WaitingFor::Scan));
        assert_eq!(conclude([awaited, Fails].into_iter()), Outcome::NoMatch);
        assert_eq!(conclude([Holds, Absent(None)].into_iter()), Outcome::NoMatch);
        let stored = serde_json::to_string(&Outcome::Waiting(WaitingFor::Scan)).unwrap();
        assert_eq!(stored, r#"{"waiting":"scan"}"#);
    }

    #[test]
    fn no_rules_match_every_ordinary_tag() {
        assert!(verdict("[]", "latest").is_match());
        assert_eq!(verdict("[]", "latest").reasons[0].rule, "every tag");
    }
}
