//! The measured requests: pages, REST requests, registry requests, pushes and promotions.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use longshore_oci::Digest;
use longshore_testkit::{ADMIN_PASSWORD, Longshore, Package, RegistryClient, Site, corpus};
use reqwest::{Method, RequestBuilder, header::ACCEPT};
use serde_json::json;

use super::{
    CROWDED, QUIET,
    fill::{Size, tag},
};
use crate::promote::until_readable;

/// A request, or sequence of requests, that is measured repeatedly.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// A page of the site, including its whole body.
    Page(Who, &'static str),
    /// A GET request of the REST API.
    Rest(Who, &'static str),
    /// A HEAD request of the distribution spec.
    Head(&'static str),
    /// A GET request of the distribution spec.
    Get(&'static str),
    /// A push of a new image with a unique layer to a new tag.
    Push,
    /// A push as above, measured until the promoted tag can be read.
    Promotion,
}

/// The user who sends a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Administrator,
    /// A user who can see only little of the data.
    User,
}

use Asked::{Get, Head, Page, Promotion, Push, Rest};
use Who::{Administrator, User};

/// All measured requests. `TAG`, `DIGEST`, `MIDDLE` and `JOB` are replaced by existing ones.
pub(crate) const ALL: &[Asked] = &[
    Push,
    Promotion,
    Head("crowded/app/manifests/TAG"),
    Get("crowded/app/manifests/TAG"),
    Get("crowded/app/manifests/DIGEST"),
    Get("crowded/app/referrers/DIGEST"),
    Get("crowded/app/tags/list?n=100"),
    Get("crowded/app/tags/list?n=100&last=MIDDLE"),
    Get("_catalog?n=100"),
    Page(Administrator, "/repositories"),
    Page(Administrator, "/repositories?q=service-00001"),
    Page(User, "/repositories"),
    Page(Administrator, "/repositories/crowded/app"),
    Page(Administrator, "/repositories/crowded/app/tags"),
    Page(Administrator, "/repositories/crowded/app/tags?q=build.99"),
    Page(Administrator, "/repositories/crowded/app/tags/TAG"),
    Page(Administrator, "/repositories/crowded/app/tags/TAG/promote"),
    Page(Administrator, "/repositories/crowded/app/deleted-tags"),
    Page(Administrator, "/repositories/crowded/app/promotions"),
    Page(Administrator, "/repositories/crowded/app/promotions/new"),
    Page(Administrator, "/repositories/crowded/app/mirrors"),
    Page(Administrator, "/repositories/crowded/app/mirrors/new"),
    Page(Administrator, "/repositories/crowded/app/activity"),
    Page(Administrator, "/repositories/crowded/app/settings"),
    Page(Administrator, "/deleted-repositories"),
    Page(Administrator, "/jobs"),
    Page(Administrator, "/jobs?status=errored"),
    Page(User, "/jobs"),
    Page(Administrator, "/jobs/JOB"),
    Page(Administrator, "/activity"),
    Page(User, "/activity"),
    Page(Administrator, "/remotes"),
    Page(Administrator, "/organizations"),
    Page(Administrator, "/organizations/crowded/storage"),
    Page(Administrator, "/users"),
    Page(Administrator, "/system"),
    Rest(Administrator, "/accounts"),
    Rest(Administrator, "/accounts/crowded/storage"),
    Rest(Administrator, "/repositories"),
    Rest(User, "/repositories"),
    Rest(Administrator, "/repositories/crowded"),
    Rest(Administrator, "/repositories/crowded/app"),
    Rest(Administrator, "/repositories/crowded/app/tags"),
    Rest(Administrator, "/repositories/crowded/app/tags/TAG"),
    Rest(Administrator, "/repositories/crowded/app/tags/DIGEST"),
    Rest(Administrator, "/repositories/crowded/app/tags/TAG/history"),
    Rest(Administrator, "/repositories/crowded/app/deletedTags"),
    Rest(Administrator, "/repositories/crowded/app/events"),
    Rest(Administrator, "/repositories/crowded/app/promotionPolicies"),
    Rest(Administrator, "/repositories/crowded/app/mirroringPolicies"),
    Rest(Administrator, "/deletedRepositories"),
    Rest(Administrator, "/events"),
    Rest(User, "/events"),
    Rest(Administrator, "/jobs"),
    Rest(User, "/jobs"),
    Rest(Administrator, "/jobs/JOB"),
    Rest(Administrator, "/remotes"),
    Rest(Administrator, "/pauses"),
    Rest(Administrator, "/system"),
];

impl fmt::Display for Asked {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path) = match self {
            Push => return to.pad("push"),
            Promotion => return to.pad("promotion"),
            Page(Administrator, path) => ("page ", path),
            Page(User, path) => ("page, as a user ", path),
            Rest(Administrator, path) => ("REST ", path),
            Rest(User, path) => ("REST, as a user ", path),
            Head(path) => ("HEAD /v2/", path),
            Get(path) => ("GET /v2/", path),
        };
        to.pad(&format!("{kind}{path}"))
    }
}

/// A client of one server, with what it needs to know about the server's data.
pub(crate) struct Asker {
    size: Size,
    /// Clients of the registry and the REST API, and of the site; each for [`Who::Administrator`] and [`Who::User`].
    registries: [RegistryClient; 2],
    sites: [Site; 2],
    /// The digest of an existing tag, and the identifier of an existing job.
    digest: Digest,
    job: String,
    pushes: u64,
}

/// The target repository of the promotion policy.
const PROMOTED: &str = "crowded/promoted";
const LAYER_BYTES: usize = 1024;

impl Asker {
    /// Signs in, creates the promotion policy, and looks up an existing digest and job.
    pub(crate) async fn new(server: &Longshore, size: Size) -> Result<Self> {
        let (rest, registry) = (server.rest(), server.registry());
        rest.post("/repositories/crowded", json!({"name": "promoted"})).await.expect(201);
        let policy = json!({
            "rules": [{"field": "tag", "operator": "ew", "values": ["stable"]}],
            "targetRepository": PROMOTED,
            "tagTemplate": "%n",
            "enabled": true,
        });
        rest.post(&format!("/repositories/{CROWDED}/promotionPolicies"), policy).await.expect(201);
        let middle = tag(size.tags / 2);
        let digest =
            registry.digest_of(CROWDED, middle.as_str()).await.context("there is a tag in the middle")?;
        let jobs = rest.get("/jobs?limit=1").await.expect(200);
        let job = jobs["jobs"][0]["id"].as_str().context("there is a job")?.to_owned();
        let site = server.site();
        let user = registry.anonymous().with_credentials(QUIET, ADMIN_PASSWORD);
        Ok(Self {
            size,
            registries: [registry, user],
            sites: [site.sign_in("admin", ADMIN_PASSWORD).await, site.sign_in(QUIET, ADMIN_PASSWORD).await],
            digest,
            job,
            pushes: 0,
        })
    }

    /// Sends the request and returns the time until the response is complete.
    pub(crate) async fn time(&mut self, asked: &Asked, round: u64) -> Result<Duration> {
        match *asked {
            Push => self.push("").await.map(|(_, took)| took),
            Promotion => self.promotion().await,
            Page(who, path) => {
                let request = self.sites[who as usize].request(&self.path(path, round));
                answered(request.header(ACCEPT, "text/html")).await
            }
            Rest(who, path) => {
                let path = format!("/api/v0{}", self.path(path, round));
                answered(self.registries[who as usize].request(Method::GET, &path)).await
            }
            Head(path) => self.ask(Method::HEAD, path, round).await,
            Get(path) => self.ask(Method::GET, path, round).await,
        }
    }

    async fn ask(&self, method: Method, path: &str, round: u64) -> Result<Duration> {
        let path = format!("/v2/{}", self.path(path, round));
        answered(self.registry().request(method, &path).header(ACCEPT, "*/*")).await
    }

    fn registry(&self) -> &RegistryClient {
        &self.registries[Administrator as usize]
    }

    /// Replaces the placeholders of a path; `TAG` is a different tag in each round.
    fn path(&self, path: &str, round: u64) -> String {
        // Steps of a prime number spread the rounds over all tags.
        let number = (round + 1) * 7_919 % self.size.tags;
        path.replace("TAG", tag(number).as_str())
            .replace("MIDDLE", tag(self.size.tags / 2).as_str())
            .replace("DIGEST", self.digest.as_str())
            .replace("JOB", &self.job)
    }

    async fn push(&mut self, end: &str) -> Result<(String, Duration)> {
        self.pushes += 1;
        let image = corpus::image(self.pushes, 1, LAYER_BYTES);
        let tag = format!("pushed-{}{end}", self.pushes);
        let began = Instant::now();
        self.send(&image, &tag).await?;
        Ok((tag, began.elapsed()))
    }

    async fn send(&self, image: &Package, tag: &str) -> Result<()> {
        for (digest, bytes) in &image.blobs {
            self.registry().put_blob(CROWDED, digest, bytes.clone()).await.expect(201);
        }
        let manifest = image.manifests.last().context("an image has a manifest")?;
        let (kind, bytes) = (&manifest.media_type, manifest.bytes.clone());
        self.registry().put_manifest(CROWDED, tag, kind, bytes).await.expect(201);
        Ok(())
    }

    async fn promotion(&mut self) -> Result<Duration> {
        let (tag, _) = self.push("-stable").await?;
        let measured = until_readable(self.registry(), PROMOTED, &tag).await;
        measured.with_context(|| format!("{tag} was not promoted"))
    }
}

/// The time until the last byte of a successful response.
async fn answered(request: RequestBuilder) -> Result<Duration> {
    let began = Instant::now();
    let answer = request.send().await?;
    let (status, url) = (answer.status(), answer.url().clone());
    answer.bytes().await?;
    if !status.is_success() {
        bail!("{url} returned {status}");
    }
    Ok(began.elapsed())
}
