//! The numbered files that migrate a database's tables, built into the binary. `migrations/README.md` says what they
//! may contain.

use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// A file: its number, name and statements.
type File = (&'static str, &'static str, &'static str);

/// The files of both folders, which have the same names. (`sqlx::migrate!` lists them by itself, but see `from_row!`.)
macro_rules! files {
    ($($version:literal $name:literal),* $(,)?) => {
        const SQLITE: &[File] = &[$((
            $version,
            $name,
            include_str!(concat!("../migrations/sqlite/", $version, "_", $name, ".sql")),
        )),*];
        const POSTGRES: &[File] = &[$((
            $version,
            $name,
            include_str!(concat!("../migrations/postgres/", $version, "_", $name, ".sql")),
        )),*];
    };
}

files! {
    "0001" "first", "0002" "pushes", "0003" "garbage", "0004" "claims", "0005" "undo",
    "0006" "pauses", "0007" "bookmarks", "0008" "damage", "0009" "policy_versions",
    "0010" "credentials", "0011" "manifest_sizes", "0012" "authors_of_remotes", "0013" "versions", "0014" "queues",
    "0015" "foreign_layers", "0016" "running_jobs", "0017" "words", "0018" "lists", "0019" "bounds",
    "0020" "retries", "0021" "totals", "0022" "searches", "0023" "last_deliveries"
}

/// The number of the last file.
pub(crate) const LATEST: i64 = SQLITE.len() as i64;

pub(crate) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

pub(crate) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

fn migrator(files: &[File]) -> Migrator {
    let migration = |(number, (_, name, sql)): (i64, &File)| {
        Migration::new(number, (*name).into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations((1..).zip(files).map(migration).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn every_migration_file_is_listed_in_order() {
        for (folder, files) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut there: Vec<String> = fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            there.sort();
            let named: Vec<String> =
                files.iter().map(|(version, name, _)| format!("{version}_{name}.sql")).collect();
            assert_eq!(there, named, "{folder}");
            for (number, (version, ..)) in (1..).zip(files) {
                assert_eq!(*version, format!("{number:04}"), "{folder}");
            }
        }
    }
}
