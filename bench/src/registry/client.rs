//! A client with little overhead: it computes no digests and discards the content that it reads. Over plain HTTP, blobs
//! are transferred by [`super::wire`].

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Certificate, Method, RequestBuilder};
use tokio_util::io::ReaderStream;

use super::corpus::{Blob, Corpus};
use super::peer::Peer;
use super::wire::Connection;

/// The number of concurrent requests, as in the script of the corpora.
pub(crate) const JOBS: usize = 8;
/// The size of reads from a file.
const CHUNK: usize = 512 * 1024;

/// The version of HTTP to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// HTTP/1.1, with a connection for each concurrent request.
    Http1,
    /// HTTP/2 if TLS is used, with one connection for all requests.
    Http2,
}

/// An HTTP client that trusts only `authority`, if given.
pub(crate) fn http_client(authority: Option<&str>, protocol: Protocol) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some(pem) = authority {
        builder = builder.tls_certs_only([Certificate::from_pem(pem.as_bytes())?]);
    }
    if protocol == Protocol::Http1 {
        builder = builder.http1_only();
    }
    Ok(builder.build()?)
}

/// A client of one registry.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    corpus: Arc<Corpus>,
}

impl Client {
    pub(crate) fn new(peer: &Peer, protocol: Protocol, corpus: &Arc<Corpus>) -> Result<Self> {
        let http = http_client(peer.authority.as_deref(), protocol)?;
        Ok(Self { http, url: peer.url.clone(), token: peer.token.clone(), corpus: corpus.clone() })
    }

    fn request(&self, method: Method, repository: &str, path: &str) -> RequestBuilder {
        let url = format!("{}/v2/{}/{repository}/{path}", self.url, self.corpus.name);
        self.with_token(self.http.request(method, url))
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Pushes the whole corpus, with up to `jobs` concurrent blob uploads.
    pub(crate) async fn push(&self, jobs: usize) -> Result<()> {
        if self.url.starts_with("http://") {
            let push = |wire: &mut Connection, (repository, blob): (String, Blob)| {
                self.push_over_wire(wire, &repository, &blob)
            };
            self.over_wires(jobs, self.corpus.blobs(), push)?;
        } else {
            in_parallel(jobs, self.corpus.blobs(), |(repository, blob)| self.push_blob(repository, blob))
                .await?;
        }
        in_parallel(jobs, self.corpus.mounts(), |(digest, from, to)| async move {
            let path = format!("blobs/uploads/?mount={digest}&from={}/{from}", self.corpus.name);
            let answer = self.request(Method::POST, &to, &path).header(CONTENT_LENGTH, 0).send().await?;
            ensure!(answer.status() == 201, "mount of {digest}: {}", answer.status());
            Ok(())
        })
        .await?;
        for step in &self.corpus.steps {
            let bytes = tokio::fs::read(self.corpus.file(&step.digest)).await?;
            for reference in &step.references {
                let request = self.request(Method::PUT, &step.repository, &format!("manifests/{reference}"));
                let answer =
                    request.header(CONTENT_TYPE, &step.media_type).body(bytes.clone()).send().await?;
                ensure!(answer.status() == 201, "manifest {reference}: {}", answer.status());
            }
        }
        Ok(())
    }

    fn push_over_wire(&self, wire: &mut Connection, repository: &str, blob: &Blob) -> Result<u64> {
        let begin = format!("/v2/{}/{repository}/blobs/uploads/", self.corpus.name);
        let answer = wire.ask("POST", &begin, None)?;
        ensure!(answer.status == 202, "start of an upload: {}", answer.status);
        let location = answer.location.context("the response to an upload has no Location header")?;
        let and = if location.contains('?') { '&' } else { '?' };
        let file = File::open(self.corpus.file(&blob.digest))?;
        let target = format!("{location}{and}digest={}", blob.digest);
        let answer = wire.ask("PUT", &target, Some((file, blob.size)))?;
        ensure!(answer.status == 201, "blob {}: {}", blob.digest, answer.status);
        Ok(blob.size)
    }

    fn pull_over_wire(&self, wire: &mut Connection, repository: &str, blob: &Blob) -> Result<u64> {
        let target = format!("/v2/{}/{repository}/blobs/{}", self.corpus.name, blob.digest);
        let answer = wire.ask("GET", &target, None)?;
        ensure!(answer.status == 200, "blob {}: {}", blob.digest, answer.status);
        ensure!(
            answer.length == blob.size,
            "{} has {} bytes instead of {}",
            blob.digest,
            answer.length,
            blob.size
        );
        Ok(answer.length)
    }

    /// Distributes work over `jobs` connections. Returns the number of bytes transferred.
    fn over_wires<T: Send>(
        &self,
        jobs: usize,
        work: impl IntoIterator<Item = T, IntoIter: Send>,
        each: impl Fn(&mut Connection, T) -> Result<u64> + Sync,
    ) -> Result<u64> {
        let waiting = Mutex::new(work.into_iter());
        let next = || waiting.lock().expect("taking one does not panic").next();
        let one = || {
            let mut wire = Connection::open(&self.url, self.token.clone())?;
            std::iter::from_fn(next).map(|one| each(&mut wire, one)).sum::<Result<u64>>()
        };
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(one)).collect();
                threads.into_iter().map(|thread| thread.join().expect("a wire does not panic")).sum()
            })
        })
    }

    async fn push_blob(&self, repository: String, blob: Blob) -> Result<()> {
        let begin = self.request(Method::POST, &repository, "blobs/uploads/").header(CONTENT_LENGTH, 0);
        let answer = begin.send().await?;
        ensure!(answer.status() == 202, "start of an upload: {}", answer.status());
        let location = answer
            .headers()
            .get(LOCATION)
            .context("the response to an upload has no Location header")?
            .to_str()?;
        let mut url = answer.url().join(location)?;
        url.query_pairs_mut().append_pair("digest", &blob.digest);
        let file = tokio::fs::File::open(self.corpus.file(&blob.digest)).await?;
        let body = Body::wrap_stream(ReaderStream::with_capacity(file, CHUNK));
        let request = self.with_token(self.http.put(url)).header(CONTENT_LENGTH, blob.size);
        let answer = request.header(CONTENT_TYPE, "application/octet-stream").body(body).send().await?;
        ensure!(answer.status() == 201, "blob {}: {}", blob.digest, answer.status());
        Ok(())
    }

    /// Pulls each blob `times` times, with up to `jobs` concurrent requests. Returns the number of bytes.
    pub(crate) async fn pull(&self, blobs: &[(String, Blob)], times: usize, jobs: usize) -> Result<u64> {
        let wanted = (0..times).flat_map(|_| blobs.iter().cloned());
        if self.url.starts_with("http://") {
            let pull = |wire: &mut Connection, (repository, blob): (String, Blob)| {
                self.pull_over_wire(wire, &repository, &blob)
            };
            return self.over_wires(jobs, wanted, pull);
        }
        let pulled = stream::iter(wanted).map(|(repository, blob)| async move {
            let request = self.request(Method::GET, &repository, &format!("blobs/{}", blob.digest));
            let answer = request.send().await?.error_for_status()?;
            let read =
                answer.bytes_stream().try_fold(0, async |sum, chunk| Ok(sum + chunk.len() as u64)).await?;
            ensure!(read == blob.size, "{} has {read} bytes instead of {}", blob.digest, blob.size);
            Ok(read)
        });
        pulled.buffer_unordered(jobs).try_fold(0, async |sum, read| Ok(sum + read)).await
    }

    /// Sends `count` GET requests for manifests. Returns the duration of each request and of all together.
    pub(crate) async fn manifests(&self, count: usize) -> Result<(Vec<Duration>, Duration)> {
        let tags: Vec<(&str, &str)> = self
            .corpus
            .steps
            .iter()
            .flat_map(|step| {
                step.references.iter().map(|reference| (step.repository.as_str(), reference.as_str()))
            })
            .collect();
        let started = Instant::now();
        let asked = stream::iter((0..count).map(|number| tags[number % tags.len()])).map(
            |(repository, reference)| async move {
                let begun = Instant::now();
                let request = self.request(Method::GET, repository, &format!("manifests/{reference}"));
                let request = request.header("accept", longshore_oci::media_type::ACCEPT_MANIFESTS);
                request.send().await?.error_for_status()?.bytes().await?;
                anyhow::Ok(begun.elapsed())
            },
        );
        let latencies = asked.buffer_unordered(JOBS).try_collect().await?;
        Ok((latencies, started.elapsed()))
    }
}

async fn in_parallel<T, F: Future<Output = Result<()>>>(
    jobs: usize,
    work: impl IntoIterator<Item = T>,
    each: impl Fn(T) -> F,
) -> Result<()> {
    stream::iter(work).map(each).buffer_unordered(jobs).try_collect().await
}
