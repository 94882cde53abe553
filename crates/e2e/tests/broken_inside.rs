//! What breaks inside of the broker is found in its log by the request's id, and told to nobody else.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, Problem};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Answer, Broker, Engine, Raw, Stage};
use reqwest::Method;
use serde_json::{Value, json};

on_both_engines!(without a cluster:
    a_damaged_row_is_a_defect_that_tells_nothing,
    a_missing_table_tells_nothing,
);

/// What no answer may say: how the broker is made, where it lies, which one it is.
const INSIDE: [&str; 22] = [
    "sql",
    "sqlite",
    "postgres",
    "select",
    "insert",
    "update ",
    "column",
    "table",
    "row",
    "decode",
    "serde",
    "panick",
    "thread",
    ".rs",
    "crates/",
    "/tmp",
    "/home",
    "brokkr.db",
    "connection",
    "constraint",
    "line ",
    "127.0.0.1",
];

/// The words of an answer, without those that it may say.
fn tells_nothing(answer: &Answer, code: Code) -> Result<String> {
    let problem = answer.problem()?;
    ensure!(problem.code == code, "{problem:?}");
    let fields: Value = serde_json::from_str(&answer.body)?;
    let fields: BTreeSet<&str> = fields
        .as_object()
        .context("an object")?
        .keys()
        .map(String::as_str)
        .collect();
    let mut known = BTreeSet::from(["type", "title", "status", "code", "detail", "request_id"]);
    if code == Code::Unavailable {
        known.insert("retry_after");
    }
    ensure!(fields == known, "{fields:?}");
    let Problem {
        detail, request_id, ..
    } = problem;
    let said = detail.to_lowercase();
    let told = INSIDE.iter().find(|word| said.contains(*word));
    ensure!(told.is_none(), "it tells of {told:?}: {detail}");
    ensure!(
        !said.contains(env!("CARGO_PKG_VERSION")),
        "it tells its version: {detail}"
    );
    request_id.context("no request's id")
}

async fn scene(stage: &Stage) -> Result<(Broker, Raw, Raw, String)> {
    let broker = stage.broker("broker").await?;
    let agent = broker.new_agent("edge").await?;
    broker.new_generator("ci").await?;
    let stack = broker.new_stack("shop").await?.id;
    let object = broker
        .publish("shop", &config_map("a", "1"))
        .await?
        .deployment_object
        .id;
    broker.target("edge", "shop").await?;
    let agent = Raw::with_authorization(&broker, Some(format!("Bearer {agent}")))?;
    let event = json!({"events": [{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "stack": stack, "action": "apply",
        "outcome": "failed", "count": 1, "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z"}]});
    let told = agent.post("/agent/events", &event.to_string()).await?;
    ensure!(told.status == 204, "{told:?}");
    let admin = Raw::admin(&broker)?;
    Ok((broker, admin, agent, object.to_string()))
}

/// What is damaged, and the requests that come upon it: method, path, body.
type Damage = (
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const LABELS: &str = r#"{"labels":{"a":"b"}}"#;

const DAMAGES: [Damage; 7] = [
    (
        "update contents set body = digest",
        &[("GET", "/deployment-objects/OBJECT/manifests", "")],
    ),
    (
        "update agent_events set outcome = 'damaged'",
        &[("GET", "/events", ""), ("GET", "/events?stack=shop", "")],
    ),
    (
        "update audit set entry = '{\"revision\": \"damaged\"}'",
        &[("GET", "/audit", "")],
    ),
    (
        "update generators set scope = '7'",
        &[
            ("GET", "/generators", ""),
            ("GET", "/generators/ci", ""),
            ("PATCH", "/generators/ci", r#"{"scope":"all_agents"}"#),
            ("POST", "/keys", r#"{"name":"b","for":{"generator":"ci"}}"#),
        ],
    ),
    (
        "update deployment_objects set digest = substr(digest, 1, 3)",
        &[
            ("GET", "/stacks/shop/deployment-objects", ""),
            ("GET", "/deployment-objects/OBJECT", ""),
            ("POST", "/stacks/shop/rollback", r#"{"to":1}"#),
        ],
    ),
    (
        "update agents set labels = '[7]'",
        &[
            ("GET", "/agents", ""),
            ("GET", "/agents/edge", ""),
            ("PATCH", "/agents/edge", LABELS),
        ],
    ),
    (
        "update stacks set options = '[\"damaged\"]'",
        &[
            ("GET", "/stacks", ""),
            ("GET", "/stacks/shop", ""),
            ("PATCH", "/stacks/shop", LABELS),
            ("DELETE", "/stacks/shop", ""),
            (
                "POST",
                "/stacks/shop/deployment-objects",
                r#"{"manifests":"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}"}"#,
            ),
        ],
    ),
];

async fn a_damaged_row_is_a_defect_that_tells_nothing(stage: &Stage) -> Result<()> {
    let (broker, admin, agent, object) = scene(stage).await?;
    let mut ids = Vec::new();
    for (statement, requests) in DAMAGES {
        damage(stage, statement).await.context(statement)?;
        for (method, path, body) in requests {
            let method = Method::from_bytes(method.as_bytes())?;
            let path = path.replace("OBJECT", &object);
            let answer = admin
                .send(method.clone(), &path, "application/json", *body)
                .await?;
            ensure!(
                answer.status == 500,
                "{statement}: {method} {path}: {answer:?}"
            );
            let id = tells_nothing(&answer, Code::Internal);
            ids.push(id.with_context(|| format!("{method} {path}"))?);
        }
    }
    let manifests = format!("/deployment-objects/{object}/manifests");
    let read = agent.get(&manifests).await?;
    ids.push(tells_nothing(&read, Code::Internal).context("the agent's read")?);

    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    for id in ids {
        let found = log
            .lines()
            .any(|line| line.contains(&id) && line.contains("ERROR"));
        ensure!(found, "the log does not say what happened to {id}");
    }
    let fine = admin.get("/me").await?;
    ensure!(fine.status == 200, "the broker is gone: {fine:?}");
    drop(broker);
    Ok(())
}

/// Runs a statement although rows are held to each other, and some of them never change.
async fn damage(stage: &Stage, statement: &str) -> Result<()> {
    let free = match stage.database().engine() {
        Engine::Sqlite => {
            "pragma foreign_keys = off; drop trigger if exists deployment_objects_never_change;
             drop trigger if exists contents_never_change; drop trigger if exists audit_never_changes"
        }
        Engine::Postgres => "set session_replication_role = replica",
    };
    let statement = format!("{free}; {statement}");
    stage.database().execute(&statement).await
}

/// A database that is not as it was is away, as far as anybody is told.
async fn a_missing_table_tells_nothing(stage: &Stage) -> Result<()> {
    let (broker, admin, agent, object) = scene(stage).await?;
    let tables = [
        "audit",
        "idempotency",
        "target_status",
        "agent_events",
        "agent_targets",
        "rule_anchors",
        "agent_traits",
        "deployment_objects",
        "contents",
        "stacks",
        "agents",
        "generators",
    ];
    for table in tables {
        let statement = match stage.database().engine() {
            Engine::Sqlite => format!("drop table {table}"),
            Engine::Postgres => format!("drop table {table} cascade"),
        };
        damage(stage, &statement).await.context(table)?;
    }
    let publish = json!({"manifests": config_map("a", "2")}).to_string();
    let mut ids = Vec::new();
    for (raw, method, path, body) in [
        (&admin, Method::GET, "/stacks", ""),
        (&admin, Method::GET, "/stacks/shop", ""),
        (&admin, Method::GET, "/stacks/shop/status", ""),
        (&admin, Method::GET, "/agents", ""),
        (&admin, Method::GET, "/generators", ""),
        (&admin, Method::GET, "/agent-targets", ""),
        (&admin, Method::GET, "/removals", ""),
        (&admin, Method::GET, "/events", ""),
        (&admin, Method::GET, "/audit", ""),
        (&admin, Method::GET, "/explain?agent=edge&stack=shop", ""),
        (
            &admin,
            Method::GET,
            &format!("/deployment-objects/{object}"),
            "",
        ),
        (&admin, Method::POST, "/stacks", r#"{"name":"b"}"#),
        (&admin, Method::POST, "/agents", r#"{"name":"b"}"#),
        (
            &admin,
            Method::POST,
            "/generators",
            r#"{"name":"b","scope":"all_agents"}"#,
        ),
        (
            &admin,
            Method::POST,
            "/agent-targets",
            r#"{"agent":"edge","stack":"shop"}"#,
        ),
        (
            &admin,
            Method::POST,
            "/keys",
            r#"{"name":"b","for":{"agent":"edge"}}"#,
        ),
        (
            &admin,
            Method::PATCH,
            "/stacks/shop",
            r#"{"labels":{"a":"b"}}"#,
        ),
        (&admin, Method::DELETE, "/agents/edge", ""),
        (
            &admin,
            Method::POST,
            "/stacks/shop/deployment-objects",
            &publish,
        ),
        (&agent, Method::PUT, "/agent/facts", r#"{"region":"eu"}"#),
    ] {
        let answer = raw
            .send(method.clone(), path, "application/json", body.to_owned())
            .await?;
        ensure!(answer.status == 503, "{method} {path}: {answer:?}");
        ids.push(
            tells_nothing(&answer, Code::Unavailable)
                .with_context(|| format!("{method} {path}"))?,
        );
    }
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    for id in ids {
        ensure!(
            log.contains(&id),
            "the log does not say what happened to {id}"
        );
    }
    drop(broker);
    Ok(())
}
