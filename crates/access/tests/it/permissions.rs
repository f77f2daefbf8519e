//! Every role with every action on every kind of repository.

use crate::scene::Scene;
use longshore_access::Permission::{self, Administer, Delete, Read, Write};
use longshore_metadata::Visible;
use longshore_model::{
    AccountId, Actor, Repository, RepositoryId, RepositoryState, Timestamp, UserActor, Visibility,
};

fn user(name: &str, is_admin: bool) -> Actor {
    Actor::User(UserActor { id: AccountId::new(), name: name.parse().unwrap(), is_admin })
}

fn repository(name: &str, visibility: Visibility) -> Repository {
    Repository {
        id: RepositoryId::new(),
        name: name.parse().unwrap(),
        visibility,
        state: RepositoryState::Normal,
        short_description: String::new(),
        long_description: String::new(),
        immutable_tags: longshore_model::ImmutableTags::Off,
        version: longshore_model::Version::FIRST,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn roles_have_exactly_their_permissions_on_repositories() {
    let access = Scene::new().await.access;
    const NOTHING: &[Permission] = &[];
    const READ: &[Permission] = &[Read];
    const ALL: &[Permission] = &[Read, Write, Delete, Administer];
    let table = [
        (Actor::Anonymous, Visibility::Public, READ),
        (Actor::Anonymous, Visibility::Private, NOTHING),
        (user("stranger", false), Visibility::Public, READ),
        (user("stranger", false), Visibility::Private, NOTHING),
        // A namespace that is only a prefix of the name is another one.
        (user("de", false), Visibility::Private, NOTHING),
        (user("dev-team", false), Visibility::Private, NOTHING),
        (user("dev", false), Visibility::Public, ALL),
        (user("dev", false), Visibility::Private, ALL),
        (user("root", true), Visibility::Public, ALL),
        (user("root", true), Visibility::Private, ALL),
    ];
    for (actor, visibility, allowed) in table {
        let repository = repository("dev/team/web", visibility);
        for action in ALL {
            assert_eq!(
                access.may(&actor, *action, &repository),
                allowed.contains(action),
                "{actor:?} {action:?} {visibility:?}"
            );
        }
    }
}

#[tokio::test]
async fn namespaces_and_lists_follow_the_same_permissions() {
    let access = Scene::new().await.access;
    let dev = "dev".parse().unwrap();
    let (owner, stranger, admin) = (user("dev", false), user("stranger", false), user("root", true));
    assert!(!access.may_in_namespace(&Actor::Anonymous, &dev));
    assert!(!access.may_in_namespace(&stranger, &dev));
    assert!(access.may_in_namespace(&owner, &dev) && access.may_in_namespace(&admin, &dev));

    let of = |visible| match visible {
        Visible::Everything => None,
        Visible::Of { public, namespaces } => {
            Some((public, namespaces.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    };
    assert_eq!(of(access.visible(&admin)), None);
    assert_eq!(of(access.administered(&admin)), None);
    assert_eq!(of(access.visible(&owner)), Some((true, vec!["dev".to_owned()])));
    assert_eq!(of(access.administered(&owner)), Some((false, vec!["dev".to_owned()])));
    assert_eq!(of(access.visible(&Actor::Anonymous)), Some((true, vec![])));
    assert_eq!(of(access.administered(&Actor::Anonymous)), Some((false, vec![])));
}
