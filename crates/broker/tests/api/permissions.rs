//! The rights table, proved over the OpenAPI document: who is let in, and whose rows exist for them.

use std::sync::atomic::{AtomicU16, Ordering};

use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::Ask;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::*;

const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/permissions.md"
);

on_both_engines!(
    each_role_is_let_in_where_the_page_says_so,
    foreign_rows_answer_as_missing_ones,
    what_a_path_does_not_take_is_refused,
    what_cannot_be_planned_is_not_made_instead,
);

/// Writes the page anew with `BROKKR_UPDATE=1 cargo test -p brokkr-broker permissions`.
#[test]
fn the_committed_page_is_the_table() {
    let table = brokkr_broker::permissions();
    if std::env::var_os("BROKKR_UPDATE").is_some() {
        std::fs::write(COMMITTED, &table).expect("docs can be written");
    }
    assert!(
        page() == table,
        "docs/reference/permissions.md is old: run `BROKKR_UPDATE=1 cargo test -p brokkr-broker permissions`"
    );
}

#[test]
fn every_operation_has_a_row_and_every_row_an_operation() {
    let mut operations: Vec<_> = operations()
        .into_iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let mut rows: Vec<_> = rows().into_iter().map(|(operation, _)| operation).collect();
    operations.sort();
    rows.sort();
    assert_eq!(
        operations, rows,
        "operations of the document, rows of the table"
    );
}

/// What the table says is what happens, whatever else is wrong with the request.
async fn each_role_is_let_in_where_the_page_says_so(engine: Engine) {
    let tenants = Tenants::set(engine).await;
    let rows = rows();
    let mut looked_at = 0;
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        let (_, roles) = rows
            .iter()
            .find(|(operation, _)| *operation == name)
            .unwrap_or_else(|| panic!("{name} has no row"));
        let path = operation.path.replace(['{', '}'], "");
        for key in [None, Some(Pak::generate(Role::Admin, &System))] {
            let answer = tenants
                .send(key.as_ref(), &operation.method, &path, "{")
                .await;
            assert_eq!(answer.status(), 401, "{name} with {key:?}");
        }
        for (role, key) in &tenants.keys {
            let answer = tenants.send(Some(key), &operation.method, &path, "{").await;
            let status = answer.status().as_u16();
            if roles.contains(role) {
                assert!(
                    ![401, 403, 405].contains(&status),
                    "{name} as {role}: {status}"
                );
            } else {
                assert_eq!(status, 403, "{name} as {role}");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3 * 35, "{looked_at} answers");
    tenants.scene.broker.stop().await;
}

/// Every way to name a row: in a path, a query, a body.
async fn foreign_rows_answer_as_missing_ones(engine: Engine) {
    let tenants = Tenants::set(engine).await;
    let mut looked_at = 0;
    for operation in operations() {
        for (role, key) in &tenants.keys {
            let roles = &rows()
                .into_iter()
                .find(|(row, _)| *row == format!("{} {}", operation.method, operation.path))
                .expect("a row")
                .1;
            if *role == Role::Admin || !roles.contains(role) {
                continue;
            }
            for way in operation.ways() {
                let mut answers = Vec::new();
                for whose in [Whose::Foreign, Whose::Missing] {
                    let (path, body) = way.fill(&operation.path, |row| tenants.id(row, whose));
                    let answer = tenants
                        .send(Some(key), &operation.method, &path, &body)
                        .await;
                    let status = answer.status().as_u16();
                    let mut problem: Value = answer.json().await.expect("a problem");
                    problem
                        .as_object_mut()
                        .expect("an object")
                        .remove("request_id");
                    assert_eq!(
                        status, 404,
                        "{} {path} as {role}, {whose:?}: {problem}",
                        operation.method
                    );
                    answers.push(problem);
                }
                assert_eq!(
                    answers[0], answers[1],
                    "{} {}",
                    operation.method, operation.path
                );
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 28, "{looked_at} ways");
    tenants.scene.broker.stop().await;
}

/// History and audit are read, by anybody; nothing is open to pages of other origins; nothing else is here.
async fn what_a_path_does_not_take_is_refused(engine: Engine) {
    let tenants = Tenants::set(engine).await;
    let id = tenants.id("deployment object", Whose::Foreign);
    let (_, admin) = &tenants.keys[0];
    for path in ["/audit".to_owned(), format!("/deployment-objects/{id}")] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = tenants.send(Some(admin), &method, &path, "{}").await;
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], "GET", "{method} {path}");
        }
    }
    let answer = tenants
        .send(Some(admin), &Method::OPTIONS, "/stacks", "")
        .await;
    assert_eq!(answer.headers()["allow"], "GET, POST");
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    for path in ["/metrics", "/debug", "/../../metrics", "/stacks/a/b/c"] {
        let answer = tenants.send(Some(admin), &Method::GET, path, "").await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    tenants.scene.broker.stop().await;
}

/// Whoever asks for a plan, or to change only what one says, must not change anything by it.
async fn what_cannot_be_planned_is_not_made_instead(engine: Engine) {
    let tenants = Tenants::set(engine).await;
    let (mut planned, mut refused) = (0, 0);
    for operation in operations() {
        let rights = rows();
        let name = format!("{} {}", operation.method, operation.path);
        let row = rights.iter().find(|(row, _)| *row == name);
        let roles = &row.expect("a row").1;
        let (_, key) = tenants
            .keys
            .iter()
            .find(|(role, _)| roles.contains(role))
            .expect("somebody may");
        if operation.method == Method::GET {
            continue;
        }
        let path = format!("{}?plan=only", operation.path.replace(['{', '}'], ""));
        let answer = tenants.send(Some(key), &operation.method, &path, "{").await;
        let problem: Value = answer.json().await.expect("a problem");
        let detail = problem["detail"].as_str().unwrap_or_default();
        let takes_plans = operation.parameters.iter().any(|(_, name)| name == "plan");
        assert_eq!(
            detail.contains("cannot be planned"),
            !takes_plans,
            "{name}: {problem}"
        );
        *(if takes_plans {
            &mut planned
        } else {
            &mut refused
        }) += 1;
    }
    assert!(planned >= 12 && refused >= 15, "{planned}, {refused}");
    tenants.scene.broker.stop().await;
}

/// An operation of the OpenAPI document.
struct Operation {
    method: Method,
    /// Below the API's prefix.
    path: String,
    parameters: Vec<(String, String)>,
    has_body: bool,
}

/// One way to name a row to an operation.
enum Way {
    Path(String),
    /// With what else the query needs.
    Query(String, &'static str),
    /// With what else the body needs.
    Body(&'static str, &'static str),
}

/// Bodies that name rows: the operation, what is named, the rest.
const BODIES: &[(&str, &str, &str)] = &[
    ("/agent-targets", "stack", r#""agent":"inside""#),
    ("/agent-targets", "agent", r#""stack":"own""#),
];

/// Queries that need more than the row that is tried.
const QUERIES: &[(&str, &str, &str)] = &[
    ("/explain", "stack", "&agent=inside"),
    ("/explain", "agent", "&stack=own"),
];

impl Operation {
    fn ways(&self) -> Vec<Way> {
        let rest = |all: &[(&str, &str, &'static str)], row: &str| {
            let found = all
                .iter()
                .find(|(path, named, _)| *path == self.path && *named == row);
            found.map_or("", |(_, _, rest)| rest)
        };
        let mut ways = Vec::new();
        for (place, name) in &self.parameters {
            match (place.as_str(), name.as_str()) {
                ("path", name) => ways.push(Way::Path(name.to_owned())),
                ("query", "agent" | "generator" | "stack") => {
                    ways.push(Way::Query(name.clone(), rest(QUERIES, name)));
                }
                _ => {}
            }
        }
        if self.has_body && self.method == Method::POST {
            let named = BODIES.iter().filter(|(path, ..)| *path == self.path);
            ways.extend(named.map(|(_, row, rest)| Way::Body(row, rest)));
        }
        ways
    }
}

impl Way {
    fn fill(&self, path: &str, id: impl Fn(&str) -> String) -> (String, String) {
        match self {
            Self::Path(name) => {
                let row = if path.starts_with("/deployment-objects") {
                    "deployment object"
                } else {
                    name
                };
                let body = if path == "/agents/{agent}/requests" {
                    r#"{"kind":"sync"}"#
                } else if path == "/agent/requests/{request}" {
                    r#"{"kind":"sync","stacks":1}"#
                } else if path.ends_with("rollback") {
                    r#"{"to":1}"#
                } else if path.ends_with("deployment-objects") {
                    r#"{"manifests":"a: 1"}"#
                } else {
                    "{}"
                };
                (
                    path.replace(&format!("{{{name}}}"), &id(row)),
                    body.to_owned(),
                )
            }
            Self::Query(name, rest) => (format!("{path}?{name}={}{rest}", id(name)), String::new()),
            Self::Body(row, rest) => (
                path.to_owned(),
                format!(r#"{{"{row}":"{}",{rest}}}"#, id(row)),
            ),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Foreign,
    Missing,
}

/// A broker on which somebody else has a stack that runs somewhere.
struct Tenants {
    scene: Scene,
    keys: [(Role, Pak); 3],
    /// How often was asked, each time from another address: an address may send only so many bad keys.
    asked: AtomicU16,
    foreign: Vec<(&'static str, String)>,
}

impl Tenants {
    async fn set(engine: Engine) -> Self {
        let scene = Scene::set(engine).await;
        let inside = labelled_agent(&scene.admin, "inside", "team=mine").await;
        let other = scene
            .broker
            .client(&create_generator(&scene.admin, "other").await);
        let mine = scoped_generator(&scene.admin, "mine", "team=mine").await;
        create_stack(&scene.broker.client(&mine), "own").await;
        create_stack(&other, "shop").await;
        let published = publish(&other, "shop", config_map("a", "1"))
            .await
            .deployment_object;
        target(&other, "edge", "shop").await;
        let targets = other.agent_targets(None, None).await.expect("targets");
        be_there(&scene.agent).await;
        let sync = Ask::Sync { stack: None };
        let asked = other.ask(&name("edge"), &sync).await.expect("a request");
        let foreign = vec![
            ("agent", targets[0].agent.to_string()),
            ("stack", published.stack.to_string()),
            ("deployment object", published.id.to_string()),
            ("target", targets[0].id.to_string()),
            ("key", scene.admin_key.id().to_string()),
            ("request", asked.id.to_string()),
            (
                "generator",
                other.me().await.expect("me").id.expect("an id").to_string(),
            ),
        ];
        let keys = [
            (Role::Admin, scene.admin_key.clone()),
            (Role::Generator, mine),
            (Role::Agent, inside),
        ];
        Self {
            scene,
            keys,
            asked: AtomicU16::new(0),
            foreign,
        }
    }

    fn id(&self, row: &str, whose: Whose) -> String {
        match whose {
            Whose::Missing => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
            Whose::Foreign => {
                let found = self.foreign.iter().find(|(name, _)| *name == row);
                found
                    .unwrap_or_else(|| panic!("no foreign {row} to try"))
                    .1
                    .clone()
            }
        }
    }

    async fn send(&self, key: Option<&Pak>, method: &Method, path: &str, body: &str) -> Response {
        let url = format!("{}/api/v1{path}", self.scene.broker.server);
        let [high, low] = self.asked.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut request = reqwest::Client::new()
            .request(method.clone(), url)
            .header("content-type", "application/json")
            .header("x-forwarded-for", format!("10.0.{high}.{low}"))
            .body(body.to_owned());
        if let Some(key) = key {
            request = request.bearer_auth(key.expose());
        }
        request.send().await.expect("an answer")
    }
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(brokkr_broker::openapi()).expect("a document");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Ok(method) = method.to_uppercase().parse() else {
                continue;
            };
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            operations.push(Operation {
                method,
                path: path.strip_prefix("/api/v1").expect("the prefix").to_owned(),
                parameters: parameters
                    .map(|parameter| (text(&parameter["in"]), text(&parameter["name"])))
                    .collect(),
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    operations
}

fn page() -> String {
    std::fs::read_to_string(COMMITTED).expect("docs/reference/permissions.md")
}

/// The rows of the committed page: what a reviewer reads is what is held against the broker.
fn rows() -> Vec<(String, Vec<Role>)> {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let roles = [Role::Admin, Role::Generator, Role::Agent];
        let admitted = roles.into_iter().zip(&cells[2..]);
        let admitted = admitted
            .filter(|(_, cell)| **cell != "–")
            .map(|(role, _)| role);
        (cells[1].trim_matches('`').to_owned(), admitted.collect())
    })
    .collect()
}
