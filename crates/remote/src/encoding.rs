//! Content that arrives compressed although it was requested as it is. Some proxies compress content, and some storage
//! services label a layer that is a gzip file as encoded. Only the digest distinguishes the two.

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{self, Write};

use crate::answer::{header, tidy};

/// The bytes decoded at once; the output is at most about a thousand times as long.
const STEP: usize = 4 * 1024;

/// The `Content-Encoding` of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentEncoding {
    name: String,
    coding: Option<Coding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zlib,
}

impl ContentEncoding {
    /// The encoding in the headers of a response; `None` means that the content is not encoded.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let name = header(headers, &CONTENT_ENCODING)?.to_ascii_lowercase();
        let coding = match name.as_str() {
            "identity" => return None,
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Zlib),
            _ => None,
        };
        Some(Self { name: tidy(&name), coding })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it can be decoded here.
    pub fn is_known(&self) -> bool {
        self.coding.is_some()
    }

    /// What a user can do if content cannot be used because of it.
    pub fn remedy(&self) -> String {
        format!(
            "it came with Content-Encoding: {}, though it was asked for as it is; keep the proxy or store before the \
             registry from compressing what passes it (nginx: gzip off)",
            self.name
        )
    }

    pub(crate) fn decoder(&self) -> Option<Decoder> {
        Some(match self.coding? {
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            Coding::Zlib => Decoder::Zlib(ZlibDecoder::new(Vec::new())),
        })
    }

    /// Decodes whole content; `None` if it does not have this encoding or has more than `max` bytes when decoded.
    pub(crate) fn undo(&self, encoded: &[u8], max: usize) -> Option<Bytes> {
        let (mut decoder, mut plain) = (self.decoder()?, Vec::new());
        for step in encoded.chunks(STEP) {
            plain.append(&mut decoder.feed(step).ok()?);
            if plain.len() > max {
                return None;
            }
        }
        decoder.end().ok()?;
        Some(plain.into())
    }
}

/// A streaming decoder.
pub(crate) enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Decoder {
    /// Decodes the next few bytes.
    fn feed(&mut self, step: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => {
                decoder.write_all(step)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zlib(decoder) => {
                decoder.write_all(step)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }

    /// Fails if the content cannot be complete.
    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
        }
    }

    /// Decodes and removes the beginning of `piece`.
    pub(crate) fn step(&mut self, piece: &mut Bytes) -> io::Result<Bytes> {
        let step = piece.split_to(piece.len().min(STEP));
        self.feed(&step).map(Bytes::from)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    fn encoding(name: &'static str) -> Option<ContentEncoding> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        ContentEncoding::of(&headers)
    }

    #[test]
    fn content_compressed_in_transit_is_decoded() {
        let plain = vec![7; 3 * STEP];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&plain).unwrap();
        for (name, encoded) in [("gzip", &gzip), ("X-GZIP", &gzip), ("deflate", &zlib.finish().unwrap())] {
            let encoding = encoding(name).unwrap();
            assert_eq!(encoding.undo(encoded, plain.len()).as_deref(), Some(&plain[..]), "{name}");
            assert_eq!(encoding.undo(encoded, plain.len() - 1), None, "{name}: within its bounds");
            assert_eq!(encoding.undo(b"{}", 10), None);
        }
        assert_eq!(encoding("gzip").unwrap().undo(&gzip[..gzip.len() / 2], plain.len()), None, "broken off");
        assert_eq!(encoding("identity"), None);
        let unknown = encoding("br").unwrap();
        assert!(!unknown.is_known() && unknown.undo(b"x", 10).is_none());
    }
}
