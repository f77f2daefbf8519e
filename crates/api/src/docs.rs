//! The OpenAPI document: descriptions and responses that all endpoints share, and the Swagger UI page.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Header, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Response as Documented, ResponseBuilder,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The path of the document.
pub(crate) const OPENAPI_PATH: &str = "/api/v0/openapi.json";

/// Swagger UI uses inline styles; all scripts are served from here.
const SWAGGER_UI_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";

const ABOUT: &str = "\
The REST interface of Longshore: everything that the site can do, for scripts. Paths, fields and error codes are \
those of Docker Trusted Registry where it has equivalents.\n\n\
The part of a repository's name after the namespace is one path segment; write a `/` in it as `%2F`. Lists are \
paged with `pageStart` and `pageSize` (at most 500); the header `X-Next-Page-Start` contains the start of the next \
page and is absent on the last one. Errors are `{\"errors\":[{\"code\",\"message\",\"detail\"}]}` with one \
entry per invalid field. Objects that the caller may not see are reported as not found (404).";

const TAGS: [(&str, &str); 10] = [
    ("accounts", "Users and organizations. Also at `/enzi/v0/accounts`."),
    ("repositories", "Repositories."),
    ("tags", "Tags: listing, history, promoting and pushing one by hand, deleting and restoring."),
    ("promotion policies", "Copy matching tags to another repository."),
    ("mirrors", "Copy tags to another registry (push) or from another registry (poll)."),
    ("remotes", "Saved connections to other registries."),
    ("jobs", "Units of background work."),
    ("pauses", "Pausing and resuming the policies and mirrors of the system, a namespace or a remote."),
    ("activity", "Log of what users, policies and the system did."),
    ("server", "Features and state of the server."),
];

/// The document without endpoints.
pub(crate) fn base() -> OpenApi {
    let session = ApiKeyValue::with_description("longshore_session", "The session cookie of the site.");
    let components = Components::builder()
        .security_scheme(
            "basic",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Basic)
                    .description(Some("Username and password."))
                    .build(),
            ),
        )
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
        .build();
    let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
    let live = ("live", "Changes of jobs, tags and settings, as server-sent events.");
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Longshore")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
                .build(),
        )
        .components(Some(components))
        .tags(Some(TAGS.into_iter().chain([live]).map(tag).collect::<Vec<_>>()))
        .security(Some([requirement("basic"), requirement("session")]))
        .build()
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new(scheme, Vec::<String>::new())
}

/// Adds the responses that all endpoints share.
pub(crate) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            complete_operation(path, operation);
        }
    }
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let mut add = |status: &str, codes: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(errors(codes)));
    };
    add("401", "NOT_AUTHENTICATED, WRONG_CREDENTIALS");
    add("403", "NOT_AUTHORIZED, FOREIGN_ORIGIN");
    add("429", "TOO_MANY_ATTEMPTS");
    add("500", "INTERNAL_ERROR");
    if path.contains("{reponame}") {
        add("404", "NO_SUCH_REPOSITORY");
    }
    if operation.request_body.is_some() {
        add("413", "REQUEST_TOO_LARGE");
        add("415", "UNSUPPORTED_MEDIA_TYPE");
    }
    if operation.request_body.is_some() || has_query(operation) {
        let responses = &mut operation.responses.responses;
        responses.entry("400".to_owned()).or_insert_with(|| RefOr::T(errors("INVALID_REQUEST")));
    }
    let paged = parameters(operation).any(|parameter| parameter.name == "pageStart");
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = what_happened(status).to_owned();
        }
        if paged && status == "200" {
            response.headers.insert(
                "X-Next-Page-Start".to_owned(),
                header_of(Type::String, "The start of the next page; absent on the last page."),
            );
            response.headers.insert(
                "X-Resource-Count".to_owned(),
                header_of(Type::Integer, "The number of items on all pages, if requested with `count`."),
            );
        }
    }
}

fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

fn has_query(operation: &Operation) -> bool {
    parameters(operation)
        .any(|parameter| matches!(parameter.parameter_in, utoipa::openapi::path::ParameterIn::Query))
}

fn errors(codes: &str) -> Documented {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Errors"))).build();
    ResponseBuilder::new().description(codes).content("application/json", content).build()
}

fn header_of(kind: Type, about: &str) -> RefOr<Header> {
    let mut header = Header::new(Object::with_type(kind));
    header.description = Some(about.to_owned());
    RefOr::T(header)
}

fn what_happened(status: &str) -> &'static str {
    match status {
        "200" => "OK.",
        "201" => "Created.",
        "202" => "Accepted.",
        "204" => "No content.",
        _ => "Error.",
    }
}

/// The Swagger UI page at `/api/docs`.
pub(crate) fn page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = SwaggerUi::new("/api/docs")
        .config(Config::from(OPENAPI_PATH).try_it_out_enabled(true).display_request_duration(true));
    Router::from(page).layer(map_response(|mut response: Response| async move {
        let policy = HeaderValue::from_static(SWAGGER_UI_POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}
