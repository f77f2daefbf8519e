//! Not a measurement but a comparison with somebody else's eyes: the shared corpora, pushed and
//! verified by their own script, travel through push mirrors to Debian's docker-registry and
//! through pull mirrors into a second Longshore, and must be found whole at each stop.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Longshore, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

/// What is compared.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder that holds corpus/corpus.py
    #[arg(long, env = "LONGSHORE_SHARED")]
    shared: Option<PathBuf>,
    /// The corpora
    #[arg(long, value_delimiter = ',', default_value = "tiny,multiarch,artifacts")]
    corpora: Vec<String>,
}

/// How long all mirrors may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs every corpus; an error at the first difference.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let Some(shared) = &options.shared else {
        bail!("LONGSHORE_SHARED is not set: it names the folder that holds corpus/corpus.py");
    };
    let script = shared.join("corpus/corpus.py");
    ensure!(script.is_file(), "there is no {} (LONGSHORE_SHARED)", script.display());
    for corpus in &options.corpora {
        let (here, between, there) =
            (Longshore::start(binary).await, DockerRegistry::plain().await, Longshore::start(binary).await);
        for server in [&here, &there] {
            server.rest().post("/accounts", json!({"name": corpus, "isOrg": true})).await.expect(201);
        }
        python(&script, "push", "--to", &here.url(), corpus, true).await?;
        let repositories = names(&here, corpus).await?;
        for name in &repositories {
            let mirror = json!({
                "remoteHost": between.url(), "remoteRepository": format!("{corpus}/{name}"),
                "rules": [], "tagTemplate": "%n", "enabled": true,
            });
            let path = format!("/repositories/{corpus}/{}/pushMirroringPolicies", segment(name));
            here.rest().post(&path, mirror).await.expect(201);
        }
        settle(&here).await;
        python(&script, "verify", "--at", &between.url(), corpus, false).await?;
        for name in &repositories {
            there.rest().post(&format!("/repositories/{corpus}"), json!({"name": name})).await.expect(201);
            let mirror = json!({
                "remoteHost": between.url(), "remoteRepository": format!("{corpus}/{name}"), "enabled": true,
            });
            let path = format!("/repositories/{corpus}/{}/pollMirroringPolicies", segment(name));
            there.rest().post(&path, mirror).await.expect(201);
        }
        settle(&there).await;
        python(&script, "verify", "--at", &there.url(), corpus, true).await?;
        println!("{corpus}: {} repositories travelled whole", repositories.len());
    }
    Ok(true)
}

/// A repository's name behind its namespace as one segment of a path.
fn segment(name: &str) -> String {
    name.replace('/', "%2F")
}

async fn names(server: &Longshore, namespace: &str) -> Result<Vec<String>> {
    let list = server.rest().get(&format!("/repositories/{namespace}?pageSize=500")).await.expect(200);
    let list = list.as_array().or_else(|| list["repositories"].as_array()).cloned().unwrap_or_default();
    let names: Vec<String> =
        list.iter().filter_map(|repository| repository["name"].as_str().map(str::to_owned)).collect();
    ensure!(!names.is_empty(), "no repository in {namespace}");
    Ok(names)
}

/// Waits until no job waits or runs.
async fn settle(server: &Longshore) {
    eventually("all mirrors to be done", PATIENCE, async || {
        let jobs = server.rest().get("/jobs?limit=500").await.expect(200);
        let open = |job: &&Value| job["status"] == "waiting" || job["status"] == "running";
        match jobs["jobs"].as_array().and_then(|jobs| jobs.iter().find(open)) {
            Some(job) => Err(job.clone()),
            None => Ok(()),
        }
    })
    .await;
}

async fn python(script: &Path, verb: &str, at: &str, url: &str, corpus: &str, signed_in: bool) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(script).args([verb, at, url, "--corpus", corpus]);
    if signed_in {
        command.args(["--user", "admin", "--password", ADMIN_PASSWORD]);
    }
    let output = command.output().await.context("python3 does not start")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "corpus.py {verb} {at} {url}: {said}");
    print!("{said}");
    Ok(())
}
