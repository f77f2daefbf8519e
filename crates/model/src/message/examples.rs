//! One example of each kind of message, with unmistakable names, and the tests that hold for all of them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    Author, JobId, PauseReason, PauseScope, PolicyId, PolicyKind, RemoteId, RepositoryId, RepositoryState,
    Revision, Timestamp, Visibility, pause::Pause, repository::ImmutableTags,
};
use longshore_oci::{Digest, Tag};
use longshore_policy::WaitingFor;
use uuid::Uuid;

/// Part of every name that a reader without permission must not see.
const SECRET: &str = "xyzzy";
const REPOSITORY: RepositoryId = RepositoryId(Uuid::from_u128(1));
const REMOTE: RemoteId = RemoteId(Uuid::from_u128(2));

fn repository() -> RepositoryRef {
    RepositoryRef::new(REPOSITORY, "xyzzy-team/website".parse().unwrap())
}

fn name() -> Tag {
    "xyzzy-1.0".parse().unwrap()
}

fn tag() -> TagRef {
    TagRef::new(repository(), name())
}

fn remote() -> RemoteRef {
    RemoteRef::new(REMOTE, "registry.xyzzy.example")
}

fn place() -> PlaceRef {
    PlaceRef::new(remote(), "xyzzy-there/website".parse().unwrap()).tagged(name())
}

fn digest() -> Digest {
    Digest::sha256([7; 32])
}

fn plain() -> Box<Message> {
    Box::new(Message::from("the disk of xyzzy is full".to_owned()))
}

fn quota() -> Quota {
    let namespace = "xyzzy-team".parse().unwrap();
    Quota { repository: repository(), namespace, quota: 10, used: 9, needed: 5 }
}

fn pause() -> Pause {
    Pause {
        scope: PauseScope::Namespace("xyzzy-team".parse().unwrap()),
        at: Timestamp::UNIX_EPOCH,
        author: Author::System,
        reason: PauseReason::Asked,
    }
}

fn back_off() -> crate::remote::BackOff {
    crate::remote::BackOff {
        reason: crate::remote::WaitReason::RateLimited,
        asked: true,
        failures: 1,
        since: Timestamp::UNIX_EPOCH,
        until: Timestamp::UNIX_EPOCH,
    }
}

fn jobs() -> Vec<JobMessage> {
    let counts = Evaluated { evaluated: 3, promoted: 1, queued: 1, ..Evaluated::default() };
    vec![
        JobMessage::Canceled,
        JobMessage::Parked,
        JobMessage::Withdrawn { why: Withdrawal::Changed(PolicyKind::PushMirror) },
        JobMessage::Withdrawn { why: Withdrawal::RemoteMoved },
        JobMessage::RemoteWaits { back_off: back_off() },
        JobMessage::RemoteTriedTooLong { back_off: back_off() },
        JobMessage::LinesLeftOut { count: 5 },
        JobMessage::Stopped { pause: pause() },
        JobMessage::Dropped { pause: pause() },
        JobMessage::Unknown { action: "scrub".to_owned() },
        JobMessage::Unreadable { error: "invalid job parameters".to_owned() },
        JobMessage::Evaluated { counts },
        JobMessage::Applied { counts },
        JobMessage::PolicyChanged { counts },
        JobMessage::PolicyGone,
        JobMessage::RepositoryGone,
        JobMessage::TagGone { tag: tag() },
        JobMessage::TagChanged { tag: tag(), revision: Revision(7) },
        JobMessage::Tag { tag: tag(), what: plain() },
        JobMessage::Followed { linked: 1, queued: 2, without: Some(plain()) },
    ]
}

fn promotions() -> Vec<PromotionMessage> {
    vec![
        PromotionMessage::Promoted { target: tag(), without: Some(quota()) },
        PromotionMessage::Unchanged { target: tag(), without: None },
        PromotionMessage::Superseded { target: tag(), by: Revision(7) },
        PromotionMessage::Immutable { target: tag() },
        PromotionMessage::Deleted { target: tag() },
        PromotionMessage::NoRoom { quota: quota() },
        PromotionMessage::Template { error: "it is empty".to_owned() },
        PromotionMessage::From { source: tag() },
    ]
}

fn pushes() -> Vec<PushMessage> {
    let (ours, later, job) = (Revision(1), Revision(2), Some(JobId(Uuid::from_u128(3))));
    vec![
        PushMessage::Queued { place: place() },
        PushMessage::Sent { place: place(), warnings: 1 },
        PushMessage::Unchanged { place: place(), warnings: 0 },
        PushMessage::Set { place: place(), digest: digest() },
        PushMessage::Along { count: 2 },
        PushMessage::Superseded { place: place(), ours, later, job },
        PushMessage::Foreign { place: place(), digest: digest() },
        PushMessage::Overwritten { place: place(), digest: digest() },
        PushMessage::Failed { place: place(), why: plain() },
    ]
}

fn polls() -> Vec<PollMessage> {
    let counts = Polled { copied: 3, failed: 1, ..Polled::default() };
    vec![
        PollMessage::Ended { counts },
        PollMessage::Failed { counts, first: plain() },
        PollMessage::Baseline { known: 3 },
        PollMessage::BaselineGrew { known: 3 },
        PollMessage::BaselineWaits,
        PollMessage::Unread { place: place(), why: plain() },
        PollMessage::Incomplete { place: place(), why: "xyzzy sends no Link".to_owned() },
        PollMessage::OddNames { place: place(), names: "1 name that is no tag: \"xyzzy+1\"".to_owned() },
        PollMessage::NoneMatch { place: place(), tags: 30, patterns: "v1.*".to_owned() },
        PollMessage::Absent { place: place() },
        PollMessage::Tag { place: place(), why: plain() },
        PollMessage::Vanished { place: place() },
        PollMessage::DeletedHere { tag: tag() },
        PollMessage::Set { tag: tag(), digest: digest() },
        PollMessage::Pinned { tag: tag(), digest: digest(), by: Author::System },
        PollMessage::Conflict { tag: tag(), digest: digest() },
        PollMessage::Superseded { tag: tag(), by: Revision(7) },
        PollMessage::Patterns { error: "it is empty".to_owned() },
        PollMessage::MirrorGone,
        PollMessage::Disabled,
        PollMessage::All { count: 3 },
        PollMessage::NotAll { failed: 1, count: 3, first: Some(repository()), why: plain() },
        PollMessage::From { place: place() },
        PollMessage::Released,
    ]
}

fn objections() -> Vec<Objection> {
    vec![
        Objection::Cycle,
        Objection::FullLineage,
        Objection::ReadOnly { target: repository() },
        Objection::Mirrored { target: repository() },
        Objection::CameFrom { place: place() },
        Objection::Brake { made: 20, most: 20, digest: digest() },
    ]
}

fn policies() -> Vec<PolicyMessage> {
    let rules = "every tag".to_owned();
    vec![
        PolicyMessage::NotMatched {
            found: vec!["the tag is “1.0”".to_owned()],
            objection: Some(Objection::ReadOnly { target: repository() }),
        },
        PolicyMessage::Waiting { awaited: WaitingFor::Scan },
        PolicyMessage::Stopped { policy: PolicyKind::PushMirror, why: plain() },
        PolicyMessage::Unreadable {
            policy: PolicyKind::Promotion,
            id: "0195".to_owned(),
            error: "invalid rules".to_owned(),
        },
        PolicyMessage::UnreadableRules { rules: rules.clone() },
        PolicyMessage::Loop { found: Objection::Brake { made: 20, most: 20, digest: digest() } },
        PolicyMessage::Rests { repository: repository() },
        PolicyMessage::Promotion { target: repository(), rules: rules.clone() },
        PolicyMessage::PushMirror { place: place(), rules },
        PolicyMessage::PullMirror { place: place(), patterns: "*".to_owned() },
        PolicyMessage::PromotionChanged { target: repository(), changed: Changed::Disabled },
        PolicyMessage::MirrorChanged {
            policy: PolicyKind::PullMirror,
            place: place(),
            changed: Changed::Deleted,
        },
    ]
}

fn upkeep() -> Vec<Upkeep> {
    let freed = Freed { repositories: 2, manifests: 1, blobs: 3, bytes: 41_249_000, uploads: 0 };
    let damage = "it cannot be read: /var/lib/xyzzy".to_owned();
    vec![
        Upkeep::Collected { freed },
        Upkeep::WouldCollect { freed },
        Upkeep::Paused,
        Upkeep::Miscounted { namespace: "dev".parse().expect("a namespace"), counted: 5, held: 7 },
        Upkeep::MiscountedBlobs { repository: repository(), counted: 5, held: 7 },
        Upkeep::MiscountedTags { repository: repository(), counted: 5, held: 7 },
        Upkeep::MiscountedStore { counted: 5, held: 7 },
        Upkeep::Verified { blobs: 3, bytes: 10, mended: 1, strays: 4, damaged: 1 },
        Upkeep::DamagedBlob { digest: digest(), holders: vec![repository()], damage: damage.clone() },
        Upkeep::DamagedManifest { digest: digest(), holders: vec![repository()], damage },
        Upkeep::Mended { digest: digest(), from: remote() },
        Upkeep::NotMended { from: remote(), why: plain() },
    ]
}

fn troubles() -> Vec<TroubleMessage> {
    let said = "registry.xyzzy.example answered 500".to_owned();
    vec![
        TroubleMessage::Remote { remote: remote(), said: said.clone() },
        TroubleMessage::Repository {
            repository: repository(),
            said: "xyzzy-team/website is read-only".to_owned(),
        },
        TroubleMessage::Server { said },
        TroubleMessage::Deleted { repository: repository() },
        TroubleMessage::RemoteGone,
        TroubleMessage::ManifestGone { repository: repository(), short: "0123456789ab".to_owned() },
        TroubleMessage::Manifest { short: "0123456789ab".to_owned(), error: "it is empty".to_owned() },
        TroubleMessage::TooDeep { short: "0123456789ab".to_owned(), most: 8 },
        TroubleMessage::Halted,
        TroubleMessage::Optional { what: "0123456789ab".to_owned(), why: plain() },
        TroubleMessage::Again { why: plain(), again: Again::FromStart },
        TroubleMessage::Later { why: plain(), at: Timestamp::UNIX_EPOCH },
    ]
}

fn changes() -> Vec<ActivityMessage> {
    let namespace: longshore_oci::Namespace = "xyzzy-team".parse().unwrap();
    vec![
        ActivityMessage::AccountCreated { name: namespace.clone(), is_org: true },
        ActivityMessage::Quota { namespace, quota: Some(10) },
        ActivityMessage::RemoteCreated { remote: remote() },
        ActivityMessage::RemoteChanged { remote: remote() },
        ActivityMessage::RemoteDeleted { remote: remote() },
        ActivityMessage::RepositoryDeleted { repository: repository() },
        ActivityMessage::RepositoryRestored { repository: repository() },
        ActivityMessage::RepositoryPurged { repository: repository() },
        ActivityMessage::Settings {
            visibility: Some((Visibility::Public, Visibility::Private)),
            state: Some((RepositoryState::Normal, RepositoryState::ReadOnly)),
            immutable_tags: Some(ImmutableTags::All),
            description: true,
        },
        ActivityMessage::Restored { revision: Revision(7) },
    ]
}

fn pauses() -> Vec<PauseMessage> {
    vec![
        PauseMessage::Began { pause: pause(), remote: None },
        PauseMessage::Ended {
            pause: Pause { scope: PauseScope::Remote(REMOTE), ..pause() },
            remote: Some(remote()),
            dropped: 2,
        },
    ]
}

fn all() -> Vec<Message> {
    let mut all = vec![Message::Nothing, *plain()];
    all.extend(jobs().into_iter().map(Message::from));
    all.extend(promotions().into_iter().map(Message::from));
    all.extend(pushes().into_iter().map(Message::from));
    all.extend(polls().into_iter().map(Message::from));
    all.extend(objections().into_iter().map(Message::from));
    all.extend(policies().into_iter().map(Message::from));
    all.extend(upkeep().into_iter().map(Message::from));
    all.extend(troubles().into_iter().map(Message::from));
    all.extend(changes().into_iter().map(Message::from));
    all.extend(pauses().into_iter().map(Message::from));
    all
}

#[test]
fn semantics_46_every_kind_is_read_back_as_it_was_stored() {
    for message in all() {
        assert_eq!(Message::read(&message.stored()), message, "{}", message.stored());
    }
}

#[test]
fn semantics_46_a_reader_who_may_see_nothing_is_shown_no_name() {
    for message in all() {
        let told = message.sentence(&Nothing);
        assert!(!told.contains(SECRET), "{told}");
        assert!(!told.is_empty() || message.is_nothing(), "{message:?}");
    }
}

#[test]
fn semantics_46_a_reader_who_sees_everything_is_shown_every_name() {
    for message in all().into_iter().filter(|message| message.stored().contains(SECRET)) {
        let told = message.sentence(&Everything);
        assert!(told.contains(SECRET), "{told}");
    }
}

/// Sees repositories but no remotes.
struct OneSide;

impl Eyes for OneSide {
    fn everything(&self) -> bool {
        false
    }
    fn repository(&self, id: RepositoryId) -> bool {
        id == REPOSITORY
    }
    fn remote(&self, _: RemoteId) -> bool {
        false
    }
    fn remote_of(&self, _: PolicyId) -> bool {
        false
    }
}

#[test]
fn semantics_46_a_reader_who_may_see_one_side_is_shown_only_that_side() {
    for message in all() {
        let told = message.sentence(&OneSide);
        assert!(!told.contains("registry.xyzzy") && !told.contains("xyzzy-there"), "{told}");
    }
    let from = Message::from(PromotionMessage::From { source: tag() });
    assert_eq!(from.sentence(&OneSide), "from xyzzy-team/website:xyzzy-1.0");
}

#[test]
fn semantics_46_everything_that_a_sentence_names_is_collected() {
    for message in all() {
        let mentions = Mentions::default();
        mentions.note(&message);
        let stored = message.stored();
        let named = |id: Uuid| stored.contains(&id.to_string());
        assert_eq!(!mentions.repositories().is_empty(), named(REPOSITORY.0), "{stored}");
        assert_eq!(!mentions.remotes().is_empty(), named(REMOTE.0), "{stored}");
    }
}

#[test]
fn semantics_46_only_administrators_see_the_texts_of_earlier_versions() {
    let earlier = Message::read("xyzzy-team/website is read-only");
    assert_eq!(earlier.sentence(&Everything), "xyzzy-team/website is read-only");
    assert!(!earlier.sentence(&OneSide).contains(SECRET));
}

#[test]
fn semantics_46_a_message_of_a_later_version_is_kept_and_hides_nothing() {
    for stored in [
        r#"{"about":"teleport","kind":"beamed","to":"xyzzy"}"#,
        r#"{"about":"push","kind":"beamed","to":"xyzzy"}"#,
        r#"{"about":"trouble","kind":"later","at":"1970-01-01T00:00:00Z","why":{"about":"teleport"}}"#,
        "{xyzzy",
    ] {
        let message = Message::read(stored);
        assert_eq!(message, Message::Unreadable { stored: stored.to_owned() });
        assert_eq!(message.stored(), stored);
        assert!(message.sentence(&Everything).contains("newer version"));
    }
}

#[test]
fn only_administrators_see_references_without_an_identifier() {
    let source = TagRef::new(RepositoryRef::new(None, "xyzzy-team/website".parse().unwrap()), name());
    let from = Message::from(PromotionMessage::From { source });
    assert_eq!(from.sentence(&OneSide), "from another repository");
    assert_eq!(from.sentence(&Everything), "from xyzzy-team/website:xyzzy-1.0");
}

#[test]
fn sentences_are_plain_english() {
    let told = |message: Message| message.sentence(&Everything);
    let counts = Evaluated::default();
    assert_eq!(told(JobMessage::Evaluated { counts }.into()), "no policies");
    let counts = Evaluated { evaluated: 3, promoted: 1, queued: 1, ..counts };
    assert_eq!(
        told(JobMessage::Evaluated { counts }.into()),
        "3 policies evaluated, 1 promotion, 1 push queued"
    );
    // One policy, evaluated for each tag.
    assert_eq!(told(JobMessage::Applied { counts }.into()), "3 tags evaluated, 1 promotion, 1 push queued");
    assert_eq!(told(PollMessage::Ended { counts: Polled::default() }.into()), "no new tags");
    let counts = Polled { copied: 3, unchanged: 5, conflicts: 1, ..Polled::default() };
    assert_eq!(
        told(PollMessage::Ended { counts }.into()),
        "3 tags mirrored, 5 unchanged, 1 left alone because they were not made by this mirror"
    );
    assert_eq!(told(Upkeep::Collected { freed: Freed::default() }.into()), "nothing to remove");
    let freed = Freed { repositories: 2, manifests: 1, blobs: 3, bytes: 41_249_000, uploads: 0 };
    assert_eq!(
        told(Upkeep::WouldCollect { freed }.into()),
        "would free 41.2 MB: 3 blobs, 1 manifest, 2 deleted repositories"
    );
}
