#![allow(clippy::unwrap_used)]

use super::*;
use crate::message::{Everything, Mentions, Nothing};

/// Part of every name that a reader without permission must not see.
const SECRET: &str = "xyzzy";

fn digest(number: u8) -> Digest {
    Digest::sha256([number; 32])
}

/// One example of each sort, with unmistakable names at another registry.
fn all() -> Vec<Parameters> {
    let (repository, policy) = (RepositoryId::new(), PolicyId::new());
    let name: RepositoryName = "dev/website".parse().unwrap();
    let tag: Option<Tag> = Some("1.0".parse().unwrap());
    let push = |target_tag: Option<&str>| Parameters::PushTag {
        policy: Some(policy),
        rules_version: Some(1),
        repository,
        repository_name: name.clone(),
        tag: tag.clone(),
        digest: digest(1),
        revision: Revision(1),
        remote: RemoteId::new(),
        remote_host: "xyzzy.example".to_owned(),
        remote_repository: "xyzzy/website".parse().unwrap(),
        target_tag: target_tag.map(|tag| tag.parse().unwrap()),
        lineage: Lineage::default(),
        overwrite: false,
        referrers: true,
    };
    let poll = |remote| Parameters::Poll {
        policy,
        remote,
        repository_name: name.clone(),
        remote_host: "xyzzy.example".to_owned(),
        remote_repository: "xyzzy/website".parse().unwrap(),
    };
    vec![
        Parameters::EvaluateTag {
            repository,
            tag: "1.0".parse().unwrap(),
            digest: digest(1),
            revision: Revision(1),
        },
        Parameters::ApplyPolicy { policy, kind: PolicyKind::Promotion, after: Revision(0) },
        Parameters::FollowSubject { repository, referrer: digest(1), subject: digest(2), tag: tag.clone() },
        push(Some("xyzzy-1.0")),
        push(None),
        poll(Some(RemoteId::new())),
        poll(None),
        Parameters::PollAll,
        Parameters::CollectGarbage { dry_run: false },
        Parameters::CollectGarbage { dry_run: true },
        Parameters::Scrub,
    ]
}

#[test]
fn lists_for_sql_hold_the_actions_that_their_methods_select() {
    let listed = |list: &str| -> Vec<JobAction> {
        let of = |action: &JobAction| list.split(", ").any(|word| word == format!("'{}'", action.as_str()));
        JobAction::ALL.iter().copied().filter(of).collect()
    };
    let with = |is: fn(JobAction) -> bool| -> Vec<JobAction> {
        JobAction::ALL.iter().copied().filter(|action| is(*action)).collect()
    };
    assert_eq!(listed(job_actions!(is_evaluation)), with(JobAction::is_evaluation));
    assert_eq!(listed(job_actions!(is_pausable)), with(JobAction::is_pausable));
    assert_eq!(listed(job_actions!(has_lanes)), with(JobAction::has_lanes));
    assert_eq!(listed(job_actions!(fills_repository)), with(JobAction::fills_repository));
}

#[test]
fn the_word_of_an_action_is_its_serialised_form() {
    for &action in JobAction::ALL {
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
}

#[test]
fn stored_parameters_are_read_back_unchanged() {
    for parameters in all() {
        let stored = serde_json::to_string(&parameters).unwrap();
        assert_eq!(serde_json::from_str::<Parameters>(&stored).unwrap(), parameters, "{stored}");
    }
}

#[test]
fn parameters_of_earlier_versions_are_readable() {
    let id = uuid::Uuid::nil();
    let stored = format!(
        r#"{{"what":"poll","policy":"{id}","repository_name":"dev/website","remote_host":"qa-example.com",
            "remote_repository":"qa/website"}}"#
    );
    let read: Parameters = serde_json::from_str(&stored).unwrap();
    let remote = read.concerns().transfer.unwrap().remote;
    assert_eq!(remote, RemoteOf::Mirror { id: PolicyId(id), then: None });
}

#[test]
fn semantics_17_a_reader_who_may_not_see_a_remote_is_shown_no_name_there() {
    for parameters in all() {
        let names = |shown: &Parameters| {
            let (stored, texts) = (serde_json::to_string(shown).unwrap(), format!("{:?}", shown.texts()));
            [stored, texts, shown.sentence("dev/website")].iter().any(|said| said.contains(SECRET))
        };
        assert!(!names(&parameters.clone().shown(&Nothing)), "{parameters:?}");
        assert_eq!(parameters.clone().shown(&Everything), parameters);
        let mentions = Mentions::default();
        let _ = parameters.is_seen(&mentions);
        let mentioned = mentions.remotes().len() + mentions.mirrors().len();
        assert_eq!(mentioned > 0, names(&parameters), "{parameters:?}");
    }
}

#[test]
fn every_transfer_has_a_lane_and_a_serial_key() {
    for parameters in all() {
        if parameters.concerns().transfer.is_some() {
            assert!(parameters.action().has_lanes() && parameters.serial_key().is_some(), "{parameters:?}");
        }
    }
}
