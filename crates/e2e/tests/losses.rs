//! Losses as people meet them at the command line: shown and asked first, held, approved, refused, brought back.

use anyhow::{Context as _, Result, ensure};
use brokkr_client::Client;
use brokkr_core::object::ObjectKey;
use brokkr_core::wire::{
    Health, HeldLoss, LossCause, OnRemove, Plan, Removal, Stack, StackStatus, Sync, TargetState,
};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Cli, Stage};

on_both_engines!(
    without a cluster: a_publish_that_drops_something_is_asked_for,
    a_held_loss_is_approved_or_refused,
    a_deleted_stack_is_brought_back
);

/// An agent that is played, a stack for it with two objects, and somebody who has signed in.
async fn scene(stage: &Stage) -> Result<(Broker, Cli, Client)> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    cli.does(&["agent", "create", "eu-1", "--key-file", "eu-1.key"])
        .await?;
    let key = std::fs::read_to_string(stage.directory().join("eu-1.key"))?;
    let agent = broker.client(key.trim())?;
    let all = format!("{}---\n{}", config_map("a", "1"), config_map("b", "1"));
    std::fs::write(stage.directory().join("all.yaml"), all)?;
    std::fs::write(stage.directory().join("less.yaml"), config_map("a", "1"))?;
    cli.does(&["stack", "create", "shop"]).await?;
    cli.does(&["stack", "target", "shop", "--agent", "eu-1"])
        .await?;
    cli.does(&apply("all.yaml", &[])).await?;
    Ok((broker, cli, agent))
}

fn apply<'a>(file: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["apply", "-f", file, "--stack", "shop"], rest].concat()
}

async fn told(agent: &Client) -> Result<TargetState> {
    use std::time::Duration;
    match agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await?
    {
        brokkr_client::Poll::Changed { state, .. } => Ok(*state),
        brokkr_client::Poll::Unchanged => anyhow::bail!("a first poll has an answer"),
    }
}

async fn head(cli: &Cli) -> Result<u64> {
    let stack: Stack = cli.reads(&["stack", "get", "shop"]).await?;
    Ok(stack.head.context("a head")?.sequence)
}

async fn a_publish_that_drops_something_is_asked_for(stage: &Stage) -> Result<()> {
    let (broker, cli, agent) = scene(stage).await?;

    let plan: Plan = cli.reads(&apply("less.yaml", &["--dry-run"])).await?;
    ensure!((plan.dropped.len(), plan.agents) == (1, 1), "{plan:?}");
    let shown = cli.does(&apply("less.yaml", &["--dry-run"])).await?;
    ensure!(shown.stdout.contains("ConfigMap b"), "{shown:?}");
    let asked = cli.ends(&apply("less.yaml", &[]), 2).await?;
    ensure!(
        asked.stderr.contains("ConfigMap b") && asked.stderr.contains("--yes"),
        "{asked:?}"
    );
    ensure!(head(&cli).await? == 1);
    cli.does(&apply("less.yaml", &["--yes"])).await?;
    let losses = &told(&agent).await?.stacks[0].approved_losses;
    ensure!(losses.len() == 1 && losses[0].name == "b", "{losses:?}");
    // Nothing is lost by what comes back, so nothing is asked; the way to less is.
    cli.does(&["rollback", "shop"]).await?;
    ensure!(told(&agent).await?.stacks[0].approved_losses.is_empty());
    cli.ends(&["rollback", "shop"], 2).await?;
    cli.does(&["rollback", "shop", "--dry-run"]).await?;
    cli.does(&["rollback", "shop", "--yes"]).await?;
    ensure!(head(&cli).await? == 4);

    let new = [
        "apply",
        "-f",
        "all.yaml",
        "--stack",
        "new",
        "--create",
        "--dry-run",
    ];
    cli.does(&new).await?;
    cli.ends(&["stack", "get", "new"], 1).await?;
    cli.does(&["stack", "untarget", "shop", "--agent", "eu-1", "--yes"])
        .await?;
    let removal = &told(&agent).await?.removals[0];
    ensure!(
        removal
            .approved
            .as_ref()
            .is_some_and(|yes| yes.by == "admin"),
        "{removal:?}"
    );
    drop(broker);
    Ok(())
}

/// The agent says that it holds the loss of `b`.
async fn hold(agent: &Client, cause: LossCause) -> Result<()> {
    let state = told(agent).await?;
    let running = state.stacks.iter().map(|entry| entry.stack);
    let mut stacks = running.chain(state.removals.iter().map(|removal| removal.stack));
    let status = StackStatus {
        stack: stacks.next().context("a stack")?,
        seen: state.stacks.first().map(|entry| entry.sequence),
        applied: Some(1),
        sync: Sync::Held,
        health: Health::Current,
        reason: Some("more than the guard lets pass".to_owned()),
        held: Some(HeldLoss {
            cause,
            objects: vec![ObjectKey {
                group: String::new(),
                kind: "ConfigMap".to_owned(),
                namespace: Some("default".to_owned()),
                name: "b".to_owned(),
            }],
            owned: 2,
        }),
    };
    Ok(agent.report_status(vec![status]).await?)
}

async fn a_held_loss_is_approved_or_refused(stage: &Stage) -> Result<()> {
    let (broker, cli, agent) = scene(stage).await?;
    cli.does(&apply("less.yaml", &["--yes"])).await?;
    let nothing = ["removals", "approve", "--stack", "shop"];
    let refused = cli.ends(&nothing, 1).await?;
    ensure!(refused.stderr.contains("removals list"), "{refused:?}");

    hold(&agent, LossCause::Snapshot(2)).await?;
    let list = cli.does(&["removals", "list", "-o", "wide"]).await?.stdout;
    for part in [
        "sequence 2 has less",
        "1 of 2 objects",
        "ConfigMap default/b",
    ] {
        ensure!(list.contains(part), "{part}: {list}");
    }
    let status = cli.does(&["status", "shop"]).await?.stdout;
    ensure!(status.contains("brokkr removals approve"), "{status}");
    let asked = cli.ends(&nothing, 2).await?;
    ensure!(asked.stderr.contains("ConfigMap default/b"), "{asked:?}");
    cli.does(&[&nothing[..], &["--yes"]].concat()).await?;
    ensure!(told(&agent).await?.stacks[0].approved_losses.len() == 2);

    hold(&agent, LossCause::Snapshot(2)).await?;
    let losses: Vec<Removal> = cli.reads(&["removals", "list", "--agent", "eu-1"]).await?;
    let id = losses.first().context("a loss")?.id.to_string();
    cli.does(&["removals", "refuse", &id]).await?;
    ensure!(told(&agent).await?.stacks[0].released.len() == 1);
    let gone = cli.ends(&["removals", "refuse", &id], 1).await?;
    ensure!(gone.stderr.contains("-o wide"), "{gone:?}");
    cli.ends(&["removals", "refuse"], 2).await?;

    cli.does(&["stack", "delete", "shop", "--yes"]).await?;
    let removal = told(&agent).await?.removals[0].revision;
    hold(&agent, LossCause::Removal(removal)).await?;
    let ways_on = cli.does(&["removals", "list"]).await?.stderr;
    ensure!(ways_on.contains("brokkr stack undelete"), "{ways_on}");
    ensure!(!ways_on.contains("brokkr stack target"), "{ways_on}");
    let left = cli.does(&["status"]).await?.stderr;
    ensure!(
        left.contains("1 of them held: brokkr removals list"),
        "{left}"
    );
    cli.does(&["removals", "refuse", "--stack", &id])
        .await
        .err()
        .context("an id of a target names no stack")?;
    let losses: Vec<Removal> = cli.reads(&["removals", "list"]).await?;
    let id = losses.first().context("a removal")?.id.to_string();
    cli.does(&["removals", "refuse", &id]).await?;
    ensure!(told(&agent).await?.removals[0].policy == OnRemove::Orphan);
    drop(broker);
    Ok(())
}

async fn a_deleted_stack_is_brought_back(stage: &Stage) -> Result<()> {
    let (broker, cli, agent) = scene(stage).await?;
    let deleted = cli.does(&["stack", "delete", "shop", "--yes"]).await?;
    let ids = cli
        .does(&["stack", "list", "--deleted", "-o", "name"])
        .await?;
    let id = ids.stdout.trim();
    ensure!(deleted.stderr.contains(id) && !id.is_empty(), "{deleted:?}");
    cli.ends(&["stack", "undelete", "shop"], 2).await?;
    cli.does(&["stack", "create", "shop"]).await?;
    let taken = cli.ends(&["stack", "undelete", id], 1).await?;
    ensure!(taken.stderr.contains("name_taken"), "{taken:?}");
    cli.does(&["stack", "delete", "shop", "--yes"]).await?;
    cli.does(&["stack", "undelete", id]).await?;
    ensure!(head(&cli).await? == 1);
    let back = told(&agent).await?;
    ensure!(back.stacks.len() == 1 && back.removals.is_empty());
    drop(broker);
    Ok(())
}
