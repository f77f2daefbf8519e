//! Every documented endpoint, requested by every role: anonymous, a stranger, the owner, an administrator. The list of
//! endpoints comes from the OpenAPI document, so a new one without a row here fails.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Longshore, Rest, corpus, eventually};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{longshore_for_everybody, remote, user, with};

/// An endpoint, and the statuses for an anonymous client, a stranger, the owner and an administrator. They are
/// requested in this order, so deletions come last.
type Row = (&'static str, [u16; 4]);

const ROLES: [&str; 4] = ["nobody", "a stranger", "the owner", "an administrator"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("GET /api/v0/meta/features",                                                        [200, 200, 200, 200]),
    ("GET /api/v0/system",                                                               [401, 403, 403, 200]),
    ("GET /events",                                                                      [401, 404, 200, 200]),
    ("GET /api/v0/events",                                                               [200, 200, 200, 200]),
    ("GET /api/v0/accounts",                                                             [401, 200, 200, 200]),
    ("POST /api/v0/accounts",                                                            [401, 403, 403, 201]),
    ("GET /api/v0/accounts/{namespace}",                                                 [401, 200, 200, 200]),
    ("POST /api/v0/accounts/{namespace}/changePassword",                                 [401, 403, 204, 204]),
    ("GET /api/v0/accounts/{namespace}/storage",                                         [401, 403, 200, 200]),
    ("PUT /api/v0/accounts/{namespace}/quota",                                           [401, 403, 403, 200]),
    ("GET /api/v0/deletedRepositories",                                                  [401, 200, 200, 200]),
    ("GET /api/v0/deletedRepositories/{namespace}/{reponame}",                           [401, 403, 200, 200]),
    ("GET /api/v0/repositories",                                                         [200, 200, 200, 200]),
    ("GET /api/v0/repositories/{namespace}",                                             [200, 200, 200, 200]),
    ("POST /api/v0/repositories/{namespace}",                                            [401, 403, 201, 201]),
    ("GET /api/v0/repositories/{namespace}/{reponame}",                                  [401, 404, 200, 200]),
    ("PATCH /api/v0/repositories/{namespace}/{reponame}",                                [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/events",                           [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/tags",                             [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/tags/{tag}",                       [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/history",               [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/deletedTags",                      [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/restoration",           [401, 404, 200, 200]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/restoration",          [401, 404, 201, 201]),
    // The tag did not come from a mirror, so it is not pinned.
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/pin",                [401, 404, 409, 409]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/promotion",            [401, 404, 201, 201]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/tags/{tag}/pushMirroring",        [401, 404, 201, 201]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/promotionPolicies",                [401, 404, 200, 200]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/promotionPolicies",               [401, 404, 201, 201]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/promotionPolicies/{id}",           [401, 404, 200, 200]),
    ("PUT /api/v0/repositories/{namespace}/{reponame}/promotionPolicies/{id}",           [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/mirroringPolicies",                [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/pushMirroringPolicies",            [401, 404, 200, 200]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/pushMirroringPolicies",           [401, 404, 201, 201]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}",       [401, 404, 200, 200]),
    ("PUT /api/v0/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}",       [401, 404, 200, 200]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies",            [401, 404, 200, 200]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies",           [401, 404, 201, 201]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}",       [401, 404, 200, 200]),
    ("PUT /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}",       [401, 404, 200, 200]),
    ("POST /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}/sync", [401, 404, 202, 202]),
    ("GET /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}/plan",  [401, 404, 200, 200]),
    ("POST /api/v0/remote/registry",                                                     [401, 201, 201, 201]),
    ("GET /api/v0/remotes",                                                              [401, 200, 200, 200]),
    ("POST /api/v0/remotes",                                                             [401, 201, 201, 201]),
    ("GET /api/v0/remotes/{id}",                                                         [401, 404, 200, 200]),
    ("PUT /api/v0/remotes/{id}",                                                         [401, 404, 200, 200]),
    ("POST /api/v0/remotes/{id}/test",                                                   [401, 404, 200, 200]),
    ("GET /api/v0/jobs",                                                                 [401, 200, 200, 200]),
    ("POST /api/v0/jobs",                                                                [401, 202, 202, 202]),
    ("GET /api/v0/jobs/{id}",                                                            [401, 404, 200, 200]),
    ("GET /api/v0/jobs/{id}/logs",                                                       [401, 404, 200, 200]),
    // The job was successful: it can be neither cancelled nor retried.
    ("POST /api/v0/jobs/retry",                                                          [401, 202, 202, 202]),
    ("POST /api/v0/jobs/{id}/cancel",                                                    [401, 404, 409, 409]),
    ("POST /api/v0/jobs/{id}/retry",                                                     [401, 404, 400, 400]),
    ("GET /api/v0/pauses",                                                               [200, 200, 200, 200]),
    ("PUT /api/v0/pauses/namespaces/{namespace}",                                        [401, 403, 201, 201]),
    ("GET /api/v0/pauses/namespaces/{namespace}/queue",                                  [401, 403, 200, 200]),
    ("GET /api/v0/pauses/namespaces/{namespace}/plan",                                   [401, 403, 200, 200]),
    ("DELETE /api/v0/pauses/namespaces/{namespace}",                                     [401, 403, 200, 200]),
    ("PUT /api/v0/pauses/remotes/{id}",                                                  [401, 404, 201, 201]),
    ("GET /api/v0/pauses/remotes/{id}/queue",                                            [401, 404, 200, 200]),
    ("GET /api/v0/pauses/remotes/{id}/plan",                                             [401, 404, 200, 200]),
    ("DELETE /api/v0/pauses/remotes/{id}",                                               [401, 404, 200, 200]),
    ("PUT /api/v0/pauses/system",                                                        [401, 403, 403, 201]),
    ("GET /api/v0/pauses/system/queue",                                                  [401, 403, 403, 200]),
    ("GET /api/v0/pauses/system/plan",                                                   [401, 403, 403, 200]),
    ("DELETE /api/v0/pauses/system",                                                     [401, 403, 403, 200]),
    ("DELETE /api/v0/remotes/{id}",                                                      [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/mirroringPolicies",             [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}",    [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}",    [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/promotionPolicies/{id}",        [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}/tags/{tag}",                    [401, 404, 204, 204]),
    ("DELETE /api/v0/repositories/{namespace}/{reponame}",                               [401, 404, 204, 204]),
    ("POST /api/v0/deletedRepositories/{namespace}/{reponame}/restoration",              [401, 403, 200, 200]),
    ("DELETE /api/v0/deletedRepositories/{namespace}/{reponame}",                        [401, 403, 200, 200]),
];

pub(crate) const OWNER: &str = "dev";
pub(crate) const OWNERS_PASSWORD: &str = "dev has a password";

/// One of each thing, in a separate repository per role, so that deletions by one role do not affect another.
pub(crate) struct Things {
    pub(crate) repository: String,
    pub(crate) promotion: String,
    pub(crate) push_mirror: String,
    pub(crate) poll_mirror: String,
    spare_mirror: String,
    pub(crate) remote: String,
    pub(crate) job: String,
    /// The revision of a deleted tag.
    pub(crate) change: i64,
}

fn id(thing: &Value) -> String {
    thing["id"].as_str().expect("it has an identifier").to_owned()
}

impl Things {
    /// Creates them as the owner. `number` identifies the role.
    pub(crate) async fn make(
        server: &Longshore,
        rest: &Rest,
        elsewhere: &DockerRegistry,
        number: usize,
    ) -> Self {
        // A name with slashes is one segment of the path.
        let repository = format!("walk/{number}");
        rest.post("/repositories/dev", json!({"name": repository})).await.expect(201);
        let registry = server.registry().with_credentials(OWNER, OWNERS_PASSWORD);
        registry.push(&corpus::image(1, 1, 512), &format!("dev/{repository}"), Some("1.0")).await;
        let path = format!("/repositories/dev/walk%2F{number}");
        registry.push(&corpus::image(1, 1, 512), &format!("dev/{repository}"), Some("lost")).await;
        rest.delete(&format!("{path}/tags/lost")).await.expect(204);
        let deleted = rest.get(&format!("{path}/deletedTags")).await.expect(200);
        let change = deleted[0]["revision"].as_i64().expect("the tag that was just deleted");
        rest.post("/repositories/dev", json!({"name": format!("gone/{number}")})).await.expect(201);
        rest.delete(&format!("/repositories/dev/gone%2F{number}")).await.expect(204);

        let rules = json!([{"field": "tag", "operator": "eq", "values": ["never"]}]);
        let promotion = json!({"rules": rules, "targetRepository": "dev/target", "tagTemplate": "%n"});
        let promotion = rest.post(&format!("{path}/promotionPolicies"), promotion).await.expect(201);
        let push = async |there: &str| {
            let mirror = with(connection(elsewhere, there), json!({"rules": rules, "tagTemplate": "%n"}));
            rest.post(&format!("{path}/pushMirroringPolicies"), mirror).await.expect(201)
        };
        let (push_mirror, spare_mirror) = (push("qa/pushed").await, push("qa/spare").await);
        let poll_mirror = connection(elsewhere, "upstream/base");
        let poll_mirror = rest.post(&format!("{path}/pollMirroringPolicies"), poll_mirror).await.expect(201);
        let remote = json!({"name": format!("spare {number}"), "url": elsewhere.url()});
        let remote = rest.post("/remotes", remote).await.expect(201);

        let sync = format!("{path}/pollMirroringPolicies/{}/sync", id(&poll_mirror));
        let job = id(&rest.post(&sync, json!({})).await.expect(202));
        eventually("the poll is done", Duration::from_secs(30), async || {
            let job = rest.get(&format!("/jobs/{job}")).await.expect(200);
            (job["status"] == "done").then_some(()).ok_or(job)
        })
        .await;
        Self {
            repository,
            promotion: id(&promotion),
            push_mirror: id(&push_mirror),
            poll_mirror: id(&poll_mirror),
            spare_mirror: id(&spare_mirror),
            remote: id(&remote),
            job,
            change,
        }
    }

    /// The path of an endpoint, with the identifiers of these things.
    pub(crate) fn path(&self, endpoint: &str) -> String {
        let id = match endpoint {
            _ if endpoint.contains("/promotionPolicies/") => &self.promotion,
            _ if endpoint.contains("/pushMirroringPolicies/") => &self.push_mirror,
            _ if endpoint.contains("/pollMirroringPolicies/") => &self.poll_mirror,
            _ if endpoint.contains("/remotes/") => &self.remote,
            _ => &self.job,
        };
        let (_, path) = endpoint.split_once(' ').expect("method and path");
        let path = if path == "/events" { "/events?repository={namespace}/{reponame}" } else { path };
        let of_deleted = endpoint.contains("/deletedRepositories/") && !endpoint.ends_with("/restoration");
        let repository = match of_deleted {
            true => self.repository.replace("walk", "gone"),
            false => self.repository.clone(),
        };
        let restores = endpoint.ends_with("{tag}/restoration");
        let query = format!("?revision={}", self.change);
        let query = if restores && endpoint.starts_with("GET ") { query.as_str() } else { "" };
        format!("{path}{query}")
            .replace("{namespace}", OWNER)
            .replace("{reponame}", &repository.replace('/', "%2F"))
            .replace("{tag}", if restores { "lost" } else { "1.0" })
            .replace("{id}", id)
    }

    /// A body that the endpoint accepts.
    pub(crate) fn body(&self, endpoint: &str, elsewhere: &DockerRegistry, role: usize) -> Option<Value> {
        let rules = json!([{"field": "tag", "operator": "eq", "values": ["never"]}]);
        let name = |thing: &str| format!("{thing}-{role}");
        Some(match endpoint.trim_start_matches("POST /api/v0/repositories/{namespace}/{reponame}/") {
            "POST /api/v0/accounts" => json!({"name": name("org"), "isOrg": true}),
            "POST /api/v0/accounts/{namespace}/changePassword" => {
                json!({"oldPassword": OWNERS_PASSWORD, "newPassword": OWNERS_PASSWORD})
            }
            "POST /api/v0/repositories/{namespace}" => json!({"name": name("made")}),
            "PATCH /api/v0/repositories/{namespace}/{reponame}" => json!({"shortDescription": "walked"}),
            "tags/{tag}/restoration" => json!({"revision": self.change}),
            "PUT /api/v0/accounts/{namespace}/quota" => json!({"quotaBytes": 1_000_000_000}),
            "tags/{tag}/promotion" => {
                json!({"targetRepository": "dev/target", "targetTag": name("promoted")})
            }
            "tags/{tag}/pushMirroring" => {
                with(connection(elsewhere, "qa/by-hand"), json!({"remoteTag": name("pushed")}))
            }
            "promotionPolicies" => {
                json!({"rules": rules, "targetRepository": "dev/target", "tagTemplate": "%n"})
            }
            "pushMirroringPolicies" => {
                with(connection(elsewhere, &name("qa/more")), json!({"rules": rules, "tagTemplate": "%n"}))
            }
            "pollMirroringPolicies" => {
                with(connection(elsewhere, "upstream/base"), json!({"patterns": "never"}))
            }
            "POST /api/v0/remote/registry" => connection(elsewhere, "upstream/base"),
            "POST /api/v0/remotes" => json!({"name": name("remote"), "url": elsewhere.url()}),
            "POST /api/v0/jobs" => json!({"action": "poll_mirror"}),
            "DELETE /api/v0/repositories/{namespace}/{reponame}/mirroringPolicies" => {
                json!([{"id": self.spare_mirror}])
            }
            "PUT /api/v0/remotes/{id}" => json!({"name": name("renamed")}),
            _ if endpoint.starts_with("PUT ") => json!({"enabled": true}),
            _ => return None,
        })
    }
}

fn connection(elsewhere: &DockerRegistry, repository: &str) -> Value {
    remote(&elsewhere.url(), repository, "", "")
}

/// The endpoints of the OpenAPI document, and those that allow anonymous reads.
async fn documented(server: &Longshore) -> (BTreeSet<String>, BTreeSet<String>) {
    let document = server.rest().anonymous().get("/openapi.json").await.expect(200);
    let (mut all, mut public) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let endpoint = format!("{} {path}", method.to_uppercase());
            if operation["security"].as_array().is_some_and(|schemes| schemes.contains(&json!({}))) {
                public.insert(endpoint.clone());
            }
            all.insert(endpoint);
        }
    }
    (all, public)
}

async fn ask(
    server: &Longshore,
    credentials: Option<(&str, &str)>,
    endpoint: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, String) {
    let (method, _) = endpoint.split_once(' ').expect("method and path");
    let method: Method = method.parse().expect("a method");
    let mut request = Client::new().request(method, format!("{}{path}", server.url()));
    if let Some((user, password)) = credentials {
        request = request.basic_auth(user, Some(password));
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the server responds");
    let status = response.status().as_u16();
    // A successful event stream does not end.
    let text = if status < 400 { String::new() } else { response.text().await.unwrap_or_default() };
    (status, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_returns_the_expected_status_for_each_role() {
    let server = longshore_for_everybody().await;
    let elsewhere = DockerRegistry::plain().await;
    elsewhere.client().push(&corpus::image(2, 1, 512), "upstream/base", Some("1")).await;
    let owner = user(&server.rest(), OWNER).await;
    user(&server.rest(), "eve").await;
    owner.post("/repositories/dev", json!({"name": "target"})).await.expect(201);

    let (documented, _) = documented(&server).await;
    let rows: BTreeSet<String> = ROWS.iter().map(|(endpoint, _)| (*endpoint).to_owned()).collect();
    assert_eq!(documented, rows, "each documented endpoint has a row, and each row an endpoint");

    let credentials = [
        None,
        Some(("eve", "eve has a password")),
        Some((OWNER, OWNERS_PASSWORD)),
        Some(("admin", ADMIN_PASSWORD)),
    ];
    let mut wrong = Vec::new();
    for (role, credentials) in credentials.into_iter().enumerate() {
        let things = Things::make(&server, &owner, &elsewhere, role).await;
        for (endpoint, expected) in ROWS {
            let body = things.body(endpoint, &elsewhere, role);
            let (status, text) = ask(&server, credentials, endpoint, &things.path(endpoint), body).await;
            if status != expected[role] {
                wrong.push(format!(
                    "{endpoint} answers {} with {status} and not {}: {text}",
                    ROLES[role], expected[role]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_reads_are_allowed_exactly_where_documented() {
    let server = longshore_for_everybody().await;
    let elsewhere = DockerRegistry::plain().await;
    elsewhere.client().push(&corpus::image(2, 1, 512), "upstream/base", Some("1")).await;
    let owner = user(&server.rest(), OWNER).await;
    owner.post("/repositories/dev", json!({"name": "target"})).await.expect(201);
    let things = Things::make(&server, &owner, &elsewhere, 0).await;
    owner.patch("/repositories/dev/walk%2F0", json!({"visibility": "public"})).await.expect(200);

    let (all, public) = documented(&server).await;
    for endpoint in &all {
        let body = things.body(endpoint, &elsewhere, 0);
        let (status, text) = ask(&server, None, endpoint, &things.path(endpoint), body).await;
        let expected = if public.contains(endpoint) { 200 } else { 401 };
        assert_eq!(status, expected, "{endpoint}: {text}");
    }
}
