//! A server as a child process: its output in a file, killed when it is dropped.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::eventually::eventually;

/// How long a server may take to listen; generous, since a busy machine runs several tests at once.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a server's output a failing test shows.
const SHOWN_LINES: usize = 60;

pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    /// Where the output of this run begins in the log, which earlier runs may have begun.
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

    /// What follows `marker` on its line in the output of this run, as soon as it is there.
    pub(crate) async fn says(&mut self, marker: &str) -> String {
        let what = format!("{} says {marker:?}", self.name);
        eventually(&what, START_TIMEOUT, async || {
            let log = fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(log.get(self.log_start..).unwrap_or_default()).into_owned();
            if let Some(status) = self.child.try_wait().expect("a child can be asked for its status") {
                panic!("{} ended at its start ({status}):\n{log}", self.name);
            }
            // Only a finished line holds all of it.
            let finished = log.split_once(marker).and_then(|(_, rest)| rest.split_once('\n'));
            finished.map(|(line, _)| line.to_owned()).ok_or(log)
        })
        .await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process as a power cut would, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "{} takes no SIG{signal}", self.name);
    }

    /// Asks the process to end, and waits for it.
    pub(crate) async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal("TERM");
        let child = &mut self.child;
        eventually(&format!("{} ends after SIGTERM", self.name), timeout, async || {
            child.try_wait().expect("a child can be asked for its status")
        })
        .await
    }

    /// Everything that the process, and its predecessors on this log, wrote.
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
