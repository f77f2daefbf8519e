//! HTTP/1.1 over a plain socket, for blobs: uploads use sendfile, and downloads are read into one buffer and discarded.
//! Client and server share the machine, so the CPU time of the client slows down both servers equally and would hide
//! the difference between them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

/// A persistent connection, with the buffer for responses.
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    token: Option<String>,
    buffer: Vec<u8>,
}

/// The head of a response, whose body was read and discarded.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    /// The length of the body in bytes.
    pub(crate) length: u64,
}

/// The maximum number of bytes per read.
const BUFFER: usize = 256 * 1024;

impl Connection {
    /// Connects to `http://host:port`.
    pub(crate) fn open(url: &str, token: Option<String>) -> Result<Self> {
        let host = url.strip_prefix("http://").context("the URL must use plain HTTP")?.to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, token, buffer: vec![0; BUFFER] })
    }

    /// Sends a request and reads the response. `target` is a path with query, or a URL on the same host.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: Option<(File, u64)>) -> Result<Answer> {
        let origin = format!("http://{}", self.host);
        let path = target.strip_prefix(&origin).unwrap_or(target);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if method != "GET" {
            let length = body.as_ref().map_or(0, |(_, length)| *length);
            head += &format!("Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n");
        }
        self.stream.write_all((head + "\r\n").as_bytes())?;
        if let Some((mut file, length)) = body {
            let sent = std::io::copy(&mut file, &mut self.stream)?;
            ensure!(sent == length, "the file has {sent} bytes instead of {length}");
        }
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut there = 0;
        let end = loop {
            let read = self.stream.read(&mut self.buffer[there..])?;
            ensure!(read > 0, "the connection was closed before the response");
            there += read;
            if let Some(end) = self.buffer[..there].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end])?;
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).context("the response has no status")?;
        let status: u16 = status.parse()?;
        let header = |wanted: &str| {
            head.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        let location = header("location");
        let length = match header("content-length") {
            Some(length) => length.parse()?,
            None if matches!(status, 202 | 204 | 304) => 0,
            None => bail!("the response has no Content-Length"),
        };
        let mut left = (length as u64).saturating_sub((there - end) as u64);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let read = self.stream.read(&mut self.buffer[..most])?;
            ensure!(read > 0, "the connection was closed within a response body");
            left -= read as u64;
        }
        Ok(Answer { status, location, length })
    }
}
