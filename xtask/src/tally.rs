//! Counts tests in the output of `cargo test` and in Playwright's report.

use std::{fmt, ops::AddAssign};

use anyhow::{Context, Result};

/// The numbers of tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Parses the output of `cargo test` line by line, and counts unit and integration tests separately.
#[derive(Debug, Default)]
pub(crate) struct CargoOutput {
    pub(crate) unit: Tally,
    pub(crate) integration: Tally,
    in_integration: bool,
}

impl CargoOutput {
    /// The number of tests that have failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.unit.failed + self.integration.failed
    }

    /// Parses a line of standard output or standard error, in the order in which they were written.
    pub(crate) fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Running", "unittests", ..] | ["Doc-tests", ..] => self.in_integration = false,
            ["Running", file, ..] if file.starts_with("tests/") => self.in_integration = true,
            ["test", "result:", _, passed, "passed;", failed, "failed;", ..] => {
                let tally =
                    Tally { passed: passed.parse().unwrap_or(0), failed: failed.parse().unwrap_or(0) };
                match self.in_integration {
                    true => self.integration += tally,
                    false => self.unit += tally,
                }
            }
            _ => {}
        }
    }
}

/// Parses the JSON report of a Playwright run.
///
/// # Errors
/// The text is not a report of Playwright.
pub(crate) fn playwright(report: &str) -> Result<Tally> {
    let report: serde_json::Value =
        serde_json::from_str(report).context("Playwright's report is not JSON")?;
    let count = |name: &str| {
        report["stats"][name].as_u64().with_context(|| format!("Playwright's report has no stats.{name}"))
    };
    // A test that passes only when it is repeated counts as failed.
    Ok(Tally { passed: count("expected")?, failed: count("unexpected")? + count("flaky")? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unit_and_integration_tests_are_counted_separately() {
        let mut output = CargoOutput::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/longshore_oci-1f)",
            "test digest::a_digest_with_upper_case_is_rejected ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "     Running tests/it/main.rs (target/debug/deps/it-2a)",
            "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s",
            "   Doc-tests longshore_oci",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ] {
            output.line(line);
        }
        assert_eq!(output.unit, Tally { passed: 4, failed: 0 });
        assert_eq!(output.integration, Tally { passed: 5, failed: 1 });
    }

    #[test]
    fn a_flaky_browser_test_counts_as_failed() {
        let report = r#"{"stats":{"expected":4,"unexpected":1,"flaky":1,"skipped":2}}"#;
        assert_eq!(playwright(report).unwrap(), Tally { passed: 4, failed: 2 });
        assert!(playwright("{}").is_err());
    }
}
