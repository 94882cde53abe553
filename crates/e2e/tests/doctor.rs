//! `brokkr doctor` says what stands between somebody and the broker, and what to do about it.

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_e2e::{Cli, Said, Stage};
use serde::Deserialize;

on_both_engines!(without a cluster: the_doctor_finds_what_is_wrong);

#[derive(Deserialize, Debug)]
struct Finding {
    check: String,
    mark: String,
    #[serde(default)]
    found: String,
    to_do: Option<String>,
}

/// What was found, as `check mark` each.
fn marks(findings: &[Finding]) -> Vec<String> {
    let mark = |finding: &Finding| format!("{} {}", finding.check, finding.mark);
    findings.iter().map(mark).collect()
}

const WAY: [&str; 4] = ["address ok", "connection ok", "broker ok", "clock ok"];

async fn the_doctor_finds_what_is_wrong(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    let (cli, url) = (Cli::new(stage.directory()), broker.url());
    let nobody = cli.ends(&["doctor"], 1).await?;
    ensure!(nobody.stdout.contains("brokkr login"), "{nobody:?}");

    // All is well, by a context.
    let login = ["login", "--server", &url, "--key-file", "admin.key"];
    cli.does(&login).await?;
    let well: Vec<Finding> = cli.reads(&["doctor"]).await?;
    let all = [&WAY[..], &["key ok", "expiry ok", "rights ok"]].concat();
    ensure!(marks(&well) == all, "{well:#?}");
    ensure!(well[0].found.contains("context `default`"), "{well:#?}");
    ensure!(well.iter().all(|one| one.to_do.is_none()), "{well:#?}");

    // An agent's key, as the agent would take it: one that ends soon, and one that does not.
    cli.does(&["agent", "create", "eu-1", "--key-file", "eu-1.key"])
        .await?;
    let spare = "key create spare --agent eu-1 --expires-in 3d --key-file spare.key";
    cli.does(&spare.split(' ').collect::<Vec<_>>()).await?;
    let pod = Cli::new(stage.directory()).with("BROKKR_BROKER", &url);
    let pod = pod.with("BROKKR_KEY_FILE", "eu-1.key");
    let agent: Vec<Finding> = pod.reads(&["doctor"]).await?;
    let with_state = [&all[..], &["target_state ok"]].concat();
    ensure!(marks(&agent) == with_state, "{agent:#?}");
    let is_told = agent[0].found.contains("BROKKR_BROKER") && agent[4].found.contains("agent eu-1");
    ensure!(is_told, "{agent:#?}");
    let ends = cli
        .does(&["doctor", "--broker", &url, "--key-file", "spare.key"])
        .await?;
    ensure!(line(&ends, "expiry")?.starts_with("warn"), "{ends:?}");
    ensure!(ends.stdout.contains("brokkr rotate-key"), "{ends:?}");

    // A key of another broker.
    let foreign = Pak::generate(Role::Agent, &System);
    std::fs::write(stage.directory().join("foreign.key"), foreign.expose())?;
    let wrong = cli
        .ends(&["doctor", "--key-file", "foreign.key"], 1)
        .await?;
    ensure!(line(&wrong, "key")?.starts_with("FAIL"), "{wrong:?}");
    let shown = wrong.stdout.contains(&foreign.id().to_string());
    let skipped = wrong.stdout.contains("expiry, rights, target state");
    ensure!(shown && skipped, "{wrong:?}");
    ensure!(!wrong.stdout.contains(foreign.expose()), "the key is shown");

    // No broker.
    broker.kill().await?;
    let away = cli.ends(&["doctor", "-o", "json"], 1).await?;
    let away: Vec<Finding> = serde_json::from_str(&away.stdout)?;
    let skipped = ["broker", "clock", "key", "expiry", "rights"];
    let skipped = skipped.map(|check| format!("{check} skipped"));
    let expected = ["address ok".to_owned(), "connection fail".to_owned()];
    ensure!(
        marks(&away) == [&expected[..], &skipped].concat(),
        "{away:#?}"
    );
    ensure!(away[1].to_do.is_some(), "{away:#?}");
    Ok(())
}

/// The line that tells of this check.
fn line<'a>(said: &'a Said, check: &str) -> Result<&'a str> {
    let mut lines = said.stdout.lines();
    let line = lines.find(|line| line.split_whitespace().nth(1) == Some(check));
    line.with_context(|| format!("nothing of {check}: {said:?}"))
}
