//! The decisions of policies: rules for tags, templates for the tag at the destination, and the patterns by which a
//! pull mirror selects tags. Facts go in, a verdict comes out. There is no I/O and no clock here, so that the preview
//! in the browser and the decision on the server run the same code.

mod decide;
mod field;
mod keyword;
mod kind;
mod moment;
mod patterns;
mod preview;
mod regex;
mod rule;
mod rules;
mod template;

pub use decide::{Finding, Outcome, Reason, Standing, Verdict, WaitingFor, decide};
pub use field::{FIELDS, Facts, Field, ScanState};
pub use keyword::{KEYWORDS, Keyword};
pub use kind::{Operator, ValueError};
pub use moment::Moment;
pub use patterns::{MAX_PATTERN_LENGTH, MAX_PATTERNS, PatternError, Patterns};
pub use preview::{Collision, Preview, PreviewRow, collisions, preview};
pub use regex::{MAX_REGEX_LENGTH, RegexError, TagRegex};
pub use rule::{MAX_VALUE_LENGTH, MAX_VALUES, RawRule, Rule, RuleError, RulePart};
pub use rules::{MAX_RULES, Rules, RulesError, StoredRules};
pub use template::{MAX_TEMPLATE_LENGTH, Template, TemplateError};
