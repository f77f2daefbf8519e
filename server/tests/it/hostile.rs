//! Texts that would be markup if they were not escaped: in every field of every request, in URLs, and in the content of
//! registries and images. None of them changes a page.

use std::collections::BTreeMap;

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use longshore_oci::Digest;
use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Longshore, Rest, Site, corpus};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::rest_walk::{OWNER, OWNERS_PASSWORD, Things};
use crate::support::{longshore_for_everybody, user};

/// Contained in all of the texts, to find them again.
const MARK: &str = "hostile";

/// Closes every context that a text can be in, and continues as markup.
const MARKUP: &str = "hostile\"><x-hostile a='1'>' onhostile='1\" onhostile=\"1</textarea></title></script></style>\
    </noscript></template><script>hostile()</script><form action=//hostile><!--hostile-->]]>&lt;x-hostile&gt;\
    \u{2028}\u{202e}hostile";
/// A URL that a browser would execute.
const ADDRESS: &str = "javascript:hostile()";
/// Control characters.
const CONTROL: &str = "hostile\r\n\t\u{1}\u{7f}\u{0}<x-hostile>\u{85}hostile";

fn texts() -> [String; 4] {
    [MARKUP.to_owned(), ADDRESS.to_owned(), CONTROL.to_owned(), MARKUP.repeat(200_000 / MARKUP.len())]
}

/// The place of a text in a body.
#[derive(Clone, Debug)]
enum Step {
    Member(String),
    First,
}

/// The places of all texts in a body of this schema.
fn fields(document: &Value, schema: &Value, here: &[Step], found: &mut Vec<Vec<Step>>) {
    if here.len() > 8 {
        return;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return fields(document, &document["components"]["schemas"][name], here, found);
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        one => vec![one.clone()],
    };
    if kinds.contains(&json!("string")) {
        found.push(here.to_vec());
    }
    for choice in ["oneOf", "anyOf", "allOf"].iter().filter_map(|word| schema[word].as_array()).flatten() {
        fields(document, choice, here, found);
    }
    let below = |step: Step| [here, &[step]].concat();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        fields(document, member, &below(Step::Member(name.clone())), found);
    }
    if schema["items"].is_object() {
        fields(document, &schema["items"], &below(Step::First), found);
    }
}

fn put(value: &mut Value, place: &[Step], text: &str) {
    match place {
        [] => *value = text.into(),
        [Step::Member(name), rest @ ..] => {
            if !value.is_object() {
                *value = json!({});
            }
            put(&mut value[name.as_str()], rest, text);
        }
        [Step::First, rest @ ..] => {
            if value.as_array().is_none_or(Vec::is_empty) {
                *value = json!([null]);
            }
            put(&mut value[0], rest, text);
        }
    }
}

/// Sends each text in each field of each endpoint. Returns how many requests were accepted.
async fn sow_by_rest(rest: &Rest, things: &Things, elsewhere: &DockerRegistry) -> usize {
    let document = rest.get("/openapi.json").await.expect(200);
    let (mut taken, mut number) = (0, 100);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let endpoint = format!("{} {path}", method.to_uppercase());
            // A new password is not shown anywhere, and a paused system would do nothing any more.
            if path.ends_with("changePassword")
                || endpoint == "PUT /api/v0/pauses/system"
                || method == "delete"
            {
                continue;
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut places = Vec::new();
            fields(&document, schema, &[], &mut places);
            let address = things.path(&endpoint);
            let address = address.trim_start_matches("/api/v0");
            for (place, text) in places.iter().flat_map(|place| texts().map(|text| (place, text))) {
                number += 1;
                let mut body = things.body(&endpoint, elsewhere, number).unwrap_or(json!({}));
                put(&mut body, place, &text);
                let answer = match method.as_str() {
                    "post" => rest.post(address, body).await,
                    "put" => rest.put(address, body).await,
                    _ => rest.patch(address, body).await,
                };
                assert!(answer.status < 500, "{endpoint} {place:?}: {answer:?}");
                taken += usize::from(answer.status < 300);
            }
        }
    }
    taken
}

/// Pushes an image, an index and an artifact that contain such texts.
async fn sow_by_pushes(server: &Longshore, repository: &str) {
    let registry = server.registry().with_credentials(OWNER, OWNERS_PASSWORD);
    let annotations: BTreeMap<_, _> = [
        ("org.opencontainers.image.title", MARKUP),
        ("org.opencontainers.image.description", MARKUP),
        ("org.opencontainers.image.url", ADDRESS),
        (MARKUP, MARKUP),
    ]
    .into();
    let blob = |value: &Value| {
        let bytes = value.to_string().into_bytes();
        let digest: Digest =
            format!("sha256:{}", hex::encode(Sha256::digest(&bytes))).parse().expect("a digest");
        (digest, bytes)
    };
    let (config, bytes) = blob(&json!({
        "os": MARKUP, "architecture": MARKUP, "author": MARKUP, "created": MARKUP,
        "config": {"Labels": annotations, "Env": [MARKUP], "Cmd": [MARKUP]},
        "history": [{"created_by": MARKUP, "comment": MARKUP}],
        "rootfs": {"type": "layers", "diff_ids": []},
    }));
    registry.put_blob(repository, &config, bytes.clone()).await.expect(201);
    let config = |kind: &str| json!({"mediaType": kind, "digest": config, "size": bytes.len()});
    let (image_type, index_type) =
        ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json");
    let image = json!({
        "schemaVersion": 2, "mediaType": image_type, "layers": [], "annotations": annotations,
        "config": config("application/vnd.oci.image.config.v1+json"),
    });
    let (digest, bytes) = blob(&image);
    let platform = json!({"os": MARKUP, "architecture": MARKUP, "variant": MARKUP, "os.version": MARKUP});
    let child = json!({
        "mediaType": image_type, "digest": digest, "size": bytes.len(), "platform": platform,
        "annotations": annotations,
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": index_type, "manifests": [child], "annotations": annotations,
    });
    let artifact = json!({
        "schemaVersion": 2, "mediaType": image_type, "layers": [], "annotations": annotations,
        "artifactType": MARKUP, "config": config(MARKUP),
        "subject": {"mediaType": image_type, "digest": digest, "size": bytes.len()},
    });
    for (tag, kind, manifest) in
        [("image", image_type, image), ("index", index_type, index), ("artifact", image_type, artifact)]
    {
        let answer = registry.put_manifest(repository, tag, kind, manifest.to_string().into_bytes()).await;
        assert!(answer.status < 500, "{tag}: {answer:?}");
    }
}

/// A text as a segment of a path, or as a value in a query.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The routes of the site, with their parameters in braces.
const ROUTES: [&str; 40] = [
    "/",
    "/sign-in",
    "/repositories",
    "/repositories/new",
    "/deleted-repositories",
    "/deleted-repositories/{namespace}/{name}/purge",
    "/repositories/{namespace}/{name}",
    "/repositories/{namespace}/{name}/tags",
    "/repositories/{namespace}/{name}/deleted-tags",
    "/repositories/{namespace}/{name}/deleted-tags/{lost}/{revision}",
    "/repositories/{namespace}/{name}/promotions",
    "/repositories/{namespace}/{name}/promotions/new",
    "/repositories/{namespace}/{name}/promotions/{promotion}/edit",
    "/repositories/{namespace}/{name}/mirrors",
    "/repositories/{namespace}/{name}/mirrors/new",
    "/repositories/{namespace}/{name}/mirrors/{mirror}/edit",
    "/repositories/{namespace}/{name}/permissions",
    "/repositories/{namespace}/{name}/activity",
    "/repositories/{namespace}/{name}/settings",
    "/repositories/{namespace}/{name}/tags/{tag}",
    "/repositories/{namespace}/{name}/tags/{tag}/promote",
    "/repositories/{namespace}/{name}/tags/{tag}/push",
    "/repositories/{namespace}/{name}/tags/{tag}/changes/{revision}",
    "/remotes",
    "/remotes/new",
    "/remotes/{remote}",
    "/jobs",
    "/jobs/{job}",
    "/activity",
    "/organizations",
    "/organizations/new",
    "/organizations/{organization}/storage",
    "/users",
    "/users/new",
    "/users/{namespace}/password",
    "/users/{namespace}/storage",
    "/system",
    "/pauses/system",
    "/pauses/namespaces/{namespace}",
    "/pauses/remotes/{remote}",
];

/// Values of the parameters that refer to existing things.
fn parameters(things: &Things) -> Vec<(&'static str, String)> {
    vec![
        ("namespace", OWNER.to_owned()),
        ("organization", OWNER.to_owned()),
        ("name", things.repository.clone()),
        ("lost", "lost".to_owned()),
        ("revision", things.change.to_string()),
        ("promotion", things.promotion.clone()),
        ("mirror", things.push_mirror.clone()),
        ("remote", things.remote.clone()),
        ("job", things.job.clone()),
        ("tag", "image".to_owned()),
    ]
}

fn filled(route: &str, parameters: &[(&str, String)], hostile: Option<(&str, &str)>) -> String {
    parameters.iter().fold(route.to_owned(), |path, (name, value)| {
        let value = hostile.filter(|(other, _)| other == name).map_or(value.as_str(), |(_, text)| text);
        path.replace(&format!("{{{name}}}"), &encoded(value))
    })
}

/// The URLs of all pages, both valid ones and with hostile texts in each place.
async fn addresses(rest: &Rest, things: &Things) -> Vec<String> {
    let parameters = parameters(things);
    let mut addresses = Vec::new();
    let queries: String = [
        "q",
        "namespace",
        "state",
        "status",
        "action",
        "repository",
        "start",
        "size",
        "side",
        "show",
        "next",
        "sort",
        "__path",
        "__err",
    ]
    .map(|name| format!("{name}={}&", encoded(MARKUP)))
    .concat();
    let told = json!({"code": "INVALID_REQUEST", "message": MARKUP, "fields": []}).to_string();
    let told = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, told);
    for route in ROUTES {
        addresses.push(filled(route, &parameters, None));
        addresses.push(format!("{}?{queries}", filled(route, &parameters, None)));
        for (name, _) in parameters.iter().filter(|(name, _)| route.contains(&format!("{{{name}}}"))) {
            for text in [MARKUP, ADDRESS, CONTROL] {
                addresses.push(filled(route, &parameters, Some((name, text))));
            }
        }
    }
    for form in ["sign_in", "pause_flows", MARKUP] {
        addresses.push(format!(
            "/sign-in?__path={}&__err={}",
            encoded(&format!("/fn/{form}")),
            encoded(&told)
        ));
    }
    addresses.extend([format!("/{}", encoded(MARKUP)), format!("/sign-in?next=/{}", encoded(MARKUP))]);
    let repository = format!("/repositories/{OWNER}/{}", encoded(&things.repository));
    addresses.extend(["index", "artifact"].map(|tag| format!("{repository}/tags/{tag}")));
    addresses.push(format!("{repository}/mirrors/{}/edit", things.poll_mirror));
    for (list, ids, page) in
        [("/jobs?limit=50", "/jobs", "/jobs"), ("/remotes?pageSize=50", "/remotes", "/remotes")]
    {
        let listed = rest.get(list).await.expect(200);
        let listed = listed[ids.trim_start_matches('/')].as_array().or(listed.as_array()).cloned();
        let ids = listed.into_iter().flatten().filter_map(|row| row["id"].as_str().map(str::to_owned));
        addresses.extend(ids.map(|id| format!("{page}/{id}")));
    }
    for (kind, page) in [
        ("promotionPolicies", "promotions"),
        ("pushMirroringPolicies", "mirrors"),
        ("pollMirroringPolicies", "mirrors"),
    ] {
        let name = encoded(&things.repository);
        let listed = rest.get(&format!("/repositories/{OWNER}/{name}/{kind}")).await.expect(200);
        let ids = listed.as_array().into_iter().flatten().filter_map(|row| row["id"].as_str());
        addresses.extend(ids.map(|id| format!("{repository}/{page}/{id}/edit")));
    }
    addresses
}

/// The occurrences of the texts in a page.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    /// Elements whose text or attributes contain them escaped.
    harmless: BTreeMap<String, usize>,
}

impl Seen {
    fn look(&mut self, page: &str, node: &Handle, parent: &str) {
        let mut wrong = |what: String| self.wrong.push(format!("{page}: {what}"));
        let mut inside = parent.to_owned();
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                inside = name.local.to_string();
                if inside.contains(MARK) {
                    wrong(format!("an element {inside}"));
                }
                for attribute in attrs.borrow().iter() {
                    let (name, value) = (attribute.name.local.to_string(), attribute.value.trim());
                    if name.contains(MARK) {
                        wrong(format!("an attribute {name} of {inside}"));
                    }
                    let runs = matches!(&name[..], "href" | "src" | "action" | "formaction")
                        && value.to_ascii_lowercase().starts_with("javascript:");
                    if runs || (matches!(&name[..], "action" | "href") && value.starts_with("//")) {
                        wrong(format!("the address {value} in {name} of {inside}"));
                    }
                    if value.contains(MARK) {
                        *self.harmless.entry(format!("{inside} {name}")).or_default() += 1;
                    }
                }
            }
            NodeData::Comment { contents } if contents.contains(MARK) => {
                wrong(format!("a comment {contents}"))
            }
            NodeData::Text { contents } => {
                let text = contents.borrow();
                if parent == "script" && text.contains("<x-hostile") {
                    wrong("a script that holds markup".to_owned());
                }
                if text.contains(MARK) {
                    *self.harmless.entry(inside.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.look(page, child, &inside);
        }
    }
}

async fn look_at_all(site: &Site, who: &str, addresses: &[String], seen: &mut Seen) {
    for address in addresses {
        let page = site.page(address).await;
        let name = format!("{address} as {who}");
        if page.status >= 500 {
            seen.wrong.push(format!("{name} answered {}", page.status));
        }
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page.body.as_str());
        seen.look(&name, &dom.document, "");
    }
}

#[test]
fn every_route_is_tested() {
    // Only the places of parameters matter; their names differ here.
    let shape = |route: &str| {
        let parts = route.split('/').map(|part| if part.starts_with([':', '{']) { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    let looked_at = ROUTES.map(shape);
    let missing: Vec<_> = longshore_app::addresses()
        .into_iter()
        .filter(|address| !looked_at.contains(&shape(address)))
        .collect();
    assert!(missing.is_empty(), "add the new pages to ROUTES: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_becomes_markup_on_any_page() {
    let server = longshore_for_everybody().await;
    let elsewhere = DockerRegistry::plain().await;
    elsewhere.client().push(&corpus::image(2, 1, 512), "upstream/base", Some("1")).await;
    let owner = user(&server.rest(), OWNER).await;
    user(&server.rest(), "eve").await;
    owner.post("/repositories/dev", json!({"name": "target"})).await.expect(201);
    let things = Things::make(&server, &owner, &elsewhere, 0).await;
    sow_by_pushes(&server, &format!("{OWNER}/{}", things.repository)).await;
    let rest = server.rest();
    let taken = sow_by_rest(&rest, &things, &elsewhere).await;
    assert!(taken > 10, "only {taken} requests with such texts were accepted");
    let public = json!({"visibility": "public", "shortDescription": MARKUP, "longDescription": MARKUP});
    let path = format!("/repositories/{OWNER}/{}", encoded(&things.repository));
    rest.patch(&path, public).await.expect(200);

    let addresses = addresses(&rest, &things).await;
    let mut seen = Seen::default();
    let site = server.site();
    let roles = [
        ("nobody", site.clone()),
        ("a stranger", site.sign_in("eve", "eve has a password").await),
        ("the owner", site.sign_in(OWNER, OWNERS_PASSWORD).await),
        ("an administrator", site.sign_in("admin", ADMIN_PASSWORD).await),
    ];
    for (who, site) in &roles {
        look_at_all(site, who, &addresses, &mut seen).await;
    }
    assert!(
        seen.wrong.is_empty(),
        "{} pages, such as {:#?}",
        seen.wrong.len(),
        &seen.wrong[..seen.wrong.len().min(20)]
    );
    // They were shown, and stayed text.
    for place in ["title", "textarea", "p", "script", "input value"] {
        assert!(seen.harmless.contains_key(place), "no text in {place}: {:#?}", seen.harmless);
    }
}
