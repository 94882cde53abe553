//! What an environment's own rules refuse is not applied, and said by everything that tells how a stack is doing.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Action, ObjectResult, Outcome, Sync};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage};

on_both_engines!(what_a_rule_refuses_waits_for_the_rule_or_the_stack);

const RULES: &str = "
kinds: {deny: [Secret]}
rules:
  - name: no-b
    kinds: [ConfigMap]
    expression: object.data.value != 'b'
    message: b is not for this cluster
";

async fn what_a_rule_refuses_waits_for_the_rule_or_the_stack(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    world.polls(1).await?;
    world.stop_agent().await?;
    world.agent.live_by(RULES)?;
    world.start_agent()?;
    let [stack, other] = [world.stack("ruled").await?, world.stack("free").await?];
    stack.roll_out(&config_map("one", "a")).await?;

    let refused = snapshot([config_map("one", "c"), config_map("two", "b")]);
    let sequence = stack.publish(&refused).await?;
    let event = stack.event(Action::Apply, Outcome::Failed).await?;
    let [object] = event.objects.as_slice() else {
        anyhow::bail!("{event:#?}");
    };
    let reason = object.reason.as_deref().context("a reason")?;
    ensure!(object.result == ObjectResult::Invalid && object.object.name == "two");
    ensure!(
        reason.contains("rule no-b: b is not for this cluster"),
        "{reason}"
    );
    stack
        .becomes(Sync::Failed, Some(sequence - 1), PATIENCE)
        .await?;
    let cli = stage.operator(&world.broker).await?;
    let id = stack.id.to_string();
    let told = cli
        .does(&["status", id.as_str(), "-o", "wide"])
        .await?
        .stdout;
    ensure!(
        told.contains("rule no-b: b is not for this cluster"),
        "{told}"
    );
    let events = cli
        .does(&["events", "--stack", id.as_str(), "-o", "json"])
        .await?
        .stdout;
    ensure!(
        events.contains("rule no-b: b is not for this cluster"),
        "{events}"
    );
    ensure!(world.cluster.value(&stack.namespace, "one").await? == "a");
    other.roll_out(&config_map("three", "c")).await?;

    world.stop_agent().await?;
    world.agent.live_by("kinds: {deny: [Secret]}")?;
    world.start_agent()?;
    stack.synced(sequence).await?;
    ensure!(world.cluster.value(&stack.namespace, "one").await? == "c");
    ensure!(world.cluster.value(&stack.namespace, "two").await? == "b");
    Ok(())
}
