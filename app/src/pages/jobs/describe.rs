//! What a job is, in words: the sentence that lists and headings show.

use longshore_model::{
    Author, PolicyKind,
    job::{Action, Cause, Job, Parameters, Status},
    view::named,
};

use crate::components::Tone;

/// The registry that a job speaks to.
#[must_use]
pub fn remote_host(job: &Job) -> Option<String> {
    match &job.parameters {
        Parameters::PushTag { remote_host, .. } | Parameters::Poll { remote_host, .. } => {
            Some(remote_host.clone())
        }
        _ => None,
    }
}

/// What a job does, as a sentence without an end: "Bring tags of qa-example.com/qa/website into dev/website".
#[must_use]
pub fn describe(job: &Job) -> String {
    let here = here(job);
    match &job.parameters {
        Parameters::EvaluateTag { tag, .. } => format!("Ask the policies of {here} about {tag}"),
        Parameters::ApplyPolicy { kind, .. } => {
            format!("Apply a {} of {here} to the tags that are there", kind.noun())
        }
        Parameters::FollowSubject { tag: Some(tag), .. } => {
            format!("Send {tag} of {here} wherever its image went")
        }
        Parameters::FollowSubject { .. } => {
            format!("Send a new referrer of {here} wherever its image went")
        }
        Parameters::PushTag { tag, remote_host, remote_repository, target_tag, .. } => {
            let what = tag.as_ref().map_or_else(|| "a referrer".to_owned(), ToString::to_string);
            let name = match target_tag {
                Some(name) if Some(name) != tag.as_ref() => format!(" as {name}"),
                _ => String::new(),
            };
            format!("Send {what} of {here} to {remote_host}/{remote_repository}{name}")
        }
        Parameters::Poll { remote_host, remote_repository, .. } => {
            format!("Bring tags of {remote_host}/{remote_repository} into {here}")
        }
        Parameters::PollAll => "Poll all pull mirrors".to_owned(),
        Parameters::CollectGarbage { dry_run: false } => "Remove what nothing needs".to_owned(),
        Parameters::CollectGarbage { dry_run: true } => "Look for what nothing needs".to_owned(),
        Parameters::Scrub => "Verify everything that is stored".to_owned(),
    }
}

/// The repository of this server that a job is about.
fn here(job: &Job) -> String {
    let shown = match &job.parameters {
        Parameters::PushTag { repository_name, .. } | Parameters::Poll { repository_name, .. } => {
            Some(repository_name)
        }
        _ => job.repository_name.as_ref(),
    };
    shown.and_then(|name| named(name.as_ref())).unwrap_or("another repository").to_owned()
}

/// What an action is called in filters and columns.
#[must_use]
pub fn action_label(action: Action) -> &'static str {
    match action {
        Action::Evaluate => "Evaluate",
        Action::PushMirrorTag => "Push mirror",
        Action::PollMirror => "Pull mirror",
        Action::GarbageCollect => "Garbage collection",
        Action::Scrub => "Scrub",
    }
}

/// What a status is called, and what it means.
#[must_use]
pub fn status_label(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Waiting => ("Waiting", Tone::Neutral),
        Status::Running => ("Running", Tone::Info),
        Status::Done => ("Done", Tone::Ok),
        Status::Superseded => ("Superseded", Tone::Neutral),
        Status::Errored => ("Failed", Tone::Bad),
        Status::Canceled => ("Canceled", Tone::Warn),
    }
}

/// Why a job exists.
#[must_use]
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::TagChanged { author: Author::User { name } } => format!("{name} changed the tag"),
        Cause::TagChanged { author: Author::Policy { policy, .. } } => {
            format!("A {} changed the tag", policy.noun())
        }
        Cause::TagChanged { author: Author::System } => "The tag changed".to_owned(),
        Cause::Schedule => "Its time had come".to_owned(),
        Cause::Asked { author } => format!("{author} asked for it"),
        Cause::Policy { policy: PolicyKind::Promotion, .. } => "A promotion policy took the tag".to_owned(),
        Cause::Policy { policy, .. } => format!("A {} took the tag", policy.noun()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use longshore_model::{
        JobId, Lineage, PolicyId, RemoteId, RepositoryId, Revision, Timestamp, job::Progress,
    };

    use longshore_model::view::ANOTHER_REPOSITORY;

    use super::*;

    /// A job that waits, about `dev/website`.
    pub(in crate::pages) fn job(parameters: Parameters) -> Job {
        Job {
            id: JobId::new(),
            action: Action::PushMirrorTag,
            status: Status::Waiting,
            cause: Cause::Schedule,
            parameters,
            policy: None,
            repository: None,
            repository_name: Some("dev/website".parse().unwrap()),
            parent: None,
            retry_of: None,
            attempt: 0,
            retries_left: 0,
            progress: Progress::default(),
            error: None,
            outcome: None,
            created_at: Timestamp::UNIX_EPOCH,
            scheduled_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            updated_at: Timestamp::UNIX_EPOCH,
            worker: None,
            held_by: None,
            back_off: None,
        }
    }

    fn push(tag: &str, target_tag: &str) -> Job {
        job(Parameters::PushTag {
            policy: None,
            rules_version: None,
            repository: RepositoryId::new(),
            repository_name: "dev/website".parse().unwrap(),
            tag: Some(tag.parse().unwrap()),
            digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            revision: Revision(1),
            remote: RemoteId::new(),
            remote_host: "qa-example.com".to_owned(),
            remote_repository: "qa/website".parse().unwrap(),
            target_tag: Some(target_tag.parse().unwrap()),
            lineage: Lineage::default(),
            overwrite: true,
            referrers: true,
        })
    }

    #[test]
    fn a_job_says_what_it_moves_and_where() {
        assert_eq!(
            describe(&push("1.0", "1.0-2026")),
            "Send 1.0 of dev/website to qa-example.com/qa/website as 1.0-2026"
        );
        assert_eq!(describe(&push("1.0", "1.0")), "Send 1.0 of dev/website to qa-example.com/qa/website");
        let poll = job(Parameters::Poll {
            remote: None,
            policy: PolicyId::new(),
            repository_name: "vendor/copy".parse().unwrap(),
            remote_host: "127.0.0.1:5000".to_owned(),
            remote_repository: "up/stream".parse().unwrap(),
        });
        assert_eq!(describe(&poll), "Bring tags of 127.0.0.1:5000/up/stream into vendor/copy");
        assert_eq!(describe(&job(Parameters::PollAll)), "Poll all pull mirrors");
    }

    #[test]
    fn semantics_17_a_job_about_a_hidden_repository_does_not_name_its_stand_in() {
        let mut hidden = job(Parameters::FollowSubject {
            repository: RepositoryId::new(),
            referrer: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            subject: format!("sha256:{}", "1".repeat(64)).parse().unwrap(),
            tag: None,
        });
        hidden.repository_name = Some(ANOTHER_REPOSITORY.parse().unwrap());
        assert_eq!(describe(&hidden), "Send a new referrer of another repository wherever its image went");
        hidden.repository_name = None;
        assert!(describe(&hidden).contains("another repository"));
    }
}
