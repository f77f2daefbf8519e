//! Names of private things in stored messages (semantics 17, 46). A server gets private repositories, a remote,
//! deletions and failures with distinctive names; then every response and page that shows stored messages is read by
//! users who may not know the names.

use crate::support::{SOON, ends_with, longshore, organization, promotion, repository, user};
use http::Method;
use longshore_testkit::scripted::{on, reply};
use longshore_testkit::{Longshore, Rest, Site, corpus, eventually, scripted::ScriptedRegistry};
use serde_json::{Value, json};

/// A part of every name that only administrators may see.
const SECRET: &str = "secret-xyzzy";
/// A word from the messages of the other registry.
const SAID: &str = "plugh-said";

/// A server with every kind of stored message.
struct Scene {
    server: Longshore,
    registry: ScriptedRegistry,
    rest: Rest,
    /// Owns `dev/open` and `dev/copy`, and may not see the other repositories.
    dev: Rest,
}

impl Scene {
    async fn new() -> Self {
        let server = longshore().await;
        let rest = server.rest();
        let dev = user(&rest, "dev").await;
        user(&rest, "stranger").await;
        organization(&rest, SECRET).await;
        for name in ["dev/open", "dev/copy"] {
            repository(&rest, name).await;
            let public = json!({"visibility": "public"});
            rest.patch(&format!("/repositories/{name}"), public).await.expect(200);
        }
        for name in ["vault", "locked", "gone", "source", "left"] {
            repository(&rest, &format!("{SECRET}/{name}")).await;
        }
        Self { server, registry: ScriptedRegistry::start().await, rest, dev }
    }

    /// Creates messages about places that `dev` may not see.
    async fn happen(&self) {
        let (rest, registry) = (&self.rest, self.server.registry());
        let rules = |suffix: &str| if suffix.is_empty() { json!([]) } else { ends_with(suffix) };
        let locked = format!("{SECRET}/locked");
        for (target, suffix) in [("vault", ""), ("locked", ""), ("gone", "-gone")] {
            let target = format!("{SECRET}/{target}");
            promotion(rest, "dev/open", &target, rules(suffix), "moved-%n").await;
        }
        promotion(rest, &format!("{SECRET}/source"), "dev/open", rules("-never"), "%n").await;
        rest.patch(&format!("/repositories/{locked}"), json!({"state": "read_only"})).await.expect(200);
        // A remote of the system: one repository that works, and one that fails.
        let remote = json!({
            "name": format!("{SECRET}-remote"), "url": self.registry.url(),
        });
        let remote = rest.post("/remotes", remote).await.expect(201);
        let there = |repository: &str| json!({"remoteId": remote["id"], "remoteRepository": format!("{SECRET}/{repository}"), "enabled": true});
        let image = corpus::image(9, 1, 500);
        self.registry.hold(&format!("{SECRET}/there"), Some("5.0"), &image);
        let mut push = there("taken");
        push["rules"] = json!([]);
        rest.post("/repositories/dev/open/pushMirroringPolicies", push.clone()).await.expect(201);
        push["remoteRepository"] = json!(format!("{SECRET}/refused"));
        rest.post("/repositories/dev/open/pushMirroringPolicies", push).await.expect(201);
        let pull = there("there");
        rest.post("/repositories/dev/copy/pollMirroringPolicies?initialEvaluation=true", pull)
            .await
            .expect(201);
        self.registry.script([on(Method::PUT, format!("/v2/{SECRET}/refused/manifests/*"))
            .answer(reply(400).error("MANIFEST_INVALID", &format!("{SAID} {SECRET}")))]);

        registry.push(&corpus::image(1, 1, 500), "dev/open", Some("1.0")).await;
        registry.push(&corpus::image(2, 1, 500), "dev/open", Some("2.0-gone")).await;
        // Promotions by hand from hidden repositories, one of which is deleted afterwards.
        for (number, name) in [(3, "source"), (4, "left")] {
            let name = format!("{SECRET}/{name}");
            registry.push(&corpus::image(number, 1, 500), &name, Some("3.0")).await;
            let into = json!({"targetRepository": "dev/open", "targetTag": format!("from-{number}")});
            rest.post(&format!("/repositories/{name}/tags/3.0/promotion"), into).await.expect(201);
        }
        self.settled().await;
        for name in ["gone", "left"] {
            rest.delete(&format!("/repositories/{SECRET}/{name}")).await.expect(204);
        }
        registry.push(&corpus::image(5, 1, 500), "dev/open", Some("4.0-gone")).await;
        rest.post("/jobs", json!({"action": "poll_mirror"})).await.expect(202);
        self.settled().await;
    }

    async fn settled(&self) {
        eventually("the jobs to end", SOON, async || {
            let jobs = self.rest.get("/jobs?pageSize=100").await.expect(200);
            let ended = |job: &Value| !matches!(job["status"].as_str(), Some("waiting" | "running"));
            match jobs["jobs"].as_array().is_some_and(|all| all.iter().all(ended)) {
                true => Ok(()),
                false => Err(jobs),
            }
        })
        .await;
    }

    /// Every REST path and every page that shows stored messages.
    async fn addresses(&self) -> (Vec<String>, Vec<String>) {
        let jobs = self.rest.get("/jobs?pageSize=100").await.expect(200);
        let ids: Vec<String> = jobs["jobs"]
            .as_array()
            .expect("a list of jobs")
            .iter()
            .map(|job| job["id"].as_str().expect("an id").to_owned())
            .collect();
        let mut rest: Vec<String> =
            ["/jobs?pageSize=100", "/pauses", "/remotes", "/deletedRepositories", "/repositories"]
                .map(str::to_owned)
                .to_vec();
        let mut pages: Vec<String> =
            ["/", "/repositories", "/activity", "/jobs", "/remotes", "/deleted-repositories"]
                .map(str::to_owned)
                .to_vec();
        for id in &ids {
            rest.extend([format!("/jobs/{id}"), format!("/jobs/{id}/logs")]);
            pages.push(format!("/jobs/{id}"));
        }
        for (repository, tags) in
            [("dev/open", vec!["1.0", "2.0-gone", "4.0-gone", "from-3", "from-4"]), ("dev/copy", vec!["5.0"])]
        {
            let at = |below: &str| format!("/repositories/{repository}{below}");
            rest.extend(
                [
                    "",
                    "/events",
                    "/promotionPolicies",
                    "/mirroringPolicies",
                    "/pushMirroringPolicies",
                    "/pollMirroringPolicies",
                    "/tags",
                    "/deletedTags",
                ]
                .map(at),
            );
            rest.push(at("/promotionPolicies?target=true"));
            pages.extend(
                [
                    "",
                    "/tags",
                    "/promotions",
                    "/mirrors",
                    "/activity",
                    "/settings",
                    "/deleted-tags",
                    "/permissions",
                ]
                .map(at),
            );
            pages.push(at("/promotions?side=target"));
            for (policies, form) in [("promotionPolicies", "promotions"), ("mirroringPolicies", "mirrors")] {
                for policy in self.policies(&at(&format!("/{policies}"))).await {
                    pages.push(at(&format!("/{form}/{policy}/edit")));
                }
            }
            for tag in tags {
                rest.extend([at(&format!("/tags/{tag}")), at(&format!("/tags/{tag}/history"))]);
                pages.push(at(&format!("/tags/{tag}")));
            }
        }
        (rest, pages)
    }

    /// The identifiers of the policies in a response.
    async fn policies(&self, path: &str) -> Vec<String> {
        fn identifiers(of: &Value, found: &mut Vec<String>) {
            match of {
                Value::Array(items) => items.iter().for_each(|item| identifiers(item, found)),
                Value::Object(members) => match members.get("id").and_then(Value::as_str) {
                    Some(id) => found.push(id.to_owned()),
                    None => members.values().for_each(|member| identifiers(member, found)),
                },
                _ => {}
            }
        }
        let mut found = Vec::new();
        identifiers(&self.rest.get(path).await.expect(200), &mut found);
        found
    }

    fn hidden(&self) -> [String; 3] {
        [SECRET.to_owned(), SAID.to_owned(), self.registry.host()]
    }

    /// The paths whose response contains a hidden name.
    async fn leaks(&self, rest: &Rest, site: &Site) -> Vec<String> {
        let (addresses, pages) = self.addresses().await;
        let hidden = self.hidden();
        let (mut leaks, mut stood_in) = (Vec::new(), Vec::new());
        let mut look = |what: String, body: String| {
            if let Some(name) = hidden.iter().find(|name| body.contains(*name)) {
                let at = body.find(name).unwrap_or_default();
                let (from, to) =
                    (body.floor_char_boundary(at.saturating_sub(200)), body.ceil_char_boundary(at + 100));
                leaks.push(format!("{what}: …{}…", &body[from..to]));
            }
        };
        for address in addresses {
            let answer = rest.get(&address).await;
            look(address, format!("{} {:?}", answer.body, answer.headers));
        }
        for page in pages {
            let answer = site.page(&page).await;
            // Placeholders for names must not be links or initial values of forms.
            for misused in ["href=\"/repositories/another/", "value=\"another"] {
                if answer.body.contains(misused) {
                    stood_in.push(format!("{page}: {misused}"));
                }
            }
            look(page, answer.body);
        }
        leaks.extend(stood_in);
        leaks
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_46_no_stored_message_contains_a_name_that_its_reader_may_not_see() {
    let scene = Scene::new().await;
    scene.happen().await;
    let site = scene.server.site();
    let stranger = scene.rest.as_user("stranger", "stranger has a password");
    let readers = [
        ("who owns one side", scene.dev.clone(), site.sign_in("dev", "dev has a password").await),
        ("a stranger", stranger, site.sign_in("stranger", "stranger has a password").await),
        ("nobody", scene.rest.anonymous(), site),
    ];
    for (who, rest, site) in readers {
        let leaks = scene.leaks(&rest, &site).await;
        assert!(leaks.is_empty(), "{who} sees {} names: {leaks:#?}", leaks.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_46_administrators_see_all_names() {
    let scene = Scene::new().await;
    scene.happen().await;
    let tag = scene.rest.get("/repositories/dev/open/tags/1.0").await.expect(200).to_string();
    for told in [
        format!("{SECRET}/vault:moved-1.0"),
        format!("{SECRET}/locked is read-only"),
        format!("{SECRET}/taken"),
    ] {
        assert!(tag.contains(&told), "{told}: {tag}");
    }
    let mirrors = scene.rest.get("/repositories/dev/open/mirroringPolicies").await.expect(200).to_string();
    assert!(mirrors.contains(SAID), "{mirrors}");
    let policies = scene.rest.get("/repositories/dev/open/promotionPolicies").await.expect(200).to_string();
    assert!(policies.contains(&format!("{SECRET}/gone has been deleted")), "{policies}");
}
