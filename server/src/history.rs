//! How much of the past is remembered, as it can be set.

use clap::Args;
use jiff::SignedDuration;
use longshore_engine::{History, Keep};
use serde::Deserialize;

use crate::config::at_most;

/// A hundred years.
const MAX_DAYS: u32 = 36_500;

/// An age and a number for each sort of history; what is beyond either is forgotten, unless it is still needed. In the
/// configuration file they are the table `keep`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryOptions {
    /// Days after which a job that has ended is forgotten with its log; 0: never for its age [default: 30]
    #[arg(
        id = "keep_jobs_days",
        long = "keep-jobs-days",
        env = "LONGSHORE_KEEP_JOBS_DAYS",
        value_name = "DAYS"
    )]
    jobs_days: Option<u32>,
    /// The number of jobs that are kept; 0: any number [default: 100000]
    #[arg(id = "keep_jobs", long = "keep-jobs", env = "LONGSHORE_KEEP_JOBS", value_name = "NUMBER")]
    jobs: Option<u32>,
    /// Days after which an entry of the activity is forgotten; 0: never for its age [default: 365]
    #[arg(
        id = "keep_activity_days",
        long = "keep-activity-days",
        env = "LONGSHORE_KEEP_ACTIVITY_DAYS",
        value_name = "DAYS"
    )]
    activity_days: Option<u32>,
    /// The number of entries of the activity that are kept; 0: any number [default: 1000000]
    #[arg(
        id = "keep_activity",
        long = "keep-activity",
        env = "LONGSHORE_KEEP_ACTIVITY",
        value_name = "NUMBER"
    )]
    activity: Option<u32>,
    /// Days after which a verdict on what a tag points to no more is forgotten; 0: never for its age [default: 365]
    #[arg(
        id = "keep_verdicts_days",
        long = "keep-verdicts-days",
        env = "LONGSHORE_KEEP_VERDICTS_DAYS",
        value_name = "DAYS"
    )]
    verdicts_days: Option<u32>,
    /// The number of verdicts that are kept; 0: any number [default: 1000000]
    #[arg(
        id = "keep_verdicts",
        long = "keep-verdicts",
        env = "LONGSHORE_KEEP_VERDICTS",
        value_name = "NUMBER"
    )]
    verdicts: Option<u32>,
    /// Days after which it is forgotten where an image went; 0: never for its age [default: 365]
    #[arg(
        id = "keep_deliveries_days",
        long = "keep-deliveries-days",
        env = "LONGSHORE_KEEP_DELIVERIES_DAYS",
        value_name = "DAYS"
    )]
    deliveries_days: Option<u32>,
    /// The number of deliveries that are kept; 0: any number [default: 1000000]
    #[arg(
        id = "keep_deliveries",
        long = "keep-deliveries",
        env = "LONGSHORE_KEEP_DELIVERIES",
        value_name = "NUMBER"
    )]
    deliveries: Option<u32>,
    /// Days after which an old change of a tag is forgotten; 0: never for its age [default: 365]
    #[arg(
        id = "keep_tag_changes_days",
        long = "keep-tag-changes-days",
        env = "LONGSHORE_KEEP_TAG_CHANGES_DAYS",
        value_name = "DAYS"
    )]
    tag_changes_days: Option<u32>,
    /// The number of changes of tags that are kept; 0: any number [default: 1000000]
    #[arg(
        id = "keep_tag_changes",
        long = "keep-tag-changes",
        env = "LONGSHORE_KEEP_TAG_CHANGES",
        value_name = "NUMBER"
    )]
    tag_changes: Option<u32>,
}

impl HistoryOptions {
    /// These options, and `other` where they say nothing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            jobs_days: self.jobs_days.or(other.jobs_days),
            jobs: self.jobs.or(other.jobs),
            activity_days: self.activity_days.or(other.activity_days),
            activity: self.activity.or(other.activity),
            verdicts_days: self.verdicts_days.or(other.verdicts_days),
            verdicts: self.verdicts.or(other.verdicts),
            deliveries_days: self.deliveries_days.or(other.deliveries_days),
            deliveries: self.deliveries.or(other.deliveries),
            tag_changes_days: self.tag_changes_days.or(other.tag_changes_days),
            tag_changes: self.tag_changes.or(other.tag_changes),
        }
    }

    /// What is not said is as it is by default.
    ///
    /// # Errors
    /// An age of more than a hundred years, with the name of its setting.
    pub(crate) fn resolve(self) -> anyhow::Result<History> {
        let usual = History::default();
        let keep = |name: &str, days: Option<u32>, number: Option<u32>, usual: Keep| {
            let age = match at_most(name, days, MAX_DAYS)? {
                None => usual.age,
                Some(0) => None,
                Some(days) => Some(SignedDuration::from_hours(24 * i64::from(days))),
            };
            let number = match number {
                None => usual.number,
                Some(0) => None,
                Some(number) => Some(number),
            };
            anyhow::Ok(Keep { age, number })
        };
        Ok(History {
            jobs: keep("keep_jobs_days", self.jobs_days, self.jobs, usual.jobs)?,
            activity: keep("keep_activity_days", self.activity_days, self.activity, usual.activity)?,
            verdicts: keep("keep_verdicts_days", self.verdicts_days, self.verdicts, usual.verdicts)?,
            deliveries: keep(
                "keep_deliveries_days",
                self.deliveries_days,
                self.deliveries,
                usual.deliveries,
            )?,
            tag_changes: keep(
                "keep_tag_changes_days",
                self.tag_changes_days,
                self.tag_changes,
                usual.tag_changes,
            )?,
        })
    }
}

/// As `check-config` shows it.
pub(crate) fn shown(keep: &Keep) -> String {
    let age = keep.age.map_or_else(|| "any age".to_owned(), |age| format!("{} days", age.as_hours() / 24));
    let number = keep.number.map_or_else(|| "any number".to_owned(), |number| number.to_string());
    format!("{age}, {number}")
}
