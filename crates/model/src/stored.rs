//! Types that carry messages, in the form in which they are stored and processed: their texts are still references.
//! `shown` converts them to what one reader sees, with sentences; there is no other conversion.

use crate::message::{Eyes, Mentions, Message};
use crate::{activity, job, pause, policy};

/// A job.
pub type Job = job::Job<Message>;
/// A line of a job's log.
pub type LogLine = job::LogLine<Message>;
/// An activity.
pub type Activity = activity::Activity<Message>;
/// The last run of a policy.
pub type LastRun = policy::LastRun<Message>;
/// What all policies have in common.
pub type PolicyCommon = policy::PolicyCommon<Message>;
/// A promotion policy.
pub type PromotionPolicy = policy::PromotionPolicy<Message>;
/// A push mirror.
pub type PushMirror = policy::PushMirror<Message>;
/// A pull mirror.
pub type PullMirror = policy::PullMirror<Message>;
/// What the next poll of a pull mirror would do.
pub type PollPlan = pause::PollPlan<Message>;
/// A mirror of either direction.
pub type Mirror = policy::Mirror<Message>;

/// A type that carries messages.
pub trait Speaks {
    /// The same type with sentences.
    type Shown;

    /// The messages it carries.
    fn messages(&self) -> Vec<&Message>;

    /// What one reader sees.
    fn shown(self, eyes: &dyn Eyes) -> Self::Shown;

    /// Collects everything that it refers to.
    fn mention(&self, mentions: &Mentions) {
        self.messages().into_iter().for_each(|message| mentions.note(message));
    }
}

impl Speaks for LogLine {
    type Shown = job::LogLine;

    fn messages(&self) -> Vec<&Message> {
        vec![&self.message]
    }

    fn shown(self, eyes: &dyn Eyes) -> job::LogLine {
        let Self { line, at, level, message } = self;
        job::LogLine { line, at, level, message: message.sentence(eyes) }
    }
}

impl Speaks for Job {
    type Shown = job::Job;

    fn messages(&self) -> Vec<&Message> {
        self.error.iter().chain(&self.outcome).collect()
    }

    fn mention(&self, mentions: &Mentions) {
        self.messages().into_iter().for_each(|message| mentions.note(message));
        let _ = self.parameters.is_seen(mentions);
    }

    fn shown(self, eyes: &dyn Eyes) -> job::Job {
        let sentence = |message: Option<Message>| message.map(|message| message.sentence(eyes));
        job::Job {
            id: self.id,
            action: self.action,
            status: self.status,
            cause: self.cause,
            parameters: self.parameters.shown(eyes),
            policy: self.policy,
            repository: self.repository,
            repository_name: self.repository_name,
            parent: self.parent,
            retry_of: self.retry_of,
            attempt: self.attempt,
            retries_left: self.retries_left,
            progress: self.progress,
            error: sentence(self.error),
            outcome: sentence(self.outcome),
            created_at: self.created_at,
            scheduled_at: self.scheduled_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            updated_at: self.updated_at,
            worker: self.worker,
            held_by: self.held_by,
            back_off: self.back_off,
        }
    }
}

impl Speaks for Activity {
    type Shown = activity::Activity;

    fn messages(&self) -> Vec<&Message> {
        vec![&self.detail]
    }

    fn shown(self, eyes: &dyn Eyes) -> activity::Activity {
        activity::Activity {
            id: self.id,
            at: self.at,
            author: self.author,
            kind: self.kind,
            repository: self.repository,
            tag: self.tag,
            digest: self.digest,
            policy: self.policy,
            job: self.job,
            detail: self.detail.sentence(eyes),
        }
    }
}

impl Speaks for PolicyCommon {
    type Shown = policy::PolicyCommon;

    fn messages(&self) -> Vec<&Message> {
        self.stopped.iter().chain([&self.last_run.detail]).collect()
    }

    fn shown(self, eyes: &dyn Eyes) -> policy::PolicyCommon {
        let LastRun { code, detail, at, job } = self.last_run;
        policy::PolicyCommon {
            id: self.id,
            enabled: self.enabled,
            version: self.version,
            rules_version: self.rules_version,
            last_change: self.last_change,
            stopped: self.stopped.map(|why| why.sentence(eyes)),
            referrers: self.referrers,
            author: self.author,
            author_name: self.author_name,
            orphaned: self.orphaned,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_run: policy::LastRun { code, detail: detail.sentence(eyes), at, job },
        }
    }
}

impl Speaks for PromotionPolicy {
    type Shown = policy::PromotionPolicy;

    fn messages(&self) -> Vec<&Message> {
        self.common.messages()
    }

    fn shown(self, eyes: &dyn Eyes) -> policy::PromotionPolicy {
        policy::PromotionPolicy {
            common: self.common.shown(eyes),
            source: self.source,
            source_name: self.source_name,
            target: self.target,
            target_name: self.target_name,
            rules: self.rules,
            template: self.template,
            last_promoted_at: self.last_promoted_at,
        }
    }
}

impl Speaks for PushMirror {
    type Shown = policy::PushMirror;

    fn messages(&self) -> Vec<&Message> {
        self.common.messages()
    }

    fn shown(self, eyes: &dyn Eyes) -> policy::PushMirror {
        policy::PushMirror {
            common: self.common.shown(eyes),
            repository: self.repository,
            repository_name: self.repository_name,
            remote: self.remote,
            remote_host: self.remote_host,
            remote_repository: self.remote_repository,
            rules: self.rules,
            template: self.template,
            overwrite: self.overwrite,
            foreign_layers: self.foreign_layers,
            last_mirrored_at: self.last_mirrored_at,
        }
    }
}

impl Speaks for PullMirror {
    type Shown = policy::PullMirror;

    fn messages(&self) -> Vec<&Message> {
        self.common.messages()
    }

    fn shown(self, eyes: &dyn Eyes) -> policy::PullMirror {
        policy::PullMirror {
            common: self.common.shown(eyes),
            repository: self.repository,
            repository_name: self.repository_name,
            remote: self.remote,
            remote_host: self.remote_host,
            remote_repository: self.remote_repository,
            patterns: self.patterns,
            interval_seconds: self.interval_seconds,
            foreign_layers: self.foreign_layers,
            baseline: self.baseline,
            known_patterns: self.known_patterns,
            next_run_at: self.next_run_at,
            last_mirrored_at: self.last_mirrored_at,
        }
    }
}

impl Speaks for Mirror {
    type Shown = policy::Mirror;

    fn messages(&self) -> Vec<&Message> {
        self.common().messages()
    }

    fn shown(self, eyes: &dyn Eyes) -> policy::Mirror {
        match self {
            Self::Push { mirror } => policy::Mirror::Push { mirror: mirror.shown(eyes) },
            Self::Pull { mirror } => policy::Mirror::Pull { mirror: mirror.shown(eyes) },
        }
    }
}

impl Speaks for PollPlan {
    type Shown = pause::PollPlan;

    fn messages(&self) -> Vec<&Message> {
        self.unread.iter().map(|unread| &unread.why).collect()
    }

    fn shown(self, eyes: &dyn Eyes) -> pause::PollPlan {
        let shown = |pause::UnreadTag { tag, why }: pause::UnreadTag<Message>| pause::UnreadTag {
            tag,
            why: why.sentence(eyes),
        };
        pause::PollPlan {
            new: self.new,
            moved: self.moved,
            left_alone: self.left_alone,
            unchanged: self.unchanged,
            baseline_only: self.baseline_only,
            incomplete: self.incomplete,
            unread: self.unread.into_iter().map(shown).collect(),
            unread_total: self.unread_total,
        }
    }
}
