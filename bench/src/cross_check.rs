//! An independent check rather than a benchmark. The shared corpora are pushed by their own script, copied by push
//! mirrors to Debian's docker-registry and from there by pull mirrors to a second Longshore. The script verifies that
//! each copy is complete.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Longshore, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folder that contains corpus/corpus.py
    #[arg(long, env = "LONGSHORE_SHARED")]
    shared: Option<PathBuf>,
    /// Names of the corpora
    #[arg(long, value_delimiter = ',', default_value = "tiny,multiarch,artifacts")]
    corpora: Vec<String>,
}

/// Time limit for all mirrors of a server.
const PATIENCE: Duration = Duration::from_secs(300);

/// Checks every corpus; fails at the first difference.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let Some(shared) = &options.shared else {
        bail!("LONGSHORE_SHARED is not set; it must name the folder that contains corpus/corpus.py");
    };
    let script = shared.join("corpus/corpus.py");
    ensure!(script.is_file(), "{} does not exist (LONGSHORE_SHARED)", script.display());
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
        println!("{corpus}: {} repositories copied and verified", repositories.len());
    }
    Ok(true)
}

/// The name of a repository as one path segment, with slashes escaped.
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

/// Waits until no job is waiting or running.
async fn settle(server: &Longshore) {
    eventually("all mirrors to finish", PATIENCE, async || {
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
    let output = command.output().await.context("cannot start python3")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "corpus.py {verb} {at} {url}: {said}");
    print!("{said}");
    Ok(())
}
