//! The default behaviour of a scripted registry: the distribution API for its content.

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use longshore_oci::{Digest, Manifest, Tag, media_type};
use serde_json::{Value, json};

use super::{Asked, Pages, Reply, Repository, ScriptedRegistry, reply};
use crate::corpus::digest_of;

const CONTENT_DIGEST: &str = "docker-content-digest";

impl ScriptedRegistry {
    pub(super) fn serve(&self, asked: &Asked) -> Reply {
        let Some(rest) = asked.path.strip_prefix("/v2/") else { return reply(404) };
        if rest.is_empty() {
            return reply(200).json(&json!({})).header("docker-distribution-api-version", "registry/2.0");
        }
        let split = |word: &str| rest.rsplit_once(word).map(|(name, end)| (name.to_owned(), decoded(end)));
        if let Some((name, session)) = split("/blobs/uploads/") {
            return self.upload(&name, &session, asked);
        }
        if let Some((name, reference)) = split("/manifests/") {
            return self.serve_manifest(&name, &reference, asked);
        }
        if let Some((name, digest)) = split("/blobs/") {
            return self.blob(&name, &digest, asked);
        }
        if let Some((name, subject)) = split("/referrers/") {
            return self.referrers(&name, &subject);
        }
        match split("/tags/list") {
            Some((name, _)) => self.list(&name, asked),
            None => reply(404),
        }
    }

    fn list(&self, name: &str, asked: &Asked) -> Reply {
        let found = self.with(|state| {
            let here = state.repositories.get(name)?;
            let tags = here.tags.keys().map(ToString::to_string);
            Some((here.odd_names.iter().cloned().chain(tags).collect::<Vec<_>>(), state.pages))
        });
        let Some((names, pages)) = found else {
            return reply(404).error("NAME_UNKNOWN", "no such repository");
        };
        let answer = |names: &[String]| reply(200).json(&json!({"name": name, "tags": names}));
        let (most, linked) = match pages {
            Pages::Whole => return answer(&names),
            Pages::Linked(most) => (most, true),
            Pages::Silent(most) => (most, false),
        };
        let asked_for = asked.parameter("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let last = asked.parameter("last").unwrap_or_default();
        let start = names.iter().position(|found| *found == last).map_or(0, |at| at + 1);
        let end = names.len().min(start.saturating_add(most.min(asked_for)));
        let page = answer(&names[start..end]);
        match names.get(..end).and_then(<[_]>::last) {
            Some(last) if linked && end < names.len() => {
                let query = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("last", last)
                    .append_pair("n", &(end - start).to_string())
                    .finish();
                page.header("link", format!("</v2/{name}/tags/list?{query}>; rel=\"next\""))
            }
            _ => page,
        }
    }

    fn upload(&self, name: &str, session: &str, asked: &Asked) -> Reply {
        let location = |session: &str| format!("/v2/{name}/blobs/uploads/{session}");
        if asked.method == Method::POST {
            if let (Some(digest), Some(from)) = (asked.parameter("mount"), asked.parameter("from"))
                && self.mount(name, &digest, &from)
            {
                return reply(201).header(LOCATION.as_str(), format!("/v2/{name}/blobs/{digest}"));
            }
            let session = self.with(|state| {
                state.begun += 1;
                let session = format!("upload-{}", state.begun);
                state.uploads.insert(session.clone(), Vec::new());
                session
            });
            return reply(202).header(LOCATION.as_str(), location(&session));
        }
        let Some(mut bytes) = self.with(|state| state.uploads.remove(session)) else {
            return reply(404).error("BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        if asked.method == Method::DELETE {
            return reply(204);
        }
        bytes.extend_from_slice(&asked.body());
        if asked.method == Method::PUT {
            return self.finish(name, &asked.parameter("digest").unwrap_or_default(), bytes.into());
        }
        let (status, end) =
            if asked.method == Method::PATCH { (202, bytes.len()) } else { (204, bytes.len()) };
        self.with(|state| state.uploads.insert(session.to_owned(), bytes));
        reply(status)
            .header(LOCATION.as_str(), location(session))
            .header(RANGE.as_str(), format!("0-{}", end.saturating_sub(1)))
    }

    fn mount(&self, into: &str, digest: &str, from: &str) -> bool {
        let Ok(digest) = digest.parse::<Digest>() else { return false };
        self.with(|state| {
            let bytes = state.repositories.get(from).and_then(|from| from.blobs.get(&digest).cloned());
            let Some(bytes) = bytes else { return false };
            state.repositories.entry(into.to_owned()).or_default().blobs.insert(digest, bytes);
            true
        })
    }

    fn finish(&self, name: &str, digest: &str, bytes: Bytes) -> Reply {
        let Some(digest) = digest.parse::<Digest>().ok().filter(|digest| *digest == digest_of(&bytes)) else {
            return reply(400).error("DIGEST_INVALID", "the bytes have another digest");
        };
        let answer = reply(201)
            .header(LOCATION.as_str(), format!("/v2/{name}/blobs/{digest}"))
            .header(CONTENT_DIGEST, digest.as_str());
        self.with(|state| state.repositories.entry(name.to_owned()).or_default().blobs.insert(digest, bytes));
        answer
    }

    fn serve_manifest(&self, name: &str, reference: &str, asked: &Asked) -> Reply {
        let unknown = || reply(404).error("MANIFEST_UNKNOWN", "no such manifest");
        if asked.method == Method::PUT {
            let kind = asked.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
            return self.put(name, reference, kind, asked.body());
        }
        if asked.method == Method::DELETE {
            let gone = self.with(|state| {
                let here = state.repositories.get_mut(name)?;
                let Ok(digest) = reference.parse::<Digest>() else {
                    return here.tags.remove(reference.parse::<Tag>().ok()?.as_str()).map(drop);
                };
                here.tags.retain(|_, to| *to != digest);
                here.manifests.remove(&digest).map(drop)
            });
            return gone.map_or_else(unknown, |()| reply(202));
        }
        let found = self.with(|state| {
            let here = state.repositories.get(name)?;
            let digest = match reference.parse::<Digest>() {
                Ok(digest) => digest,
                Err(_) => here.tags.get(reference)?.clone(),
            };
            let (kind, bytes) = here.manifests.get(&digest)?.clone();
            Some((digest, kind, bytes))
        });
        let Some((digest, kind, bytes)) = found else { return unknown() };
        reply(200).typed(&kind, bytes).header(CONTENT_DIGEST, digest.as_str())
    }

    fn put(&self, name: &str, reference: &str, kind: String, bytes: Bytes) -> Reply {
        let manifest = match Manifest::parse(&bytes, Some(&kind)) {
            Ok(manifest) => manifest,
            Err(error) => return reply(400).error("MANIFEST_INVALID", &error.to_string()),
        };
        let digest = digest_of(&bytes);
        let (taken, notes_subjects) = self.with(|state| {
            let here = state.repositories.entry(name.to_owned()).or_default();
            let taken = state.takes_all || here.has_parts_of(&manifest);
            if taken {
                here.manifests.insert(digest.clone(), (kind, bytes));
                if let Ok(tag) = reference.parse::<Tag>() {
                    here.tags.insert(tag, digest.clone());
                }
            }
            (taken, state.has_referrers)
        });
        if !taken {
            return reply(400).error("MANIFEST_BLOB_UNKNOWN", "a part of the manifest is missing");
        }
        let answer = reply(201)
            .header(LOCATION.as_str(), format!("/v2/{name}/manifests/{digest}"))
            .header(CONTENT_DIGEST, digest.as_str());
        match manifest.subject().filter(|_| notes_subjects) {
            Some(subject) => answer.header("oci-subject", subject.digest.as_str()),
            None => answer,
        }
    }

    fn blob(&self, name: &str, digest: &str, asked: &Asked) -> Reply {
        let found = self.with(|state| {
            let digest = digest.parse::<Digest>().ok()?;
            state.repositories.get(name).and_then(|here| here.blobs.get(&digest).cloned())
        });
        let Some(mut bytes) = found else { return reply(404).error("BLOB_UNKNOWN", "no such blob") };
        let whole = bytes.len();
        let range =
            asked.header(RANGE.as_str()).and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let answer = match range.and_then(|start| start.parse::<usize>().ok()).filter(|start| *start < whole)
        {
            Some(start) => {
                bytes = bytes.split_off(start);
                reply(206).header(CONTENT_RANGE.as_str(), format!("bytes {start}-{}/{whole}", whole - 1))
            }
            None => reply(200),
        };
        let answer = answer.typed("application/octet-stream", bytes).header(CONTENT_DIGEST, digest);
        let gate = self.with(|state| state.gates.get(digest).cloned());
        match gate.filter(|_| asked.method == Method::GET) {
            Some(gate) => answer.gated(gate),
            None => answer,
        }
    }

    fn referrers(&self, name: &str, subject: &str) -> Reply {
        if !self.with(|state| state.has_referrers) {
            return reply(404);
        }
        let Ok(subject) = subject.parse::<Digest>() else {
            return reply(400).error("DIGEST_INVALID", "not a digest");
        };
        let found: Vec<Value> = self.with(|state| {
            let Some(here) = state.repositories.get(name) else { return Vec::new() };
            let refers = |(digest, (kind, bytes)): (&Digest, &(String, Bytes))| {
                let manifest = Manifest::parse(bytes, Some(kind)).ok()?;
                let refers = manifest.subject().is_some_and(|found| found.digest == subject);
                let mut entry = json!({"mediaType": kind, "digest": digest, "size": bytes.len()});
                if let Some(artifact_type) = manifest.artifact_type() {
                    entry["artifactType"] = artifact_type.into();
                }
                refers.then_some(entry)
            };
            here.manifests.iter().filter_map(refers).collect()
        });
        let kind = media_type::OCI_INDEX;
        let body = json!({"schemaVersion": 2, "mediaType": kind, "manifests": found});
        reply(200).typed(kind, body.to_string())
    }
}

impl Repository {
    fn has_parts_of(&self, manifest: &Manifest) -> bool {
        manifest.references().filter(|part| !part.absent_ok).all(|part| {
            let named = &part.descriptor.digest;
            self.blobs.contains_key(named) || self.manifests.contains_key(named)
        })
    }
}

/// A percent-decoded part of a path.
fn decoded(part: &str) -> String {
    part.replace("%3A", ":").replace("%3a", ":")
}
