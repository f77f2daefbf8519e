//! Request bodies: as a stream that detects truncation, or whole if they are small.

use crate::error::Failure;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use longshore_content::ByteStream;
use longshore_oci::ErrorCode;
use std::io;

/// The body as a stream. If `length` is announced, a shorter or longer body ends in an error: a broken connection must
/// never look like the end of the content.
pub(crate) fn stream(body: Body, length: Option<u64>) -> ByteStream {
    let frames = body.into_data_stream().map(|frame| frame.map_err(io::Error::other));
    let Some(length) = length else { return frames.boxed() };
    let checked = futures::stream::unfold((frames.boxed(), length), |(mut frames, left)| async move {
        match frames.next().await {
            Some(Ok(frame)) => match left.checked_sub(frame.len() as u64) {
                Some(left) => Some((Ok(frame), (frames, left))),
                None => Some((Err(io::Error::other("the body is longer than announced")), (frames, 0))),
            },
            Some(Err(error)) => Some((Err(error), (frames, 0))),
            None if left > 0 => Some((Err(io::ErrorKind::UnexpectedEof.into()), (frames, 0))),
            None => None,
        }
    });
    checked.boxed()
}

/// The whole body if it has at most `limit` bytes; `None` if it has more.
pub(crate) async fn whole(body: Body, limit: usize) -> Result<Option<Bytes>, Failure> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(Some(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => {
            Err(Failure::new(ErrorCode::SizeInvalid, format!("the request is incomplete: {error}")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    #[tokio::test]
    async fn a_body_of_another_length_than_announced_ends_in_an_error() {
        let read = |length| stream(Body::from("four"), length).try_collect::<Vec<_>>();
        assert_eq!(read(None).await.unwrap().concat(), b"four");
        assert_eq!(read(Some(4)).await.unwrap().concat(), b"four");
        assert_eq!(read(Some(5)).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(read(Some(3)).await.unwrap_err().to_string().contains("longer than announced"));
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_not_read_to_the_end() {
        assert_eq!(whole(Body::from("four"), 4).await.unwrap().unwrap(), "four");
        assert!(whole(Body::from("five!"), 4).await.unwrap().is_none());
    }
}
