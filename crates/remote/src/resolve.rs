//! Addresses that a registry names for a further request: the next page, and where to upload. Registries behind
//! proxies often do not know how they are reached, and name another scheme, port or host than that of the endpoint.

use url::Url;

use crate::Registry;

impl Registry {
    /// Where an upload goes on that was begun at `asked`: absolute or relative, with or without host, scheme
    /// and port. What is not said, and what names the registry's own host with another scheme or without its
    /// port, means the registry where it was found; another host, or another explicit port, is taken as it is.
    pub(crate) fn further_address(&self, asked: &Url, location: &str) -> Option<Url> {
        let url = asked.join(with_host(location.trim())).ok()?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return None;
        }
        let api = self.api();
        let same_host = url.host() == api.host();
        Some(if same_host && (url.scheme() != api.scheme() || url.port().is_none()) {
            self.at_registry(&url)
        } else {
            url
        })
    }

    /// The page after `current`. It is always asked of the registry itself, whatever host stands in its
    /// address, since it needs the same credentials. A foreign address tells its query only: behind a proxy the
    /// path is not ours either.
    pub(crate) fn next_page(&self, current: &Url, target: &str) -> Option<Url> {
        let url = current.join(with_host(target.trim())).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        if url.host() == self.api().host() || url.query().is_none() {
            return Some(self.at_registry(&url));
        }
        let mut next = current.clone();
        next.set_query(url.query());
        Some(next)
    }

    /// Path and query at the registry's own scheme, host and port.
    fn at_registry(&self, url: &Url) -> Url {
        let mut own = self.api().clone();
        own.set_path(url.path());
        own.set_query(url.query());
        own
    }
}

/// `https:///v2/…` and `http://:5000/v2/…` leave the host out; an URL parser would take `v2` for it.
fn with_host(address: &str) -> &str {
    for scheme in ["https://", "http://"] {
        if let Some(rest) = address.strip_prefix(scheme)
            && rest.starts_with(['/', ':'])
        {
            return rest.find('/').map_or("/", |at| &rest[at..]);
        }
    }
    address
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Endpoint;
    use longshore_model::RemoteKind;

    fn registry(url: &str) -> Registry {
        Registry::connect_to(Endpoint::new(Url::parse(url).unwrap(), RemoteKind::Other)).unwrap()
    }

    #[test]
    fn semantics_40_a_location_without_host_scheme_or_port_means_the_registry() {
        let tests = [
            ("/v2/a/blobs/uploads/1?s=x", "https://r.example:5000/v2/a/blobs/uploads/1?s=x"),
            ("1?s=x", "https://r.example:5000/v2/a/blobs/uploads/1?s=x"),
            ("?s=x", "https://r.example:5000/v2/a/blobs/uploads/?s=x"),
            ("//r.example/v2/a/1", "https://r.example:5000/v2/a/1"),
            ("https://r.example/v2/a/1", "https://r.example:5000/v2/a/1"),
            ("http://r.example/v2/a/1", "https://r.example:5000/v2/a/1"),
            ("http://r.example:8080/v2/a/1", "https://r.example:5000/v2/a/1"),
            ("https:///v2/a/1", "https://r.example:5000/v2/a/1"),
            ("http://:8080/v2/a/1", "https://r.example:5000/v2/a/1"),
            ("https://r.example:9000/v2/a/1", "https://r.example:9000/v2/a/1"),
            ("https://storage.example/x", "https://storage.example/x"),
        ];
        let registry = registry("https://r.example:5000");
        let asked = Url::parse("https://r.example:5000/v2/a/blobs/uploads/").unwrap();
        for (location, expected) in tests {
            let found = registry.further_address(&asked, location).unwrap();
            assert_eq!(found.as_str(), expected, "{location}");
        }
        for location in ["ftp://r.example/", "mailto:a@b", "https://r.example:port/", "https://me@r.example/"]
        {
            assert_eq!(registry.further_address(&asked, location), None, "{location}");
        }
    }

    #[test]
    fn semantics_38_the_next_page_is_always_at_the_registry() {
        let tests = [
            ("?last=b", "https://r.example:5000/v2/a/tags/list?last=b"),
            ("/v2/a/tags/list?last=b", "https://r.example:5000/v2/a/tags/list?last=b"),
            ("list?last=b", "https://r.example:5000/v2/a/tags/list?last=b"),
            ("http://r.example/v2/a/tags/list?last=b", "https://r.example:5000/v2/a/tags/list?last=b"),
            ("http://inner:8081/repo/a/tags/list?last=b", "https://r.example:5000/v2/a/tags/list?last=b"),
            ("https://inner/v2/a/tags/2", "https://r.example:5000/v2/a/tags/2"),
        ];
        let registry = registry("https://r.example:5000");
        let current = Url::parse("https://r.example:5000/v2/a/tags/list?n=2").unwrap();
        for (target, expected) in tests {
            assert_eq!(registry.next_page(&current, target).unwrap().as_str(), expected, "{target}");
        }
        assert_eq!(registry.next_page(&current, "ftp://r.example/?last=b"), None);
    }
}
