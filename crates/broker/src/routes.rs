//! The index of the API: who asks what, and where the answer is written.

mod agent;
mod agents;
mod audit;
mod deployment_objects;
mod epochs;
mod events;
mod explain;
mod fleet;
mod generators;
mod kept_kinds;
mod keys;
mod me;
mod preview;
mod probes;
mod requests;
mod sessions;
mod settings;
mod sign_ins;
mod stacks;
mod target_state;
mod targets;
mod watch;
mod windows;

use std::sync::Arc;

use axum::body::Bytes;
use axum::routing::get;
use brokkr_core::wire::Problem;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, ResponseBuilder, SecurityRequirement,
};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::Broker;
use crate::auth;
use crate::console;
use crate::error::Error;
use crate::rights::{self, Guard, Right};

/// Where the API begins.
const PREFIX: &str = "/api/v1";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Everything that the broker answers.
pub(crate) fn router(broker: Arc<Broker>) -> axum::Router {
    let (router, document) = api().split_for_parts();
    // Made once: it does not change, and is a hundred times as large as most answers.
    let document = serde_json::to_vec(&finish(document)).unwrap_or_default();
    let document = Bytes::from(document);
    let only_get = async || Error::MethodNotAllowed(HeaderValue::from_static("GET"));
    router
        // The guard stands before this too, and names the methods that the path takes.
        .method_not_allowed_fallback(only_get)
        .layer(Guard::new(Arc::clone(&broker), PREFIX))
        .route(
            &format!("{PREFIX}/openapi.json"),
            get(async move || ([(CONTENT_TYPE, JSON)], document.clone())),
        )
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .method_not_allowed_fallback(only_get)
        .fallback(console::serve)
        .with_state(broker)
}

/// The OpenAPI document, as it is served and committed.
pub(crate) fn openapi() -> OpenApi {
    finish(api().split_for_parts().1)
}

/// Every operation with its whole path: a nested router would take each path apart again for every request.
fn api() -> OpenApiRouter<Arc<Broker>> {
    let operations = vec![
        // everyone
        routes!(me::me),
        routes!(me::rotate),
        routes!(sign_ins::sign_in, sign_ins::sign_out),
        // operators; who has a key may look at its own
        routes!(keys::list, keys::create),
        routes!(keys::get, keys::revoke),
        routes!(keys::rotate),
        // operators
        routes!(agents::list, agents::create),
        routes!(agents::get, agents::patch, agents::delete),
        routes!(sessions::rebind),
        routes!(generators::list, generators::create),
        routes!(generators::get, generators::patch, generators::delete),
        routes!(settings::get, settings::patch),
        routes!(windows::list, windows::create),
        routes!(windows::get, windows::delete),
        routes!(epochs::list),
        routes!(epochs::accept),
        routes!(audit::list),
        // operators and generators
        routes!(fleet::list),
        routes!(fleet::get),
        routes!(agents::status),
        routes!(stacks::list, stacks::create),
        routes!(stacks::get, stacks::patch, stacks::delete),
        routes!(stacks::status),
        routes!(stacks::undelete),
        routes!(deployment_objects::publish, deployment_objects::history),
        routes!(deployment_objects::rollback),
        routes!(deployment_objects::get),
        routes!(targets::list, targets::create),
        routes!(targets::delete),
        routes!(targets::removals),
        routes!(targets::approve),
        routes!(targets::refuse),
        routes!(explain::explain),
        routes!(events::list),
        routes!(watch::watch),
        routes!(requests::ask),
        routes!(requests::get),
        // operators, generators, and agents that run the stack
        routes!(deployment_objects::manifests),
        // the agent itself
        routes!(sessions::open),
        routes!(target_state::target_state),
        routes!(agent::confirm_removals),
        routes!(agent::report_events),
        routes!(agent::report_status),
        routes!(agent::report_facts),
        routes!(requests::task, requests::answer),
    ];
    let api = OpenApiRouter::with_openapi(Document::openapi());
    let operations = operations.into_iter().map(below_prefix);
    operations.fold(api, OpenApiRouter::routes)
}

fn below_prefix<S>((schemas, mut paths, router): UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    let below = |(path, item)| (format!("{PREFIX}{path}"), item);
    paths.paths = paths.paths.into_iter().map(below).collect();
    (schemas, paths, router)
}

#[derive(utoipa::OpenApi)]
#[openapi(tags(
    (name = "me", description = "Who the caller is"),
    (name = "keys", description = "What admins, agents and generators sign in with"),
    (name = "agents", description = "One agent per cluster"),
    (name = "generators", description = "External systems that own stacks"),
    (name = "stacks", description = "Collections of Kubernetes objects that are managed as a unit"),
    (name = "deployment objects", description = "Immutable snapshots of stacks"),
    (name = "agent targets", description = "Which agent runs which stack"),
    (name = "events", description = "What agents did"),
    (name = "watch", description = "What changes, as it changes"),
    (name = "requests", description = "What agents are asked beside their work"),
    (name = "settings", description = "What operators have settled for the whole broker"),
    (name = "windows", description = "When agents may bring something new"),
    (name = "epochs", description = "Which history the database is"),
    (name = "audit", description = "Who changed what"),
    (name = "agent protocol", description = "What an agent asks and reports"),
))]
struct Document;

/// What all operations share: the key that they need, and the form of every refusal.
fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Brokkr")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The REST API of the Brokkr broker."))
        .build();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("PAK")
        .build();
    components.add_security_scheme("pak", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::new(auth::COOKIE);
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let mut schemas = vec![(
        Problem::name().into_owned(),
        <Problem as utoipa::PartialSchema>::schema(),
    )];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let either = ["pak", "session"].map(|one| SecurityRequirement::new(one, Vec::<String>::new()));
    document.security = Some(either.into());
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let refusal = ResponseBuilder::new()
        .description("Refused: the problem says why and what to do")
        .content("application/problem+json", content)
        .build();
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), refusal.clone().into());
            operation.extensions = Some(roles(&method, path));
        }
    }
    document
}

/// Who may do it, as an extension of the operation.
fn roles(method: &Method, path: &str) -> Extensions {
    let right = rights::of(method, path.trim_start_matches(PREFIX));
    let roles: Vec<_> = right.into_iter().flat_map(Right::roles).collect();
    Extensions::builder().add("x-roles", json!(roles)).build()
}
