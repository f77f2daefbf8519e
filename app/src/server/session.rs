//! Signing in and out.

use leptos::prelude::*;
use longshore_model::Actor;

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, internal, peer, refused};

/// The cookie that carries a session's token.
pub const SESSION_COOKIE: &str = "longshore_session";

/// What the server's middleware knows of the request's session; an axum extension.
#[cfg(feature = "ssr")]
#[derive(Clone)]
pub struct RequestSession {
    /// The cookie's value.
    pub token: Option<String>,
    /// Whether the browser came by https, so that the cookie may be kept to https.
    pub secure: bool,
}

/// Who reads the page.
#[server]
pub async fn whoami() -> Answer<Actor> {
    asked().await.map(|(_, actor)| actor)
}

/// Signs in, sets the session's cookie and leads to `next`, a path of this site. A plain form does
/// it too.
#[server]
pub async fn sign_in(username: String, password: String, next: Option<String>) -> Answer<()> {
    use secrecy::ExposeSecret;

    let (admin, _) = asked().await?;
    let session = match admin.sign_in(&username, password.into(), peer().await?).await {
        Ok(session) => session,
        Err(problem) => return Err(refused(problem).await),
    };
    set_cookie(session.token.expose_secret()).await?;
    leptos_axum::redirect(local_path(next.as_deref()));
    Ok(())
}

/// Ends the session.
#[server]
pub async fn sign_out() -> Answer<()> {
    use axum::Extension;

    let (admin, _) = asked().await?;
    let Extension(RequestSession { token, .. }) = leptos_axum::extract().await.map_err(internal)?;
    if let Some(token) = token {
        admin.sign_out(&token.into()).await?;
    }
    set_cookie("").await?;
    leptos_axum::redirect("/sign-in");
    Ok(())
}

/// Sets the session's cookie; an empty token removes it. It lives until the browser ends, the
/// session behind it as long as it is used.
#[cfg(feature = "ssr")]
async fn set_cookie(token: &str) -> Answer<()> {
    use axum::Extension;
    use http::{HeaderValue, header::SET_COOKIE};

    let Extension(RequestSession { secure, .. }) = leptos_axum::extract().await.map_err(internal)?;
    let secure = if secure { "; Secure" } else { "" };
    let end = if token.is_empty() { "; Max-Age=0" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{end}");
    let cookie = HeaderValue::from_str(&cookie).map_err(internal)?;
    expect_context::<leptos_axum::ResponseOptions>().append_header(SET_COOKIE, cookie);
    Ok(())
}

/// A path of this site, never another site's address: one slash and then something else.
#[cfg(feature = "ssr")]
fn local_path(next: Option<&str>) -> &str {
    next.filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\n', '\r']))
        .unwrap_or("/repositories")
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::local_path;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        assert_eq!(local_path(Some("/jobs?status=errored")), "/jobs?status=errored");
        for elsewhere in ["https://example.com", "//example.com", "/\\example.com", "jobs", "/\njobs"] {
            assert_eq!(local_path(Some(elsewhere)), "/repositories", "{elsewhere}");
        }
        assert_eq!(local_path(None), "/repositories");
    }
}
