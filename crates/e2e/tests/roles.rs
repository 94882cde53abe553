//! Each role may do its own part, and nothing of another's.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Code;
use brokkr_e2e::{Raw, Stage};
use reqwest::Method;

on_both_engines!(without a cluster: a_role_has_its_own_rights_only);

async fn a_role_has_its_own_rights_only(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let agent = broker.new_agent("agent").await?;
    let generator = broker.new_generator("ci").await?;
    let name = r#"{"name":"a"}"#;
    let empty = r#"{"events":[]}"#;
    for (who, key, method, path, body) in [
        ("agent", &agent, Method::POST, "/stacks", name),
        ("agent", &agent, Method::GET, "/stacks", ""),
        ("agent", &agent, Method::POST, "/agents", name),
        ("agent", &agent, Method::GET, "/generators", ""),
        ("agent", &agent, Method::GET, "/events", ""),
        ("generator", &generator, Method::POST, "/agents", name),
        (
            "generator",
            &generator,
            Method::POST,
            "/generators",
            r#"{"name":"b","scope":"all_agents"}"#,
        ),
        ("generator", &generator, Method::DELETE, "/agents/agent", ""),
        (
            "generator",
            &generator,
            Method::GET,
            "/agent/target-state?wait=0",
            "",
        ),
        (
            "generator",
            &generator,
            Method::POST,
            "/agent/events",
            empty,
        ),
        (
            "admin",
            &std::fs::read_to_string(broker.key_file())?,
            Method::GET,
            "/agent/target-state?wait=0",
            "",
        ),
    ] {
        let raw = Raw::with_authorization(&broker, Some(format!("Bearer {}", key.trim())))?;
        let answer = raw
            .send(method.clone(), path, "application/json", body)
            .await?;
        answer
            .refuses(403, Code::Forbidden)
            .with_context(|| format!("{who}: {method} {path}"))?;
    }
    ensure!(broker.admin().stacks().await?.is_empty());
    ensure!(broker.admin().agents().await?.len() == 1);
    ensure!(broker.admin().generators().await?.len() == 1);
    Ok(())
}
