//! What kind of registry answered, as far as it gives itself away. For people to read; nothing
//! depends on it.

use http::header::{HeaderMap, SERVER};
use longshore_model::RemoteKind;
use url::Url;

use crate::answer::header;

/// A registry's name from its host, its token realm and its headers.
pub(crate) fn registry_type(host: &str, realm: Option<&Url>, headers: &HeaderMap) -> String {
    by_host(host)
        .or_else(|| realm.and_then(by_realm))
        .or_else(|| by_headers(headers))
        .unwrap_or("OCI registry")
        .into()
}

fn by_host(host: &str) -> Option<&'static str> {
    let host = host.split(':').next().unwrap_or(host);
    if let Some(kind) = RemoteKind::of_host(host) {
        return Some(kind.label());
    }
    let ends = |suffix: &str| host == suffix || host.ends_with(&format!(".{suffix}"));
    match () {
        () if ends("ghcr.io") => Some("GitHub Container Registry"),
        () if ends("quay.io") => Some("Quay"),
        () if ends("pkg.dev") => Some("Google Artifact Registry"),
        () if ends("gcr.io") => Some("Google Container Registry"),
        () if ends("azurecr.io") => Some("Azure Container Registry"),
        () if ends("amazonaws.com") || ends("public.ecr.aws") => Some("Amazon ECR"),
        () => None,
    }
}

fn by_realm(realm: &Url) -> Option<&'static str> {
    match realm.path() {
        "/service/token" => Some("Harbor"),
        "/jwt/auth" => Some("GitLab"),
        "/v2/auth" => Some("Quay"),
        "/v2/token" => Some("Longshore"),
        "/auth/token" => Some("Mirantis Secure Registry or DTR"),
        _ => None,
    }
}

fn by_headers(headers: &HeaderMap) -> Option<&'static str> {
    let server = header(headers, &SERVER).unwrap_or_default().to_ascii_lowercase();
    match () {
        () if server.contains("longshore") => Some("Longshore"),
        () if server.contains("artifactory") => Some("Artifactory"),
        () if server.contains("nexus") => Some("Nexus"),
        () if headers.contains_key("docker-distribution-api-version") => Some("Docker registry"),
        () => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn well_known_registries_are_recognised() {
        let none = HeaderMap::new();
        let realm = |text: &str| Some(Url::parse(text).unwrap());
        assert_eq!(registry_type("index.docker.io", None, &none), "Docker Hub");
        assert_eq!(registry_type("1.dkr.ecr.eu-west-1.amazonaws.com:443", None, &none), "Amazon ECR");
        assert_eq!(registry_type("h", realm("https://h/service/token").as_ref(), &none), "Harbor");
        assert_eq!(registry_type("notquay.io", None, &none), "OCI registry");
    }
}
