//! Signing in and out.

use leptos::prelude::*;
use longshore_model::{Actor, Code, Problem};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, context, extension, internal, peer, refused};
use crate::error::AppError;

/// The session cookie.
pub const SESSION_COOKIE: &str = "longshore_session";

/// The session data that the server's middleware attaches to the request; an axum extension.
#[cfg(feature = "ssr")]
#[derive(Clone)]
pub struct RequestSession {
    /// The cookie's value.
    pub token: Option<String>,
    /// Whether the browser connected over HTTPS, so that the cookie can be marked `Secure`.
    pub secure: bool,
}

/// The current user.
#[server]
pub async fn whoami() -> Answer<Actor> {
    asked().map(|(_, actor)| actor)
}

/// Fails unless a user is signed in.
pub(crate) async fn signed_in() -> Answer<()> {
    match whoami().await? {
        Actor::User(_) => Ok(()),
        Actor::Anonymous => Err(sign_in_first()),
    }
}

fn sign_in_first() -> AppError {
    Problem::new(Code::NotAuthenticated, "Sign in to do this.").into()
}

/// Replaces a not-found error for clients that are not signed in: they are asked to sign in and learn nothing else.
pub(crate) async fn unless_signed_out(problem: Problem) -> AppError {
    match whoami().await {
        Ok(Actor::Anonymous) => sign_in_first(),
        Ok(Actor::User(_)) => problem.into(),
        Err(error) => error,
    }
}

/// Signs in, sets the session cookie and redirects to `next`, a path of this site. Also works as a plain form.
#[server]
pub async fn sign_in(username: String, password: String, next: Option<String>) -> Answer<()> {
    use secrecy::ExposeSecret;

    let (admin, _) = asked()?;
    let session = match admin.sign_in(&username, password.into(), peer()?).await {
        Ok(session) => session,
        Err(problem) => return Err(refused(problem)),
    };
    set_cookie(session.token.expose_secret())?;
    leptos_axum::redirect(local_path(next.as_deref()));
    Ok(())
}

/// Ends the session.
#[server]
pub async fn sign_out() -> Answer<()> {
    let (admin, _) = asked()?;
    let RequestSession { token, .. } = extension()?;
    if let Some(token) = token {
        admin.sign_out(&token.into()).await?;
    }
    set_cookie("")?;
    leptos_axum::redirect("/sign-in");
    Ok(())
}

/// Sets the session cookie; an empty token removes it. The cookie lasts until the browser closes, the session as long
/// as it is used.
#[cfg(feature = "ssr")]
fn set_cookie(token: &str) -> Answer<()> {
    use http::{HeaderValue, header::SET_COOKIE};

    let RequestSession { secure, .. } = extension()?;
    let secure = if secure { "; Secure" } else { "" };
    let end = if token.is_empty() { "; Max-Age=0" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{end}");
    let cookie = HeaderValue::from_str(&cookie).map_err(internal)?;
    context::<leptos_axum::ResponseOptions>()?.append_header(SET_COOKIE, cookie);
    Ok(())
}

/// A path of this site, never an address of another: a browser resolves it to this site from every page, and it is
/// valid in a header. Browsers remove tabs and line breaks from addresses, and read `\` as `/`.
#[cfg(feature = "ssr")]
fn local_path(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
        let rooted = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
        let here = url::Url::parse("https://longshore.invalid/sign-in").ok();
        let leads_here = here.is_some_and(|here| {
            here.join(path)
                .is_ok_and(|there| there.origin() == here.origin() && !there.path().starts_with("//"))
        });
        path.len() <= LONGEST_PATH && visible && rooted && leads_here
    };
    next.filter(is_local).unwrap_or("/repositories")
}

/// The maximum length of a redirect target in bytes; addresses of this site are far shorter.
#[cfg(feature = "ssr")]
const LONGEST_PATH: usize = 4096;

#[cfg(all(test, feature = "ssr"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::local_path;
    use proptest::prelude::*;

    #[test]
    fn signing_in_never_redirects_to_another_site() {
        for here in ["/jobs?status=errored", "/repositories/a%2Fb?next=//x", "/", "/a//b", "/a#b"] {
            assert_eq!(local_path(Some(here)), here);
        }
        let long = format!("/{}", "a".repeat(5000));
        for elsewhere in [
            "https://example.com",
            "//example.com",
            "///example.com",
            "/\\example.com",
            "\\/example.com",
            "jobs",
            "",
            "/\njobs",
            "/\t/example.com",
            "\t//example.com",
            "/\r\n/example.com",
            "/\u{0}",
            "/\u{7f}",
            "/ü",
            "/./\t/example.com",
            "/.//example.com",
            "/x/..//example.com",
            "javascript:alert(1)",
            &long,
        ] {
            assert_eq!(local_path(Some(elsewhere)), "/repositories", "{elsewhere:?}");
        }
        assert_eq!(local_path(None), "/repositories");
    }

    proptest! {
        #[test]
        fn whatever_next_is_it_stays_here_and_fits_a_header(next in "[/\\\\.@:%?#\t\r\n a-c\u{0}\u{e9}]{0,12}|\\PC{0,20}") {
            let path = local_path(Some(&next));
            prop_assert!(http::HeaderValue::from_str(path).is_ok());
            let here = url::Url::parse("https://longshore.example/deep/page").unwrap();
            prop_assert_eq!(here.join(path).unwrap().origin(), here.origin());
        }
    }
}
