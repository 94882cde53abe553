//! JSON that is none, or says a thing of another type than it has, is refused, and the connection serves on.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{AgentTarget, Code, Stack};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Raw, Stage, speak};
use reqwest::Method;
use serde_json::{Value, json};

on_both_engines!(without a cluster:
    json_that_is_none_is_refused,
    a_word_that_is_none_of_those_known_is_refused,
    no_number_is_too_large_for_an_answer,
    a_refused_report_leaves_the_connection_open,
);

async fn json_that_is_none_is_refused(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let raw = Raw::admin(&broker)?;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let labels = |count: usize| {
        let entries: Vec<_> = (0..count).map(|n| format!(r#""k{n}":"v""#)).collect();
        format!(r#"{{"name":"a","labels":{{{}}}}}"#, entries.join(","))
    };
    let after = |text: &str| format!("{{\"name\":\"a\"}}{text}");
    for (name, body, status) in [
        ("deep arrays", deep("[", "]"), 422),
        ("deep objects", deep(r#"{"name":"#, "}"), 422),
        (
            "depth in a field",
            format!(r#"{{"name":"a","labels":{}}}"#, deep("[", "]")),
            422,
        ),
        (
            "depth in an unknown field",
            format!(r#"{{"name":"a","x":{}}}"#, deep("[", "]")),
            422,
        ),
        (
            "depth without an end",
            format!(r#"{{"name":"a","labels":{{"a":{}"#, "[".repeat(10_000)),
            422,
        ),
        ("50,000 labels", labels(50_000), 422),
        ("a field twice", r#"{"name":"a","name":"b"}"#.into(), 422),
        (
            "a label twice",
            r#"{"name":"a","labels":{"a":"1","a":"2"}}"#.into(),
            422,
        ),
        ("not a number", r#"{"name":NaN}"#.into(), 400),
        ("infinity", r#"{"name":-Infinity}"#.into(), 400),
        ("half a surrogate", r#"{"name":"\ud800"}"#.into(), 422),
        ("the other half", r#"{"name":"\udc00"}"#.into(), 422),
        ("a control character", "{\"name\":\"a\nb\"}".into(), 400),
        ("an escaped NUL", r#"{"name":"a\u0000"}"#.into(), 422),
        ("a comment", "{\"name\":\"a\" /* b */}".into(), 400),
        ("a comma too many", r#"{"name":"a",}"#.into(), 400),
        ("single quotes", "{'name':'a'}".into(), 400),
        ("a byte order mark", "\u{feff}{\"name\":\"a\"}".into(), 400),
        ("another value after it", after("{}"), 400),
        ("a bracket after it", after("}"), 400),
        ("NUL after it", after("\0"), 400),
        (
            "a huge number",
            format!(r#"{{"name":{}}}"#, "9".repeat(10_000)),
            422,
        ),
        ("a huge exponent", r#"{"name":1e99999}"#.into(), 422),
        ("null", "null".into(), 422),
        ("a text", "\"name\"".into(), 422),
        ("an array", r#"["a"]"#.into(), 422),
    ] {
        let answer = raw.post("/stacks", &body).await.context(name)?;
        let problem = answer.problem().context(name)?;
        ensure!(problem.status == status, "{name}: {problem:?}");
        ensure!(
            answer.body.len() < 4_000,
            "{name}: {} bytes",
            answer.body.len()
        );
    }
    let bytes = b"{\"name\":\"\xff\xfe\"}".to_vec();
    let answer = raw
        .send(Method::POST, "/stacks", "application/json", bytes)
        .await?;
    answer.refuses(400, Code::Malformed)?;
    let utf_16: Vec<u8> = r#"{"name":"a"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answer = raw
        .send(Method::POST, "/stacks", "application/json", utf_16)
        .await?;
    answer.refuses(400, Code::Malformed)?;
    ensure!(raw.list::<Stack>("/stacks").await?.is_empty());
    Ok(())
}

async fn a_word_that_is_none_of_those_known_is_refused(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    broker.new_generator("ci").await?;
    broker.new_agent("edge").await?;
    broker.new_stack("shop").await?;
    let raw = Raw::admin(&broker)?;
    let stack = |options: Value| (Method::PATCH, "/stacks/shop", json!({"options": options}));
    let rule = |rule: Value| {
        (
            Method::PATCH,
            "/stacks/shop",
            json!({"targeting": {"rules": [rule]}}),
        )
    };
    let scope = |scope: Value| (Method::PATCH, "/generators/ci", json!({"scope": scope}));
    let key = |owner: Value| (Method::POST, "/keys", json!({"name": "b", "for": owner}));
    let publish = |options: Value| {
        let body = json!({"manifests": config_map("a", "1"), "options": options});
        (Method::POST, "/stacks/shop/deployment-objects", body)
    };
    for (method, path, body) in [
        stack(json!({"on_remove": "Delete"})),
        stack(json!({"on_remove": "explode"})),
        stack(json!({"on_remove": 0})),
        stack(json!({"on_remove": ["delete"]})),
        stack(json!({"create_namespace": "true"})),
        stack(json!({"create_namespace": 1})),
        rule(json!("every_agent")),
        rule(json!({"every_agent": "yes"})),
        rule(json!({"every_agent": false})),
        rule(json!({"labels": {"env": "prod"}})),
        rule(json!({"labels": ["env=prod"]})),
        rule(json!(null)),
        scope(json!("All_Agents")),
        scope(json!("everything")),
        scope(json!({"all_agents": true})),
        scope(json!({"labels": "a=b", "all_agents": null})),
        scope(json!({})),
        scope(json!({"labels": ""})),
        scope(json!({"labels": "a!=b"})),
        scope(json!(7)),
        key(json!("root")),
        key(json!({"admin": "x"})),
        key(json!({"agent": "edge", "generator": "ci"})),
        key(json!({"agent": null})),
        key(json!(["agent", "edge"])),
        publish(json!({"allow_delete": ["Secret"]})),
        publish(json!({"allow_delete": "Namespace"})),
        publish(json!({"allow_delete": [{"Namespace": {}}]})),
        publish(json!({"expect_sequence": "1"})),
        publish(json!({"expect_sequence": 1.5})),
        publish(json!({"expect_sequence": -1})),
    ] {
        let answer = raw
            .send(method.clone(), path, "application/json", body.to_string())
            .await?;
        let problem = answer
            .refuses(422, Code::Invalid)
            .with_context(|| format!("{method} {path} {body}"))?;
        ensure!(problem.pointer.is_some(), "{body}: {problem:?}");
    }
    for query in [
        "/audit?action=drop",
        "/stacks?limit=0",
        "/stacks?limit=501",
        "/stacks?limit=-1",
        "/stacks?limit=1e2",
        "/stacks?limit=1&limit=2",
        "/audit?subject=shop",
    ] {
        raw.get(query)
            .await?
            .refuses(422, Code::Invalid)
            .context(query)?;
    }
    let targets: Vec<AgentTarget> = raw.list("/agent-targets").await?;
    ensure!(targets.is_empty(), "{targets:?}");
    Ok(())
}

/// Databases count to 2⁶³, JSON to 2⁶⁴ and beyond: between them nothing breaks.
async fn no_number_is_too_large_for_an_answer(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    broker.new_generator("ci").await?;
    let stack = broker.new_stack("shop").await?.id;
    broker.publish("shop", &config_map("a", "1")).await?;
    broker.target("edge", "shop").await?;
    let admin = Raw::admin(&broker)?;
    let agent = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;
    for number in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e19",
        "-1",
        "-9223372036854775809",
        "0.5",
    ] {
        let publish =
            json!({"manifests": config_map("a", "2"), "options": {"expect_sequence": "N"}});
        let quota = json!({"quota": {"stacks": "N", "bytes": "N", "publishes_per_minute": "N"}});
        let event = |count: &str, sequence: &str| {
            json!({"events": [{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "stack": stack, "action": "apply",
                "outcome": "failed", "count": count, "sequence": sequence,
                "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z"}]})
        };
        let status = json!({"stacks": [
            {"stack": stack, "seen": "N", "applied": "N", "sync": "Synced", "health": "Current"}]});
        for (raw, method, path, body) in [
            (
                &admin,
                Method::POST,
                "/stacks/shop/rollback",
                json!({"to": "N"}),
            ),
            (
                &admin,
                Method::POST,
                "/stacks/shop/deployment-objects",
                publish,
            ),
            (&admin, Method::PATCH, "/generators/ci", quota),
            (
                &admin,
                Method::POST,
                "/keys",
                json!({"name": "b", "for": "admin", "expires_in": "N"}),
            ),
            (&agent, Method::POST, "/me/rotate", json!({"overlap": "N"})),
            (&agent, Method::POST, "/agent/events", event("N", "N")),
            (&agent, Method::PUT, "/agent/status", status),
            (
                &agent,
                Method::POST,
                "/agent/removals",
                json!({"removals": [{"stack": stack, "revision": "N"}]}),
            ),
        ] {
            let body = body.to_string().replace("\"N\"", number);
            let answer = raw
                .send(method.clone(), path, "application/json", body.clone())
                .await?;
            ensure!(
                !answer.status.is_server_error() && answer.status != 400,
                "{method} {path} {body}: {answer:?}"
            );
        }
        for path in [
            "/stacks?limit=N",
            "/stacks/shop/deployment-objects?cursor=N",
            "/audit?cursor=N",
            "/events?cursor=N",
            "/agent-targets?cursor=N",
            "/keys?cursor=N",
            "/removals?cursor=N",
            "/agents?cursor=N",
        ] {
            let path = path.replace('N', number);
            let answer = admin.get(&path).await?;
            ensure!(!answer.status.is_server_error(), "{path}: {answer:?}");
        }
        let path = "/agent/target-state?wait=0&interval=N".replace('N', number);
        let answer = agent.get(&path).await?;
        ensure!(!answer.status.is_server_error(), "{path}: {answer:?}");
    }
    // What was told is told again: an answer that cannot be made would show now.
    for path in [
        "/events",
        "/stacks/shop/status",
        "/generators/ci",
        "/keys",
        "/agents",
        "/audit",
    ] {
        let answer = admin.get(path).await?;
        ensure!(answer.status.is_success(), "{path}: {answer:?}");
    }
    Ok(())
}

/// What an agent says wrongly is refused, and the next request on the same connection is answered.
async fn a_refused_report_leaves_the_connection_open(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = broker.new_agent("edge").await?;
    let stack = broker.new_stack("shop").await?.id;
    broker.target("edge", "shop").await?;
    let event = |field: &str, value: Value| {
        let mut event = json!({"id": "01890a5d-ac96-774b-bcce-b302099a8057", "stack": stack, "action": "apply",
            "outcome": "succeeded", "count": 1, "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z",
            "objects": [{"object": {"kind": "Pod", "name": "a"}, "result": "created"}]});
        event[field] = value;
        ("POST", "events", json!({"events": [event]}))
    };
    let status = |field: &str, value: Value| {
        let mut status = json!({"stack": stack, "sync": "Synced", "health": "Current"});
        status[field] = value;
        ("PUT", "status", json!({"stacks": [status]}))
    };
    let object =
        |result: Value| json!([{"object": {"kind": "Pod", "name": "a"}, "result": result}]);
    for (method, path, body) in [
        event("action", json!("explode")),
        event("action", json!(0)),
        event("outcome", json!("Succeeded")),
        event("outcome", json!(null)),
        event("objects", object(json!("vanished"))),
        event("objects", object(json!(["created"]))),
        event("objects", json!({})),
        event("objects", json!([{"object": "Pod/a", "result": "created"}])),
        event("id", json!("event-1")),
        event("stack", json!("shop")),
        event("count", json!("1")),
        event("first", json!(1_700_000_000)),
        event("reason", json!(7)),
        status("sync", json!("synced")),
        status("sync", json!("perfect")),
        status("health", json!(true)),
        status("seen", json!("1")),
        status("stack", json!(null)),
        ("PUT", "status", json!([])),
        ("PUT", "status", json!({"stacks": {}})),
        (
            "POST",
            "removals",
            json!({"removals": [{"stack": stack, "revision": "1"}]}),
        ),
        ("POST", "removals", json!({"removals": ["shop"]})),
        ("POST", "removals", json!({})),
        ("PUT", "facts", json!({"kinds": "Pod"})),
        ("PUT", "facts", json!({"kinds": [7]})),
        ("PUT", "facts", json!({"kinds": [""]})),
        ("PUT", "facts", json!({"region": {"name": "eu"}})),
        ("PUT", "facts", json!({"region": "x".repeat(257)})),
        ("PUT", "facts", json!({"region": "eu\u{1b}[2J"})),
        ("PUT", "facts", json!("v1.33")),
    ] {
        refused_and_served_on(&broker, &key, method, path, &body.to_string(), 422).await?;
    }
    for body in ["", "{", "{\"events\":[]}}", "\u{0}"] {
        refused_and_served_on(&broker, &key, "POST", "events", body, 400).await?;
    }
    let kept = broker
        .admin()
        .events(&brokkr_client::EventFilter::default(), 10)
        .await?;
    ensure!(kept.is_empty(), "{kept:?}");

    // What is only unknown is of a newer version, and ignored.
    let (_, _, mut newer) = event("count", json!(1));
    newer["shape"] = json!({"of": ["things", "to", "come"]});
    newer["events"][0]["mood"] = json!("good");
    let raw = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;
    let answer = raw.post("/agent/events", &newer.to_string()).await?;
    ensure!(answer.status == 204, "{answer:?}");
    Ok(())
}

async fn refused_and_served_on(
    broker: &Broker,
    key: &str,
    method: &str,
    path: &str,
    body: &str,
    status: u16,
) -> Result<()> {
    let head =
        format!("host: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n");
    let length = body.len();
    let first = format!(
        "{method} /api/v1/agent/{path} HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}"
    );
    let next = format!("GET /api/v1/me HTTP/1.1\r\n{head}connection: close\r\n\r\n");
    let spoken = speak(broker.address(), (first + &next).as_bytes()).await?;
    ensure!(
        spoken.statuses == [status, 200],
        "{method} {path} {body}: {spoken:?}"
    );
    Ok(())
}
