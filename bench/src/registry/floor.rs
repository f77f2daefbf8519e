//! The durable floor: the minimum time to read a corpus, hash it, and write it to disk with fsync.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::client::JOBS;
use super::corpus::{Blob, Corpus};

/// The number of bytes that are read, hashed and written at a time.
const CHUNK: usize = 512 * 1024;

/// Writes every blob to a folder in `medium`, with [`JOBS`] threads. Returns the time that it took.
pub(crate) fn measure(corpus: &Corpus, medium: &Path) -> Result<Duration> {
    let target = TempDir::new_in(medium)?;
    let waiting = Mutex::new(corpus.blobs());
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..JOBS)
            .map(|_| {
                scope.spawn(|| {
                    while let Some((_, blob)) = next(&waiting) {
                        write(&corpus.file(&blob.digest), &blob, target.path())?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("writing does not panic"))
    })
    .map(|()| started.elapsed())
}

fn next(waiting: &Mutex<Vec<(String, Blob)>>) -> Option<(String, Blob)> {
    waiting.lock().expect("taking one does not panic").pop()
}

fn write(from: &Path, blob: &Blob, folder: &Path) -> Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(folder.join(&blob.digest))?);
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read])?;
    }
    to.sync_all()?;
    File::open(folder)?.sync_all()?;
    ensure!(blob.digest == format!("sha256:{}", hex::encode(hash.finalize())), "{} is damaged", blob.digest);
    Ok(())
}
