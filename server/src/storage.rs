//! Where blobs are kept, from the settings: in the data folder, or in an S3 bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore_content::{DiskStore, S3Settings, S3Store, Store};
use secrecy::SecretString;
use url::Url;

const DEFAULT_REGION: &str = "us-east-1";

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// In a folder.
    Disk(PathBuf),
    /// In a bucket.
    Bucket {
        settings: S3Settings,
        /// Whether pulls are sent there.
        redirects: bool,
    },
}

/// What options and environment say about the bucket.
pub(crate) struct BucketOptions {
    pub(crate) bucket: Option<String>,
    pub(crate) endpoint: Option<Url>,
    pub(crate) region: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) virtual_host: Option<bool>,
    pub(crate) allow_http: Option<bool>,
    pub(crate) redirects: Option<bool>,
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<String>,
}

impl Storage {
    /// A bucket where one is named, else a folder in the data folder.
    pub(crate) fn resolve(data: &Path, options: BucketOptions) -> anyhow::Result<Self> {
        let BucketOptions { bucket, endpoint, region, prefix, virtual_host, allow_http, redirects, .. } =
            options;
        let Some(bucket) = bucket else {
            if endpoint.is_some() {
                bail!("s3_endpoint is set, but s3_bucket is not; name the bucket as well");
            }
            return Ok(Self::Disk(data.join("content")));
        };
        if endpoint.as_ref().is_some_and(|at| !at.username().is_empty() || at.password().is_some()) {
            bail!(
                "s3_endpoint holds a user or a password; they go into LONGSHORE_S3_ACCESS_KEY and \
                 LONGSHORE_S3_SECRET_KEY in the environment"
            );
        }
        let key = |key: Option<String>, name: &str| {
            key.with_context(|| format!("s3_bucket is set, but {name} is not; set it in the environment"))
        };
        let settings = S3Settings {
            bucket,
            endpoint,
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            access_key: key(options.access_key, "LONGSHORE_S3_ACCESS_KEY")?,
            secret_key: SecretString::from(key(options.secret_key, "LONGSHORE_S3_SECRET_KEY")?),
            prefix: prefix.unwrap_or_default(),
            virtual_host: virtual_host.unwrap_or(false),
            allow_http: allow_http.unwrap_or(false),
        };
        Ok(Self::Bucket { settings, redirects: redirects.unwrap_or(false) })
    }

    /// Opens the store, and asks the bucket whether it can be used.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        Ok(match self {
            Self::Disk(folder) => Arc::new(
                DiskStore::open(folder)
                    .with_context(|| format!("the folder {} cannot be used", folder.display()))?,
            ),
            Self::Bucket { settings, .. } => {
                let store = S3Store::open(settings)?;
                store.check().await.context("the content cannot be reached")?;
                Arc::new(store)
            }
        })
    }

    /// Whether pulls are sent to where the bytes are.
    pub(crate) fn redirects(&self) -> bool {
        matches!(self, Self::Bucket { redirects: true, .. })
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(folder) => folder.display().fmt(f),
            Self::Bucket { settings, redirects } => {
                write!(f, "the bucket {}", settings.bucket)?;
                if !settings.prefix.is_empty() {
                    write!(f, " below {}", settings.prefix)?;
                }
                match &settings.endpoint {
                    Some(endpoint) => write!(f, " at {endpoint}")?,
                    None => write!(f, " in {}", settings.region)?,
                }
                if *redirects {
                    f.write_str(", where pulls are sent")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn options(bucket: Option<&str>) -> BucketOptions {
        BucketOptions {
            bucket: bucket.map(str::to_owned),
            endpoint: Some("https://s3.example.com".parse().unwrap()),
            region: None,
            prefix: Some("registry".to_owned()),
            virtual_host: None,
            allow_http: None,
            redirects: Some(true),
            access_key: Some("key".to_owned()),
            secret_key: Some("geheim".to_owned()),
        }
    }

    #[test]
    fn a_bucket_is_shown_without_its_key() {
        let storage = Storage::resolve(Path::new("data"), options(Some("images"))).unwrap();
        let shown = format!("{storage} {storage:?}");
        assert!(shown.contains("the bucket images below registry at https://s3.example.com/"), "{shown}");
        assert!(storage.redirects() && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn what_is_missing_for_a_bucket_is_named() {
        let missing = |options| Storage::resolve(Path::new("data"), options).unwrap_err().to_string();
        assert!(missing(options(None)).contains("s3_bucket"));
        let without_key = BucketOptions { secret_key: None, ..options(Some("images")) };
        assert!(missing(without_key).contains("LONGSHORE_S3_SECRET_KEY"));
        let endpoint = Some("https://key:geheim@s3.example.com".parse().unwrap());
        let message = missing(BucketOptions { endpoint, ..options(Some("images")) });
        assert!(message.starts_with("s3_endpoint") && !message.contains("geheim"), "{message}");
    }
}
