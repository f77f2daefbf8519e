//! The OpenAPI document: what all endpoints have in common is said here once, and the page to try
//! them out.

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

/// Where the document is served.
pub(crate) const OPENAPI_PATH: &str = "/api/v0/openapi.json";

/// Swagger UI styles its elements one by one; it runs no script from elsewhere.
const SWAGGER_UI_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";

const ABOUT: &str = "\
Longshore's REST interface: everything that the site does, for scripts. Paths, fields and error codes are \
those of Docker Trusted Registry where it had them.\n\n\
A repository's name behind the namespace is one segment of a path; a `/` in it is written `%2F`. Lists are \
paged by `pageStart` and `pageSize`, at most 500; the header `X-Next-Page-Start` says where the next page \
begins, and is absent on the last. Errors are `{\"errors\":[{\"code\",\"message\",\"detail\"}]}` with one \
entry per field that is wrong. What the actor may not see does not exist for it: 404.";

const TAGS: [(&str, &str); 10] = [
    ("accounts", "Users and organizations. Also at `/enzi/v0/accounts`."),
    ("repositories", "Repositories."),
    ("tags", "Tags, where they came from, and what is done with one by hand."),
    ("promotion policies", "Copy tags that match into another repository."),
    ("mirrors", "Copy tags to another registry (push), bring tags of another registry in (poll)."),
    ("remotes", "Saved connections to other registries."),
    ("jobs", "Units of background work."),
    (
        "pauses",
        "Stopping all policies and mirrors of the system, a namespace or a remote, and resuming them.",
    ),
    ("activity", "Who did what."),
    ("server", "The server itself."),
];

/// The document without endpoints.
pub(crate) fn base() -> OpenApi {
    let session = ApiKeyValue::with_description("longshore_session", "The cookie of the site's session.");
    let components = Components::builder()
        .security_scheme(
            "basic",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Basic)
                    .description(Some("User name and password."))
                    .build(),
            ),
        )
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
        .build();
    let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
    let live = ("live", "What moves, as server-sent events.");
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

/// Adds to each endpoint what all of them answer.
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
                header_of(Type::String, "Where the next page starts; absent on the last."),
            );
            response.headers.insert(
                "X-Resource-Count".to_owned(),
                header_of(Type::Integer, "How many items there are on all pages, where `count` asks for it."),
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
        "200" => "Here it is.",
        "201" => "Made.",
        "202" => "On its way.",
        "204" => "Done.",
        _ => "Did not work.",
    }
}

/// The page to try the endpoints out, at `/api/docs`.
pub(crate) fn page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = SwaggerUi::new("/api/docs")
        .config(Config::from(OPENAPI_PATH).try_it_out_enabled(true).display_request_duration(true));
    Router::from(page).layer(map_response(|mut response: Response| async move {
        let policy = HeaderValue::from_static(SWAGGER_UI_POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}
