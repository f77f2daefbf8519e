//! The results with their targets, as a table or as JSON.

use anyhow::Result;
use serde::Serialize;

/// One result for both registries, or for Longshore and the floor.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    unit: Unit,
    ours: f64,
    theirs: f64,
    target: Target,
    met: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) enum Unit {
    BytesPerSecond,
    PerSecond,
    Seconds,
    Bytes,
}

/// The target of a result. `AtLeast` and `AtMost` limit the ratio of ours to theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// A maximum for our own value, regardless of theirs.
    Limit(f64),
    None,
}

impl Row {
    pub(crate) fn new(name: String, unit: Unit, ours: f64, theirs: f64, target: Target) -> Self {
        let ratio = ours / theirs;
        let met = match target {
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) => ratio <= most,
            Target::Limit(most) => ours <= most,
            Target::None => true,
        };
        Self { name, unit, ours, theirs, target, met }
    }

    /// Marks all rows as met if one of them is.
    pub(crate) fn either<const N: usize>(mut rows: [Self; N]) -> [Self; N] {
        let met = rows.iter().any(|row| row.met);
        rows.iter_mut().for_each(|row| row.met = met);
        rows
    }
}

fn written(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::BytesPerSecond => format!("{:.0} MB/s", figure / 1e6),
        Unit::PerSecond => format!("{figure:.0}/s"),
        Unit::Seconds if figure < 0.1 => format!("{:.2} ms", figure * 1e3),
        Unit::Seconds => format!("{figure:.2} s"),
        Unit::Bytes => format!("{:.1} MiB", figure / 1024.0 / 1024.0),
    }
}

fn wanted(target: Target) -> String {
    match target {
        Target::AtLeast(least) => format!("≥ {least}×"),
        Target::AtMost(most) => format!("≤ {most}×"),
        Target::Limit(most) => format!("≤ {:.0} MiB", most / 1024.0 / 1024.0),
        Target::None => String::new(),
    }
}

/// Prints all rows. Returns whether every target is met.
pub(crate) fn print(rows: &[Row], json: bool) -> Result<bool> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
    } else {
        println!("{:<44} {:>12} {:>12} {:>7}  {:<9}", "", "longshore", "other", "ratio", "target");
        for row in rows {
            let (ours, theirs) = (written(row.unit, row.ours), written(row.unit, row.theirs));
            let verdict = match (row.target, row.met) {
                (Target::None, _) => "",
                (_, true) => "met",
                (_, false) => "MISSED",
            };
            let (ratio, target) = (row.ours / row.theirs, wanted(row.target));
            println!("{:<44} {ours:>12} {theirs:>12} {ratio:>6.2}×  {target:<9} {verdict}", row.name);
        }
    }
    Ok(rows.iter().all(|row| row.met))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, theirs: f64, target: Target) -> Row {
        Row::new("x".to_owned(), Unit::Seconds, ours, theirs, target)
    }

    #[test]
    fn a_target_limits_the_ratio_or_our_own_value() {
        assert!(row(5.0, 2.0, Target::AtLeast(2.5)).met && !row(4.9, 2.0, Target::AtLeast(2.5)).met);
        assert!(row(1.2, 1.0, Target::AtMost(1.2)).met && !row(1.3, 1.0, Target::AtMost(1.2)).met);
        assert!(row(3.0, 1.0, Target::Limit(3.0)).met && !row(3.1, 9.0, Target::Limit(3.0)).met);
    }

    #[test]
    fn one_met_target_of_either_is_enough() {
        let rows = Row::either([row(1.0, 2.0, Target::AtLeast(1.0)), row(1.0, 2.0, Target::AtMost(0.9))]);
        assert!(rows.iter().all(|row| row.met));
    }
}
