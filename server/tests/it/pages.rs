//! The pages of the site under concurrent load.

use std::time::{Duration, Instant};

use longshore_testkit::{Longshore, Site, corpus};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{longshore, promotion, repository, user};

/// A user with a private repository whose name nobody else may see.
struct Reader {
    name: &'static str,
    repository: &'static str,
    policy: String,
    site: Site,
}

impl Reader {
    async fn new(server: &Longshore, name: &'static str, repository_name: &'static str) -> Self {
        let rest = user(&server.rest(), name).await;
        let path = format!("{name}/{repository_name}");
        let target = format!("{path}-tested");
        for name in [&path, &target] {
            repository(&rest, name).await;
        }
        let policy = promotion(&rest, &path, &target, json!([]), "%n").await;
        let policy = policy["id"].as_str().expect("a policy has an identifier").to_owned();
        let password = format!("{name} has a password");
        let registry = server.registry().with_credentials(name, &password);
        registry.push(&corpus::image(1, 1, 100), &path, Some("1.0")).await;
        Self { name, repository: repository_name, policy, site: server.site().sign_in(name, &password).await }
    }

    /// Pages, and the beginnings of their titles.
    fn pages(&self) -> Vec<(String, String)> {
        let path = format!("{}/{}", self.name, self.repository);
        let own = |below: &str, title: String| (format!("/repositories/{path}{below}"), title);
        let other = |path: &str, title: &str| (path.to_owned(), title.to_owned());
        vec![
            own("", path.clone()),
            own("/tags", path.clone()),
            own("/deleted-tags", path.clone()),
            own("/promotions", path.clone()),
            own("/promotions/new", format!("New promotion policy of {path}")),
            own(&format!("/promotions/{}/edit", self.policy), format!("Promotion policy of {path}")),
            own("/mirrors", path.clone()),
            own("/mirrors/new", format!("New mirror of {path}")),
            own("/permissions", path.clone()),
            own("/activity", path.clone()),
            own("/settings", path.clone()),
            own("/tags/1.0", format!("{path}:1.0")),
            own("/tags/1.0/promote", format!("Promote {path}:1.0")),
            own("/tags/1.0/push", format!("Push {path}:1.0")),
            (format!("/users/{}/password", self.name), format!("Password of {}", self.name)),
            (format!("/users/{}/storage", self.name), format!("Storage of {}", self.name)),
            (format!("/pauses/namespaces/{}", self.name), "Pause ".to_owned()),
            other("/repositories", "Repositories"),
            other("/repositories/new", "New repository"),
            other("/deleted-repositories", "Deleted repositories"),
            other("/remotes/new", "New remote"),
            other("/jobs", "Jobs"),
            other("/activity", "Activity"),
            other("/organizations", "Organizations"),
        ]
    }
}

/// Loads pages until the time is up. Returns the faults, and the number of pages.
async fn load(reader: &Reader, foreign: &str, first: usize, until: Instant) -> (Vec<String>, usize) {
    let pages = reader.pages();
    let (mut wrong, mut loaded) = (Vec::new(), 0);
    for (path, title) in pages.iter().cycle().skip(first) {
        if Instant::now() >= until {
            break;
        }
        let page = reader.site.page(path).await;
        loaded += 1;
        let seen = page.body.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
        if page.status != 200 {
            wrong.push(format!("{path} answered {}", page.status));
        } else if page.body.contains("class=\"loading\"") {
            wrong.push(format!("{path} came without what it is about"));
        } else if page.body.contains(foreign) {
            wrong.push(format!("{path} contains {foreign}"));
        } else if !seen.is_some_and(|seen| seen.starts_with(title)) {
            wrong.push(format!("{path} has the title {seen:?}"));
        } else if !page.body.contains(&format!("\"signed-in-name\">{}<", reader.name)) {
            wrong.push(format!("{path} does not know who reads it"));
        }
    }
    (wrong, loaded)
}

/// Requests pages until the time is up, and drops each connection while its page is rendered.
async fn leave(reader: &Reader, first: usize, until: Instant) {
    let pages = reader.pages();
    for (number, (path, _)) in pages.iter().cycle().enumerate().skip(first) {
        if Instant::now() >= until {
            break;
        }
        // From immediately to about the time that a page takes.
        let patience = Duration::from_micros(500 * (number as u64 % 40));
        let _ = timeout(patience, reader.site.page(path)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrently_loaded_pages_contain_nothing_of_each_other() {
    let server = longshore().await;
    let readers =
        [Reader::new(&server, "amber", "marigold").await, Reader::new(&server, "cobalt", "thistle").await];
    let until = Instant::now() + Duration::from_secs(6);
    let readings = (0..24).map(|number| {
        let (reader, other) = (&readers[number % 2], &readers[(number + 1) % 2]);
        load(reader, other.repository, number, until)
    });
    let leavings = (0..8).map(|number| leave(&readers[number % 2], 5 * number, until));
    let (read, _) = tokio::join!(futures::future::join_all(readings), futures::future::join_all(leavings));
    let loaded: usize = read.iter().map(|(_, loaded)| loaded).sum();
    let wrong: Vec<String> = read.into_iter().flat_map(|(wrong, _)| wrong).collect();
    assert!(loaded > 100, "only {loaded} pages were loaded");
    assert!(
        wrong.is_empty(),
        "{} of {loaded} pages are wrong, such as {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains(" ERROR "), "{log}");
}
