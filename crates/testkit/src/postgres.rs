//! One temporary PostgreSQL server for the whole test process, with a separate database for each test. It listens on
//! a socket in its own folder and ends with the process.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

const PREFIX: &str = "longshore-postgres-";

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
static DATABASES: AtomicU32 = AtomicU32::new(0);

struct Server {
    folder: PathBuf,
    programs: PathBuf,
}

/// Creates an empty database, which is removed when this process ends, and returns its URL. Takes a moment, and
/// blocks.
pub fn new_database() -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let folder = SERVER.folder.display().to_string();
    // LANG determines the collation of columns that do not set one. The tests check that it does not matter.
    let made = Command::new(SERVER.programs.join("createdb"))
        .args(["-h", &folder, "-U", "longshore", "-T", "template0", "-E", "UTF8", &name])
        .output()
        .unwrap();
    assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
    format!("postgres://longshore@localhost/{name}?host={folder}")
}

/// Collects statistics after bulk writes now, as autovacuum would within a minute. Blocks.
pub fn vacuum(url: &str) {
    let done = Command::new(SERVER.programs.join("psql"))
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command=VACUUM ANALYZE", url])
        .output()
        .unwrap();
    assert!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
}

/// Locks a table until the result is dropped, as if the server had stopped responding. Blocks.
pub fn hold(url: &str, table: &str) -> impl Drop + use<> {
    struct Holding(Child);
    impl Drop for Holding {
        fn drop(&mut self) {
            // The session ends when its input ends.
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }
    let mut session = Command::new(SERVER.programs.join("psql"))
        .args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(session.stdin.as_ref().unwrap(), "BEGIN; LOCK TABLE {table};").unwrap();
    let said = BufReader::new(session.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
    assert!(said.into_iter().any(|line| line == "LOCK TABLE"), "{table} cannot be locked");
    Holding(session)
}

impl Server {
    fn start() -> Self {
        let programs = programs();
        remove_leftovers();
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let user = User::that_may_run_it();
        if let User::Other { uid, gid } = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let made = user
            .run(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=longshore",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = user.run_until_this_process_ends(&programs.join("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=500"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap());
        // The kernel ends the server when the thread that started it ends. This thread never ends.
        let (started, failed) = mpsc::channel();
        std::thread::spawn(move || {
            let ended = server.spawn().and_then(|mut server| server.wait());
            let _ = started.send(ended);
        });
        let server = Self { folder, programs };
        server.wait_until_ready(&failed);
        server
    }

    fn wait_until_ready(&self, failed: &mpsc::Receiver<std::io::Result<std::process::ExitStatus>>) {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let ready = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h", &self.folder.display().to_string(), "-U", "longshore"])
                .status()
                .unwrap();
            if ready.success() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if let Ok(ended) = failed.recv_timeout(Duration::from_millis(50)) {
                panic!("PostgreSQL exited immediately ({ended:?}): {}", log());
            }
            assert!(Instant::now() < give_up, "PostgreSQL does not respond: {}", log());
        }
    }
}

/// The programs of the newest installed PostgreSQL.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|version| version.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .max();
    newest.expect("PostgreSQL is not installed: install the package `postgresql`")
}

/// Removes folders of test processes that have ended.
fn remove_leftovers() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !Path::new("/proc").join(process).exists() {
            // Another test process may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The user that runs the server: PostgreSQL refuses to run as root.
#[derive(Clone, Copy)]
enum User {
    Ourselves,
    Other { uid: u32, gid: u32 },
}

impl User {
    fn that_may_run_it() -> Self {
        let number = |of: &str, user: &str| -> Option<u32> {
            let told = Command::new("id").args([of, user]).output().ok()?;
            String::from_utf8(told.stdout).ok()?.trim().parse().ok()
        };
        let ourselves = Command::new("id").arg("-u").output().unwrap();
        if ourselves.stdout != b"0\n" {
            return Self::Ourselves;
        }
        let uid =
            number("-u", "postgres").expect("there is no user `postgres`: install the package `postgresql`");
        let gid = number("-g", "postgres").expect("a user has a group");
        Self::Other { uid, gid }
    }

    fn run(self, program: &Path) -> Command {
        self.setpriv(program, &[])
    }

    fn run_until_this_process_ends(self, program: &Path) -> Command {
        // QUIT is PostgreSQL's immediate shutdown; what it does not save is not needed.
        self.setpriv(program, &["--pdeathsig=QUIT"])
    }

    fn setpriv(self, program: &Path, options: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(options);
        if let Self::Other { uid, gid } = self {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.arg(program).current_dir("/");
        command
    }
}
