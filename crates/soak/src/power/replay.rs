//! Replays the system calls of a traced server on a model of a disk, and records when the server acknowledged which
//! requests.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Inode, Sync};
use super::syncs::{Syncs, renamed};
use super::trace::Call;
use crate::client::NUMBER;
use crate::expected::Number;

/// The system calls that the replay needs. Those that it cannot replay are included, so that a server that begins to
/// use one is noticed.
pub(crate) const TRACED: &str = "open,openat,creat,close,dup,dup2,dup3,fcntl,mkdir,mkdirat,rmdir,rename,renameat,\
renameat2,unlink,unlinkat,link,linkat,write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate,fsync,\
fdatasync,sync,syncfs,mmap,copy_file_range,sendfile,splice,io_uring_setup,sendto,sendmsg,recvfrom,recvmsg";

/// The calls of a server, and how far they have been replayed.
pub(crate) struct Replay<'t> {
    calls: &'t [Call],
    moments: Vec<Moment>,
    next: usize,
    root: PathBuf,
    /// Syncs that are ignored.
    without: Option<Syncs>,
    /// Files that were later stored under another name.
    renamed: HashSet<PathBuf>,
    files: HashMap<i64, Open>,
    running: HashMap<usize, Sync>,
    /// The last request that was read from each connection.
    asked: HashMap<i64, Number>,
    pub(crate) disk: Disk,
    /// The requests whose responses the server has begun to send.
    pub(crate) acknowledged: BTreeSet<Number>,
    /// Whether clients had started to work.
    pub(crate) begun: bool,
}

/// The begin or end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    line: usize,
    call: usize,
    is_end: bool,
}

#[derive(Debug, Clone)]
struct Open {
    inode: Inode,
    path: PathBuf,
    offset: u64,
    append: bool,
}

impl<'t> Replay<'t> {
    /// The calls of a server with its files below `root`; all syncs count except `without`.
    pub(crate) fn new(calls: &'t [Call], root: &Path, without: Option<Syncs>) -> Self {
        let mut moments: Vec<Moment> = calls
            .iter()
            .enumerate()
            .flat_map(|(call, what)| {
                let at = |line, is_end| Moment { line, call, is_end };
                [at(what.begin, false), at(what.end, true)]
            })
            // A call that never ended may not have happened.
            .filter(|moment| moment.line != usize::MAX)
            .collect();
        moments.sort_unstable();
        Self {
            calls,
            moments,
            next: 0,
            root: root.to_owned(),
            without,
            renamed: renamed(calls, root),
            files: HashMap::new(),
            running: HashMap::new(),
            asked: HashMap::new(),
            disk: Disk::new(),
            acknowledged: BTreeSet::new(),
            begun: false,
        }
    }

    /// The number of moments.
    pub(crate) fn length(&self) -> usize {
        self.moments.len()
    }

    /// Replays up to this moment.
    pub(crate) fn advance_to(&mut self, moment: usize) {
        while self.next < moment {
            let Moment { call, is_end, .. } = self.moments[self.next];
            match is_end {
                false => self.begin(call),
                true => self.end(&self.calls[call], call),
            }
            self.next += 1;
        }
    }

    /// Acknowledgements and closed files count from the beginning of their calls. A sync covers what came before the
    /// beginning of its call.
    fn begin(&mut self, number: usize) {
        let call = &self.calls[number];
        match call.name.as_str() {
            "close" => drop(self.files.remove(&call.number(0))),
            "fsync" | "fdatasync" => {
                if let Some(open) = self.files.get(&call.number(0)) {
                    self.running.insert(number, self.disk.begin_sync(open.inode));
                }
            }
            "write" | "writev" | "sendto" | "sendmsg" => self.answer(call),
            _ => {}
        }
    }

    fn answer(&mut self, call: &Call) {
        let connection = call.number(0);
        if self.asked.contains_key(&connection) && call.bytes(1).starts_with(b"HTTP/1.1 ") {
            let number = self.asked.remove(&connection).expect("it was found");
            if call.bytes(1).starts_with(b"HTTP/1.1 2") {
                self.acknowledged.insert(number);
            }
        }
    }

    fn end(&mut self, call: &Call, number: usize) {
        let Some(result) = call.result else { return self.unfit(call) };
        if result < 0 {
            return;
        }
        let file = |at: usize| self.files.get(&call.number(at)).cloned();
        match call.name.as_str() {
            "openat" => self.open(&call.path(1), call, 2, result),
            "open" | "creat" => self.open(&call.path(0), call, 1, result),
            "fcntl" if call.arguments[1].starts_with("F_DUPFD") => self.duplicate(call.number(0), result),
            "dup" | "dup2" | "dup3" => self.duplicate(call.number(0), result),
            "mkdir" => self.at(&call.path(0), |disk, path| disk.make_folder(path)),
            "mkdirat" => self.at(&call.path(1), |disk, path| disk.make_folder(path)),
            "rename" => self.rename(&call.path(0), &call.path(1)),
            "renameat" | "renameat2" => self.rename(&call.path(1), &call.path(3)),
            "link" => self.link(&call.path(0), &call.path(1)),
            "linkat" => self.link(&call.path(1), &call.path(3)),
            "unlink" | "rmdir" => self.at(&call.path(0), |disk, path| disk.remove(path)),
            "unlinkat" => self.at(&call.path(1), |disk, path| disk.remove(path)),
            "pwrite64" => {
                if let Some(open) = file(0) {
                    let bytes = call.bytes(1);
                    self.disk.write(open.inode, call.number(3) as u64, &bytes[..result as usize]);
                }
            }
            "write" | "writev" => self.append(call, result),
            "ftruncate" => {
                if let Some(open) = file(0) {
                    self.disk.set_length(open.inode, call.number(1) as u64);
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(sync) = self.running.remove(&number)
                    && self.counts(call)
                {
                    self.disk.end_sync(sync);
                }
            }
            "recvfrom" | "recvmsg" => self.request(call),
            _ => self.unfit(call),
        }
    }

    fn counts(&self, call: &Call) -> bool {
        let Some(open) = self.files.get(&call.number(0)) else { return true };
        self.without.is_none_or(|without| Syncs::of(&open.path, &self.renamed) != Some(without))
    }

    /// Calls that cannot be replayed must not be used on files.
    fn unfit(&self, call: &Call) {
        let on_file = |at: usize| {
            let number = call.arguments.get(at).and_then(|text| text.parse().ok());
            number.is_some_and(|number: i64| self.files.contains_key(&number))
        };
        let unfit = match call.name.as_str() {
            "pwritev" | "pwritev2" | "fallocate" | "sendfile" => on_file(0),
            "copy_file_range" | "splice" => on_file(2),
            "truncate" | "io_uring_setup" => true,
            // The index of SQLite's log is shared memory, which is created again at each start.
            "mmap" => {
                call.has(3, "MAP_SHARED") && call.has(2, "PROT_WRITE") && on_file(4) && !self.is_index(call)
            }
            _ => false,
        };
        assert!(!unfit, "the model of the disk does not support {call:?}");
    }

    fn is_index(&self, call: &Call) -> bool {
        let open = self.files.get(&call.number(4));
        open.is_some_and(|open| self.disk.find(Path::new("data/longshore.db-shm")) == Some(open.inode))
    }

    /// A path relative to the root; `None` for files elsewhere, which do not matter.
    fn below(&self, path: &str) -> Option<PathBuf> {
        Path::new(path).strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    fn at(&mut self, path: &str, change: impl FnOnce(&mut Disk, &Path)) {
        if let Some(path) = self.below(path) {
            change(&mut self.disk, &path);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let (Some(from), Some(to)) = (self.below(from), self.below(to)) {
            self.disk.rename(&from, &to);
        }
    }

    fn link(&mut self, from: &str, to: &str) {
        if let (Some(from), Some(to)) = (self.below(from), self.below(to)) {
            self.disk.link(&from, &to);
        }
    }

    fn open(&mut self, path: &str, call: &Call, flags: usize, handle: i64) {
        let Some(path) = self.below(path) else { return };
        let inode = match call.has(flags, "O_CREAT") {
            true => Some(self.disk.create(&path)),
            false => self.disk.find(&path),
        };
        let Some(inode) = inode else { return };
        if call.has(flags, "O_TRUNC") && self.disk.length(inode) > 0 {
            self.disk.set_length(inode, 0);
        }
        self.files.insert(handle, Open { inode, path, offset: 0, append: call.has(flags, "O_APPEND") });
    }

    fn duplicate(&mut self, from: i64, to: i64) {
        if let Some(open) = self.files.get(&from).cloned() {
            self.files.insert(to, open);
        }
    }

    fn append(&mut self, call: &Call, written: i64) {
        let handle = call.number(0);
        let Some(mut open) = self.files.get(&handle).cloned() else { return };
        if open.append {
            open.offset = self.disk.length(open.inode);
        }
        self.disk.write(open.inode, open.offset, &call.bytes(1)[..written as usize]);
        open.offset += written as u64;
        self.files.insert(handle, open);
    }

    fn request(&mut self, call: &Call) {
        let bytes = call.bytes(1);
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let Some((_, rest)) = head.split_once(&format!("{NUMBER}: ")) else { return };
        let Some(number) = rest.split_once('\r').and_then(|(number, _)| number.parse().ok()) else { return };
        self.asked.insert(call.number(0), number);
        self.begun = true;
    }
}
