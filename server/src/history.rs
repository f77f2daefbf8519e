//! The settings for how much history is kept.

use clap::Args;
use jiff::SignedDuration;
use longshore_engine::{History, Keep};
use longshore_settings::Group;
use longshore_settings::parse::number;

use crate::config::MAX_DAYS;

/// A maximum age and a maximum number for each kind of history. What exceeds either is removed, unless it is still
/// needed.
#[derive(Debug, Clone, Args)]
pub(crate) struct HistorySettings {
    /// For how many days finished jobs and their logs are kept; `0` means no limit
    #[arg(value_name = "DAYS", default_value_t = days(usual().jobs), value_parser = number(0..=MAX_DAYS))]
    jobs_days: u32,
    /// How many finished jobs are kept; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = entries(usual().jobs), value_parser = number(0..=u32::MAX))]
    jobs: u32,
    /// For how many days the activity is kept; `0` means no limit
    #[arg(value_name = "DAYS", default_value_t = days(usual().activity), value_parser = number(0..=MAX_DAYS))]
    activity_days: u32,
    /// How many entries of the activity are kept; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = entries(usual().activity), value_parser = number(0..=u32::MAX))]
    activity: u32,
    /// For how many days verdicts are kept, which say what policies decided about changes of tags; `0` means no limit
    #[arg(value_name = "DAYS", default_value_t = days(usual().verdicts), value_parser = number(0..=MAX_DAYS))]
    verdicts_days: u32,
    /// For how many changes of tags verdicts are kept; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = entries(usual().verdicts), value_parser = number(0..=u32::MAX))]
    verdicts: u32,
    /// For how many days deliveries are kept, which say where images were sent; `0` means no limit
    #[arg(value_name = "DAYS", default_value_t = days(usual().deliveries), value_parser = number(0..=MAX_DAYS))]
    deliveries_days: u32,
    /// How many deliveries are kept; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = entries(usual().deliveries), value_parser = number(0..=u32::MAX))]
    deliveries: u32,
    /// For how many days changes of tags are kept, which say what a tag pointed to; `0` means no limit
    #[arg(value_name = "DAYS", default_value_t = days(usual().tag_changes), value_parser = number(0..=MAX_DAYS))]
    tag_changes_days: u32,
    /// How many changes of tags are kept; `0` means no limit
    #[arg(value_name = "NUMBER", default_value_t = entries(usual().tag_changes), value_parser = number(0..=u32::MAX))]
    tag_changes: u32,
}

impl Group for HistorySettings {
    const TABLE: &'static str = "keep";
    const HEADING: &'static str = "History";
}

fn usual() -> History {
    History::default()
}

fn days(keep: Keep) -> u32 {
    keep.age.map_or(0, |age| u32::try_from(age.as_hours() / 24).unwrap_or(MAX_DAYS))
}

fn entries(keep: Keep) -> u32 {
    keep.number.unwrap_or(0)
}

impl From<HistorySettings> for History {
    fn from(settings: HistorySettings) -> Self {
        let keep = |days: u32, number: u32| Keep {
            age: (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days))),
            number: Some(number).filter(|number| *number > 0),
        };
        Self {
            jobs: keep(settings.jobs_days, settings.jobs),
            activity: keep(settings.activity_days, settings.activity),
            verdicts: keep(settings.verdicts_days, settings.verdicts),
            deliveries: keep(settings.deliveries_days, settings.deliveries),
            tag_changes: keep(settings.tag_changes_days, settings.tag_changes),
        }
    }
}
