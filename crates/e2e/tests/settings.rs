//! What operators settle from the command line holds from then on.

use anyhow::{Result, ensure};
use brokkr_core::wire::{AuditAction, ChainedEntry, Generator, Settings};
use brokkr_e2e::Stage;

on_both_engines!(without a cluster: an_operator_settles_how_much_anybody_may_have);

async fn an_operator_settles_how_much_anybody_may_have(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    let shown = cli.does(&["settings"]).await?.stdout;
    ensure!(
        shown.contains("retention.agent_events_days") && shown.contains("forever"),
        "{shown}"
    );
    let set = [
        "settings",
        "set",
        "--keys-per-identity",
        "2",
        "--default-stacks",
        "7",
    ];
    cli.does(&set).await?;
    // What deletes is asked first, and nobody is there to answer.
    let shorter = ["settings", "set", "--agent-events-days", "90"];
    let asked = cli.ends(&shorter, 2).await?;
    ensure!(asked.stderr.contains("--yes"), "{asked:?}");
    cli.does(&[&shorter[..], &["--yes"]].concat()).await?;
    let shorter = ["settings", "set", "--audit-days", "400"];
    cli.ends(&shorter, 2).await?;
    // Longer deletes nothing.
    cli.does(&["settings", "set", "--agent-events-days", "365"])
        .await?;

    broker.kill().await?;
    broker.start_again().await?;
    let settings: Settings = cli.reads(&["settings"]).await?;
    let days = settings.retention.agent_events_days;
    ensure!(days.is_some_and(|days| days.get() == 365), "{settings:?}");
    cli.does(&[
        "generator",
        "create",
        "ci",
        "--all-agents",
        "--key-file",
        "ci.key",
    ])
    .await?;
    let ci: Generator = cli.reads(&["generator", "get", "ci"]).await?;
    ensure!(ci.quota.stacks == 7, "{ci:?}");
    let key = |name| ["key", "create", name, "--generator", "ci"];
    cli.does(&key("second")).await?;
    let refused = cli.ends(&key("third"), 1).await?;
    ensure!(
        refused.stderr.contains("brokkr settings set"),
        "it says what to do: {refused:?}"
    );
    let told = ["audit", "--action", "settings_change"];
    let entries: Vec<ChainedEntry> = cli.reads(&told).await?;
    let changes = |entry: &ChainedEntry| entry.entry.action == AuditAction::SettingsChange;
    ensure!(
        entries.len() == 3 && entries.iter().all(changes),
        "{entries:?}"
    );
    Ok(())
}
