//! The shared corpora as files, generated once, so that generating data does not disturb the measurements.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The script that exports a corpus to files, with the corpora's own module.
const EXPORT: &str = include_str!("export.py");

/// A manifest, with the blobs that must be pushed before it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) repository: String,
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) references: Vec<String>,
    pub(crate) blobs: Vec<Blob>,
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// A corpus on disk.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    folder: PathBuf,
}

impl Corpus {
    /// Generates the files in `cache`, unless they exist.
    pub(crate) fn load(shared: &Path, name: &str, scale: f64, cache: &Path) -> Result<Self> {
        let folder = cache.join(format!("{name}-{scale}"));
        let plan = folder.join("plan.json");
        if !plan.exists() {
            println!("generating the files of {name} at scale {scale}");
            let mut python = Command::new("python3");
            python
                .args(["-c", EXPORT])
                .arg(shared.join("corpus"))
                .args([name, &scale.to_string()])
                .arg(&folder);
            ensure!(
                python.status().context("cannot start python3")?.success(),
                "cannot generate the corpus {name}"
            );
        }
        let plan = std::fs::read(&plan).with_context(|| format!("cannot read {}", plan.display()))?;
        Ok(Self { name: name.to_owned(), steps: serde_json::from_slice(&plan)?, folder })
    }

    /// The path of the content with this digest.
    pub(crate) fn file(&self, digest: &str) -> PathBuf {
        self.folder.join(digest)
    }

    /// Every blob once, with the repository that it is pushed to first.
    pub(crate) fn blobs(&self) -> Vec<(String, Blob)> {
        let mut first: BTreeMap<&Blob, &str> = BTreeMap::new();
        for step in &self.steps {
            for blob in &step.blobs {
                first.entry(blob).or_insert(&step.repository);
            }
        }
        first.into_iter().map(|(blob, repository)| (repository.to_owned(), blob.clone())).collect()
    }

    /// The cross-repository mounts: digest, from, to.
    pub(crate) fn mounts(&self) -> BTreeSet<(String, String, String)> {
        let first: BTreeMap<String, String> =
            self.blobs().into_iter().map(|(repository, blob)| (blob.digest, repository)).collect();
        let uses = self.steps.iter().flat_map(|step| step.blobs.iter().map(move |blob| (step, blob)));
        uses.map(|(step, blob)| (blob.digest.clone(), first[&blob.digest].clone(), step.repository.clone()))
            .filter(|(_, from, to)| from != to)
            .collect()
    }

    /// The total size of all blobs, each counted once.
    pub(crate) fn bytes(&self) -> u64 {
        self.blobs().iter().map(|(_, blob)| blob.size).sum()
    }

    pub(crate) fn repositories(&self) -> BTreeSet<&str> {
        self.steps.iter().map(|step| step.repository.as_str()).collect()
    }
}
