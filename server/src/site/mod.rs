//! Serving the site: its files, its pages, its server functions.
//!
//! Everything that no other part of the server answers ends here. What a page shows is decided in
//! `longshore-app`; this module finds the files, renders the document and tells the browser what
//! our pages never do. The headers that every answer has are the middleware's.

mod alone;
mod assets;
mod policy;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
    routing::any,
};
use leptos::prelude::{LeptosOptions, provide_context};
use longshore_app::{clock::PageInstant, error::AppError, paths::without_empty};
use longshore_model::Clock;

use alone::Home;
pub(crate) use assets::Assets;
pub use assets::Carried;

/// No problem that a form can have takes more bytes to tell.
const MAX_PROBLEM_BYTES: usize = 1024 * 1024;

/// What the pages and server functions find in their context, set anew for each request.
type Provide = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Site {
    assets: Arc<Assets>,
    options: LeptosOptions,
    provide: Provide,
}

/// The routes of the site. `provide` adds to the context of pages and server functions what they
/// work with; it runs once per request.
pub(crate) fn router(
    assets: Assets,
    clock: Arc<dyn Clock>,
    provide: impl Fn() + Send + Sync + 'static,
) -> Router {
    // Rendering spawns tasks. It fails only when it was called before, as in tests.
    let _ = any_spawner::Executor::init_tokio();
    let options =
        LeptosOptions::builder().output_name("longshore").site_pkg_dir(assets.package_folder()).build();
    let provide = Arc::new(move || {
        provide_context(PageInstant(clock.now()));
        provide();
    });
    Router::new().route("/fn/{*name}", any(server_function)).fallback(file_or_page).with_state(Site {
        assets: Arc::new(assets),
        options,
        provide,
    })
}

async fn server_function(State(site): State<Site>, request: Request) -> Response {
    let home = Home::default();
    let context = {
        let home = home.clone();
        move || {
            home.settle();
            (site.provide)();
        }
    };
    let answer = home.alone(leptos_axum::handle_server_fns_with_context(context, request)).await;
    let response = answer.into_response();
    match response.status() {
        StatusCode::INTERNAL_SERVER_ERROR => with_own_status(response).await,
        _ => response,
    }
}

/// Leptos answers whatever a server function could not do with status 500; the problem in the body
/// knows its own.
async fn with_own_status(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_PROBLEM_BYTES).await else { return parts.into_response() };
    if let Ok(AppError(problem)) = serde_json::from_slice(&bytes)
        && let Ok(status) = StatusCode::from_u16(problem.code.status())
    {
        parts.status = status;
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// A file of the site when there is one at this address, else the page.
async fn file_or_page(State(site): State<Site>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    match site.assets.respond(request.uri().path(), request.headers()).await {
        Some(response) => response,
        // No page is below the files, and nobody has found out for whom one would be.
        None if request.uri().path().starts_with("/pkg/") || request.uri().path() == "/pkg" => {
            (StatusCode::NOT_FOUND, "There is no such file.\n").into_response()
        }
        None => match clean(request.uri()) {
            Some(address) => Redirect::to(&address).into_response(),
            None => page(site, request).await,
        },
    }
}

/// The address of a page without the empty fields that a form sends where there is no script, if it has any.
fn clean(uri: &Uri) -> Option<String> {
    // What begins with two slashes would lead to another host.
    let query = uri.query().filter(|_| !uri.path().starts_with("//"))?;
    let kept = without_empty(query);
    match kept.as_str() {
        same if same == query => None,
        "" => Some(uri.path().to_owned()),
        kept => Some(format!("{}?{kept}", uri.path())),
    }
}

/// Renders the page to its end before the first byte is sent: its status and redirects are right,
/// it is complete without script, and nothing of it is left to be rendered elsewhere.
async fn page(site: Site, request: Request<Body>) -> Response {
    let Site { options, provide, .. } = site;
    let home = Home::default();
    let context = {
        let home = home.clone();
        move || {
            home.settle();
            provide();
            policy::protect_page();
        }
    };
    let render =
        leptos_axum::render_app_async_with_context(context, move || longshore_app::shell(options.clone()));
    home.alone(async move {
        let (parts, body) = render(request).await.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(bytes) => Response::from_parts(parts, Body::from(bytes)),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered to its end");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    })
    .await
}
