//! Compares a server with the expectations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use longshore_oci::{Digest, Manifest, ReferenceRole};
use longshore_testkit::corpus::digest_of;
use longshore_testkit::{Longshore, RegistryClient, eventually};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE};

use crate::expected::{Known, State, Thing};
use crate::scene::{LAST, NEXT, PROMOTED, WORK};

/// The maximum time until interrupted promotions are finished.
const SOON: Duration = Duration::from_secs(60);

/// The expected states.
pub(crate) struct Expectations {
    pub(crate) expected: BTreeMap<Thing, Known>,
    /// All bytes of each upload, to finish it.
    pub(crate) uploads: HashMap<String, Bytes>,
    /// Whether untagged parts are kept. They are not if garbage is collected immediately.
    pub(crate) loose_parts: bool,
}

/// Checks everything, and returns the states of the tags.
///
/// # Panics
/// If anything differs from the expectations.
pub(crate) async fn check(server: &Longshore, wanted: &Expectations) -> BTreeMap<Thing, State> {
    let registry = server.registry();
    finish_uploads(&registry, wanted).await;
    let mut whole = Whole { registry: &registry, verified: BTreeSet::new() };
    let mut found = BTreeMap::new();
    for repository in [WORK, NEXT, LAST] {
        for tag in registry.tags(repository).await {
            let digest = whole.manifest(repository, tag.as_str()).await;
            if repository == WORK {
                found.insert(Thing::Tag(tag.to_string()), State::PointsTo(digest));
            }
        }
    }
    for (thing, known) in &wanted.expected {
        let state = match thing {
            Thing::Tag(_) => found.get(thing).cloned().unwrap_or(State::Absent),
            Thing::Blob(digest) if wanted.loose_parts => {
                present(registry.head_blob(WORK, digest).await.status)
            }
            Thing::Manifest(digest) if wanted.loose_parts => {
                present(registry.head_manifest(WORK, digest.as_str()).await.status)
            }
            Thing::Blob(_) | Thing::Manifest(_) | Thing::Upload(_) => continue,
        };
        assert!(known.allows(&state), "{thing:?} is {state:?}, but must be {known:?}");
    }
    for thing in found.keys() {
        assert!(wanted.expected.contains_key(thing), "no client created {thing:?}");
    }
    promotions(&registry, &found).await;
    found
}

fn present(status: u16) -> State {
    match status {
        200 => State::Present,
        404 => State::Absent,
        status => panic!("a HEAD returned {status}"),
    }
}

/// Waits until every matching tag is promoted in its current state.
pub(crate) async fn promotions(registry: &RegistryClient, found: &BTreeMap<Thing, State>) {
    for (thing, state) in found {
        let (Thing::Tag(tag), State::PointsTo(digest)) = (thing, state) else { continue };
        if !tag.ends_with(PROMOTED) {
            continue;
        }
        for repository in [NEXT, LAST] {
            eventually(&format!("{tag} in {repository} to be {digest}"), SOON, async || {
                match registry.digest_of(repository, tag).await {
                    Some(there) if there == *digest => Ok(()),
                    other => Err(other),
                }
            })
            .await;
        }
    }
}

/// Checks that every upload has the acknowledged bytes, and finishes it.
async fn finish_uploads(registry: &RegistryClient, wanted: &Expectations) {
    for (thing, known) in &wanted.expected {
        let Thing::Upload(location) = thing else { continue };
        let answer = registry.send(registry.request(Method::GET, location)).await;
        if answer.status == 404 {
            assert!(known.allows(&State::Absent), "the upload {location} is lost; it must be {known:?}");
            continue;
        }
        let answer = answer.expect(204);
        let range = answer.header("range").expect("an upload has a range");
        let last: u64 = range.rsplit('-').next().and_then(|last| last.parse().ok()).expect("a number");
        // An empty upload has the range 0-0, as one with a single byte has.
        let lengths = if last == 0 { vec![0, 1] } else { vec![last + 1] };
        assert!(
            lengths.iter().any(|length| known.allows(&State::Has(*length))),
            "the upload {location} has {lengths:?} bytes; it must be {known:?}"
        );
        let bytes: &Bytes = &wanted.uploads[location];
        let digest = digest_of(bytes);
        let answer = eventually("the killed server to let go of an upload", SOON, async || {
            let mut refused = Vec::new();
            for length in &lengths {
                let rest = bytes.slice(*length as usize..);
                let request = registry.request(Method::PUT, &format!("{location}?digest={digest}"));
                let mut request = request.header(CONTENT_TYPE, "application/octet-stream");
                if !rest.is_empty() {
                    request = request.header(CONTENT_RANGE, format!("{length}-{}", bytes.len() - 1));
                }
                let answer = registry.send(request.body(rest)).await;
                if answer.status != 416 {
                    return Ok(answer);
                }
                refused.push(answer);
            }
            Err(refused)
        })
        .await;
        // An upload that was being finished may have become a blob that the client does not know about.
        if answer.status != 404 || !known.allows(&State::Absent) {
            answer.expect(201);
        }
    }
}

/// Reads everything that a tag references, each part once.
struct Whole<'a> {
    registry: &'a RegistryClient,
    verified: BTreeSet<(String, Digest)>,
}

impl Whole<'_> {
    async fn manifest(&mut self, repository: &str, reference: &str) -> Digest {
        let mut waiting = vec![reference.to_owned()];
        let mut root = None;
        while let Some(reference) = waiting.pop() {
            let answer = self.registry.get_manifest(repository, &reference).await.expect(200);
            let digest = digest_of(&answer.body);
            let asked_by_digest = reference.contains(':');
            assert!(!asked_by_digest || reference == digest.as_str(), "{repository}@{reference} is {digest}");
            root.get_or_insert(digest.clone());
            if !self.verified.insert((repository.to_owned(), digest)) {
                continue;
            }
            let manifest = Manifest::parse(&answer.body, answer.header("content-type"));
            let manifest = manifest.unwrap_or_else(|error| panic!("{repository}:{reference}: {error}"));
            for part in manifest.references() {
                let digest = &part.descriptor.digest;
                match part.role {
                    ReferenceRole::Config | ReferenceRole::Layer => self.blob(repository, digest).await,
                    ReferenceRole::Child => waiting.push(digest.to_string()),
                    ReferenceRole::Subject => {}
                }
            }
        }
        root.expect("there is at least the root")
    }

    async fn blob(&mut self, repository: &str, digest: &Digest) {
        if self.verified.insert((repository.to_owned(), digest.clone())) {
            let answer = self.registry.get_blob(repository, digest).await.expect(200);
            assert_eq!(digest_of(&answer.body), *digest, "the bytes of a blob in {repository}");
        }
    }
}
