//! Properties of the OpenAPI document as a whole.

#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value};
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::to_value(longshore_api::openapi()).unwrap()
}

/// All endpoints with their methods and paths.
fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| {
                (format!("{} {path}", method.to_uppercase()), operation.as_object().unwrap())
            })
        })
        .collect()
}

#[test]
fn the_checked_in_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        checked_in == longshore_api::openapi_json(),
        "docs/openapi.json is out of date; update it with `cargo run -- openapi > docs/openapi.json`"
    );
}

#[test]
fn every_endpoint_has_a_name_a_summary_and_a_subject() {
    let document = document();
    let subjects: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    for (endpoint, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is the name of two endpoints");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{endpoint}");
        let subject = operation["tags"][0].as_str().unwrap();
        assert!(subjects.contains(subject), "{endpoint} is about {subject}, which has no description");
    }
}

#[test]
fn every_endpoint_documents_its_parameters_and_errors() {
    let document = document();
    for (endpoint, operation) in operations(&document) {
        let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        for name in endpoint.split(['{', '}']).skip(1).step_by(2) {
            assert!(
                parameters.iter().any(|one| one["name"] == name && one["in"] == "path"),
                "{endpoint}: {name}"
            );
        }
        let responses = operation["responses"].as_object().unwrap();
        for status in ["401", "403", "500"] {
            assert!(responses.contains_key(status), "{endpoint} does not document {status}");
        }
        for (status, response) in responses {
            assert!(
                response["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{endpoint} {status}"
            );
            let failed = status.starts_with(['4', '5']);
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert!(!failed || schema == "#/components/schemas/Errors", "{endpoint} {status}: {schema}");
        }
        if operation.contains_key("requestBody") {
            assert!(responses.contains_key("400") && responses.contains_key("415"), "{endpoint}");
        }
    }
}

#[test]
fn every_referenced_schema_exists() {
    let document = document();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference} does not exist");
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn only_reading_public_data_requires_no_credentials() {
    let document = document();
    assert_eq!(document["security"], serde_json::json!([{"basic": []}, {"session": []}]));
    for (endpoint, operation) in operations(&document) {
        if let Some(security) = operation.get("security") {
            assert!(endpoint.starts_with("GET "), "{endpoint} would allow changes without credentials");
            assert_eq!(security, &serde_json::json!([{}, {"basic": []}, {"session": []}]), "{endpoint}");
        }
    }
}

#[test]
fn the_endpoints_that_dtrs_scripts_call_exist() {
    let document = document();
    let there: BTreeSet<String> = operations(&document).into_iter().map(|(endpoint, _)| endpoint).collect();
    let repository = "/api/v0/repositories/{namespace}/{reponame}";
    for endpoint in [
        "GET /api/v0/accounts".to_owned(),
        "POST /api/v0/accounts".to_owned(),
        "GET /api/v0/repositories".to_owned(),
        "POST /api/v0/repositories/{namespace}".to_owned(),
        format!("PATCH {repository}"),
        format!("GET {repository}/tags"),
        format!("DELETE {repository}/tags/{{tag}}"),
        format!("POST {repository}/tags/{{tag}}/promotion"),
        format!("POST {repository}/tags/{{tag}}/pushMirroring"),
        format!("PUT {repository}/promotionPolicies/{{id}}"),
        format!("PUT {repository}/pushMirroringPolicies/{{id}}"),
        format!("PUT {repository}/pollMirroringPolicies/{{id}}"),
        format!("DELETE {repository}/mirroringPolicies"),
        "POST /api/v0/remote/registry".to_owned(),
        "POST /api/v0/jobs".to_owned(),
        "POST /api/v0/jobs/{id}/cancel".to_owned(),
        "GET /api/v0/jobs/{id}/logs".to_owned(),
        "GET /api/v0/meta/features".to_owned(),
    ] {
        assert!(there.contains(&endpoint), "{endpoint} is missing");
    }
}
