//! The state of a mirror's form, and the drafts built from it.

use leptos::prelude::*;
use longshore_model::{
    RepositoryState,
    connect::{ConnectRequest, Direction},
    policy::{DEFAULT_POLL_INTERVAL_SECONDS, Mirror, PullMirrorDraft, PushMirrorDraft, RemoteChoice},
    repository::RepositorySummary,
    view::named,
};

use crate::{components::RulesInput, pages::connection::ConnectionInput};

/// The units of the sync interval: value, label, seconds.
pub(super) const UNITS: [(&str, &str, u32); 3] =
    [("minutes", "minutes", 60), ("hours", "hours", 3_600), ("days", "days", 86_400)];

pub(super) const PULL: &str = "pull";
pub(super) const PUSH: &str = "push";

/// The fields of a mirror's form. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct MirrorInput {
    pub(super) direction: RwSignal<String>,
    /// The identifier of a saved remote; empty for the new connection in `connection`.
    pub(super) saved: RwSignal<String>,
    pub(super) connection: ConnectionInput,
    pub(super) namespace: RwSignal<String>,
    pub(super) name: RwSignal<String>,
    pub(super) referrers: RwSignal<bool>,
    /// Whether non-distributable layers are mirrored too (semantics 43).
    pub(super) foreign_layers: RwSignal<bool>,
    /// `None` leaves the stored value unchanged.
    pub(super) enabled: RwSignal<Option<bool>>,
    // Push mirrors only.
    pub(super) rules: RulesInput,
    pub(super) template: RwSignal<String>,
    pub(super) overwrite: RwSignal<bool>,
    // Pull mirrors only.
    pub(super) patterns: RwSignal<String>,
    pub(super) every: RwSignal<String>,
    pub(super) unit: RwSignal<String>,
    /// `true` or `false`: whether only pull mirrors may write to the repository (semantics 18).
    pub(super) exclusive: RwSignal<String>,
    /// Whether that is already the state of the repository.
    was_exclusive: bool,
}

impl MirrorInput {
    /// The form of a new mirror. It suggests a pull mirror, and exclusive writes if the repository is empty.
    pub(super) fn new(here: &RepositorySummary) -> Self {
        let text = |text: &str| RwSignal::new(text.to_owned());
        let was_exclusive = here.repository.state == RepositoryState::Mirror;
        let (every, unit) = interval(DEFAULT_POLL_INTERVAL_SECONDS);
        Self {
            direction: text(PULL),
            saved: text(""),
            connection: ConnectionInput::default(),
            namespace: text(""),
            name: text(""),
            referrers: RwSignal::new(true),
            foreign_layers: RwSignal::new(false),
            enabled: RwSignal::new(Some(true)),
            rules: RulesInput::default(),
            template: text("%n"),
            overwrite: RwSignal::new(true),
            patterns: text("*"),
            every: RwSignal::new(every),
            unit: text(unit),
            exclusive: RwSignal::new((here.tags == 0 || was_exclusive).to_string()),
            was_exclusive,
        }
    }

    /// The form of an existing mirror.
    pub(super) fn of(mirror: &Mirror, here: &RepositorySummary) -> Self {
        let input = Self::new(here);
        let (direction, remote, repository) = match mirror {
            Mirror::Push { mirror } => {
                input.template.set(mirror.template.clone());
                input.overwrite.set(mirror.overwrite);
                input.foreign_layers.set(mirror.foreign_layers);
                (PUSH, mirror.remote, &mirror.remote_repository)
            }
            Mirror::Pull { mirror } => {
                let (every, unit) = interval(mirror.interval_seconds);
                input.patterns.set(mirror.patterns.clone());
                input.foreign_layers.set(mirror.foreign_layers);
                input.every.set(every);
                input.unit.set(unit.to_owned());
                (PULL, mirror.remote, &mirror.remote_repository)
            }
        };
        input.exclusive.set(input.was_exclusive.to_string());
        input.direction.set(direction.to_owned());
        input.saved.set(remote.to_string());
        input.set_repository(named(repository.as_ref()).unwrap_or_default());
        input.referrers.set(mirror.common().referrers);
        input.enabled.set(Some(mirror.common().enabled));
        let rules = match mirror {
            Mirror::Push { mirror } => RulesInput::of(&mirror.rules),
            Mirror::Pull { .. } => input.rules,
        };
        Self { rules, ..input }
    }

    pub(super) fn direction(self) -> Direction {
        match self.direction.get().as_str() {
            PUSH => Direction::Push,
            _ => Direction::Pull,
        }
    }

    /// Splits a full repository name into the two fields.
    pub(super) fn set_repository(self, whole: &str) {
        let (namespace, name) = whole.split_once('/').unwrap_or(("", whole));
        self.namespace.set(namespace.trim().to_owned());
        self.name.set(name.trim().to_owned());
    }

    /// The full name of the remote repository. The namespace may be empty, since some registries have none.
    pub(super) fn remote_repository(self) -> String {
        let (namespace, name) = (self.namespace.get(), self.name.get());
        match (namespace.trim(), name.trim()) {
            ("", name) => name.to_owned(),
            (namespace, name) => format!("{namespace}/{name}"),
        }
    }

    /// The request for *Connect*: all settings that affect whether the registry can be used.
    pub(super) fn request(self) -> ConnectRequest {
        let saved = self.saved.get().parse().ok();
        ConnectRequest {
            saved,
            remote: saved.is_none().then(|| self.connection.draft()),
            remote_repository: self.remote_repository(),
            direction: self.direction(),
        }
    }

    fn remote(self) -> RemoteChoice {
        match self.saved.get().parse() {
            Ok(id) => RemoteChoice::Saved { id },
            Err(_) => RemoteChoice::New { remote: self.connection.draft() },
        }
    }

    pub(super) fn push_draft(self) -> PushMirrorDraft {
        PushMirrorDraft {
            remote: self.remote(),
            remote_repository: self.remote_repository(),
            rules: self.rules.raw(),
            every_tag: self.rules.every_tag(),
            template: self.template.get(),
            enabled: self.enabled.get(),
            overwrite: self.overwrite.get(),
            referrers: self.referrers.get(),
            foreign_layers: self.foreign_layers.get(),
        }
    }

    /// `None` if the sync interval is not a valid number.
    pub(super) fn pull_draft(self) -> Option<PullMirrorDraft> {
        Some(PullMirrorDraft {
            remote: self.remote(),
            remote_repository: self.remote_repository(),
            patterns: self.patterns.get(),
            interval_seconds: self.interval_seconds()?,
            enabled: self.enabled.get(),
            referrers: self.referrers.get(),
            foreign_layers: self.foreign_layers.get(),
            exclusive: self.exclusive(),
        })
    }

    /// `None` if the choice does not change the state of the repository; a read-only one then stays read-only.
    fn exclusive(self) -> Option<bool> {
        let exclusive = self.exclusive.get() == "true";
        (exclusive != self.was_exclusive).then_some(exclusive)
    }

    /// `None` if the sync interval is not a valid number.
    pub(super) fn interval_seconds(self) -> Option<u32> {
        let unit = self.unit.get();
        let (.., seconds) = UNITS.into_iter().find(|(word, ..)| *word == unit)?;
        self.every.get().trim().parse::<u32>().ok()?.checked_mul(seconds)
    }
}

/// Splits an interval into a number and the largest unit that divides it at least twice, or else minutes, rounded down
/// but at least one.
pub(super) fn interval(seconds: u32) -> (String, &'static str) {
    let whole = |(.., length): &&(&str, &str, u32)| seconds > *length && seconds.is_multiple_of(*length);
    let (word, _, length) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[0]);
    ((seconds / length).max(1).to_string(), word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::{Repository, RepositoryId, Timestamp, Visibility, repository::Flow};

    use super::*;

    fn here(tags: u64) -> RepositorySummary {
        RepositorySummary {
            repository: Repository {
                id: RepositoryId::new(),
                name: "dev/website".parse().unwrap(),
                visibility: Visibility::Private,
                state: RepositoryState::Normal,
                short_description: String::new(),
                long_description: String::new(),
                immutable_tags: longshore_model::ImmutableTags::Off,
                version: longshore_model::Version::FIRST,
                created_at: Timestamp::UNIX_EPOCH,
            },
            tags,
            size_bytes: 0,
            unique_bytes: None,
            last_push: None,
            promotions_out: Flow::default(),
            promotions_in: Flow::default(),
            push_mirrors: Flow::default(),
            pull_mirrors: Flow::default(),
            may_write: true,
            may_administer: true,
            held_by: None,
        }
    }

    #[test]
    fn semantics_18_exclusive_writes_are_suggested_for_an_empty_repository() {
        Owner::new().with(|| {
            assert_eq!(MirrorInput::new(&here(0)).pull_draft().unwrap().exclusive, Some(true));
            assert_eq!(MirrorInput::new(&here(3)).pull_draft().unwrap().exclusive, None);
            let mut shared = here(3);
            shared.repository.state = RepositoryState::Mirror;
            let input = MirrorInput::new(&shared);
            assert_eq!(input.pull_draft().unwrap().exclusive, None, "the state is unchanged");
            input.exclusive.set("false".to_owned());
            assert_eq!(input.pull_draft().unwrap().exclusive, Some(false));
        });
    }

    #[test]
    fn a_remote_repository_may_lack_a_namespace() {
        Owner::new().with(|| {
            let input = MirrorInput::new(&here(0));
            input.set_repository("qa/website/api");
            assert_eq!(input.namespace.get_untracked(), "qa");
            assert_eq!(input.remote_repository(), "qa/website/api");
            input.set_repository("website");
            assert_eq!(input.remote_repository(), "website");
        });
    }

    #[test]
    fn connect_tests_the_saved_remote_or_the_new_connection() {
        Owner::new().with(|| {
            let input = MirrorInput::new(&here(0));
            assert!(input.request().remote.is_some());
            input.saved.set("018f3c2a-0000-7000-8000-000000000000".to_owned());
            assert!(input.request().saved.is_some());
            assert_eq!(input.request().remote, None);
            let before = input.request();
            input.direction.set(PUSH.to_owned());
            assert_ne!(input.request(), before, "the other direction needs other permissions");
        });
    }

    #[test]
    fn an_interval_is_shown_with_a_unit() {
        assert_eq!(interval(1_800), ("30".to_owned(), "minutes"));
        assert_eq!(interval(7_200), ("2".to_owned(), "hours"));
        assert_eq!(interval(172_800), ("2".to_owned(), "days"));
        Owner::new().with(|| {
            let input = MirrorInput::new(&here(0));
            assert_eq!(input.interval_seconds(), Some(DEFAULT_POLL_INTERVAL_SECONDS));
            input.every.set("often".to_owned());
            assert_eq!(input.interval_seconds(), None);
            assert_eq!(input.pull_draft(), None);
        });
    }
}
