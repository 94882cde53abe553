//! Who watches a stack sees it change, also after the broker was gone for a while.

use anyhow::{Result, ensure};
use brokkr_core::wire::{Sync, TargetStatus};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{PATIENCE, Process, Stage, eventually};

on_both_engines!(a_status_is_followed_through_a_restart);

async fn a_status_is_followed_through_a_restart(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let follow = ["status", "shop", "--watch"];
    let lines = cli.start("lines", &[&follow[..], &["-o", "json"]].concat())?;
    let mut table = cli.start("table", &follow)?;
    is_at(&lines, 1).await?;
    ensure!(table.says("AGENT").await?.contains("REASON"));

    stack.roll_out(&config_map("a", "2")).await?;
    is_at(&lines, 2).await?;

    world.broker.kill().await?;
    world.broker.start_again().await?;
    stack.roll_out(&config_map("a", "3")).await?;
    is_at(&lines, 3).await?;
    // A pipe has each change once, and the head of the table once.
    let said = lines.said().await?;
    let mut before = None;
    for line in said.lines() {
        let status = TargetStatus {
            observed_at: None,
            ..serde_json::from_str(line)?
        };
        ensure!(before.as_ref() != Some(&status), "twice: {said}");
        before = Some(status);
    }
    eventually("the table has it too", PATIENCE, async || {
        let said = table.said().await?;
        let last = said.lines().last().unwrap_or_default();
        let words: Vec<_> = last.split_whitespace().collect();
        ensure!(words[1..5] == ["Synced", "Current", "3", "3"], "{said}");
        ensure!(said.matches("REASON").count() == 1, "{said}");
        Ok(())
    })
    .await
}

/// Waits until the newest line says that a sequence is applied and well.
async fn is_at(lines: &Process, sequence: u64) -> Result<()> {
    eventually("the newest line has it", PATIENCE, async || {
        let said = lines.said().await?;
        let last: TargetStatus = serde_json::from_str(said.lines().last().unwrap_or_default())?;
        ensure!(
            last.applied == Some(sequence) && last.sync == Sync::Synced,
            "{said}"
        );
        Ok(())
    })
    .await
}
