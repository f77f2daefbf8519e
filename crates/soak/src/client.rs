//! A client that does random things one after another, and records what it requested and what was acknowledged. It
//! ends when the server does.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use longshore_oci::Digest;
use longshore_testkit::corpus::{self, Layer, Package};
use longshore_testkit::{Answer, Longshore, RegistryClient, Rest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};

use crate::expected::{Journal, State, Thing};
use crate::scene::{PROMOTED, WORK};

/// The header with the number of a request, so that a trace of the server shows which request it responds to.
pub(crate) const NUMBER: &str = "x-soak-number";
/// The number of tags of a client; every other one is promoted.
const TAGS: usize = 6;
/// Layers that all clients share, so that some blobs already exist.
const SHARED_LAYERS: u64 = 12;
/// The maximum number of attempts of a push whose blobs were garbage-collected.
const ATTEMPTS: usize = 5;

/// The server has ended.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) struct Client {
    name: usize,
    random: StdRng,
    registry: RegistryClient,
    rest: Rest,
    journal: Arc<Mutex<Journal>>,
}

impl Client {
    pub(crate) fn new(server: &Longshore, name: usize, seed: u64, journal: Arc<Mutex<Journal>>) -> Self {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1000).wrapping_add(name as u64));
        Self { name, random, registry: server.registry(), rest: server.rest(), journal }
    }

    /// Works until the server has ended or the maximum is reached; the last thing is an unfinished upload.
    pub(crate) async fn work(mut self, most: usize) {
        for _ in 0..most {
            if self.one_thing().await.is_err() {
                return;
            }
        }
        // A power cut after everything else shows whether it is lost.
        let _ = self.leave_an_upload().await;
    }

    async fn one_thing(&mut self) -> Result<(), Gone> {
        match self.random.random_range(0..100) {
            0..50 => self.push(false).await,
            50..65 => self.push(true).await,
            65..72 => self.push_referrer().await,
            72..86 => self.delete_tag().await,
            86..92 => self.delete_manifest().await,
            92..96 => self.leave_an_upload().await,
            _ => self.collect().await,
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("no client panics while it records")
    }

    fn some_tag(&mut self) -> String {
        let number = self.random.random_range(0..TAGS);
        let end = if number.is_multiple_of(2) { PROMOTED } else { "" };
        format!("c{}-{number}{end}", self.name)
    }

    /// Sends a request that changes something; returns whether it was acknowledged with this status.
    async fn ask(
        &self,
        request: RequestBuilder,
        status: u16,
        effects: Vec<(Thing, State)>,
    ) -> Result<Answer, Gone> {
        let number = self.journal().ask(effects);
        let answer = self.registry.try_send(request.header(NUMBER, number)).await.map_err(|_| Gone)?;
        if answer.status == status {
            self.journal().acknowledge(number);
        } else {
            assert!(answer.status < 500, "{answer:?}");
            self.journal().refuse(number);
        }
        Ok(answer)
    }

    async fn push(&mut self, in_chunks: bool) -> Result<(), Gone> {
        let seed = self.random.random();
        let package = if self.random.random_bool(0.2) {
            corpus::index(seed, &["linux/amd64", "linux/arm64"], false)
        } else {
            let own = Layer::new(seed, self.random.random_range(100..60_000));
            let shared = Layer::new(self.random.random_range(0..SHARED_LAYERS), 20_000);
            corpus::image_of(&[shared, own])
        };
        let tag = self.some_tag();
        self.push_package(&package, Some(&tag), in_chunks).await
    }

    async fn push_referrer(&mut self) -> Result<(), Gone> {
        let tag = self.some_tag();
        if self.journal().certain(&tag).is_none() {
            return Ok(());
        }
        // The subject may be missing, so any will do.
        let subject = corpus::image(self.random.random(), 1, 100);
        self.push_package(&corpus::signature(&subject), None, false).await
    }

    async fn push_package(
        &mut self,
        package: &Package,
        tag: Option<&str>,
        in_chunks: bool,
    ) -> Result<(), Gone> {
        for attempt in 0..ATTEMPTS {
            for (digest, bytes) in &package.blobs {
                let path = format!("/v2/{WORK}/blobs/{digest}");
                let head = self.registry.request(Method::HEAD, &path);
                let known = self.registry.try_send(head).await.map_err(|_| Gone)?.status == 200;
                // If the time to live is short, an existing blob may be collected soon.
                if !known || attempt > 0 {
                    self.push_blob(digest, bytes, in_chunks).await?;
                }
            }
            if self.push_manifests(package, tag).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns whether all were accepted. They are not if a blob that they reference was deleted.
    async fn push_manifests(&mut self, package: &Package, tag: Option<&str>) -> Result<bool, Gone> {
        for manifest in &package.manifests {
            let mut effects = vec![(Thing::Manifest(manifest.digest.clone()), State::Present)];
            let reference = match tag {
                Some(tag) if manifest.digest == package.root => {
                    let points = State::PointsTo(manifest.digest.clone());
                    effects.push((Thing::Tag(tag.to_owned()), points));
                    tag
                }
                _ => manifest.digest.as_str(),
            };
            let path = format!("/v2/{WORK}/manifests/{reference}");
            let request = self.registry.request(Method::PUT, &path);
            let request = request.header(CONTENT_TYPE, &manifest.media_type).body(manifest.bytes.clone());
            if self.ask(request, 201, effects).await?.status != 201 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn push_blob(&mut self, digest: &Digest, bytes: &Bytes, in_chunks: bool) -> Result<(), Gone> {
        let (mut location, mut sent) = (self.begin_upload(bytes).await?, 0);
        while in_chunks && sent + 1 < bytes.len() && self.random.random_bool(0.7) {
            (location, sent) = self.send_chunk(&location, bytes, sent).await?;
        }
        self.finish(&location, digest, bytes.slice(sent..)).await
    }

    async fn leave_an_upload(&mut self) -> Result<(), Gone> {
        let bytes: Bytes = (0..50_000).map(|_| self.random.random::<u8>()).collect::<Vec<_>>().into();
        let (mut location, mut sent) = (self.begin_upload(&bytes).await?, 0);
        for _ in 0..self.random.random_range(1..4) {
            (location, sent) = self.send_chunk(&location, &bytes, sent).await?;
        }
        Ok(())
    }

    async fn begin_upload(&mut self, bytes: &Bytes) -> Result<String, Gone> {
        let number = self.journal().ask(Vec::new());
        let request = self.registry.request(Method::POST, &format!("/v2/{WORK}/blobs/uploads/"));
        let answer =
            self.registry.try_send(request.header(NUMBER, number)).await.map_err(|_| Gone)?.expect(202);
        let location = answer.header("location").expect("an upload has a location").to_owned();
        self.journal().upload_began(number, &location, bytes.clone());
        Ok(location)
    }

    async fn send_chunk(
        &mut self,
        location: &str,
        bytes: &Bytes,
        from: usize,
    ) -> Result<(String, usize), Gone> {
        let to = self.random.random_range(from + 1..=bytes.len());
        let effects = vec![(Thing::Upload(location.to_owned()), State::Has(to as u64))];
        let request = self.registry.request(Method::PATCH, location);
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_RANGE, format!("{from}-{}", to - 1))
            .body(bytes.slice(from..to));
        let answer = self.ask(request, 202, effects).await?.expect(202);
        assert_eq!(answer.header("location"), Some(location), "an upload keeps its location");
        Ok((location.to_owned(), to))
    }

    async fn finish(&mut self, location: &str, digest: &Digest, rest: Bytes) -> Result<(), Gone> {
        let upload = Thing::Upload(location.to_owned());
        let length = self.journal().uploads[location].len() as u64;
        let effects = vec![
            // If the last part breaks off, the upload keeps what was received.
            (upload.clone(), State::Has(length)),
            (upload, State::Absent),
            (Thing::Blob(digest.clone()), State::Present),
        ];
        let request = self.registry.request(Method::PUT, &format!("{location}?digest={digest}"));
        let request = request.header(CONTENT_TYPE, "application/octet-stream").body(rest);
        self.ask(request, 201, effects).await?.expect(201);
        Ok(())
    }

    async fn delete_tag(&mut self) -> Result<(), Gone> {
        let tag = self.some_tag();
        if self.journal().certain(&tag).is_none() {
            return Ok(());
        }
        let request = self.registry.request(Method::DELETE, &format!("/v2/{WORK}/manifests/{tag}"));
        self.ask(request, 202, vec![(Thing::Tag(tag), State::Absent)]).await?.expect(202);
        Ok(())
    }

    async fn delete_manifest(&mut self) -> Result<(), Gone> {
        let tag = self.some_tag();
        let Some(digest) = self.journal().certain(&tag) else { return Ok(()) };
        let effects =
            vec![(Thing::Tag(tag), State::Absent), (Thing::Manifest(digest.clone()), State::Absent)];
        let request = self.registry.request(Method::DELETE, &format!("/v2/{WORK}/manifests/{digest}"));
        self.ask(request, 202, effects).await?.expect(202);
        Ok(())
    }

    async fn collect(&mut self) -> Result<(), Gone> {
        let order = serde_json::json!({"action": "garbage_collect"});
        self.rest.try_post("/jobs", order).await.map(drop).map_err(|_| Gone)
    }
}
