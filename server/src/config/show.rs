//! Settings as `check-config` shows them: without secrets.

use std::fmt;

use ipnet::IpNet;
use jiff::SignedDuration;
use longshore_content::Sparse;
use longshore_metadata::without_password;
use longshore_remote::PrivateRemotes;
use url::Url;

use super::{KeySource, LogFormat, Settings};
use crate::history::shown;

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Given(_) => f.write_str("LONGSHORE_ENCRYPTION_KEY"),
        }
    }
}

impl fmt::Debug for KeySource {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Settings {
    /// As `check-config` shows them: one per line, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let external_url = self.external_url.as_ref().map_or("(the one that clients use)", Url::as_str);
        let listed = |networks: &[IpNet]| match networks {
            [] => "(none)".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let proxies = listed(&self.trusted_proxies);
        let scrapers = match self.metrics.token {
            Some(_) => "LONGSHORE_METRICS_TOKEN".to_owned(),
            None => listed(&self.metrics.from),
        };
        let log_format = if self.log_format == LogFormat::Json { "json" } else { "text" };
        let hours = |duration: Option<SignedDuration>| duration.map_or(0, |duration| duration.as_hours());
        let retention = &self.garbage.retention;
        let sparse = match self.sparse {
            Sparse::Refused => "refused",
            Sparse::Indexes => "indexes",
            Sparse::All => "all",
        };
        let private_remotes = match self.private_remotes {
            PrivateRemotes::Administrators => "administrators",
            PrivateRemotes::Everybody => "everybody",
            PrivateRemotes::Nobody => "nobody",
        };
        let tls = self.tls.as_ref().map_or_else(|| "(plain HTTP)".to_owned(), ToString::to_string);
        let kept = [
            self.history.jobs,
            self.history.activity,
            self.history.verdicts,
            self.history.deliveries,
            self.history.tag_changes,
        ]
        .map(|keep| shown(&keep));
        let lines: [(&str, &dyn fmt::Display); 30] = [
            ("listen", &self.listen),
            ("data", &self.data.display()),
            ("database", &without_password(&self.database)),
            ("content", &self.storage),
            ("external_url", &external_url),
            ("trusted_proxies", &proxies),
            ("key", &self.key),
            ("epoch_file", &self.epoch_file.display()),
            ("workers", &self.workers),
            ("retry_hours", &self.retry_for.as_hours()),
            ("zone", &self.zone.iana_name().unwrap_or("UTC")),
            ("private_remotes", &private_remotes),
            ("remote_listing_bytes", &self.listing_budget.bytes),
            ("remote_listing_entries", &self.listing_budget.entries),
            ("sparse_manifests", &sparse),
            ("keep_untagged_days", &(hours(retention.untagged) / 24)),
            ("undo_days", &(hours(Some(retention.undo)) / 24)),
            ("collect_every_hours", &hours(self.garbage.every)),
            ("keep jobs", &kept[0]),
            ("keep activity", &kept[1]),
            ("keep verdicts", &kept[2]),
            ("keep deliveries", &kept[3]),
            ("keep tag changes", &kept[4]),
            ("log", &self.log),
            ("log_format", &log_format),
            ("tls", &tls),
            ("hsts_seconds", &self.hsts_seconds),
            ("metrics_from", &scrapers),
            ("shutdown_seconds", &self.shutdown.as_secs()),
            ("shutdown_delay_seconds", &self.shutdown_delay.as_secs()),
        ];
        lines.iter().try_for_each(|(name, value)| writeln!(f, "{name:<22} {value}"))?;
        self.limits.fmt(f)
    }
}
