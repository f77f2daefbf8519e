//! The configuration of the binary, and its first start.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use longshore_testkit::{Longshore, Rest, eventually};

/// Runs the binary to its end, in a temporary folder and without the environment of the tester.
fn longshore(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(folder, arguments, variables).output().expect("the binary runs")
}

fn command(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LONGSHORE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(variables.iter().copied()).current_dir(folder).stdin(Stdio::null());
    command
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The long options in a text.
fn options(text: &str) -> BTreeSet<&str> {
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let names = text.split(|letter| !is_name(letter)).filter(|word| word.starts_with("--") && word.len() > 4);
    names.collect()
}

#[test]
fn every_option_has_a_row_in_the_readme_and_every_row_an_option() {
    let help = text(&longshore(folder().path(), &["serve", "--help"], &[]).stdout);
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with("--"));
    let mut known: BTreeSet<&str> = lines.filter_map(|line| line.split_ascii_whitespace().next()).collect();
    // Used for a single start, and described above the table.
    assert!(known.remove("--restored") && known.len() > 40, "{help}");
    let readme = include_str!("../../../README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `--"));
    let described: BTreeSet<&str> =
        rows.flat_map(|row| options(row.split('|').nth(1).unwrap_or_default())).collect();
    let missing: Vec<_> = known.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "no row: {missing:?}; no option: {unknown:?}");
}

#[test]
fn tables_of_settings_in_the_documentation_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut tables = 0;
    for page in
        ["README.md", "docs/operating/history.md", "docs/operating/limits.md", "docs/operating/tls.md"]
    {
        let written = std::fs::read_to_string(root.join(page)).expect(page);
        let printed = text(&longshore(root, &["settings-in", page], &[]).stdout);
        assert_eq!(written, printed, "{page} is out of date; run `cargo xtask docs`");
        tables += printed.matches("| option | variable | default | meaning |").count();
    }
    assert_eq!(tables, 4);
}

#[test]
fn an_invalid_setting_is_named_in_the_form_in_which_it_was_set() {
    let folder = folder();
    let error = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = longshore(folder.path(), &[&["check-config"], arguments].concat(), variables);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    assert!(error(&["--workers=0"], &[]).contains("--workers is 0; it must be at least 1"));
    let variable = [("LONGSHORE_LIMIT_HEADERS", "many")];
    assert!(error(&[], &variable).contains("LONGSHORE_LIMIT_HEADERS is “many”, which is not a whole number"));
    std::fs::write(folder.path().join("longshore.toml"), "workers = 2\n[keep]\njobs_days = 99999\n")
        .expect("written");
    let message = error(&[], &[]);
    assert!(
        message.contains("longshore.toml, line 3: keep.jobs_days is 99999; it must be at most 36500"),
        "{message}"
    );
    assert!(
        error(&["--keep-jobs-days=x"], &[]).contains("--keep-jobs-days is “x”"),
        "the command line counts"
    );
}

#[test]
fn an_unknown_key_is_rejected_with_its_line() {
    let folder = folder();
    std::fs::write(folder.path().join("longshore.toml"), "workers = 2\nlisetn = '127.0.0.1:1'\n")
        .expect("written");
    let output = longshore(folder.path(), &["check-config"], &[]);
    let error = text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        error.contains("longshore.toml") && error.contains("lisetn") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn an_invalid_line_is_not_repeated_because_it_may_contain_a_password() {
    let folder = folder();
    let line = "databse = 'postgres://longshore:geheim@db/longshore'\n";
    std::fs::write(folder.path().join("longshore.toml"), line).expect("written");
    let error = text(&longshore(folder.path(), &["check-config"], &[]).stderr);
    assert!(error.contains("line 1") && error.contains("databse") && !error.contains("geheim"), "{error}");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let folder = folder();
    let names = [
        "LISTEN",
        "DATA",
        "DATABASE",
        "WORKERS",
        "EXTERNAL_URL",
        "METRICS_FROM",
        "LOG",
        "S3_BUCKET",
        "CONFIG",
    ];
    let names = names.map(|name| format!("LONGSHORE_{name}"));
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let (with, without) = (
        longshore(folder.path(), &["check-config"], &empty),
        longshore(folder.path(), &["check-config"], &[]),
    );
    assert!(with.status.success(), "{}", text(&with.stderr));
    assert_eq!(text(&with.stdout), text(&without.stdout));
}

#[test]
fn an_option_overrides_the_environment_which_overrides_the_file() {
    let folder = folder();
    std::fs::write(
        folder.path().join("longshore.toml"),
        "listen = '127.0.0.1:1001'\nworkers = 1\nzone = 'Europe/Berlin'\n",
    )
    .expect("written");
    let variables = [("LONGSHORE_LISTEN", "127.0.0.1:1002"), ("LONGSHORE_WORKERS", "2")];
    let output = longshore(folder.path(), &["check-config", "--listen", "127.0.0.1:1003"], &variables);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (name, value) in [("listen", "127.0.0.1:1003"), ("workers", "2"), ("zone", "Europe/Berlin")] {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        assert!(line.ends_with(value), "{line}");
    }
}

#[test]
fn a_missing_configuration_file_that_was_named_is_an_error() {
    let folder = folder();
    let output = longshore(folder.path(), &["check-config", "--config", "elsewhere.toml"], &[]);
    assert!(!output.status.success() && text(&output.stderr).contains("elsewhere.toml"));
}

#[test]
fn secrets_are_not_shown() {
    let folder = folder();
    let key = "ab".repeat(32);
    let variables = [("LONGSHORE_ENCRYPTION_KEY", key.as_str()), ("LONGSHORE_ADMIN_PASSWORD", "open sesame")];
    let output = longshore(folder.path(), &["check-config"], &variables);
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(shown.contains("LONGSHORE_ENCRYPTION_KEY"), "{shown}");
    assert!(!shown.contains(&key) && !shown.contains("sesame"), "{shown}");
}

#[test]
fn invalid_tls_settings_are_detected_before_the_start() {
    let folder = folder();
    for (toml, named) in [
        ("tls = { cert = 'missing.pem', key = 'missing.key' }", "missing.pem cannot be read"),
        ("tls = { private_ca = true, names = ['ümlaut'] }", "ümlaut cannot be certified"),
    ] {
        std::fs::write(folder.path().join("longshore.toml"), toml).expect("written");
        let output = longshore(folder.path(), &["check-config"], &[]);
        assert!(!output.status.success() && text(&output.stderr).contains(named), "{}", text(&output.stderr));
    }
}

#[test]
fn an_invalid_address_is_rejected_with_a_valid_example() {
    let output = longshore(folder().path(), &["check-config", "--listen", ":8080"], &[]);
    assert!(text(&output.stderr).contains("such as 0.0.0.0:8080"), "{}", text(&output.stderr));
}

#[test]
fn the_description_of_the_rest_interface_is_printed() {
    let folder = folder();
    let output = longshore(folder.path(), &["openapi"], &[]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["info"]["title"], "Longshore");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_password_is_printed_once_and_works() {
    let folder = folder();
    let log = folder.path().join("log");
    let start = || {
        let output = std::fs::File::create(&log).expect("the log");
        let mut command = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"], &[]);
        Running(command.stdout(output).stderr(Stdio::null()).spawn().expect("the binary starts"))
    };
    let listening = async || {
        eventually("the server to listen", Duration::from_secs(60), async || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let address =
                log.split_once("listening on ").and_then(|(_, rest)| rest.lines().next().map(str::to_owned));
            address.ok_or(log)
        })
        .await
    };

    let first = start();
    let url = listening().await;
    let printed = std::fs::read_to_string(&log).expect("the log");
    let (_, rest) = printed.split_once("password  ").expect("the password is printed");
    let password = rest.lines().next().expect("a line with the password").to_owned();
    assert!(password.len() >= 16, "{printed}");
    Rest::new(&url).as_user("admin", &password).get("/accounts/admin").await.expect(200);
    drop(first);

    let _second = start();
    let url = listening().await;
    assert!(!std::fs::read_to_string(&log).expect("the log").contains("password"));
    Rest::new(&url).as_user("admin", &password).get("/accounts/admin").await.expect(200);
}

/// A process that is killed when the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_09_sparse_manifests_are_accepted_as_configured() {
    let package = longshore_testkit::corpus::index(1, &["linux/amd64"], false);
    let index = package.manifests.last().expect("the index comes last");
    for (which, status) in [("refused", 400), ("indexes", 201), ("all", 201)] {
        let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
            .argument(&format!("--sparse-manifests={which}"))
            .start()
            .await;
        let put =
            server.registry().put_manifest("admin/sparse", "1", &index.media_type, index.bytes.clone()).await;
        assert_eq!(put.status, status, "{which}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_cannot_share_a_data_folder() {
    let server = Longshore::start(env!("CARGO_BIN_EXE_longshore")).await;
    let folder = folder();
    let data = server.data();
    let data = data.to_str().expect("a path of this test");
    let output = longshore(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--data", data], &[]);
    let error = text(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("another longshore") && error.contains(data), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_from_the_command_line_while_the_server_runs() {
    let server = Longshore::start(env!("CARGO_BIN_EXE_longshore")).await;
    let folder = folder();
    let data = server.data();
    let data = data.to_str().expect("a path of this test");
    let piped = |arguments: &[&str], line: &str| {
        use std::io::Write;
        let mut command = command(folder.path(), arguments, &[]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut input = child.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("the password is read");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    piped(&["user", "add", "dev", "--data", data], "first password of dev");
    server.rest().as_user("dev", "first password of dev").get("/accounts/dev").await.expect(200);
    piped(&["user", "passwd", "dev", "--data", data], "second password of dev");
    server.rest().as_user("dev", "second password of dev").get("/accounts/dev").await.expect(200);
    server.rest().as_user("dev", "first password of dev").get("/accounts/dev").await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_soon_although_event_streams_are_open() {
    let mut server = Longshore::start(env!("CARGO_BIN_EXE_longshore")).await;
    let followed = reqwest::Client::new()
        .get(format!("{}/events?jobs=1", server.url()))
        .basic_auth("admin", Some(longshore_testkit::ADMIN_PASSWORD))
        .send()
        .await
        .expect("the stream begins");
    assert_eq!(followed.status(), 200);
    let begun = std::time::Instant::now();
    assert!(server.terminate().await.success());
    assert!(begun.elapsed() < Duration::from_secs(10));
    followed.bytes().await.expect("the stream is complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_encryption_key_is_reported_once() {
    let mut server = Longshore::start(env!("CARGO_BIN_EXE_longshore")).await;
    server.terminate().await;
    let key = server.data().with_extension("key");
    std::fs::remove_file(&key).expect("the key is beside the data");
    server.restart().await;
    let told = || server.log().matches("is another one than before").count();
    assert_eq!(told(), 1);
    assert!(key.exists());
}
