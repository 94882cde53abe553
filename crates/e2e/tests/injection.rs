//! Texts that would mean something elsewhere, to a database, a log or a terminal, mean nothing here.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{AuditEntry, DeploymentObject, RecordedEvent, Stack};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Raw, Stage, speak};
use reqwest::Method;
use serde_json::{Value, json};

on_both_engines!(without a cluster:
    what_looks_like_sql_is_taken_literally,
    what_is_sent_steers_no_log_and_no_terminal,
);

const NASTY: [&str; 14] = [
    "'; drop table stacks; --",
    "\"; delete from audit; --",
    "' or '1'='1",
    "x' union select pak from keys --",
    "\\'; truncate agents; --",
    "%",
    "_",
    "$1",
    "?1",
    ":name",
    "{{7*7}}${7*7}",
    "../../../../etc/passwd",
    "(a+)+$",
    "\u{2019}; drop table stacks \u{ff07}",
];

async fn what_looks_like_sql_is_taken_literally(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    let stack = broker.new_stack("shop").await?;
    broker.publish("shop", &config_map("a", "0")).await?;
    broker.target("edge", "shop").await?;
    let admin = Raw::admin(&broker)?;
    let agent = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;
    for (number, text) in NASTY.iter().enumerate() {
        is_kept_as_it_is(&admin, &agent, &stack, number, text)
            .await
            .context(*text)?;
        is_no_name(&admin, text).await.context(*text)?;
    }
    let tried = queries(&admin).await?;
    ensure!(tried > 250, "{tried} queries");
    // Nothing went, nothing came, and the chain of the audit is whole.
    ensure!(admin.list::<Stack>("/stacks").await?.len() == 1);
    ensure!(admin.list::<Value>("/agents").await?.len() == 1);
    let history: Vec<DeploymentObject> = admin.list("/stacks/shop/deployment-objects").await?;
    ensure!(
        history.len() == 1 + NASTY.len(),
        "{} snapshots",
        history.len()
    );
    ensure!(admin.list::<AuditEntry>("/audit").await?.len() > NASTY.len());
    Ok(())
}

/// Fields that take any text give it back.
async fn is_kept_as_it_is(
    admin: &Raw,
    agent: &Raw,
    stack: &Stack,
    number: usize,
    text: &str,
) -> Result<()> {
    let note = json!({"annotations": {"note": text}}).to_string();
    for path in ["/stacks/shop", "/agents/edge"] {
        let answer = admin
            .send(Method::PATCH, path, "application/json", note.clone())
            .await?;
        ensure!(answer.status == 200, "{answer:?}");
        let found: Value = serde_json::from_str(&admin.get(path).await?.body)?;
        ensure!(found["annotations"]["note"] == text, "{found}");
    }
    let manifests = format!(
        "# {number} {text}
{}",
        config_map("a", "1")
    );
    let body = json!({"manifests": manifests, "options": {"message": text}}).to_string();
    let answer = admin.post("/stacks/shop/deployment-objects", &body).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let published: Value = serde_json::from_str(&answer.body)?;
    let object = &published["deployment_object"];
    ensure!(object["message"] == text, "{published}");
    let id = object["id"].as_str().context("an id")?;
    let back = admin
        .get(&format!("/deployment-objects/{id}/manifests"))
        .await?;
    ensure!(back.body == manifests, "{back:?}");

    let event = json!({"id": format!("01890a5d-ac96-774b-bcce-b3020000{number:04}"), "stack": stack.id,
        "action": "apply", "outcome": "failed", "reason": text, "count": 1,
        "objects": [{"object": {"group": text, "kind": text, "namespace": text, "name": text},
            "result": "failed", "reason": text}],
        "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z"});
    let told = agent
        .post("/agent/events", &json!({ "events": [event] }).to_string())
        .await?;
    ensure!(told.status == 204, "{told:?}");
    let events: Vec<RecordedEvent> = admin.list("/events").await?;
    let event = events
        .iter()
        .find(|event| event.event.reason.as_deref() == Some(text));
    let object = &event.context("no event")?.event.objects[0].object;
    ensure!(
        [&object.group, &object.kind, &object.name] == [text; 3],
        "{object:?}"
    );

    let status = json!({"stacks": [{"stack": stack.id, "sync": "Failed", "health": "Unknown", "reason": text}]});
    let told = agent
        .send(
            Method::PUT,
            "/agent/status",
            "application/json",
            status.to_string(),
        )
        .await?;
    ensure!(told.status == 204, "{told:?}");
    let facts =
        json!({"kubernetes_version": text, "provider": text, "region": text, "kinds": [text]});
    let told = agent
        .send(
            Method::PUT,
            "/agent/facts",
            "application/json",
            facts.to_string(),
        )
        .await?;
    ensure!(told.status == 204, "{told:?}");
    let found: Value = serde_json::from_str(&admin.get("/agents/edge").await?.body)?;
    ensure!(found["facts"] == facts, "{found}");
    Ok(())
}

/// Fields that take names refuse it.
async fn is_no_name(admin: &Raw, text: &str) -> Result<()> {
    let (stacks, rules) = ("/stacks", json!({"labels": text}));
    for (method, path, body) in [
        (Method::POST, stacks, json!({"name": text})),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "labels": {"a": text}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "labels": {text: "a"}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "annotations": {text: "a"}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "options": {"default_namespace": text}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "options": {"on_remove": text}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "targeting": {"rules": [rules]}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "targeting": {"rules": [{"annotations": text}]}}),
        ),
        (
            Method::POST,
            stacks,
            json!({"name": "b", "targeting": {"exclude": [{"labels": text}]}}),
        ),
        (Method::POST, "/agents", json!({"name": text})),
        (
            Method::POST,
            "/generators",
            json!({"name": text, "scope": "all_agents"}),
        ),
        (
            Method::POST,
            "/generators",
            json!({"name": "b", "scope": {"labels": text}}),
        ),
        (Method::POST, "/keys", json!({"name": text, "for": "admin"})),
        (
            Method::POST,
            "/keys",
            json!({"name": "b", "for": {"agent": text}}),
        ),
        (
            Method::POST,
            "/agent-targets",
            json!({"agent": text, "stack": "shop"}),
        ),
        (
            Method::POST,
            "/agent-targets",
            json!({"agent": "edge", "stack": text}),
        ),
    ] {
        let answer = admin
            .send(method, path, "application/json", body.to_string())
            .await?;
        let problem = answer.problem().with_context(|| format!("{path} {body}"))?;
        ensure!(
            [400, 404, 422].contains(&problem.status),
            "{path} {body}: {problem:?}"
        );
    }
    Ok(())
}

/// Every parameter of every read, by the document of the API.
async fn queries(admin: &Raw) -> Result<usize> {
    let document: Value = serde_json::from_str(&admin.get("/openapi.json").await?.body)?;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().context("paths")? {
        let path = path.trim_start_matches("/api/v1");
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            let name = parameter["name"].as_str().context("a name")?;
            for text in NASTY {
                let encoded = percent_encoded(text);
                let (path, query) = match parameter["in"].as_str() {
                    Some("path") => (
                        path.replace(&format!("{{{name}}}"), &encoded),
                        String::new(),
                    ),
                    _ => (path.to_owned(), format!("?{name}={encoded}")),
                };
                let path = path.replace("{stack}", "shop").replace("{agent}", "edge");
                let answer = admin.get(&format!("{path}{query}")).await?;
                let status = answer.status.as_u16();
                ensure!(
                    [200, 400, 403, 404, 422].contains(&status),
                    "{path}{query}: {answer:?}"
                );
                let is_all = status == 200 && !name.starts_with("plan");
                ensure!(
                    !is_all,
                    "{path}{query} answers as if nothing had been asked: {answer:?}"
                );
                tried += 1;
            }
        }
    }
    Ok(tried)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    })
}

/// Control characters of both sets, other line ends, and a line that looks like the log's own.
const STEERING: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n2026-01-01T00:00:00Z ERROR forged\u{7f}\u{85}b";

async fn what_is_sent_steers_no_log_and_no_terminal(stage: &Stage) -> Result<()> {
    let log = ["--log", "debug", "--log-format", "json"];
    let broker = stage.broker_with("broker", &log).await?;
    let key = broker.new_agent("edge").await?;
    let stack = broker.new_stack("shop").await?;
    broker.publish("shop", &config_map("a", "0")).await?;
    broker.target("edge", "shop").await?;
    let admin = Raw::admin(&broker)?;
    let agent = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;

    let body =
        json!({"manifests": config_map("a", "1"), "options": {"message": STEERING}}).to_string();
    let answer = admin.post("/stacks/shop/deployment-objects", &body).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let event = json!({"events": [{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "stack": stack.id,
        "action": "apply", "outcome": "failed", "reason": STEERING, "count": 1,
        "objects": [{"object": {"kind": STEERING, "name": STEERING}, "result": "failed", "reason": STEERING}],
        "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z"}]});
    let told = agent.post("/agent/events", &event.to_string()).await?;
    ensure!(told.status == 204, "{told:?}");
    let status = json!({"stacks": [{"stack": stack.id, "seen": 2, "applied": 1, "sync": "Failed", "health": "Degraded", "reason": STEERING}]});
    let told = agent
        .send(
            Method::PUT,
            "/agent/status",
            "application/json",
            status.to_string(),
        )
        .await?;
    ensure!(told.status == 204, "{told:?}");
    for (path, body) in [
        ("/stacks", json!({"name": STEERING})),
        ("/agents", json!({"name": STEERING})),
        (
            "/stacks",
            json!({"name": "b", "annotations": {"note": STEERING}}),
        ),
        (
            "/stacks/shop/deployment-objects",
            json!({"manifests": format!("kind: {STEERING}")}),
        ),
    ] {
        let answer = admin.post(path, &body.to_string()).await?;
        ensure!(answer.status == 422, "{answer:?}");
    }
    requests_that_steer(&broker).await?;
    a_terminal_is_not_steered(stage, &broker, &agent).await?;
    the_log_is_lines_of_json(stage, &["/api/v1/stacks", "%0a"])
}

/// Paths and headers, as bytes.
async fn requests_that_steer(broker: &Broker) -> Result<()> {
    let key = std::fs::read_to_string(broker.key_file())?;
    let key = key.trim();
    let request = |line: &str, headers: &str| {
        format!(
            "{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {key}\r\n{headers}\r\n"
        )
    };
    let stacks = "GET /api/v1/stacks";
    for (request, expected) in [
        (request("GET /api/v1/stacks/%0a%1b%5b2J%22%7d", ""), 404),
        (
            request("GET /api/v1/%0d%0a{%22level%22:%22ERROR%22}", ""),
            404,
        ),
        (request("GET /api/v1/stacks/a\u{1b}[2J", ""), 400),
        (request("GET /api/v1/stacks/a\u{9b}31m", ""), 404),
        (request(stacks, "user-agent: a\u{1b}[2J\r\n"), 400),
        (request(stacks, "user-agent: a\u{9b}31m\r\n"), 200),
        (
            request(stacks, "user-agent: {\"level\":\"ERROR\"}\r\n"),
            200,
        ),
        (request(stacks, "x-forwarded-for: \u{9b}31m\r\n"), 200),
        (
            request(
                stacks,
                "brokkr-request-id: forged\r\nx-request-id: forged\r\n",
            ),
            200,
        ),
        (
            request("POST /api/v1/stacks", "idempotency-key: a\u{1b}[2J\r\n"),
            400,
        ),
        (
            request(
                "POST /api/v1/stacks",
                "content-length: 2\r\ncontent-type: application/json\r\nidempotency-key: \u{9b}31m\r\n",
            ) + "{}",
            400,
        ),
        (
            request(
                "POST /api/v1/stacks",
                "content-length: 2\r\ncontent-type: application/json\r\nidempotency-key: a\tb\r\n",
            ) + "{}",
            400,
        ),
    ] {
        let spoken = speak(broker.address(), request.as_bytes()).await?;
        ensure!(spoken.statuses == [expected], "{request:?}: {spoken:?}");
        ensure!(
            !spoken.text.contains("forged"),
            "an answer repeats it: {spoken:?}"
        );
    }
    Ok(())
}

/// What an agent and a pipeline wrote, in every form of output that shows it.
async fn a_terminal_is_not_steered(stage: &Stage, broker: &Broker, agent: &Raw) -> Result<()> {
    let cli = stage.operator(broker).await?;
    let polled = agent.get("/agent/target-state?wait=0").await?;
    ensure!(polled.status == 200, "{polled:?}");
    let mut shown = 0;
    for command in [
        &["events"][..],
        &["events", "--stack", "shop"],
        &["status"],
        &["status", "shop"],
        &["history", "shop"],
        &["audit"],
        &["stack", "get", "shop"],
        &["explain", "--agent", "edge", "--stack", "shop"],
    ] {
        for format in ["table", "wide", "json", "yaml", "name"] {
            let said = cli.run(&[command, &["-o", format]].concat()).await?;
            let all = said.stdout + &said.stderr;
            ensure!(
                said.code == Some(0) || command[0] == "explain",
                "{command:?} -o {format}: {all}"
            );
            let steers = |c: char| c != '\n' && c.is_control();
            ensure!(!all.contains(steers), "{command:?} -o {format}: {all:?}");
            let forged = all
                .lines()
                .any(|line| line.trim_start().starts_with("2026-01-01T00:00:00Z ERROR"));
            ensure!(!forged, "{command:?} -o {format}: a line of its own: {all}");
            shown += usize::from(all.contains("forged"));
        }
    }
    ensure!(shown >= 16, "only {shown} outputs show what was said");
    Ok(())
}

fn the_log_is_lines_of_json(stage: &Stage, said: &[&str]) -> Result<()> {
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    for text in said {
        ensure!(log.contains(text), "the log says nothing of {text}");
    }
    for line in log
        .lines()
        .filter(|line| !line.starts_with("listening on "))
    {
        let entry: Value =
            serde_json::from_str(line).with_context(|| format!("no line of JSON: {line:?}"))?;
        ensure!(
            entry["level"].is_string() && entry["timestamp"].is_string(),
            "no line of ours: {line}"
        );
        ensure!(!line.contains(|c: char| c.is_control()), "{line:?}");
        ensure!(entry["message"] != "forged", "{line}");
    }
    Ok(())
}
