//! The scrub as a job: everything that is stored is read and compared with its digest, and a damaged blob is
//! fetched again from a registry that a mirror of one of its repositories knows. How bytes are compared and put
//! in place, `content` knows.

use crate::{
    Engine,
    journal::Journal,
    transfer::stream::{Report, whole_blob},
    trouble::Trouble,
};
use longshore_content::Checked;
use longshore_metadata::{pull_mirrors, push_mirrors, repositories};
use longshore_model::{RemoteId, size};
use longshore_oci::{RemoteName, RepositoryName};

/// Somewhere else where a blob may be.
struct Source {
    remote: RemoteId,
    repository: RemoteName,
    host: String,
}

/// Verifies everything, mends what can be mended, and removes what belongs to nothing.
pub(crate) async fn run(engine: &Engine, journal: &Journal) -> Result<String, Trouble> {
    let content = engine.content();
    let (blobs, bytes) = content.stored().await?;
    journal.plan_bytes(bytes);
    let (mut after, mut mended, mut damaged) = (None, 0, 0);
    while let Some(checked) = content.check_next_blob(after.as_ref()).await? {
        journal.bytes(checked.size);
        if let Some(damage) = &checked.damage {
            let holders = content.repositories_with(&checked.digest).await?;
            journal.error(format!("blob {}, {}: {damage}", checked.digest, places(&holders)));
            match mend(engine, journal, &checked, &holders).await? {
                true => mended += 1,
                false => damaged += 1,
            }
        }
        after = Some(checked.digest);
    }
    for (digest, damage) in content.damaged_manifests().await? {
        journal.error(format!("manifest {digest}: {damage}; push the image again"));
        damaged += 1;
    }
    let (strays, stray_bytes) = content.drop_stray_blobs().await?;
    let mut said = match mended {
        0 => String::new(),
        1 => "1 blob was damaged and fetched again; ".to_owned(),
        mended => format!("{mended} blobs were damaged and fetched again; "),
    };
    if strays > 0 {
        said.push_str(&format!("{} that belonged to nothing were removed; ", size(stray_bytes)));
    }
    match damaged {
        0 => Ok(format!("{said}{blobs} blobs with {} are sound", size(bytes))),
        damaged => Err(Trouble::Final(format!(
            "{said}{damaged} of what is stored is damaged and no mirror could supply it: the log names it; \
             push those images again, or restore them from a backup"
        ))),
    }
}

fn places(holders: &[RepositoryName]) -> String {
    match holders {
        [] => "in no repository".to_owned(),
        holders => {
            let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
            format!("in {}", names.join(", "))
        }
    }
}

/// Fetches a blob from the first place that has it; false where none has.
async fn mend(
    engine: &Engine,
    journal: &Journal,
    checked: &Checked,
    holders: &[RepositoryName],
) -> Result<bool, Trouble> {
    for source in sources(engine, holders).await? {
        match fetch(engine, journal, checked, &source).await {
            Ok(()) => {
                journal.info(format!("{} was fetched again from {}", checked.digest, source.host));
                return Ok(true);
            }
            Err(trouble) => journal.warn(format!("{} does not supply it: {trouble}", source.host)),
        }
    }
    Ok(false)
}

/// The other registries that mirrors of these repositories speak to. Where images come from is asked first.
async fn sources(engine: &Engine, holders: &[RepositoryName]) -> Result<Vec<Source>, Trouble> {
    let conn = &mut engine.db().read().await?;
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for name in holders {
        let Some(repository) = repositories::find(conn, name).await? else { continue };
        from.extend(pull_mirrors::for_repository(conn, repository.id).await?.into_iter().map(|mirror| {
            Source { remote: mirror.remote, repository: mirror.remote_repository, host: mirror.remote_host }
        }));
        to.extend(push_mirrors::for_repository(conn, repository.id).await?.into_iter().map(|mirror| {
            Source { remote: mirror.remote, repository: mirror.remote_repository, host: mirror.remote_host }
        }));
    }
    from.append(&mut to);
    Ok(from)
}

async fn fetch(
    engine: &Engine,
    journal: &Journal,
    checked: &Checked,
    source: &Source,
) -> Result<(), Trouble> {
    let registry = engine.registry(source.remote).await?;
    journal.plan_bytes(checked.size);
    let (from, digest) = (source.repository.clone(), checked.digest.clone());
    let body = whole_blob(registry, from, digest, checked.size, journal.clone(), Report::default());
    Ok(engine.content().mend_blob(&checked.digest, body).await?)
}
