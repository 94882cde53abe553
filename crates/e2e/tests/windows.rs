//! While a window denies, a new version waits and says until when; when the window is gone it is applied.

use anyhow::{Context as _, Result, ensure};
use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, eventually};
use jiff::{ToSpan as _, Zoned};

on_both_engines!(what_is_published_in_a_freeze_waits_and_says_until_when);

const ZONE: &str = "Europe/Berlin";

/// When the present hour began: a window of six hours from then on lasts for long enough.
fn this_hour() -> Result<Zoned> {
    let now = System.now().in_tz(ZONE)?;
    Ok(now
        .with()
        .minute(0)
        .second(0)
        .subsec_nanosecond(0)
        .build()?)
}

async fn what_is_published_in_a_freeze_waits_and_says_until_when(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let value = async || world.cluster.value(&stack.namespace, "a").await;

    let begins = this_hour()?;
    let ends = begins
        .checked_add(6.hours())?
        .strftime("%Y-%m-%d %H:%M")
        .to_string();
    let cron = begins.strftime("0 %-H %-d %-m *").to_string();
    let create = [
        "window",
        "create",
        "freeze",
        "--all-agents",
        "--deny",
        "--cron",
        &cron,
        "--duration",
        "6h",
        "--zone",
        ZONE,
    ];
    let said = cli.does(&create).await?;
    let now = format!("now, until {ends} {ZONE}");
    ensure!(said.stdout.contains(&now), "{said:?}");
    let listed = cli.does(&["window", "list"]).await?;
    ensure!(
        listed.stdout.contains(&now) && listed.stdout.contains("deny"),
        "{listed:?}"
    );

    let file = stage.directory().join("next.yaml");
    std::fs::write(
        &file,
        snapshot([config_map("a", "2"), config_map("b", "2")]),
    )?;
    let apply = [
        "apply",
        "-f",
        "next.yaml",
        "--stack",
        "shop",
        "--yes",
        "--wait",
    ];
    let words = format!("held until {ends} {ZONE} (window freeze)");
    let said = cli.ends(&apply, 1).await?;
    ensure!(said.stderr.contains(&words), "{said:?}");
    let shown = cli.does(&["status", "shop"]).await?;
    ensure!(
        shown.stdout.contains("Held") && shown.stdout.contains(&words),
        "{shown:?}"
    );
    let status = stack.status().await?;
    ensure!(
        status.sync == Sync::Held && status.applied == Some(1) && status.desired == Some(2),
        "{status:?}"
    );

    // What runs is kept meanwhile.
    world
        .cluster
        .delete(&config_map("a", "1"), &stack.namespace)
        .await?;
    eventually("it is put back", PATIENCE, async || {
        let value = value().await.context("it is not there")?;
        ensure!(value == "1", "{value}");
        Ok(())
    })
    .await?;
    ensure!(
        !world
            .cluster
            .config_maps(&stack.namespace)
            .await?
            .contains("b")
    );

    cli.does(&["window", "delete", "freeze", "--yes"]).await?;
    stack.synced(2).await?;
    ensure!(value().await? == "2");
    Ok(())
}
