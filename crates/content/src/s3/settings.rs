//! The settings of a bucket, and the client that they result in. The server reads them from its configuration.

use crate::store::StoreError;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

/// How often a request is retried that failed for a reason that may be temporary. The pauses start at a tenth of a
/// second and grow, so the retries take some seconds.
const RETRIES: usize = 8;
/// The maximum time for these retries.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long the storage may send nothing. There is no limit for a whole response: a large blob takes as long as its
/// slowest reader.
const SILENCE: Duration = Duration::from_secs(120);

/// How to reach a bucket. The secret key is not shown in the debug form.
#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    /// The URL of the storage; `None` means Amazon's in the region.
    pub endpoint: Option<Url>,
    /// The region. Storage other than Amazon's usually accepts any, such as `us-east-1`.
    pub region: String,
    pub access_key: String,
    pub secret_key: SecretString,
    /// The folder in the bucket for all objects; if empty, the bucket itself.
    pub prefix: String,
    /// Whether the bucket is in the host name (`bucket.s3.example.com`) and not in the path.
    pub virtual_host: bool,
    /// Whether an endpoint without TLS is allowed.
    pub allow_http: bool,
}

impl S3Settings {
    pub(super) fn client(&self) -> Result<AmazonS3, StoreError> {
        let options = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_timeout_disabled()
            .with_read_timeout(SILENCE);
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY_FOR };
        // `new` and not `from_env`: only the settings count.
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(self.secret_key.expose_secret())
            .with_virtual_hosted_style_request(self.virtual_host)
            // Objects are removed one at a time here. Every storage supports that, but not bulk deletion.
            .with_disable_bulk_delete(true)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = self.address()? {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map_err(|error| self.unusable(error.to_string()))
    }

    /// The endpoint in the client's form: with the bucket in the host name if `virtual_host` is set.
    fn address(&self) -> Result<Option<String>, StoreError> {
        if self.bucket.is_empty() {
            return Err(self.unusable("its name is empty; set the name of a bucket".into()));
        }
        let Some(endpoint) = &self.endpoint else { return Ok(None) };
        let Some(host) = endpoint.host_str() else {
            return Err(self.unusable(format!("the endpoint {endpoint} has no host; set one that has")));
        };
        match endpoint.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                let reason =
                    format!("the endpoint {endpoint} has no TLS; use https, or allow http explicitly");
                return Err(self.unusable(reason));
            }
            scheme => return Err(self.unusable(format!("its endpoint is {scheme}; set one with https"))),
        }
        let mut address = endpoint.clone();
        if self.virtual_host {
            address
                .set_host(Some(&format!("{}.{host}", self.bucket)))
                .map_err(|error| self.unusable(format!("its name cannot be a part of {host}: {error}")))?;
        }
        Ok(Some(address.as_str().trim_end_matches('/').to_owned()))
    }

    fn unusable(&self, reason: String) -> StoreError {
        StoreError::BucketSettings { bucket: self.bucket.clone(), reason }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(endpoint: &str) -> S3Settings {
        S3Settings {
            bucket: "images".into(),
            endpoint: Some(endpoint.parse().unwrap()),
            region: "us-east-1".into(),
            access_key: "longshore".into(),
            secret_key: "a well kept secret".into(),
            prefix: String::new(),
            virtual_host: false,
            allow_http: false,
        }
    }

    #[test]
    fn the_secret_key_is_not_shown() {
        let shown = format!("{:?}", settings("https://s3.example.com"));
        assert!(shown.contains("longshore") && !shown.contains("well kept"), "{shown}");
        let client = format!("{:?}", settings("https://s3.example.com").client().unwrap());
        assert!(!client.contains("well kept"), "{client}");
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host_name() {
        let mut settings = settings("https://s3.example.com:9000/");
        assert_eq!(settings.address().unwrap().unwrap(), "https://s3.example.com:9000");
        settings.virtual_host = true;
        assert_eq!(settings.address().unwrap().unwrap(), "https://images.s3.example.com:9000");
    }

    #[test]
    fn an_endpoint_without_tls_must_be_allowed_explicitly() {
        let mut settings = settings("http://s3.example.com");
        let error = settings.client().unwrap_err().to_string();
        assert!(error.contains("images") && error.contains("allow http"), "{error}");
        settings.allow_http = true;
        settings.client().unwrap();
    }
}
