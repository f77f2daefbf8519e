//! The two registries to compare: starting them on a given medium, and measuring their CPU time and memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Longshore, TestCa};
use serde_json::{Value, json};

use super::client::{Protocol, http_client};
use super::corpus::Corpus;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Longshore,
    DockerRegistry,
}

enum Server {
    Longshore(Longshore),
    DockerRegistry(DockerRegistry),
}

/// A running registry, prepared for a corpus.
pub(crate) struct Peer {
    server: Server,
    pub(crate) url: String,
    /// The bearer token that clients send; `None` if access is anonymous.
    pub(crate) token: Option<String>,
    /// The CA certificate that clients must trust, in PEM; `None` without TLS.
    pub(crate) authority: Option<String>,
}

/// How to start a registry.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// The Longshore binary.
    pub(crate) binary: &'a Path,
    /// The folder for its data.
    pub(crate) medium: &'a Path,
    pub(crate) tls: bool,
}

/// The resources used by a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of CPU time, user and system.
    pub(crate) cpu: f64,
    /// The resident set size, in bytes.
    pub(crate) memory: u64,
    /// The peak resident set size since [`Peer::forget_peak`], in bytes.
    pub(crate) peak: u64,
}

/// Clock ticks per second in `/proc`; 100 on all current Linux systems.
const TICKS: f64 = 100.0;

impl Peer {
    /// Starts a registry and creates the namespace and repositories that the corpus needs.
    pub(crate) async fn start(kind: Kind, setting: Setting<'_>, corpus: &Corpus) -> Result<Self> {
        let Setting { binary, medium, tls } = setting;
        match kind {
            Kind::DockerRegistry => {
                let ca = tls.then(TestCa::new);
                let mut builder = DockerRegistry::builder().below(medium);
                if let Some(ca) = &ca {
                    builder = builder.tls(ca);
                }
                let server = builder.start().await;
                let (url, authority) = (server.url(), ca.map(|ca| ca.pem().to_owned()));
                Ok(Self { url, server: Server::DockerRegistry(server), token: None, authority })
            }
            Kind::Longshore => {
                let mut builder = Longshore::builder(binary).below(medium);
                if tls {
                    builder = builder.tls_private_ca();
                }
                let server = builder.start().await;
                server
                    .rest()
                    .post("/accounts", json!({"name": corpus.name, "isOrg": true}))
                    .await
                    .expect(201);
                for name in corpus.repositories() {
                    let body = json!({"name": name, "visibility": "public"});
                    server.rest().post(&format!("/repositories/{}", corpus.name), body).await.expect(201);
                }
                let (url, authority) = (server.url(), server.ca().map(ToOwned::to_owned));
                let http = http_client(authority.as_deref(), Protocol::Http1)?;
                let token = token(&http, &url, corpus).await?;
                Ok(Self { url, server: Server::Longshore(server), token: Some(token), authority })
            }
        }
    }

    fn process(&self) -> u32 {
        match &self.server {
            Server::Longshore(server) => server.process_id(),
            Server::DockerRegistry(server) => server.process_id(),
        }
    }

    /// The resources used since the start.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.process());
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let stat = read("stat")?;
        // Only the program name, in parentheses, can contain spaces.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
        let status = read("status")?;
        let memory = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let kibibytes = line.split_ascii_whitespace().find_map(|word| word.parse::<u64>().ok());
            kibibytes.unwrap_or_default() * 1024
        };
        Ok(Usage { cpu: (ticks(11) + ticks(12)) / TICKS, memory: memory("VmRSS:"), peak: memory("VmHWM:") })
    }

    /// Resets the peak resident set size.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.process());
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
    }
}

/// Fetches a token, as real clients do, so that the cost of password verification is not paid with each request.
async fn token(http: &reqwest::Client, url: &str, corpus: &Corpus) -> Result<String> {
    let scopes: Vec<String> = corpus
        .repositories()
        .iter()
        .map(|name| format!("scope=repository:{}/{name}:pull,push", corpus.name))
        .collect();
    let request = http.get(format!("{url}/v2/token?{}", scopes.join("&")));
    let answer = request.basic_auth("admin", Some(ADMIN_PASSWORD)).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(answer["token"].as_str().context("the response has no token")?.to_owned())
}
