//! A database that is yesterday's, and one that is empty.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Epochs, Sync};
use brokkr_e2e::{Broker, Cli, Engine, PATIENCE, Pace, Stage, TestStack, World, eventually, hold};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::{OBJECTS, objects, shows, uids};

on_both_engines!(
    a_database_of_yesterday_deletes_and_downgrades_nothing,
    an_empty_database_deletes_nothing
);

/// As the page says: with the commands for SQLite, with the server's own means for PostgreSQL.
async fn back_up(stage: &Stage, broker: &mut Broker, cli: &Cli) -> Result<()> {
    if stage.database().engine() == Engine::Sqlite {
        let database = stage.database().url();
        cli.does(&[
            "broker",
            "backup",
            "--database",
            database,
            "--to",
            "backup.db",
        ])
        .await?;
        return Ok(());
    }
    broker.terminate().await?;
    stage.database().copy().await?;
    broker.start_again().await
}

async fn restore(stage: &Stage, broker: &mut Broker, cli: &Cli) -> Result<()> {
    broker.terminate().await?;
    if stage.database().engine() == Engine::Sqlite {
        let database = ["--database", stage.database().url()];
        let from = ["broker", "restore", "--from", "backup.db", "--replace"];
        let said = cli.does(&[&from[..], &database].concat()).await?;
        ensure!(
            said.stderr.contains("change(s) more") && said.stderr.contains("brokkr epochs accept"),
            "{said:?}"
        );
    } else {
        stage.database().bring_back().await?;
    }
    broker.start_again().await
}

async fn a_database_of_yesterday_deletes_and_downgrades_nothing(stage: &Stage) -> Result<()> {
    let mut world = stage.polling_world().await?;
    let cli = stage.operator(&world.broker).await?;
    let shop = world.stack("shop").await?;
    shop.roll_out(&objects(OBJECTS, "1")).await?;
    back_up(stage, &mut world.broker, &cli).await?;

    // What yesterday knows nothing of: a version with more, and a stack.
    let (grown, new) = (objects(OBJECTS + 6, "2"), objects(OBJECTS, "x"));
    shop.roll_out(&grown).await?;
    let late = world.stack("late").await?;
    late.roll_out(&new).await?;
    let versions = async || -> Result<_> {
        let late = world.cluster.versions(&new, &late.namespace).await?;
        Ok((world.cluster.versions(&grown, &shop.namespace).await?, late))
    };
    let before = versions().await?;
    let before_uids = uids(&world, &shop, &grown).await?;

    restore(stage, &mut world.broker, &cli).await?;
    shop.becomes(Sync::Held, None, PATIENCE).await?;
    let epochs: Epochs = cli.reads(&["epochs"]).await?;
    let lost = epochs
        .waiting()
        .next()
        .context("a history that waits")?
        .epoch
        .to_string();
    shows(&cli, &["status", "shop", "-o", "wide"], &["Held", &lost]).await?;
    shows(&cli, &["status"], &["shop", "Held"]).await?;
    shows(&cli, &["epochs"], &["the broker's own", "lost in part"]).await?;
    let advice = cli.does(&["epochs"]).await?;
    ensure!(
        advice
            .stderr
            .contains(&format!("brokkr epochs accept {lost}")),
        "{advice:?}"
    );

    // The operator publishes again what is missing, and still no agent acts on it.
    let sequence = shop.publish(&grown).await?;
    let polls = world.link.polls() + 10;
    hold(
        "nothing changes before somebody accepts",
        PATIENCE,
        async || {
            ensure!(world.link.polls() >= polls, "{} polls", world.link.polls());
            Ok(())
        },
        async || {
            let after = versions().await?;
            ensure!(after == before, "{after:?} instead of {before:?}");
            Ok(())
        },
    )
    .await?;

    cli.does(&["epochs", "accept", &lost, "--yes"]).await?;
    shop.becomes(Sync::Synced, Some(sequence), PATIENCE).await?;
    ensure!(uids(&world, &shop, &grown).await? == before_uids);
    shows(&cli, &["status", "shop"], &["Synced", "Current"]).await?;
    shows(&cli, &["epochs"], &["continued"]).await?;
    let (_, after) = versions().await?;
    ensure!(
        after == before.1,
        "a stack that the broker does not know is left as it is"
    );
    managed_again(&mut world, &cli, &late, &new).await?;
    shop.roll_out(&objects(OBJECTS + 6, "3")).await
}

/// Makes a stack anew that the broker lost, and gives it the objects that the old one left.
async fn managed_again(world: &mut World, cli: &Cli, lost: &TestStack, new: &str) -> Result<()> {
    let before = uids(world, lost, new).await?;
    let old = lost.id.to_string();
    std::fs::write(cli.directory().join("late.yaml"), new)?;
    let namespace = lost.namespace.as_str();
    let options = ["--default-namespace", namespace, "--adopt", "if-identical"];
    cli.does(&[&["stack", "create", "late"], &options[..]].concat())
        .await?;
    let agent = world.agent.namespace().to_owned();
    cli.does(&["stack", "target", "late", "--agent", &agent])
        .await?;
    cli.does(&["apply", "-f", "late.yaml", "--stack", "late"])
        .await?;
    eventually("the conflict names the old one", PATIENCE, async || {
        shows(cli, &["status", "late", "-o", "wide"], &["Failed", &old]).await
    })
    .await?;

    world.stop_agent().await?;
    let unlabel = Patch::Merge(json!({ "metadata": { "labels": { "brokkr.io/stack": null } } }));
    let maps = Api::<ConfigMap>::namespaced(world.cluster.client(), namespace);
    for key in before.keys() {
        maps.patch(&key.name, &PatchParams::default(), &unlabel)
            .await?;
    }
    let records = Api::<ConfigMap>::namespaced(world.cluster.client(), &agent);
    let its = ListParams::default().labels(&format!("brokkr.io/inventory={old}"));
    records
        .delete_collection(&DeleteParams::default(), &its)
        .await?;
    world.agent.start(Pace::Polling)?;
    eventually("the new one has them", PATIENCE, async || {
        shows(cli, &["status", "late"], &["Synced", "Current"]).await
    })
    .await?;
    ensure!(uids(world, lost, new).await? == before);
    Ok(())
}

async fn an_empty_database_deletes_nothing(stage: &Stage) -> Result<()> {
    let mut world = stage.polling_world().await?;
    let cli = stage.operator(&world.broker).await?;
    let shop = world.stack("shop").await?;
    let content = objects(OBJECTS, "1");
    shop.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &shop.namespace).await?;

    world.broker.terminate().await?;
    stage.database().put_aside().await?;
    world.broker.start_again().await?;
    // Also one that has only the record in its cluster to go by.
    world.agent.kill().await?;
    world.agent.start(Pace::Polling)?;
    world.agent.says("no session with the broker yet").await?;
    world.agent.is_alive()?;
    let after = world.cluster.versions(&content, &shop.namespace).await?;
    ensure!(after == before, "{after:?} instead of {before:?}");
    let said = cli.does(&["status"]).await?;
    ensure!(said.stderr.contains("There are none"), "{said:?}");

    world.broker.terminate().await?;
    stage.database().bring_back().await?;
    world.broker.start_again().await?;
    shop.becomes(Sync::Synced, Some(1), PATIENCE).await?;
    let after = world.cluster.versions(&content, &shop.namespace).await?;
    ensure!(after == before, "{after:?} instead of {before:?}");
    shop.roll_out(&objects(OBJECTS, "2")).await
}
