//! Nobody sets what is the broker's to set, in no body, whatever else of it is right.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Agent, Code};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Raw, Stage};
use reqwest::Method;
use serde_json::{Value, json};

on_both_engines!(without a cluster:
    what_is_the_brokers_is_set_by_nobody,
    an_agent_cannot_make_itself_a_target,
);

/// What rows have and bodies have not.
const FIELDS: [&str; 26] = [
    "id",
    "owner",
    "owner_id",
    "generator",
    "generator_id",
    "role",
    "admin",
    "scope_override",
    "revision",
    "edited_revision",
    "changed_revision",
    "sequence",
    "sequence_id",
    "head",
    "head_id",
    "digest",
    "author",
    "created_at",
    "deleted_at",
    "is_deleted",
    "revoked_at",
    "last_seen",
    "silent",
    "hash",
    "pak",
    "__proto__",
];

/// Method, path, a good body, and what in it may hold fields of its own.
const BODIES: [(&str, &str, &str, &[&str]); 12] = [
    (
        "POST",
        "/stacks",
        r#"{"name":"b"}"#,
        &["options", "targeting"],
    ),
    ("POST", "/agents", r#"{"name":"b"}"#, &[]),
    (
        "POST",
        "/generators",
        r#"{"name":"b","scope":"all_agents"}"#,
        &["quota"],
    ),
    (
        "POST",
        "/agent-targets",
        r#"{"agent":"edge","stack":"shop"}"#,
        &[],
    ),
    ("POST", "/keys", r#"{"name":"b","for":"admin"}"#, &[]),
    ("POST", "/keys/KEY/rotate", "{}", &[]),
    ("POST", "/me/rotate", "{}", &[]),
    (
        "POST",
        "/stacks/shop/deployment-objects",
        r#"{"manifests":"kind: ConfigMap"}"#,
        &["options"],
    ),
    ("POST", "/stacks/shop/rollback", r#"{"to":1}"#, &["options"]),
    (
        "PATCH",
        "/stacks/shop",
        r#"{"labels":{"a":"b"}}"#,
        &["options", "targeting"],
    ),
    ("PATCH", "/agents/edge", r#"{"labels":{"a":"b"}}"#, &[]),
    (
        "PATCH",
        "/generators/ci",
        r#"{"scope":"all_agents"}"#,
        &["quota"],
    ),
];

async fn what_is_the_brokers_is_set_by_nobody(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let generator = broker.new_generator("ci").await?;
    broker.new_agent("edge").await?;
    broker.new_stack("shop").await?;
    broker.publish("shop", &config_map("a", "1")).await?;
    let admin = Raw::admin(&broker)?;
    let keys: Vec<Value> = admin.list("/keys").await?;
    let key = keys[0]["id"].as_str().context("a key")?;
    let revisions = async || Ok::<_, anyhow::Error>(admin.list::<Value>("/audit").await?.len());
    let before = revisions().await?;

    let mut tried = 0;
    for (method, path, body, inner) in BODIES {
        let (method, path) = (
            Method::from_bytes(method.as_bytes())?,
            path.replace("KEY", key),
        );
        let good: Value = serde_json::from_str(body)?;
        let places = inner.iter().map(|place| Some(*place)).chain([None]);
        for (place, field) in places.flat_map(|place| FIELDS.map(|field| (place, field))) {
            let mut body = good.clone();
            match place {
                Some(place) => body[place] = json!({field: value(field)}),
                None => body[field] = value(field),
            }
            let answer = admin
                .send(method.clone(), &path, "application/json", body.to_string())
                .await?;
            let problem = answer
                .refuses(422, Code::Invalid)
                .with_context(|| format!("{method} {path}: {body}"))?;
            let pointer = problem.pointer.unwrap_or_default();
            ensure!(
                pointer.ends_with(field),
                "{method} {path} {body}: at {pointer}"
            );
            tried += 1;
        }
    }
    ensure!(tried > 400, "{tried} bodies");

    // A generator's stack is its own, whoever it says it is for.
    let raw = Raw::with_authorization(&broker, Some(format!("Bearer {generator}")))?;
    for body in [
        r#"{"name":"b","generator":"other"}"#,
        r#"{"name":"b","owner":null}"#,
    ] {
        raw.post("/stacks", body)
            .await?
            .refuses(422, Code::Invalid)?;
    }
    // A query sets nothing either.
    let path = "/stacks/shop/deployment-objects?sequence=9&author=root";
    let published = admin
        .send(Method::POST, path, "application/yaml", config_map("a", "1"))
        .await?;
    published.refuses(422, Code::Invalid)?;
    ensure!(
        revisions().await? == before,
        "a refused body changed something"
    );
    Ok(())
}

/// A value of the kind that the field has where it is shown.
fn value(field: &str) -> Value {
    match field {
        "revision" | "edited_revision" | "changed_revision" | "sequence" | "sequence_id" => {
            json!(1)
        }
        "is_deleted" | "silent" | "admin" => json!(true),
        "created_at" | "deleted_at" | "revoked_at" | "last_seen" => json!("2026-01-01T00:00:00Z"),
        "id" | "owner_id" | "generator_id" | "head_id" => {
            json!("01890a5d-ac96-774b-bcce-b302099a8057")
        }
        "head" => json!(null),
        "role" => json!("admin"),
        _ => json!("x"),
    }
}

/// Labels are what operators say. What an agent says of itself are facts, and it says nothing else by them.
async fn an_agent_cannot_make_itself_a_target(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    let wanted = json!({"name": "secrets", "targeting": {"rules": [{"labels": "team=payments"}]}});
    let admin = Raw::admin(&broker)?;
    let created = admin.post("/stacks", &wanted.to_string()).await?;
    ensure!(created.status == 201, "{created:?}");
    broker.publish("secrets", &config_map("a", "1")).await?;
    let edge: Agent = serde_json::from_str(&admin.get("/agents/edge").await?.body)?;

    let raw = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;
    let labels = r#"{"labels":{"team":"payments"},"annotations":{"team":"payments"}}"#;
    for path in ["/agents/edge".to_owned(), format!("/agents/{}", edge.id)] {
        let answer = raw
            .send(Method::PATCH, &path, "application/json", labels)
            .await?;
        answer.refuses(403, Code::Forbidden)?;
    }
    let target = r#"{"agent":"edge","stack":"secrets"}"#;
    raw.post("/agent-targets", target)
        .await?
        .refuses(403, Code::Forbidden)?;
    let claims = r#"{"kubernetes_version":"v1.33.0","region":"team=payments","provider":"payments",
        "kinds":["team=payments","Pod"],"labels":{"team":"payments"},"annotations":{"team":"payments"},
        "name":"other","id":"01890a5d-ac96-774b-bcce-b302099a8057"}"#;
    let told = raw
        .send(Method::PUT, "/agent/facts", "application/json", claims)
        .await?;
    ensure!(told.status == 204, "{told:?}");
    is_no_target(&broker, &raw, &edge).await?;
    // The operator's word is what counts.
    let patched = admin
        .send(Method::PATCH, "/agents/edge", "application/json", labels)
        .await?;
    ensure!(patched.status == 200, "{patched:?}");
    let told: Value = serde_json::from_str(&raw.get("/agent/target-state?wait=0").await?.body)?;
    ensure!(told["stacks"][0]["name"] == "secrets", "{told}");
    Ok(())
}

async fn is_no_target(broker: &Broker, agent: &Raw, before: &Agent) -> Result<()> {
    let now = broker
        .admin()
        .agent(&before.name.to_string().parse()?)
        .await?;
    ensure!(
        (now.id, &now.labels, &now.annotations) == (before.id, &before.labels, &before.annotations),
        "{now:?}"
    );
    ensure!(
        now.facts.is_some_and(|facts| facts.region.is_some()),
        "its facts are not kept"
    );
    let state: Value = serde_json::from_str(&agent.get("/agent/target-state?wait=0").await?.body)?;
    ensure!(state["stacks"] == json!([]), "{state}");
    Ok(())
}
