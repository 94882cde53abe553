//! Requests that the API does not know are refused with a reason, and change nothing.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, DeploymentObject, Stack};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Raw, Stage};
use reqwest::Method;

on_both_engines!(without a cluster:
    unknown_and_malformed_json_is_refused,
    a_deployment_object_never_changes,
    the_database_keeps_history_too,
    what_contradicts_the_present_is_refused,
);

async fn unknown_and_malformed_json_is_refused(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let raw = Raw::admin(&broker)?;
    let before = raw.list::<Stack>("/stacks").await?;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (name, body, status, code) in [
        ("no JSON", "{", 400, Code::Malformed),
        ("empty", "", 400, Code::Malformed),
        (
            "two values",
            r#"{"name":"a"} {"name":"b"}"#,
            400,
            Code::Malformed,
        ),
        ("deep", &deep, 422, Code::Invalid),
        ("no text", "{\"name\":\"\u{0}\"}", 400, Code::Malformed),
        (
            "an unknown field",
            r#"{"name":"a","owner":"me"}"#,
            422,
            Code::Invalid,
        ),
        (
            "a field of the broker",
            r#"{"name":"a","id":"01890a5d-ac96-774b-bcce-b302099a8057"}"#,
            422,
            Code::Invalid,
        ),
        (
            "an unknown option",
            r#"{"name":"a","options":{"namespace":"b"}}"#,
            422,
            Code::Invalid,
        ),
        ("a missing field", "{}", 422, Code::Invalid),
        ("another type", r#"{"name":7}"#, 422, Code::Invalid),
        ("no name", r#"{"name":"A B"}"#, 422, Code::Invalid),
        (
            "a name like an id",
            r#"{"name":"01890a5d-ac96-774b-bcce-b302099a8057"}"#,
            422,
            Code::Invalid,
        ),
        (
            "no namespace",
            r#"{"name":"a","options":{"default_namespace":"A/B"}}"#,
            422,
            Code::Invalid,
        ),
        (
            "SQL",
            r#"{"name":"a'; drop table stacks; --"}"#,
            422,
            Code::Invalid,
        ),
    ] {
        let problem = raw
            .post("/stacks", body)
            .await?
            .refuses(status, code)
            .context(name)?;
        let has_place = problem.pointer.is_some() || code == Code::Malformed;
        ensure!(has_place, "{name}: it does not say where: {problem:?}");
    }
    let form = raw
        .send(
            Method::POST,
            "/stacks",
            "application/x-www-form-urlencoded",
            "name=a",
        )
        .await?;
    form.refuses(415, Code::UnsupportedMediaType)?;
    raw.get("/nothing/here")
        .await?
        .refuses(404, Code::NotFound)?;
    raw.get("/stacks?limit=none").await?.problem()?;
    raw.get("/stacks?cursor=%27or%201=1").await?.problem()?;
    ensure!(
        raw.list::<Stack>("/stacks").await? == before,
        "a refused request left something behind"
    );
    Ok(())
}

async fn a_deployment_object_never_changes(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let raw = Raw::admin(&broker)?;
    broker.new_stack("fixed").await?;
    let content = config_map("a", "1");
    let published = broker.publish("fixed", &content).await?;
    let path = format!("/deployment-objects/{}", published.deployment_object.id);

    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        for path in [path.clone(), format!("{path}/manifests")] {
            let answer = raw
                .send(
                    method.clone(),
                    &path,
                    "application/json",
                    r#"{"manifests":""}"#,
                )
                .await?;
            answer
                .refuses(405, Code::MethodNotAllowed)
                .with_context(|| format!("{method} {path}"))?;
        }
    }
    let found: DeploymentObject = serde_json::from_str(&raw.get(&path).await?.body)?;
    ensure!(found == published.deployment_object, "{found:?}");
    let text = raw.get(&format!("{path}/manifests")).await?;
    ensure!(text.body == content, "{text:?}");
    Ok(())
}

/// Neither does the database let anybody do so who has it, nor is what was audited let go.
async fn the_database_keeps_history_too(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let raw = Raw::admin(&broker)?;
    broker.new_stack("fixed").await?;
    let content = config_map("a", "1");
    let published = broker.publish("fixed", &content).await?;
    let seen = async || {
        let objects = raw.get("/stacks/fixed/deployment-objects").await?.body;
        let id = published.deployment_object.id;
        let text = raw
            .get(&format!("/deployment-objects/{id}/manifests"))
            .await?;
        let audit = raw.get("/audit").await?.body;
        Ok::<_, anyhow::Error>((objects, text.body, audit))
    };
    let before = seen().await?;
    for statement in [
        "update deployment_objects set sequence = 7",
        "update deployment_objects set message = 'x'",
        "update deployment_objects set author = 'x' where sequence = 1",
        "delete from deployment_objects",
        "update contents set objects = '[]'",
        "update contents set body = digest",
        "delete from contents",
        "update audit set action = 'x'",
        "update audit set entry = ''",
        "delete from audit",
        "delete from audit where revision = 1",
    ] {
        let outcome = stage.database().execute(statement).await;
        ensure!(outcome.is_err(), "{statement}: nothing refused it");
        ensure!(seen().await? == before, "{statement}");
    }
    Ok(())
}

async fn what_contradicts_the_present_is_refused(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let raw = Raw::admin(&broker)?;
    broker.new_stack("fixed").await?;
    broker.publish("fixed", &config_map("a", "1")).await?;

    let options = serde_json::json!({ "expect_sequence": 7 });
    let body = serde_json::json!({ "manifests": config_map("a", "2"), "options": options });
    let late = raw
        .post("/stacks/fixed/deployment-objects", &body.to_string())
        .await?;
    late.refuses(409, Code::SequenceMismatch)?;
    let back = raw.post("/stacks/fixed/rollback", r#"{"to":7}"#).await?;
    back.refuses(404, Code::NotFound)?;
    let taken = raw.post("/stacks", r#"{"name":"fixed"}"#).await?;
    taken.refuses(409, Code::NameTaken)?;
    let history: Vec<DeploymentObject> = raw.list("/stacks/fixed/deployment-objects").await?;
    ensure!(history.len() == 1, "{history:?}");
    Ok(())
}
