//! A server as a child process: its output goes to a file, and it is killed when it is dropped.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::eventually::eventually;

/// The maximum time until a server listens; generous, since a busy machine runs several tests at once.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of lines of a server's output that a failing test prints.
const SHOWN_LINES: usize = 60;

pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// Where the output of this run begins in the log, which may contain earlier runs.
    log_start: usize,
}

impl Server {
    /// Starts `command` with its output appended to the file `log`.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Self {
        let log_start = fs::metadata(log).map_or(0, |file| file.len()) as usize;
        let output = OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let errors = output.try_clone().expect("a file handle can be shared");
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().unwrap_or_else(|error| {
                panic!("{name} ({:?}) does not start: {error}", command.get_program())
            });
        Self { name, child, log: log.to_owned(), log_start }
    }

    /// The address that follows `marker` in the output of this run.
    pub(crate) async fn listening(&mut self, marker: &str) -> SocketAddr {
        let line = self.says(marker).await;
        let end = line.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(line.len());
        line[..end].parse().unwrap_or_else(|error| panic!("{error}: {} says {marker}{line}", self.name))
    }

    /// What follows `marker` on its line in the output of this run, once it appears.
    pub(crate) async fn says(&mut self, marker: &str) -> String {
        let what = format!("{} says {marker:?}", self.name);
        eventually(&what, START_TIMEOUT, async || {
            let log = fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(log.get(self.log_start..).unwrap_or_default()).into_owned();
            if let Some(status) = self.child.try_wait().expect("a child can be asked for its status") {
                panic!("{} exited while starting ({status}):\n{log}", self.name);
            }
            // Only a finished line is complete.
            let finished = log.split_once(marker).and_then(|(_, rest)| rest.split_once('\n'));
            finished.map(|(line, _)| line.to_owned()).ok_or(log)
        })
        .await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process as a power cut would, and waits until it has ended.
    pub(crate) fn kill9(&mut self) {
        // An error means that it has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "SIG{signal} could not be sent to {}",
            self.name
        );
    }

    /// Terminates the process and waits until it exits.
    pub(crate) async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal("TERM");
        let child = &mut self.child;
        eventually(&format!("{} ends after SIGTERM", self.name), timeout, async || {
            child.try_wait().expect("a child can be asked for its status")
        })
        .await
    }

    /// The output of the process and of its predecessors with the same log.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- the last lines of {} ---\n{}", self.name, shown.join("\n"));
        }
    }
}
