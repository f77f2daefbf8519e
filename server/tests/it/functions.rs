//! The server functions of the site, called with arguments of other types, with missing ones, and with texts that no
//! form would send. The functions and their arguments are read from their source, so new ones are tested too; a new
//! type of argument needs an example here.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_testkit::scripted::{Reply, on, reply};
use longshore_testkit::{ADMIN_PASSWORD, Longshore, ScriptedRegistry, Site, SiteAnswer, corpus};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{longshore, repositories};

/// A server function as its source declares it.
#[derive(Debug)]
struct Function {
    name: String,
    /// Name and type of each argument.
    arguments: Vec<(String, String)>,
    /// Whether it is called with JSON; otherwise with the fields of a form.
    json: bool,
}

/// All server functions of the site.
fn functions() -> Vec<Function> {
    let mut found = Vec::new();
    read_functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/src"), &mut found);
    // The function that ends the session comes last.
    found.sort_by_key(|function| (function.name == "sign_out", function.name.clone()));
    found
}

/// Adds the server functions that are declared in a folder, recursively.
fn read_functions(folder: &Path, found: &mut Vec<Function>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the site's source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_functions(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(path).expect("a source file");
        for declared in source.split("\n#[server").skip(1) {
            let (attribute, rest) = declared.split_once(']').expect("an attribute ends");
            let (_, rest) = rest.split_once("async fn ").expect("a function follows");
            let (name, rest) = rest.split_once('(').expect("arguments follow");
            let (arguments, _) = rest.split_once(") ->").expect("the return type follows");
            let arguments = split(arguments).map(|argument| {
                let (name, kind) = argument.split_once(':').expect("name and type");
                (name.trim().to_owned(), kind.trim().to_owned())
            });
            let (name, arguments) = (name.to_owned(), arguments.collect());
            found.push(Function { name, arguments, json: attribute.contains("Json") });
        }
    }
}

/// Splits arguments at commas, except inside tuples.
fn split(arguments: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = arguments.split(move |letter| {
        depth += i32::from(matches!(letter, '(' | '<')) - i32::from(matches!(letter, ')' | '>'));
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

const ID: &str = "01900000-0000-7000-8000-000000000000";

/// A valid argument of this type. Names refer to existing things, ids do not.
fn example(name: &str, kind: &str) -> Value {
    let remote = json!({
        "name": "", "owner": "", "kind": "other", "url": "http://127.0.0.1:1", "username": "bot", "secret": "x",
        "ca_pem": "", "skip_tls_verify": false, "proxy": "",
    });
    let choice = json!({"kind": "saved", "id": ID});
    let rules = json!([{"field": "tag", "operator": "ew", "values": ["x"]}]);
    match kind {
        "String" => match name {
            "repository_name" => json!("dev/website"),
            "name" => json!("1.0"),
            "scope" => json!("namespace/nobody"),
            _ => json!("x"),
        },
        "Option<String>" => json!("x"),
        "bool" => json!(true),
        "i64" | "Option<u64>" => json!(1),
        "Vec<String>" => json!(["1.0"]),
        "JobId" | "PolicyId" | "RemoteId" => json!(ID),
        "Loaded" | "Option<Loaded>" => json!({"id": ID, "version": 1}),
        "Option<(RemoteId, Version)>" => json!([ID, 1]),
        "Save" => json!("future"),
        "Side" => json!("source"),
        "PauseScope" => json!("namespace/dev"),
        "PageRequest" => json!({"start": "n10x2278", "size": 10}),
        "RemoteChoice" => choice,
        "RemoteDraft" => remote,
        "ConnectRequest" => json!({
            "saved": null, "remote": remote, "remote_repository": "a/b", "direction": "pull",
        }),
        "PromotionDraft" => json!({
            "rules": rules, "every_tag": false, "target": "dev/target", "template": "%n", "enabled": true,
            "referrers": true,
        }),
        "PushMirrorDraft" => json!({
            "remote": choice, "remote_repository": "a/b", "rules": rules, "every_tag": false, "template": "%n",
            "enabled": true, "overwrite": true, "referrers": true, "foreign_layers": true,
        }),
        "PullMirrorDraft" => json!({
            "remote": choice, "remote_repository": "a/b", "patterns": "*", "interval_seconds": 3600,
            "enabled": true, "referrers": true, "foreign_layers": true, "exclusive": false,
        }),
        "NewAccount" => {
            json!({"name": "x", "is_org": true, "is_admin": false, "password": "long enough for one"})
        }
        "NewRepository" => json!({
            "namespace": "dev", "name": "x", "visibility": "private", "short_description": "x",
            "long_description": "x", "immutable_tags": {"kind": "matching", "patterns": "1.*"},
        }),
        "RepositoryChange" => json!({
            "visibility": "private", "state": "normal", "short_description": "x", "long_description": "x",
            "immutable_tags": null, "based_on": 1,
        }),
        "RepositoryFilter" => json!({"search": "x", "namespace": "dev", "state": "normal", "writable": true}),
        "ActivityFilter" => json!({"repository": "dev/website", "namespace": "dev"}),
        "JobFilter" => json!({
            "action": null, "status": "done", "repository": "dev/website", "policy": ID, "parent": ID,
            "without_evaluations": true,
        }),
        other => panic!("add an example of {other} (the argument {name}) to this test"),
    }
}

const MARKUP: &str = "</textarea><form action=//hostile.example><script>hostile()</script>\"'><b>";
const CONTROL: &str = "\u{0}\u{1}\r\n\t\u{1b}[31m\u{7f}\u{85}\u{202e}\u{2028}\u{feff}";

/// The values that replace each value.
fn hostile() -> Vec<Value> {
    let deep = (0..100).fold(json!([]), |inner, _| json!([inner]));
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(9_223_372_036_854_775_807_i64),
        json!(u64::MAX),
        json!(1e300),
        json!(0.5),
        json!(""),
        json!(MARKUP),
        json!(CONTROL),
        json!("x".repeat(200_000)),
        json!(MARKUP.repeat(2_000)),
        json!("../../../etc/passwd"),
        json!("%00%2f..%2f"),
        json!("ffffffff-ffff-ffff-ffff-ffffffffffff"),
        json!("dev/nothing"),
        json!("nobody/nothing"),
        json!("🦀/\u{301}"),
        json!({}),
        json!({"kind": MARKUP, "id": CONTROL}),
        deep,
    ]
}

/// A value that is invalid for every type of argument.
fn of_no_type() -> Value {
    json!([[[{"hostile": []}]]])
}

/// All places in a value, as JSON pointers.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, &format!("{here}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| places(item, &format!("{here}/{index}"), found));
        }
        _ => {}
    }
}

/// The value without the part at a place.
fn without(value: &Value, place: &str) -> Value {
    let mut left = value.clone();
    let (around, last) = place.rsplit_once('/').expect("a place inside the value");
    match left.pointer_mut(around) {
        Some(Value::Object(members)) => drop(members.remove(last)),
        Some(Value::Array(items)) => drop(items.pop()),
        _ => {}
    }
    left
}

fn replaced(value: &Value, place: &str, by: Value) -> Value {
    let mut changed = value.clone();
    *changed.pointer_mut(place).expect("the place exists") = by;
    changed
}

/// What is wrong with a response, if anything.
fn fault(answer: &SiteAnswer) -> Option<String> {
    let start: String = answer.body.chars().take(300).collect();
    if answer.status >= 500 {
        return Some(format!("{}: {start}", answer.status));
    }
    if answer.status < 400 {
        return None;
    }
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let told = problem["message"].as_str().is_some_and(|message| message.len() > 10);
    match told && answer.body.len() < 10_000 {
        true => None,
        false => Some(format!(
            "{} says too little or too much ({} bytes): {start}",
            answer.status,
            answer.body.len()
        )),
    }
}

/// Calls a function with its example, changed in each way at each place, and records faults.
async fn call(site: &Site, function: &Function, faults: &mut Vec<String>) -> usize {
    let members = function.arguments.iter().map(|(name, kind)| (name.clone(), example(name, kind)));
    let arguments = Value::Object(members.collect());
    let mut found = Vec::new();
    places(&arguments, "", &mut found);
    let mut calls = vec![(false, String::new(), arguments.clone())];
    for place in &found {
        let changed = |by| (false, place.clone(), replaced(&arguments, place, by));
        calls.extend(hostile().into_iter().map(changed));
        calls.push((
            !function.arguments.is_empty(),
            place.clone(),
            replaced(&arguments, place, of_no_type()),
        ));
        if !place.is_empty() {
            calls.push((false, place.clone(), without(&arguments, place)));
        }
    }
    let count = calls.len();
    for (index, (must_refuse, place, arguments)) in calls.into_iter().enumerate() {
        let answer = match function.json {
            true => site.call_json(&function.name, arguments.to_string()).await,
            false => {
                let fields = arguments.as_object().cloned().unwrap_or_default();
                let texts = fields.iter().map(|(name, value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    (name.clone(), text)
                });
                let texts: Vec<_> = texts.collect();
                let form: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
                site.call(&function.name, &form).await
            }
        };
        let taken = must_refuse && function.json && answer.status < 400;
        // The first is the unchanged example, which may be rejected, but not because it cannot be deserialized.
        let unread = index == 0 && answer.body.contains("cannot be read");
        let wrong = fault(&answer)
            .or_else(|| taken.then(|| format!("{}: it was taken", answer.status)))
            .or_else(|| unread.then(|| format!("mend the example in this test: {}", answer.body)));
        if let Some(wrong) = wrong {
            let sent: String = arguments.to_string().chars().take(200).collect();
            faults.push(format!("{} with another {place:?} ({sent}): {wrong}", function.name));
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_a_server_function_causes_an_internal_error() {
    let server = longshore().await;
    repositories(&server.rest(), &["dev/website", "dev/target"]).await;
    server.registry().push(&corpus::image(1, 1, 100), "dev/website", Some("1.0")).await;
    let functions = functions();
    assert!(functions.len() > 60, "only {} functions were found", functions.len());
    let signed_in = server.site().sign_in("admin", ADMIN_PASSWORD).await;
    let (mut faults, mut calls) = (Vec::new(), 0);
    for site in [server.site(), signed_in] {
        for function in &functions {
            calls += call(&site, function, &mut faults).await;
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {calls} calls, such as {:#?}",
        faults.len(),
        &faults[..faults.len().min(20)]
    );
    let log = server.log();
    let lines: Vec<_> =
        log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    assert!(lines.is_empty(), "{} lines, such as {:#?}", lines.len(), &lines[..lines.len().min(5)]);
}

/// The resident memory of the server, in MiB.
fn resident(server: &Longshore) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_41_endless_lists_of_a_registry_do_not_fill_the_memory() {
    let server = longshore().await;
    repositories(&server.rest(), &["dev/website"]).await;
    let site = server.site().sign_in("admin", ADMIN_PASSWORD).await;
    let request = |registry: &ScriptedRegistry| {
        let remote = json!({"kind": "other", "url": registry.url()});
        let request =
            json!({"saved": null, "remote": remote, "remote_repository": "a/b", "direction": "pull"});
        json!({"repository_name": "dev/website", "request": request}).to_string()
    };
    // Endless pages, an endless name, and an endless page.
    let endless = ScriptedRegistry::start().await;
    let pages = AtomicUsize::new(0);
    endless.script([on(Method::GET, "*/tags/list").with(move |_| {
        let page = pages.fetch_add(1, Ordering::Relaxed);
        let names: Vec<_> = (0..8_000).map(|index| format!("{page:0>60}-{index:0>60}")).collect();
        let next = format!("</v2/a/b/tags/list?last={page}>; rel=\"next\"");
        Some(reply(200).json(&json!({"name": "a/b", "tags": names})).header("link", next))
    })]);
    let long = ScriptedRegistry::start().await;
    long.script([on(Method::GET, "*/tags/list").answer(stream("{\"tags\":[\"", "a"))]);
    let wide = ScriptedRegistry::start().await;
    wide.script([on(Method::GET, "*/tags/list")
        .answer(stream("{\"tags\":[\"x\"", ",\"tag-of-a-list-that-never-ends\""))]);

    // Memory that the first call needs once does not count as growth.
    site.call_json("remote_tags", request(&ScriptedRegistry::start().await)).await;
    let before = resident(&server);
    for (what, registry) in [("pages", &endless), ("a name", &long), ("a page", &wide)] {
        for _ in 0..3 {
            let answer = site.call_json("remote_tags", request(registry)).await;
            assert!(
                answer.status < 500 && answer.body.len() < 1 << 20,
                "{what}: {} {}",
                answer.status,
                answer.body.len()
            );
        }
        let now = resident(&server);
        assert!(now < before + 150, "{what}: {before} MiB before, {now} MiB afterwards");
    }
}

/// An endless body.
fn stream(beginning: &'static str, piece: &'static str) -> Reply {
    let more = bytes::Bytes::from(piece.repeat(64 * 1024 / piece.len()));
    reply(200).header("content-type", "application/json").stream(move || {
        let more = more.clone();
        let pieces =
            std::iter::once(bytes::Bytes::from_static(beginning.as_bytes())).chain(std::iter::repeat(more));
        futures::stream::iter(pieces.map(Ok))
    })
}
