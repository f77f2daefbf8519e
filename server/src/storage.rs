//! The settings of the blob store: in the data folder, or in an S3 bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{ArgAction, Args};
use longshore_content::{DiskStore, S3Settings, S3Store, Store};
use longshore_settings::Group;
use secrecy::SecretString;
use url::Url;

/// The settings of the bucket.
#[derive(Debug, Clone, Args)]
pub(crate) struct BucketSettings {
    /// The S3 bucket that holds the blobs; see [storage](docs/operating/storage.md)
    /// [default: blobs are stored in the data directory]
    #[arg(id = "s3_bucket", value_name = "NAME")]
    bucket: Option<String>,
    /// The URL of the storage that has the bucket [default: Amazon's in the region]
    #[arg(id = "s3_endpoint", value_name = "URL", value_parser = endpoint)]
    endpoint: Option<Url>,
    /// The bucket's region
    #[arg(id = "s3_region", value_name = "NAME", default_value = "us-east-1")]
    region: String,
    /// A folder in the bucket, for what belongs to Longshore [default: no prefix]
    #[arg(id = "s3_prefix", value_name = "FOLDER", default_value = "")]
    prefix: String,
    /// Whether the bucket's name is part of the host name instead of the path
    #[arg(id = "s3_virtual_host", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    virtual_host: bool,
    /// Whether plain HTTP may be used with the storage
    #[arg(id = "s3_allow_http", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    allow_http: bool,
    /// Whether pulls are redirected to the bucket, to addresses that are valid for some minutes
    #[arg(id = "s3_redirects", value_name = "BOOL", action = ArgAction::Set, default_value_t = false)]
    redirects: bool,
}

impl Group for BucketSettings {
    const TABLE: &'static str = "";
    const HEADING: &'static str = "Storage";
}

/// The credentials of the bucket; set only in the environment.
#[derive(Default)]
pub(crate) struct BucketKeys {
    pub(crate) access: Option<String>,
    pub(crate) secret: Option<String>,
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "must be a URL, such as https://s3.example.com".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        let places = "LONGSHORE_S3_ACCESS_KEY and LONGSHORE_S3_SECRET_KEY in the environment";
        return Err(format!("contains a username or password; set them as {places}"));
    }
    Ok(url)
}

/// The place where blobs are stored.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// A folder.
    Disk(PathBuf),
    /// A bucket.
    Bucket {
        settings: S3Settings,
        /// Whether pulls are redirected to the bucket.
        redirects: bool,
    },
}

impl Storage {
    /// The bucket if one is named, otherwise a folder in the data folder.
    pub(crate) fn resolve(data: &Path, set: BucketSettings, keys: BucketKeys) -> anyhow::Result<Self> {
        let Some(bucket) = set.bucket else {
            if set.endpoint.is_some() {
                bail!("s3_endpoint is set, but s3_bucket is not; set the bucket as well");
            }
            return Ok(Self::Disk(data.join("content")));
        };
        let key = |key: Option<String>, name: &str| {
            key.with_context(|| format!("s3_bucket is set, but {name} is not; set it in the environment"))
        };
        let settings = S3Settings {
            bucket,
            endpoint: set.endpoint,
            region: set.region,
            access_key: key(keys.access, "LONGSHORE_S3_ACCESS_KEY")?,
            secret_key: SecretString::from(key(keys.secret, "LONGSHORE_S3_SECRET_KEY")?),
            prefix: set.prefix,
            virtual_host: set.virtual_host,
            allow_http: set.allow_http,
        };
        Ok(Self::Bucket { settings, redirects: set.redirects })
    }

    /// Opens the store, and checks that the bucket is usable.
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

    /// Whether pulls are redirected to the bucket.
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
                    f.write_str(", with redirected pulls")?;
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
    use longshore_settings::{Catalogue, Error, read_file};

    fn settings(toml: &str) -> Result<BucketSettings, Error> {
        let catalogue = Catalogue::default().with::<BucketSettings>();
        read_file(&catalogue, Path::new("longshore.toml"), toml)?.group()
    }

    fn keys() -> BucketKeys {
        BucketKeys { access: Some("key".to_owned()), secret: Some("geheim".to_owned()) }
    }

    const ENDPOINT: &str =
        "s3_endpoint = 'https://s3.example.com'\ns3_prefix = 'registry'\ns3_redirects = true\n";

    #[test]
    fn a_bucket_is_shown_without_its_key() {
        let set = settings(&format!("{ENDPOINT}s3_bucket = 'images'")).unwrap();
        let storage = Storage::resolve(Path::new("data"), set, keys()).unwrap();
        let shown = format!("{storage} {storage:?}");
        assert!(shown.contains("the bucket images below registry at https://s3.example.com/"), "{shown}");
        assert!(storage.redirects() && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn the_error_names_missing_settings_of_a_bucket() {
        let missing = |toml: &str, keys| {
            Storage::resolve(Path::new("data"), settings(toml).unwrap(), keys).unwrap_err().to_string()
        };
        assert!(missing(ENDPOINT, keys()).contains("s3_bucket"));
        let without_key = BucketKeys { secret: None, ..keys() };
        assert!(missing("s3_bucket = 'images'", without_key).contains("LONGSHORE_S3_SECRET_KEY"));
        let message = settings("s3_endpoint = 'https://key:geheim@s3.example.com'").unwrap_err().to_string();
        assert!(
            message.contains("s3_endpoint contains a username") && !message.contains("geheim"),
            "{message}"
        );
    }
}
