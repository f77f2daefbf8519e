//! Serves the site: its files, pages and server functions.
//!
//! It is the fallback for all paths that no other part of the server handles. `longshore-app` decides what a page
//! shows; this module serves the files, renders the document and sets the Content-Security-Policy. All other headers
//! are set by the middleware.

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

/// The maximum size of a serialised problem.
const MAX_PROBLEM_BYTES: usize = 1024 * 1024;

/// Provides the context of pages and server functions; runs for each request.
type Provide = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Site {
    assets: Arc<Assets>,
    options: LeptosOptions,
    provide: Provide,
}

/// The routes of the site. `provide` adds values to the context of pages and server functions; it runs once per
/// request.
pub(crate) fn router(
    assets: Assets,
    clock: Arc<dyn Clock>,
    provide: impl Fn() + Send + Sync + 'static,
) -> Router {
    // Rendering spawns tasks. This fails only if it was called before, as in tests.
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

/// Leptos returns every error of a server function with status 500; this sets the status of the problem in the body.
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

/// A file of the site if there is one at this path, otherwise a page.
async fn file_or_page(State(site): State<Site>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    match site.assets.respond(request.uri().path(), request.headers()).await {
        Some(response) => response,
        // There are no pages below the files, and requests there are not authenticated.
        None if request.uri().path().starts_with("/pkg/") || request.uri().path() == "/pkg" => {
            (StatusCode::NOT_FOUND, "File not found.\n").into_response()
        }
        None => match clean(request.uri()) {
            Some(address) => Redirect::to(&address).into_response(),
            None => page(site, request).await,
        },
    }
}

/// The URL of a page without the empty fields that a form sends without script; `None` if there are none.
fn clean(uri: &Uri) -> Option<String> {
    // A path that begins with two slashes would redirect to another host.
    let query = uri.query().filter(|_| !uri.path().starts_with("//"))?;
    let kept = without_empty(query);
    match kept.as_str() {
        same if same == query => None,
        "" => Some(uri.path().to_owned()),
        kept => Some(format!("{}?{kept}", uri.path())),
    }
}

/// Renders the whole page before the first byte is sent, so that its status and redirects are correct, it is complete
/// without script, and no part of it is rendered outside its owner.
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
                tracing::error!(%error, "a page could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    })
    .await
}
