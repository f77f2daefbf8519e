//! A model of a disk that gives the guarantees of POSIX and no others: written data is certain once the file was
//! synced, and an entry of a folder once the folder was. Until then any of it may be lost, entirely or partly, and in
//! any order. Stronger guarantees of some file systems (such as the order of renames) are not assumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path};
use std::rc::Rc;

use rand::Rng;

/// The size in bytes that a disk writes atomically.
const SECTOR: usize = 512;

/// A file or a folder, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inode(usize);

/// A sync that was started; it covers what was written before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sync {
    inode: Inode,
    before: u64,
}

/// Files and folders, as processes see them and as a power cut would leave them.
#[derive(Debug)]
pub(crate) struct Disk {
    inodes: Vec<Node>,
    /// Counts changes, so that a sync knows which came before it.
    clock: u64,
}

#[derive(Debug)]
enum Node {
    File { synced: Vec<u8>, length: u64, pending: Vec<(u64, Write)> },
    Folder { synced: Entries, now: Entries, pending: Vec<(u64, Entry)> },
}

type Entries = BTreeMap<String, Inode>;

#[derive(Debug, Clone)]
enum Write {
    Bytes { offset: u64, bytes: Rc<[u8]> },
    Length(u64),
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    inode: Option<Inode>,
}

/// The share of unsynced changes that survives: 0 is none, 1 is all.
pub(crate) type Luck = f64;

impl Disk {
    /// A disk with an empty folder that is synced.
    pub(crate) fn new() -> Self {
        let root = Node::Folder { synced: Entries::new(), now: Entries::new(), pending: Vec::new() };
        Self { inodes: vec![root], clock: 0 }
    }

    const ROOT: Inode = Inode(0);

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The inode at a path, if there is one. Paths are relative to the root folder.
    pub(crate) fn find(&self, path: &Path) -> Option<Inode> {
        path.components().filter(|part| *part != Component::CurDir).try_fold(Self::ROOT, |folder, name| {
            match &self.inodes[folder.0] {
                Node::Folder { now, .. } => now.get(name.as_os_str().to_str()?).copied(),
                Node::File { .. } => None,
            }
        })
    }

    fn place(&self, path: &Path) -> (Inode, String) {
        let folder = path.parent().and_then(|parent| self.find(parent));
        let folder = folder.unwrap_or_else(|| panic!("{} has no folder", path.display()));
        let name = path.file_name().and_then(|name| name.to_str()).expect("a path ends with a name");
        (folder, name.to_owned())
    }

    fn set_entry(&mut self, path: &Path, inode: Option<Inode>) {
        let ((folder, name), at) = (self.place(path), self.tick());
        let Node::Folder { now, pending, .. } = &mut self.inodes[folder.0] else {
            panic!("{} is below a file", path.display());
        };
        match inode {
            Some(inode) => now.insert(name.clone(), inode),
            None => now.remove(&name),
        };
        pending.push((at, Entry { name, inode }));
    }

    fn add(&mut self, path: &Path, node: Node) -> Inode {
        let inode = Inode(self.inodes.len());
        self.inodes.push(node);
        self.set_entry(path, Some(inode));
        inode
    }

    /// The file at a path, created if necessary.
    pub(crate) fn create(&mut self, path: &Path) -> Inode {
        self.find(path).unwrap_or_else(|| {
            self.add(path, Node::File { synced: Vec::new(), length: 0, pending: Vec::new() })
        })
    }

    pub(crate) fn make_folder(&mut self, path: &Path) {
        self.add(path, Node::Folder { synced: Entries::new(), now: Entries::new(), pending: Vec::new() });
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) {
        let inode = self.find(from);
        self.set_entry(to, inode);
        self.set_entry(from, None);
    }

    pub(crate) fn link(&mut self, from: &Path, to: &Path) {
        let inode = self.find(from);
        self.set_entry(to, inode);
    }

    pub(crate) fn remove(&mut self, path: &Path) {
        self.set_entry(path, None);
    }

    /// The current length of a file.
    pub(crate) fn length(&self, file: Inode) -> u64 {
        match &self.inodes[file.0] {
            Node::File { length, .. } => *length,
            Node::Folder { .. } => 0,
        }
    }

    pub(crate) fn write(&mut self, file: Inode, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        self.change(file, self.length(file).max(end), Write::Bytes { offset, bytes: bytes.into() });
    }

    pub(crate) fn set_length(&mut self, file: Inode, length: u64) {
        self.change(file, length, Write::Length(length));
    }

    fn change(&mut self, file: Inode, new_length: u64, write: Write) {
        let at = self.tick();
        let Node::File { length, pending, .. } = &mut self.inodes[file.0] else {
            panic!("a folder cannot be written to");
        };
        *length = new_length;
        pending.push((at, write));
    }

    /// Starts a sync of a file or a folder. Changes during the sync need not be covered.
    pub(crate) fn begin_sync(&self, inode: Inode) -> Sync {
        Sync { inode, before: self.clock }
    }

    /// Ends a sync: what it covers is certain.
    pub(crate) fn end_sync(&mut self, sync: Sync) {
        match &mut self.inodes[sync.inode.0] {
            Node::File { synced, pending, .. } => {
                for (_, write) in pending.extract_if(.., |(at, _)| *at <= sync.before) {
                    apply(synced, &write, |_| true);
                }
            }
            Node::Folder { synced, pending, .. } => {
                for (_, entry) in pending.extract_if(.., |(at, _)| *at <= sync.before) {
                    set(synced, &entry);
                }
            }
        }
    }

    /// Writes a possible state after a power cut now to `target`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn after_power_cut(&self, target: &Path, luck: Luck, random: &mut impl Rng) -> io::Result<()> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![(Self::ROOT, target.to_owned())];
        while let Some((inode, path)) = waiting.pop() {
            match &self.inodes[inode.0] {
                Node::File { synced, pending, .. } => {
                    // A file with two names is still one file.
                    let bytes =
                        files.entry(inode).or_insert_with(|| surviving(synced, pending, luck, random));
                    fs::write(path, bytes)?;
                }
                Node::Folder { synced, pending, .. } => {
                    fs::create_dir_all(&path)?;
                    for (name, inode) in surviving_entries(synced, pending, luck, random) {
                        waiting.push((inode, path.join(name)));
                    }
                }
            }
        }
        Ok(())
    }
}

fn survives(luck: Luck, random: &mut impl Rng) -> bool {
    random.random_bool(luck)
}

/// A possible content of a file, of which some sectors were written since its sync and others were not.
fn surviving(synced: &[u8], pending: &[(u64, Write)], luck: Luck, random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = synced.to_vec();
    for (_, write) in pending {
        apply(&mut bytes, write, |_| survives(luck, random));
    }
    bytes
}

/// A possible content of a folder: of the changes of one name, those up to any one may have been written.
fn surviving_entries(
    synced: &Entries,
    pending: &[(u64, Entry)],
    luck: Luck,
    random: &mut impl Rng,
) -> Entries {
    let mut entries = synced.clone();
    let mut lost = BTreeSet::new();
    for (_, entry) in pending {
        if lost.contains(&entry.name) || !survives(luck, random) {
            lost.insert(&entry.name);
        } else {
            set(&mut entries, entry);
        }
    }
    entries
}

fn set(entries: &mut Entries, entry: &Entry) {
    match entry.inode {
        Some(inode) => entries.insert(entry.name.clone(), inode),
        None => entries.remove(&entry.name),
    };
}

/// Writes the sectors that `reached` the disk. Missing bytes before them read as zeros.
fn apply(file: &mut Vec<u8>, write: &Write, mut reached: impl FnMut(usize) -> bool) {
    match write {
        Write::Length(length) => {
            if reached(0) {
                file.resize(*length as usize, 0);
            }
        }
        Write::Bytes { offset, bytes } => {
            let start = *offset as usize;
            let mut at = 0;
            while at < bytes.len() {
                let sector_end = (start + at) / SECTOR * SECTOR + SECTOR;
                let end = bytes.len().min(sector_end - start);
                if reached(start + at) {
                    if file.len() < start + end {
                        file.resize(start + end, 0);
                    }
                    file[start + at..start + end].copy_from_slice(&bytes[at..end]);
                }
                at = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A disk with the file `f`, which contains `text`; neither is synced.
    fn with_file(text: &str) -> (Disk, Inode) {
        let mut disk = Disk::new();
        let file = disk.create(Path::new("f"));
        disk.write(file, 0, text.as_bytes());
        (disk, file)
    }

    fn sync(disk: &mut Disk, inode: Inode) {
        let sync = disk.begin_sync(inode);
        disk.end_sync(sync);
    }

    /// The remaining content of the files at these paths.
    fn left(disk: &Disk, luck: Luck, paths: &[&str]) -> Vec<Option<String>> {
        let folder = TempDir::new().unwrap();
        let mut random = StdRng::seed_from_u64(1);
        disk.after_power_cut(folder.path(), luck, &mut random).unwrap();
        let path = |path: &&str| -> PathBuf { folder.path().join(path) };
        paths.iter().map(|name| fs::read_to_string(path(name)).ok()).collect()
    }

    #[test]
    fn a_file_is_certain_once_it_and_its_folder_were_synced() {
        let (mut disk, file) = with_file("hello");
        assert_eq!(left(&disk, 0.0, &["f"]), [None]);
        assert_eq!(left(&disk, 1.0, &["f"]), [Some("hello".to_owned())]);
        sync(&mut disk, file);
        assert_eq!(left(&disk, 0.0, &["f"]), [None], "its name is not synced");
        sync(&mut disk, Disk::ROOT);
        assert_eq!(left(&disk, 0.0, &["f"]), [Some("hello".to_owned())]);
        disk.write(file, 5, b" world");
        assert_eq!(left(&disk, 0.0, &["f"]), [Some("hello".to_owned())]);
        disk.set_length(file, 1);
        sync(&mut disk, file);
        assert_eq!(left(&disk, 0.0, &["f"]), [Some("h".to_owned())]);
    }

    #[test]
    fn a_synced_name_of_an_unsynced_file_is_an_empty_file() {
        let (mut disk, _) = with_file("hello");
        sync(&mut disk, Disk::ROOT);
        assert_eq!(left(&disk, 0.0, &["f"]), [Some(String::new())]);
    }

    #[test]
    fn a_rename_is_certain_once_its_target_folder_was_synced() {
        let (mut disk, file) = with_file("hello");
        sync(&mut disk, file);
        disk.make_folder(Path::new("to"));
        sync(&mut disk, Disk::ROOT);
        disk.rename(Path::new("f"), Path::new("to/g"));
        assert_eq!(left(&disk, 0.0, &["f", "to/g"]), [Some("hello".to_owned()), None]);
        let folder = disk.find(Path::new("to")).unwrap();
        sync(&mut disk, folder);
        let both = [Some("hello".to_owned()), Some("hello".to_owned())];
        assert_eq!(left(&disk, 0.0, &["f", "to/g"]), both, "the old folder was not synced");
        sync(&mut disk, Disk::ROOT);
        assert_eq!(left(&disk, 0.0, &["f", "to/g"]), [None, Some("hello".to_owned())]);
    }

    #[test]
    fn the_content_of_a_lost_folder_is_lost() {
        let mut disk = Disk::new();
        disk.make_folder(Path::new("a"));
        let file = disk.create(Path::new("a/f"));
        let folder = disk.find(Path::new("a")).unwrap();
        sync(&mut disk, file);
        sync(&mut disk, folder);
        assert_eq!(left(&disk, 0.0, &["a/f"]), [None]);
        sync(&mut disk, Disk::ROOT);
        assert_eq!(left(&disk, 0.0, &["a/f"]), [Some(String::new())]);
    }

    #[test]
    fn a_sync_covers_the_changes_before_its_start() {
        let (mut disk, file) = with_file("one");
        sync(&mut disk, Disk::ROOT);
        let running = disk.begin_sync(file);
        disk.write(file, 3, b"two");
        disk.end_sync(running);
        assert_eq!(left(&disk, 0.0, &["f"]), [Some("one".to_owned())]);
    }

    #[test]
    fn any_sector_of_a_write_may_be_lost() {
        let (mut disk, file) = with_file("");
        sync(&mut disk, Disk::ROOT);
        disk.write(file, 100, &[b'x'; 50 * SECTOR]);
        let Some(Some(text)) = left(&disk, 0.5, &["f"]).pop() else { panic!("the file exists") };
        let written = text.bytes().filter(|byte| *byte == b'x').count();
        assert!(written > 10 * SECTOR && written < 40 * SECTOR, "{written} bytes");
        assert!(
            text.as_bytes()[SECTOR..].chunks(SECTOR).all(|sector| sector.iter().all(|b| *b == sector[0]))
        );
    }

    #[test]
    fn a_removal_may_be_lost_until_its_folder_was_synced() {
        let (mut disk, file) = with_file("hello");
        sync(&mut disk, file);
        sync(&mut disk, Disk::ROOT);
        disk.remove(Path::new("f"));
        assert_eq!(left(&disk, 0.0, &["f"]), [Some("hello".to_owned())]);
        sync(&mut disk, Disk::ROOT);
        assert_eq!(left(&disk, 0.0, &["f"]), [None]);
    }
}
