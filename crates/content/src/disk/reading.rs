//! A stored file as a stream. Bytes in the page cache are read directly by the task that sends them, because handing
//! that to another thread would cost more than the read. Bytes that have to come from the disk are read on a blocking
//! thread, one chunk ahead.

use crate::store::{ByteStream, StoreError, off_thread};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use longshore_oci::Span;
use rustix::fs::fstatfs;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The size of a read: large enough to be worth a system call, small enough to stay in a processor's cache until it is
/// sent.
const CHUNK: u64 = 256 * 1024;
/// The number of sent chunks that are kept for reuse.
const SPENT: usize = 2;
/// Linux's `TMPFS_MAGIC`: a file system in memory, where reads never block.
const TMPFS: i64 = 0x0102_1994;

/// Opens a file and streams a part of it.
///
/// # Errors
/// If the file does not exist or cannot be opened. The stream fails if the file is shorter than the span.
pub(super) async fn stream(path: PathBuf, span: Span) -> Result<ByteStream, StoreError> {
    let (file, wait) = off_thread(move || {
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let in_memory = fstatfs(&file).is_ok_and(|system| system.f_type == TMPFS);
        Ok::<_, StoreError>((file, if in_memory { Wait::Never } else { Wait::Refuse }))
    })
    .await??;
    Ok(chunks(file, span, wait))
}

fn chunks(file: File, span: Span, wait: Wait) -> ByteStream {
    let reader = Reader {
        file: Arc::new(file),
        at: span.start,
        end: span.start + span.length,
        wait,
        ahead: None,
        spent: VecDeque::with_capacity(SPENT),
    };
    let chunks = futures::stream::unfold(reader, async |mut reader| {
        let chunk = reader.next().await?;
        if chunk.is_err() {
            // Nothing follows an error.
            reader.at = reader.end;
        }
        Some((chunk, reader))
    });
    chunks.boxed()
}

/// Whether a direct read may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// No, all bytes are in memory.
    Never,
    /// No, a read that would block is refused.
    Refuse,
    /// Yes, the file system does not support refusing, so nothing is read directly.
    Always,
}

struct Reader {
    file: Arc<File>,
    /// The offset up to which chunks were returned, without the one ahead.
    at: u64,
    end: u64,
    wait: Wait,
    ahead: Option<Ahead>,
    /// Chunks that are being sent or were sent.
    spent: VecDeque<Bytes>,
}

enum Ahead {
    /// It was in the page cache.
    Here(BytesMut),
    /// It is being read from the disk.
    Coming(JoinHandle<io::Result<BytesMut>>),
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.at == self.end {
            return None;
        }
        let (chunk, waited) = match self.ahead.take().map_or_else(|| self.begin(), Ok) {
            Ok(Ahead::Here(chunk)) => (Ok(chunk), false),
            Ok(Ahead::Coming(reading)) => {
                let stopped = |_| Err(io::Error::other("the server is shutting down"));
                (reading.await.unwrap_or_else(stopped), true)
            }
            Err(error) => (Err(error), false),
        };
        Some(chunk.and_then(|chunk| {
            let chunk = chunk.freeze();
            self.at += chunk.len() as u64;
            if self.spent.len() == SPENT {
                self.spent.pop_front();
            }
            self.spent.push_back(chunk.clone());
            if waited && self.at < self.end {
                self.ahead = Some(self.begin()?);
            }
            Ok(chunk)
        }))
    }

    /// Reads the next chunk directly as far as that does not block, and starts to read the rest on a blocking thread.
    fn begin(&mut self) -> io::Result<Ahead> {
        let length = CHUNK.min(self.end - self.at) as usize;
        let mut chunk = self.empty_chunk(length);
        let there = self.read_at_once(&mut chunk)?;
        if there == length {
            return Ok(Ahead::Here(chunk));
        }
        let (file, at) = (self.file.clone(), self.at + there as u64);
        Ok(Ahead::Coming(tokio::task::spawn_blocking(move || {
            file.read_exact_at(&mut chunk[there..], at).map(|()| chunk)
        })))
    }

    /// Reads what is in the page cache; returns the number of bytes read.
    fn read_at_once(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.wait {
            Wait::Never => self.file.read_exact_at(into, self.at).map(|()| into.len()),
            Wait::Always => Ok(0),
            Wait::Refuse => {
                let parts = &mut [IoSliceMut::new(into)];
                match preadv2(&self.file, parts, self.at, ReadWriteFlags::NOWAIT) {
                    Ok(read) => Ok(read),
                    Err(Errno::AGAIN | Errno::INTR) => Ok(0),
                    Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
                        self.wait = Wait::Always;
                        Ok(0)
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// A chunk that was sent and is no longer in use, or a new one.
    fn empty_chunk(&mut self, length: usize) -> BytesMut {
        let mut recycled = self.spent.pop_front().and_then(|spent| match spent.try_into_mut() {
            Ok(chunk) if chunk.len() >= length => Some(chunk),
            Ok(_) => None,
            Err(in_use) => {
                self.spent.push_front(in_use);
                None
            }
        });
        if let Some(chunk) = &mut recycled {
            chunk.truncate(length);
        }
        recycled.unwrap_or_else(|| BytesMut::zeroed(length))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use std::io::Write;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    const WAYS: [Wait; 3] = [Wait::Never, Wait::Refuse, Wait::Always];

    #[tokio::test]
    async fn any_span_of_a_file_is_read_correctly_whether_its_chunks_are_kept_or_dropped() {
        let chunk = CHUNK as usize;
        let bytes = bytes(3 * chunk + 17);
        let spans =
            [(0, bytes.len()), (0, 1), (5, chunk), (chunk - 1, 2), (chunk, 2 * chunk), (3 * chunk + 16, 1)];
        for (wait, (start, length)) in WAYS.into_iter().flat_map(|wait| spans.map(|span| (wait, span))) {
            let span = Span { start: start as u64, length: length as u64 };
            let kept: Vec<Bytes> = chunks(file(&bytes), span, wait).try_collect().await.unwrap();
            assert!(kept.concat() == bytes[start..start + length], "{wait:?} {span:?}");
            // Chunks that are dropped are reused.
            let mut dropped = chunks(file(&bytes), span, wait);
            let mut at = start;
            while let Some(chunk) = dropped.try_next().await.unwrap() {
                assert!(chunk == bytes[at..at + chunk.len()], "{wait:?} {span:?} at {at}");
                at += chunk.len();
            }
            assert_eq!(at, start + length);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_its_blob_ends_in_an_error() {
        for wait in WAYS {
            let mut stream =
                chunks(file(&bytes(CHUNK as usize + 10)), Span { start: 0, length: CHUNK * 3 }, wait);
            assert_eq!(stream.try_next().await.unwrap().unwrap().len(), CHUNK as usize);
            assert_eq!(stream.try_next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{wait:?}");
            assert!(stream.try_next().await.unwrap().is_none());
        }
    }
}
