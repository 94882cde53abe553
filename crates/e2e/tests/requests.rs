//! Agents are asked something in a pull design: what would change, and to try at once.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Action, Outcome, StackOptions, Sync};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage};
use serde_json::Value;

on_both_engines!(
    a_diff_shows_the_field_that_would_change_and_changes_nothing,
    a_stack_that_waits_to_try_again_is_synced_at_once,
    an_agent_that_is_not_there_is_said_to_be,
);

async fn a_diff_shows_the_field_that_would_change_and_changes_nothing(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let secret = |value| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData: {{password: {value}}}\n"
        )
    };
    let first = snapshot([
        config_map("a", "1"),
        config_map("b", "1"),
        secret("hunter-one"),
    ]);
    stack.roll_out(&first).await?;
    let published = stack.status().await?.desired;
    let file = stage.directory().join("next.yaml");
    std::fs::write(&file, &first)?;
    let diff = ["diff", "-f", "next.yaml", "--stack", "shop"];
    let said = cli.does(&diff).await?;
    ensure!(
        said.stdout.contains("nothing would change (3 unchanged)"),
        "{said:#?}"
    );

    let next = snapshot([
        config_map("a", "2"),
        config_map("c", "1"),
        secret("hunter-two"),
    ]);
    std::fs::write(&file, &next)?;
    let before = world.cluster.versions(&first, &stack.namespace).await?;
    let said = cli.ends(&diff, 1).await?;
    for words in [
        "data.value: \"1\" -> \"2\"".to_owned(),
        format!("change ConfigMap {}/a", stack.namespace),
        format!("delete ConfigMap {}/b", stack.namespace),
        format!("create ConfigMap {}/c", stack.namespace),
        "data.password: changed".to_owned(),
    ] {
        ensure!(said.stdout.contains(&words), "{words}: {said:#?}");
    }
    ensure!(
        !said.stdout.contains("hunter") && !said.stdout.contains("aHVudGVy"),
        "{said:#?}"
    );
    let said = cli.ends(&[&diff[..], &["-o", "json"]].concat(), 1).await?;
    let answers: Value = serde_json::from_str(&said.stdout)?;
    ensure!(answers[0]["answer"]["kind"] == "plan", "{answers:#}");

    // Nothing was published, and nothing written.
    ensure!(world.cluster.versions(&first, &stack.namespace).await? == before);
    ensure!(stack.status().await?.desired == published);
    let bad = ["diff", "-f", "nothing.yaml", "--stack", "shop"];
    let said = cli.ends(&bad, 2).await?;
    ensure!(said.stderr.contains("nothing.yaml"), "{said:#?}");
    Ok(())
}

/// Its namespace comes while the next attempt is far away.
async fn a_stack_that_waits_to_try_again_is_synced_at_once(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack_with("early", StackOptions::default()).await?;
    let sequence = stack.publish(&config_map("a", "1")).await?;
    stack
        .event_with("it waits for longer and longer", |event| {
            event.action == Action::Apply && event.outcome == Outcome::Failed && event.count >= 5
        })
        .await?;
    world.cluster.create_namespace(&stack.namespace).await?;
    let begun = std::time::Instant::now();
    let answers: Value = cli.reads(&["sync", "--stack", "early"]).await?;
    ensure!(answers[0]["answer"]["stacks"] == 1, "{answers:#}");
    stack
        .becomes(Sync::Synced, Some(sequence), PATIENCE)
        .await?;
    // The sixth attempt would be due 16 s after the fifth at the earliest.
    let took = begun.elapsed();
    ensure!(took.as_secs() < 8, "{took:?}");
    Ok(())
}

async fn an_agent_that_is_not_there_is_said_to_be(stage: &Stage) -> Result<()> {
    let world = stage.world_at_rest(None).await?;
    let cli = stage.operator(&world.broker).await?;
    world.stack("shop").await?;
    let begun = std::time::Instant::now();
    let said = cli.ends(&["sync", "--stack", "shop"], 1).await?;
    ensure!(said.stdout.contains("has never polled"), "{said:#?}");
    ensure!(
        begun.elapsed().as_secs() < 20,
        "it did not wait for an answer"
    );
    std::fs::write(stage.directory().join("a.yaml"), config_map("a", "1"))?;
    let said = cli
        .ends(&["diff", "-f", "a.yaml", "--stack", "shop"], 2)
        .await?;
    let first = said.stdout.lines().next().context("a line")?;
    ensure!(first.contains("cannot tell"), "{said:#?}");
    Ok(())
}
