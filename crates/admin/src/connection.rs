//! Connections to other registries, from form to saved remote: which credentials may be used with which settings
//! (semantics 15), and the check that they work (semantics 27).

use crate::Admin;
use crate::accounts::no_such_account;
use crate::guard::user;
use crate::validate::{self, Fields, RemoteSettings, origin};
use crate::versions::Versioned;
use longshore_metadata::remotes::SecretChange;
use longshore_metadata::{Conn, Tx, accounts, back_offs, remotes};
use longshore_model::connect::{Check, CheckStatus, ConnectReport, Direction};
use longshore_model::policy::RemoteChoice;
use longshore_model::remote::RemoteDraft;
use longshore_model::{
    Actor, Aspect, Author, Code, FieldError, LastChange, Problem, Remote, RemoteId, Timestamp, Version,
};
use longshore_oci::{Namespace, RemoteName};
use longshore_remote::{self as remote, Credentials, Endpoint, UrlError};
use secrecy::SecretString;

/// Settings with their secret, ready to be tested and saved.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) settings: RemoteSettings,
    /// The namespace that owns the remote; `None` for the system.
    pub(crate) owner: Option<Namespace>,
    /// The saved remote; `None` for a new one.
    pub(crate) saved: Option<Remote>,
    /// The secret from the form, or the stored one if it may be used with these settings.
    secret: Option<SecretString>,
    /// The user who is accountable for where the connection leads (semantics 44).
    author: Option<Namespace>,
    /// The networks that the author may reach.
    network: remote::NetworkPolicy,
    /// Whether the address is that of this server.
    is_this_server: bool,
}

impl Connection {
    /// The saved remote; `None` if saving will create one.
    pub(crate) fn remote(&self) -> Option<RemoteId> {
        self.saved.as_ref().map(|remote| remote.id)
    }

    /// Whether a secret was entered, which replaces a stored one.
    pub(crate) fn has_new_secret(&self) -> bool {
        self.settings.secret.is_some()
    }

    fn endpoint(&self) -> Endpoint {
        let settings = &self.settings;
        let credentials = self.secret.clone().map(|secret| {
            let username = settings.username.clone();
            Credentials { username, secret }
        });
        // A stored secret is sent only to the realm that was seen when it was entered. Entering it again accepts the
        // realm that the registry names now.
        let pinned = self.saved.as_ref().and_then(|remote| remote.realm.clone());
        Endpoint {
            credentials,
            ca_pem: settings.ca_pem.clone(),
            skip_tls_verify: settings.skip_tls_verify,
            proxy: settings.proxy.clone(),
            pinned_realm: pinned.filter(|_| !self.has_new_secret()),
            network: self.network,
            is_this_server: self.is_this_server,
            ..Endpoint::new(settings.url.clone(), settings.kind)
        }
    }
}

/// Whether a stored secret may be sent to where the settings lead (semantics 15).
pub(crate) fn same_place(remote: &Remote, settings: &RemoteSettings) -> bool {
    remote.url == settings.url_text()
        && remote.ca_pem == settings.ca_pem
        && remote.skip_tls_verify == settings.skip_tls_verify
        && remote.proxy.as_deref() == settings.proxy.as_ref().map(origin).as_deref()
}

fn secret_needed(code: Code, why: &str) -> Problem {
    Problem::field(code, "password", format!("enter the password or access token: {why}"))
}

impl Admin {
    /// The connection chosen in a mirror's form. A newly entered one belongs to `owner` unless it names another owner,
    /// and is the saved remote if the settings are equal. `present` is the remote that the mirror has used so far.
    pub(crate) async fn choose(
        &self,
        actor: &Actor,
        owner: &Namespace,
        choice: &RemoteChoice,
        present: Option<RemoteId>,
    ) -> Result<Connection, Problem> {
        match choice {
            RemoteChoice::Saved { id } => self.saved(actor, *id).await,
            RemoteChoice::New { remote } => self.typed(actor, owner, remote, present).await,
        }
    }

    /// A saved remote, unchanged.
    pub(crate) async fn saved(&self, actor: &Actor, id: RemoteId) -> Result<Connection, Problem> {
        let mut conn = self.read().await?;
        let remote = self.remote_for(&mut conn, actor, id).await?;
        let secret = stored_secret(&mut conn, &remote).await?;
        let broken = |error: UrlError| Problem::field(Code::InvalidRemote, "remoteHost", error.to_string());
        let settings = RemoteSettings {
            name: remote.name.clone(),
            kind: remote.kind,
            url: Endpoint::parse_url(remote.kind, &remote.url).map_err(broken)?,
            username: remote.username.clone(),
            secret: None,
            ca_pem: remote.ca_pem.clone(),
            skip_tls_verify: remote.skip_tls_verify,
            proxy: remote.proxy.as_deref().and_then(|proxy| proxy.parse().ok()),
        };
        let owner = remote.owner.clone();
        let (author, network) = (remote.author.clone(), self.0.engine.network_of(&mut conn, &remote).await?);
        Ok(self.connection(settings, owner, Some(remote), secret, (author, network)))
    }

    /// A connection that was entered in a form; it may be saved already.
    pub(crate) async fn typed(
        &self,
        actor: &Actor,
        owner: &Namespace,
        draft: &RemoteDraft,
        present: Option<RemoteId>,
    ) -> Result<Connection, Problem> {
        let mut conn = self.read().await?;
        let (settings, owner) = self.check_draft(actor, &mut conn, Some(owner), draft).await?;
        let present = match present {
            Some(id) => remotes::get(&mut conn, id).await?.filter(|remote| self.may_use(actor, remote)),
            None => None,
        };
        let is_same = |remote: &Remote| same_place(remote, &settings) && remote.username == settings.username;
        let known = match present.clone().filter(is_same) {
            Some(remote) => Some(remote),
            None => find_same(&mut conn, owner.as_ref(), &settings).await?,
        };
        let secret = match (&settings.secret, &known) {
            (Some(typed), _) => Some(typed.clone()),
            (None, Some(known)) => stored_secret(&mut conn, known).await?,
            (None, None) => None,
        };
        if secret.is_none() && !settings.username.is_empty() {
            return Err(match present {
                Some(_) => secret_needed(
                    Code::SecretNeeded,
                    "the stored one is not used with another host, username, proxy or TLS settings",
                ),
                None => secret_needed(
                    Code::RemoteRegistryInvalidPermissions,
                    &format!("the user {} cannot sign in without it", settings.username),
                ),
            });
        }
        // A mirror's form cannot take a remote over: otherwise an administrator could become accountable for an address
        // that its author chose, and give it an administrator's network access.
        let author = match &known {
            Some(saved) => (saved.author.clone(), self.0.engine.network_of(&mut conn, saved).await?),
            None => self.answers_for(actor, &mut conn, None).await?,
        };
        Ok(self.connection(settings, owner, known, secret, author))
    }

    /// A saved remote with settings that were changed in a form.
    pub(crate) async fn edited(
        &self,
        actor: &Actor,
        id: RemoteId,
        draft: &RemoteDraft,
    ) -> Result<Connection, Problem> {
        let mut conn = self.read().await?;
        let saved = self.remote_for(&mut conn, actor, id).await?;
        // A remote of the system keeps its owner unless an administrator assigns another one.
        let (settings, owner) = self.check_draft(actor, &mut conn, saved.owner.as_ref(), draft).await?;
        let secret = match &settings.secret {
            Some(typed) => Some(typed.clone()),
            None if settings.username.is_empty() => None,
            None if same_place(&saved, &settings) => stored_secret(&mut conn, &saved).await?,
            None => {
                return Err(secret_needed(
                    Code::SecretNeeded,
                    "the stored one is discarded when scheme, host, port, proxy, CA or verification change",
                ));
            }
        };
        let unchanged = Some(&saved).filter(|saved| same_place(saved, &settings));
        let author = self.answers_for(actor, &mut conn, unchanged).await?;
        Ok(self.connection(settings, owner, Some(saved), secret, author))
    }

    /// Checks a form. `otherwise` is the owner if the form names none; `None` means the system, for which only
    /// administrators may add remotes.
    async fn check_draft(
        &self,
        actor: &Actor,
        conn: &mut Conn,
        otherwise: Option<&Namespace>,
        draft: &RemoteDraft,
    ) -> Result<(RemoteSettings, Option<Namespace>), Problem> {
        match otherwise {
            Some(_) => user(actor).map(drop)?,
            None => crate::guard::administrator(actor).map(drop)?,
        }
        let mut fields = Fields::default();
        let settings = validate::remote(&mut fields, draft);
        let owner = match draft.owner.trim() {
            "" => otherwise.cloned(),
            typed => fields.take("owner", typed.parse::<Namespace>()),
        };
        if let Some(owner) = &owner {
            if let Err(problem) = self.namespace_for(actor, owner) {
                fields.refuse_as(problem.code, "owner", problem.message);
            } else if accounts::find(conn, owner).await?.is_none() {
                let problem = no_such_account(owner);
                fields.refuse_as(problem.code, "owner", problem.message);
            }
        }
        let settings = fields.finish_with(Code::InvalidRemote, settings)?;
        Ok((settings, owner))
    }

    /// A new connection from the page of remotes. If the form names no owner, it belongs to the actor, or to the system
    /// if the actor is an administrator.
    pub(crate) async fn new_remote(&self, actor: &Actor, draft: &RemoteDraft) -> Result<Connection, Problem> {
        let user = user(actor)?;
        let mut conn = self.read().await?;
        let otherwise = (!user.is_admin).then_some(&user.name);
        let (settings, owner) = self.check_draft(actor, &mut conn, otherwise, draft).await?;
        let secret = settings.secret.clone();
        let author = self.answers_for(actor, &mut conn, None).await?;
        Ok(self.connection(settings, owner, None, secret, author))
    }

    /// The user who is accountable for where a connection leads, and the networks that this user may reach
    /// (semantics 44): the actor who saves it, unless it is `unchanged`. An administrator who saves it again takes it
    /// over.
    async fn answers_for(
        &self,
        actor: &Actor,
        conn: &mut Conn,
        unchanged: Option<&Remote>,
    ) -> Result<(Option<Namespace>, remote::NetworkPolicy), Problem> {
        let user = user(actor)?;
        match unchanged {
            Some(saved) if !user.is_admin => {
                Ok((saved.author.clone(), self.0.engine.network_of(conn, saved).await?))
            }
            _ => {
                let network = self.0.engine.settings().private_remotes.policy(user.is_admin);
                Ok((Some(user.name.clone()), network))
            }
        }
    }

    fn connection(
        &self,
        settings: RemoteSettings,
        owner: Option<Namespace>,
        saved: Option<Remote>,
        secret: Option<SecretString>,
        (author, network): (Option<Namespace>, remote::NetworkPolicy),
    ) -> Connection {
        let is_this_server = self.0.engine.is_this_server(&settings.url);
        Connection { settings, owner, saved, secret, author, network, is_this_server }
    }

    /// What a form changes about the place that a mirror uses so far: another registry, other credentials for the same
    /// one (semantics 35), or `None` if nothing.
    pub(crate) async fn change_of_place(
        &self,
        connection: &Connection,
        until_now: RemoteId,
    ) -> Result<Option<Aspect>, Problem> {
        if connection.remote() == Some(until_now) {
            return Ok(connection.has_new_secret().then_some(Aspect::Credentials));
        }
        let before = remotes::get(&mut self.read().await?, until_now).await?;
        let same = before.is_some_and(|before| before.url == connection.settings.url_text());
        Ok(Some(if same { Aspect::Credentials } else { Aspect::Registry }))
    }

    /// Tests a connection against the real registry.
    pub(crate) async fn try_out(
        &self,
        connection: &Connection,
        repository: &RemoteName,
        direction: Direction,
    ) -> ConnectReport {
        remote::connect(connection.endpoint(), repository, direction).await
    }

    /// As [`Admin::try_out`], but fails if the registry cannot be used with these settings.
    pub(crate) async fn prove(
        &self,
        connection: &Connection,
        repository: &RemoteName,
        direction: Direction,
    ) -> Result<ConnectReport, Problem> {
        let report = self.try_out(connection, repository, direction).await;
        if report.usable { Ok(report) } else { Err(unusable(&report)) }
    }

    /// A client for the registry behind a connection.
    pub(crate) fn registry(&self, connection: &Connection) -> Result<remote::Registry, Problem> {
        remote::Registry::connect_to(connection.endpoint()).map_err(failed)
    }
}

/// The problem for an error of a registry that a form named.
pub(crate) fn failed(error: remote::Error) -> Problem {
    Problem::field(Code::RemoteRegistryInvalidPermissions, "remoteHost", error.to_string())
}

/// The secret of a remote that was read before.
///
/// # Errors
/// `REMOTE_CHANGED` if the remote has changed since.
async fn stored_secret(conn: &mut Conn, known: &Remote) -> Result<Option<SecretString>, Problem> {
    let Some((present, secret)) = remotes::get_with_secret(conn, known.id).await? else { return Ok(None) };
    check_still(&present, known.version)?;
    Ok(secret)
}

async fn find_same(
    conn: &mut Conn,
    owner: Option<&Namespace>,
    settings: &RemoteSettings,
) -> Result<Option<Remote>, Problem> {
    let (url, proxy) = (settings.url_text(), settings.proxy.as_ref().map(origin));
    let found = remotes::find_same(
        conn,
        owner,
        &url,
        &settings.username,
        settings.ca_pem.as_deref(),
        settings.skip_tls_verify,
        proxy.as_deref(),
    );
    Ok(found.await?)
}

/// Saves what a form chose: creates the remote, replaces its secret, or leaves it unchanged. `proof` is the report of
/// Connect with exactly these settings; `None` if the registry was not contacted.
///
/// # Errors
/// `REMOTE_CHANGED`: the remote has changed since it was read, so neither the proof nor the secret belongs to it;
/// `NO_SUCH_REMOTE`: it was deleted.
pub(crate) async fn keep(
    tx: &mut Tx,
    connection: Connection,
    proof: Option<ConnectReport>,
    by: Author,
    now: Timestamp,
) -> Result<Remote, Problem> {
    let settings = &connection.settings;
    let remote = match &connection.saved {
        Some(saved) => {
            let present = present(tx, saved.id).await?;
            // Nor does accountability for one place extend to another one that the remote was moved to meanwhile.
            let other_author = connection.author != present.author;
            if proof.is_some() || connection.has_new_secret() || other_author {
                check_still(&present, saved.version)?;
            }
            let new_secret = connection.has_new_secret();
            match !new_secret && !other_author {
                true => present,
                false => {
                    let secret = match new_secret {
                        true => SecretChange::Replace(connection.secret.clone().unwrap_or_default()),
                        false => SecretChange::Keep,
                    };
                    let (based_on, author) = (present.version, connection.author.clone());
                    let has_secret = present.has_secret || new_secret;
                    let remote = Remote { author, has_secret, updated_at: now, ..present };
                    let what = if new_secret { Aspect::Credentials } else { Aspect::Author };
                    remotes::update(tx, based_on, remote, secret, LastChange::new(by, vec![what])).await?
                }
            }
        }
        None => {
            // Two forms may be saved at the same time: the second one uses the remote that the first one created.
            if let Some(made) = find_same(tx, connection.owner.as_ref(), settings).await? {
                let (author, saved) = (made.author.clone(), Some(made));
                return Box::pin(keep(tx, Connection { author, saved, ..connection }, proof, by, now)).await;
            }
            let remote = to_remote(&connection, RemoteId::new(), now);
            remotes::insert(tx, &remote, connection.secret.as_ref()).await?;
            remote
        }
    };
    // Without a proof, no contact is recorded.
    let Some(proof) = proof else { return Ok(remote) };
    if let Some(realm) = proof.realm.filter(|realm| remote.realm.as_deref() != Some(realm)) {
        remotes::pin_realm(tx, remote.id, &realm).await?;
    }
    back_offs::forget(tx, remote.id, now).await?;
    remotes::record_contact(tx, remote.id, now, None).await?;
    Ok(remote)
}

/// The remote as it is in the transaction that changes it.
pub(crate) async fn present(tx: &mut Tx, id: RemoteId) -> Result<Remote, Problem> {
    remotes::get_for_change(tx, id).await?.ok_or_else(|| {
        Problem::new(Code::NoSuchRemote, "the remote was deleted; choose or enter another one")
    })
}

/// Rejects the result of a check if the remote changed during the check. The form may be a mirror's, so the problem
/// does not offer the newer version to save over.
fn check_still(present: &Remote, seen: Version) -> Result<(), Problem> {
    present.check(seen).map_err(|problem| Problem { newer: None, ..problem })
}

/// A connection as it is stored, without its secret.
pub(crate) fn to_remote(connection: &Connection, id: RemoteId, now: Timestamp) -> Remote {
    let settings = &connection.settings;
    let url = settings.url_text();
    let name = match settings.name.as_str() {
        "" => longshore_model::remote::host_of(&url).to_owned(),
        name => name.to_owned(),
    };
    Remote {
        id,
        owner: connection.owner.clone(),
        author: connection.author.clone(),
        name,
        kind: settings.kind,
        url,
        username: settings.username.clone(),
        has_secret: connection.secret.is_some(),
        ca_pem: settings.ca_pem.clone(),
        skip_tls_verify: settings.skip_tls_verify,
        proxy: settings.proxy.as_ref().map(origin),
        realm: None,
        version: Version::FIRST,
        last_change: None,
        created_at: now,
        updated_at: now,
        last_contact: None,
        last_error: None,
        used_by: 0,
        back_off: None,
    }
}

/// A problem with the first failure as its message and every failure at its field.
fn unusable(report: &ConnectReport) -> Problem {
    let failed = || report.checks.iter().filter(|check| check.status == CheckStatus::Failed);
    let sentence = |check: &Check| match &check.remedy {
        Some(remedy) => format!("{}. {remedy}", check.message.trim_end_matches('.')),
        None => check.message.clone(),
    };
    let fields = failed().filter_map(|check| {
        let field = check.field.clone()?;
        Some(FieldError::new(field, sentence(check)))
    });
    let message = failed()
        .next()
        .map_or_else(|| "the registry cannot be used with these settings".to_owned(), sentence);
    Problem { fields: fields.collect(), ..Problem::new(Code::RemoteRegistryInvalidPermissions, message) }
}
