//! `cargo xtask test`: formatting, lints, unit and integration tests, browser tests.
//!
//! Every part runs, even if another has failed, and a test part in which no test ran counts as failed. The last line
//! of the output has the totals.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::{
    command::{self, capture, cargo, command, root, step, target},
    site::{self, Kind},
    tally::{self, CargoOutput, Tally},
    tools,
};

/// The options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only one part
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Run only tests whose name contains one of these, and no other parts
    filters: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting
    Fmt,
    /// Lints of the server and the browser part, and dependencies of the browser part
    Clippy,
    /// Unit and integration tests
    Cargo,
    /// Playwright with a real server and a real browser
    Browser,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        match self.only {
            Some(only) => only == part,
            None => self.filters.is_empty() || matches!(part, Part::Cargo | Part::Browser),
        }
    }
}

/// The crates that must not be used in the browser: their presence means that a feature leaked.
const SERVER_ONLY: &[&str] = &["tokio", "sqlx", "reqwest"];

/// The server and everything it uses. This excludes the browser part, which shares `app` with the server but not its
/// features, and this program, whose dependencies would get other features than those with which `cargo xtask` was
/// just built.
const SERVER: &[&str] = &["--workspace", "--exclude", "frontend", "--exclude", "xtask"];
const XTASK: &[&str] = &["--package", "xtask"];
const BROWSER: &[&str] = &["--package", "frontend", "--target", "wasm32-unknown-unknown"];

/// Runs the chosen parts and prints the totals.
///
/// # Errors
/// A tool is missing, or a part failed.
pub(crate) fn test(options: &Options) -> Result<()> {
    let start = Instant::now();
    install(options)?;

    let mut report = Report::default();
    if options.wants(Part::Fmt) {
        report.part("Formatting", || command::run(&mut cargo(["fmt", "--all", "--check"])).map(|()| None));
    }
    if options.wants(Part::Clippy) {
        report.part("Lints of the server", || lint(SERVER, &["--all-targets"]).map(|()| None));
        report.part("Lints of the build driver", || lint(XTASK, &["--all-targets"]).map(|()| None));
        report.part("Lints of the browser part", || lint(BROWSER, &[]).map(|()| None));
        report.part("Dependencies of the browser part", || browser_dependencies().map(|()| None));
    }
    if options.wants(Part::Cargo) {
        report.cargo_tests(&options.filters);
    }
    if options.wants(Part::Browser) {
        report.part("Browser tests", || browser_tests(&options.filters).map(Some));
    }
    report.finish(options, start)
}

fn install(options: &Options) -> Result<()> {
    tools::c_compiler()?;
    tools::rust_components()?;
    tools::wasm_target()?;
    if options.wants(Part::Cargo) || options.wants(Part::Browser) {
        tools::debian_packages()?;
    }
    if options.wants(Part::Cargo) {
        tools::docker_daemon()?;
    }
    if options.wants(Part::Browser) {
        tools::npm_packages()?;
    }
    Ok(())
}

fn lint(what: &[&str], targets: &[&str]) -> Result<()> {
    command::run(cargo(["clippy"]).args(what).args(targets).args(["--", "-D", "warnings"]))
}

fn browser_dependencies() -> Result<()> {
    let tree = capture(&mut cargo([
        "tree",
        "--package",
        "frontend",
        "--target",
        "wasm32-unknown-unknown",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]))?;
    let leaked: Vec<&str> = tree
        .lines()
        .filter(|line| SERVER_ONLY.iter().any(|name| line.split(' ').next() == Some(*name)))
        .collect();
    ensure!(leaked.is_empty(), "the browser part depends on {}; ask `cargo tree -i` why", leaked.join(", "));
    Ok(())
}

fn cargo_tests(filters: &[String]) -> Result<CargoOutput> {
    let mut output = CargoOutput::default();
    for what in [SERVER, XTASK] {
        let mut test = cargo(["test"]);
        test.args(what).arg("--no-fail-fast").arg("--").args(filters);
        let failed_before = output.failed();
        let passed = follow(&mut test, |line| output.line(line))?;
        // Without a failed test, the build failed, or a test killed its process.
        ensure!(passed || output.failed() > failed_before, "{} failed", command::line(&test));
    }
    Ok(output)
}

/// Runs a command, prints each line of its output and passes it on. Both streams share one pipe, so the lines are in
/// the order in which they were written.
fn follow(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", command::line(command)))?;
    // The pipe ends when its last writer is closed, and the command has two.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        each(&line);
    }
    Ok(child.wait()?.success())
}

fn browser_tests(filters: &[String]) -> Result<Tally> {
    // With the features of the whole workspace, as for the tests before, so that nothing is built twice.
    step("Building the server", || command::run(cargo(["build"]).args(SERVER).arg("--bins")))?;
    site::build(Kind::Dev)?;

    let folder = root().join("end2end");
    let screenshots = folder.join("screenshots");
    if filters.is_empty() && screenshots.exists() {
        fs::remove_dir_all(&screenshots).context("cannot empty end2end/screenshots")?;
    }
    let report = folder.join("test-results/report.json");
    if report.exists() {
        fs::remove_file(&report).context("cannot remove the last browser report")?;
    }
    let mut playwright = command("node");
    playwright
        .args(["node_modules/@playwright/test/cli.js", "test"])
        .current_dir(&folder)
        .env("LONGSHORE_BINARY", target().join("debug/longshore"))
        .env("LONGSHORE_SITE", Kind::Dev.folder());
    if !filters.is_empty() {
        playwright.arg("--pass-with-no-tests").arg("--grep").arg(filters.join("|"));
    }
    let passed = playwright.status().context("cannot start node")?.success();
    let report = fs::read_to_string(&report).context("Playwright wrote no report")?;
    let tally = tally::playwright(&report)?;
    ensure!(passed || tally.failed > 0, "Playwright failed outside of the tests");
    Ok(tally)
}

/// The results of all parts.
#[derive(Default)]
struct Report {
    lines: Vec<(String, Outcome)>,
}

enum Outcome {
    Passed,
    Failed(String),
    Tests(Tally),
}

impl Report {
    fn part(&mut self, name: &str, work: impl FnOnce() -> Result<Option<Tally>>) {
        let outcome = match step(name, work) {
            Ok(None) => Outcome::Passed,
            Ok(Some(tally)) => Outcome::Tests(tally),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        self.lines.push((name.to_owned(), outcome));
    }

    /// One command runs the unit and integration tests, which are two parts of the report.
    fn cargo_tests(&mut self, filters: &[String]) {
        match step("Unit and integration tests", || cargo_tests(filters)) {
            Ok(output) => {
                self.lines.push(("Unit tests".to_owned(), Outcome::Tests(output.unit)));
                self.lines.push(("Integration tests".to_owned(), Outcome::Tests(output.integration)));
            }
            Err(error) => self
                .lines
                .push(("Unit and integration tests".to_owned(), Outcome::Failed(format!("{error:#}")))),
        }
    }

    fn finish(self, options: &Options, start: Instant) -> Result<()> {
        let mut total = Tally::default();
        println!("\n==> Summary after {:.0} s", start.elapsed().as_secs_f64());
        for (name, outcome) in &self.lines {
            match outcome {
                Outcome::Passed => println!("    {name}: passed"),
                Outcome::Failed(error) => {
                    println!("    {name}: FAILED: {error}");
                    total.failed += 1;
                }
                Outcome::Tests(tally) if tally.ran() == 0 && options.filters.is_empty() => {
                    println!("    {name}: FAILED: no test ran");
                    total.failed += 1;
                }
                Outcome::Tests(tally) => {
                    println!("    {name}: {tally}");
                    total += *tally;
                }
            }
        }
        println!("{total}");
        if total.failed > 0 {
            bail!("not everything passed");
        }
        if !options.filters.is_empty() && total.ran() == 0 {
            bail!("no test has a name that contains {}", options.filters.join(" or "));
        }
        Ok(())
    }
}
