//! `longshore user`: manages accounts from the command line, for anyone who can read the data folder and the key. Works
//! beside a running server.

use std::io::{self, BufRead, IsTerminal};
use std::sync::Arc;

use anyhow::{Context, bail};
use longshore_access::{Access, AccessSettings};
use longshore_metadata::{Database, Error, Priority, accounts, work};
use longshore_model::{Account, Clock, SystemClock};
use longshore_oci::Namespace;
use secrecy::SecretString;

use crate::cli::UserCommand;
use crate::config::Settings;
use crate::rooms::open_database;

pub(crate) fn run(command: UserCommand) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match command {
            UserCommand::Add { name, admin, org, sources } => {
                let office = Office::open(Settings::load(sources)?).await?;
                let account = office.add(&name, admin, org).await?;
                println!("{} was created", account.name);
            }
            UserCommand::Passwd { name, sources } => {
                let office = Office::open(Settings::load(sources)?).await?;
                let account = office.find(&name).await?;
                office.change_password(&account).await?;
                println!("the password of {} was changed; its sessions and tokens have ended", account.name);
            }
        }
        Ok(())
    })
}

struct Office {
    db: Database,
    access: Access,
    clock: SystemClock,
}

impl Office {
    async fn open(settings: Settings) -> anyhow::Result<Self> {
        if !settings.server.data.is_dir() {
            bail!(
                "the data folder {} does not exist; specify it with --data",
                settings.server.data.display()
            );
        }
        let db = open_database(&settings).await?;
        let access = Access::new(db.clone(), Arc::new(SystemClock), AccessSettings::default());
        Ok(Self { db, access, clock: SystemClock })
    }

    async fn find(&self, name: &str) -> anyhow::Result<Account> {
        let found = match name.parse::<Namespace>() {
            Ok(name) => accounts::find(&mut self.db.read().await?, &name).await?,
            Err(_) => None,
        };
        found.with_context(|| format!("there is no user {name}"))
    }

    async fn add(&self, name: &str, admin: bool, org: bool) -> anyhow::Result<Account> {
        let name: Namespace = name.parse().with_context(|| format!("“{name}” is not a valid name"))?;
        if name.is_reserved() {
            bail!("the name {name} is reserved");
        }
        if accounts::find(&mut self.db.read().await?, &name).await?.is_some() {
            bail!("the name {name} is taken");
        }
        let hash = match org {
            true => None,
            false => Some(self.access.hash_password(&read_password(&name)?).await?),
        };
        let now = self.clock.now();
        let made = self.db.write::<_, Error, _>(
            Priority::Normal,
            work!(|tx| accounts::create(tx, &name, org, admin, hash.as_deref(), now).await),
        );
        Ok(made.await?)
    }

    async fn change_password(&self, account: &Account) -> anyhow::Result<()> {
        if account.is_org {
            bail!("{} is an organization, which cannot sign in and has no password", account.name);
        }
        let hash = self.access.hash_password(&read_password(&account.name)?).await?;
        self.access.set_password(account.id, hash).await?;
        // Tokens for the old password are invalid everywhere when this command ends.
        self.access.known_to_others().await;
        Ok(())
    }
}

/// Reads a password from the terminal without echo, or the first line of the standard input.
fn read_password(name: &Namespace) -> anyhow::Result<SecretString> {
    if io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("New password of {name}: "))?;
        if rpassword::prompt_password("Once more: ")? != first {
            bail!("the two passwords differ; nothing was changed");
        }
        return Ok(first.into());
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("the password cannot be read from the standard input")?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}
