//! Users and organizations.

use crate::Admin;
use crate::guard::{administrator, author, user};
use crate::session::auth_problem;
use crate::validate::Fields;
use longshore_access::{AuthError, generate_password};
use longshore_metadata::{accounts, activity, work};
use longshore_model::activity::ActivityKind;
use longshore_model::message::ActivityMessage;
use longshore_model::{Account, Actor, Author, Code, Page, PageRequest, Problem};
use longshore_oci::Namespace;
use secrecy::SecretString;
use std::net::IpAddr;

/// A user or an organization to be created, as entered.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name as entered; it becomes a namespace.
    pub name: String,
    /// Organizations own repositories and cannot sign in.
    pub is_org: bool,
    /// Administrators have all permissions.
    pub is_admin: bool,
    /// `None` for organizations.
    pub password: Option<SecretString>,
}

/// The user that is created on the first start.
const FIRST_ADMIN: &str = "admin";

pub(crate) fn no_such_account(name: &Namespace) -> Problem {
    Problem::new(Code::NoSuchAccount, format!("there is no user or organization {name}; check the name"))
}

impl Admin {
    /// Creates a user or an organization. Only for administrators.
    ///
    /// # Errors
    /// The name is invalid, reserved or taken; the password is too short or missing.
    pub async fn create_account(&self, actor: &Actor, new: NewAccount) -> Result<Account, Problem> {
        administrator(actor)?;
        self.insert_account(author(actor), new).await
    }

    async fn insert_account(&self, author: Author, new: NewAccount) -> Result<Account, Problem> {
        let mut fields = Fields::default();
        let name = fields.take_as(Code::InvalidAccountName, "name", new.name.trim().parse::<Namespace>());
        if name.as_ref().is_some_and(Namespace::is_reserved) {
            let message = "this name is reserved; choose another one";
            fields.refuse_as(Code::InvalidAccountName, "name", message);
        }
        if new.is_org && new.is_admin {
            fields.refuse("isAdmin", "an organization cannot sign in, so it cannot be an administrator");
        }
        let hash = match (new.is_org, &new.password) {
            (true, None) => None,
            (true, Some(_)) => {
                let message = "an organization cannot sign in; omit the password";
                fields.refuse_as(Code::InvalidPassword, "password", message);
                None
            }
            (false, None) => {
                fields.refuse_as(Code::InvalidPassword, "password", "a user must have a password");
                None
            }
            (false, Some(password)) => {
                let hash = self.0.access.hash_password(password).await;
                fields.take_as(Code::InvalidPassword, "password", hash)
            }
        };
        let name = fields.finish_with(Code::InvalidRequest, name)?;
        let now = self.now();
        self.write(work!(|tx| {
            if accounts::find(tx, &name).await?.is_some() {
                return Err(Problem::field(
                    Code::AccountExists,
                    "name",
                    format!("the name {name} is taken; choose another one"),
                ));
            }
            let account = accounts::create(tx, &name, new.is_org, new.is_admin, hash.as_deref(), now).await?;
            let entry = activity::NewActivity {
                detail: ActivityMessage::AccountCreated { name, is_org: new.is_org }.into(),
                ..activity::NewActivity::new(now, author, ActivityKind::AccountCreated)
            };
            activity::add(tx, &entry).await?;
            Ok(account)
        }))
        .await
    }

    /// Lists the accounts, ordered by name. For every signed-in user.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn accounts(
        &self,
        actor: &Actor,
        search: Option<&str>,
        orgs: Option<bool>,
        page: &PageRequest,
    ) -> Result<Page<Account>, Problem> {
        user(actor)?;
        Ok(accounts::list(&mut self.read().await?, search, orgs, page).await?)
    }

    /// One account. For every signed-in user.
    ///
    /// # Errors
    /// The account does not exist.
    pub async fn account(&self, actor: &Actor, name: &Namespace) -> Result<Account, Problem> {
        user(actor)?;
        accounts::find(&mut self.read().await?, name).await?.ok_or_else(|| no_such_account(name))
    }

    /// Changes a password: the actor's own, which requires the current password, or, as an administrator, that of
    /// another user. All sessions of the account end. A wrong current password is counted against `peer`.
    ///
    /// # Errors
    /// The current password is wrong, the new one is too short, or a non-administrator tries to change the password of
    /// another account.
    pub async fn change_password(
        &self,
        actor: &Actor,
        name: &Namespace,
        old: Option<SecretString>,
        new: SecretString,
        peer: IpAddr,
    ) -> Result<(), Problem> {
        let me = user(actor)?;
        if me.name == *name {
            let old = old.unwrap_or_default();
            self.0.access.authenticate(name.as_str(), &old, peer).await.map_err(|error| match error {
                AuthError::WrongCredentials => {
                    Problem::field(Code::WrongCredentials, "oldPassword", "the current password is incorrect")
                }
                other => auth_problem(other),
            })?;
        } else {
            administrator(actor)?;
        }
        let account = self.account(actor, name).await?;
        if account.is_org {
            let message = format!("“{name}” is an organization, which cannot sign in and has no password");
            return Err(Problem::field(Code::InvalidPassword, "password", message));
        }
        let hash = self.0.access.hash_password(&new).await;
        let hash =
            hash.map_err(|error| Problem::field(Code::InvalidPassword, "password", error.to_string()))?;
        Ok(self.0.access.set_password(account.id, hash).await?)
    }

    /// The namespaces in which the actor may create repositories, ordered by name; empty for an anonymous actor.
    ///
    /// # Errors
    /// The database failed.
    pub async fn namespaces(&self, actor: &Actor) -> Result<Vec<Namespace>, Problem> {
        let Some(user) = actor.user() else { return Ok(Vec::new()) };
        if !user.is_admin {
            return Ok(vec![user.name.clone()]);
        }
        let mut conn = self.read().await?;
        let mut names = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let accounts = accounts::list(&mut conn, None, None, &page).await?;
            names.extend(accounts.items.into_iter().map(|account| account.name));
            match accounts.next {
                Some(next) => page.start = Some(next),
                None => return Ok(names),
            }
        }
    }

    /// Creates the first administrator if no account exists. Returns the password if it was generated; show it now,
    /// because only its hash is stored.
    ///
    /// # Errors
    /// The given password is too short.
    pub async fn ensure_first_admin(
        &self,
        password: Option<SecretString>,
    ) -> Result<Option<SecretString>, Problem> {
        if accounts::count(&mut self.read().await?).await? > 0 {
            return Ok(None);
        }
        let generated = password.is_none().then(generate_password);
        let new = NewAccount {
            name: FIRST_ADMIN.to_owned(),
            is_org: false,
            is_admin: true,
            password: password.or_else(|| generated.clone()),
        };
        match self.insert_account(Author::System, new).await {
            Ok(_) => Ok(generated),
            // Another server on the same database was faster.
            Err(problem) if problem.code == Code::AccountExists => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}
