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

/// A user or an organization, as filled in.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name as typed; it becomes a namespace.
    pub name: String,
    /// Organizations own repositories and cannot sign in.
    pub is_org: bool,
    /// Administrators may do everything.
    pub is_admin: bool,
    /// What a user signs in with; organizations have none.
    pub password: Option<SecretString>,
}

/// The user that is made on the first start.
const FIRST_ADMIN: &str = "admin";

pub(crate) fn no_such_account(name: &Namespace) -> Problem {
    Problem::new(Code::NoSuchAccount, format!("there is no user or organization {name}; check the name"))
}

impl Admin {
    /// Makes a user or an organization. For administrators.
    ///
    /// # Errors
    /// A name that is no namespace, is reserved or taken; a password that is too short or missing.
    pub async fn create_account(&self, actor: &Actor, new: NewAccount) -> Result<Account, Problem> {
        administrator(actor)?;
        self.insert_account(author(actor), new).await
    }

    async fn insert_account(&self, author: Author, new: NewAccount) -> Result<Account, Problem> {
        let mut fields = Fields::default();
        let name = fields.take_as(Code::InvalidAccountName, "name", new.name.trim().parse::<Namespace>());
        if name.as_ref().is_some_and(Namespace::is_reserved) {
            let message = "this name is kept for the server's own use; choose another one";
            fields.refuse_as(Code::InvalidAccountName, "name", message);
        }
        if new.is_org && new.is_admin {
            fields.refuse("isAdmin", "an organization cannot sign in, so it cannot be an administrator");
        }
        let hash = match (new.is_org, &new.password) {
            (true, None) => None,
            (true, Some(_)) => {
                let message = "an organization cannot sign in; leave the password out";
                fields.refuse_as(Code::InvalidPassword, "password", message);
                None
            }
            (false, None) => {
                fields.refuse_as(Code::InvalidPassword, "password", "a user needs a password");
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

    /// The accounts, by name. For everybody who is signed in.
    ///
    /// # Errors
    /// Nobody is signed in.
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

    /// One account. For everybody who is signed in.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn account(&self, actor: &Actor, name: &Namespace) -> Result<Account, Problem> {
        user(actor)?;
        accounts::find(&mut self.read().await?, name).await?.ok_or_else(|| no_such_account(name))
    }

    /// Changes a password: one's own, which needs the old one, or as an administrator somebody
    /// else's. All sessions of the account end. `peer` is the address that a wrong old password is
    /// counted against.
    ///
    /// # Errors
    /// A wrong old password, a new one that is too short, or an account that is not one's own.
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
                AuthError::WrongCredentials => Problem::field(
                    Code::WrongCredentials,
                    "oldPassword",
                    "this is not the present password; type the one that you sign in with",
                ),
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

    /// The namespaces in which the actor may create repositories, by name; none when nobody is
    /// signed in.
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

    /// Makes the first administrator where there is no account yet. Answers the password when it
    /// had to be made up; it must be shown now, for it is stored nowhere.
    ///
    /// # Errors
    /// The password that was given is too short.
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
