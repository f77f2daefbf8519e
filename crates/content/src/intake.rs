//! Receives a body: each batch is hashed and stored at the same time, on two threads, while the next one arrives.
//! Memory is bounded by two batches, however long the body is.

use crate::hash::Hasher;
use crate::store::{ByteStream, StoreError, Writer, off_thread};
use bytes::Bytes;
use futures::StreamExt;
use metrics::counter;
use std::io;

/// The number of bytes that are hashed and written together.
const BATCH: usize = 512 * 1024;
/// The maximum number of frames in a batch, so that a body of single bytes needs no more memory than another.
const MAX_FRAMES: usize = 256;

/// A received body.
pub(crate) struct Intake {
    /// The hash of all received bytes.
    pub(crate) hasher: Hasher,
    /// The number of bytes received.
    pub(crate) length: u64,
    /// Why the body broke off; `None` if it is complete.
    pub(crate) broken: Option<io::Error>,
}

/// Stores and hashes a body to its end. A body that breaks off is not an error here: what was received of it is stored
/// and hashed as well.
pub(crate) async fn take_in(
    mut body: ByteStream,
    writer: &mut dyn Writer,
    hasher: Hasher,
) -> Result<Intake, StoreError> {
    let mut intake = Intake { hasher, length: 0, broken: None };
    let mut batch = Batch::gather(&mut body).await;
    loop {
        let Batch { frames, length, end } = batch;
        let mut hasher = intake.hasher;
        let hashed_frames = frames.clone();
        let hash = off_thread(move || {
            hashed_frames.iter().for_each(|frame| hasher.update(frame));
            hasher
        });
        let next = async {
            match end {
                End::NotYet => Ok((Some(Batch::gather(&mut body).await), None)),
                End::Whole => Ok((None, None)),
                End::Broken(error) => Ok((None, Some(error))),
            }
        };
        let (hasher, (), (next, broken)) = futures::try_join!(hash, writer.append(frames), next)?;
        counter!("longshore_blob_received_bytes_total").increment(length);
        intake = Intake { hasher, length: intake.length + length, broken };
        match next {
            Some(next) => batch = next,
            None => return Ok(intake),
        }
    }
}

enum End {
    NotYet,
    Whole,
    Broken(io::Error),
}

struct Batch {
    frames: Vec<Bytes>,
    length: u64,
    end: End,
}

impl Batch {
    async fn gather(body: &mut ByteStream) -> Self {
        let (mut frames, mut length) = (Vec::new(), 0);
        let end = loop {
            match body.next().await {
                None => break End::Whole,
                Some(Err(error)) => break End::Broken(error),
                Some(Ok(frame)) => {
                    length += frame.len();
                    frames.push(frame);
                    if length >= BATCH || frames.len() == MAX_FRAMES {
                        break End::NotYet;
                    }
                }
            }
        };
        Self { frames, length: length as u64, end }
    }
}
