//! A broker whose database is another one harms nobody, its users are told why nothing happens, and they can say that
//! it is the right one.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{PATIENCE, Stage};

on_both_engines!(an_agent_holds_on_to_its_history_until_another_is_accepted);

async fn an_agent_holds_on_to_its_history_until_another_is_accepted(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("held").await?;
    let content = config_map("a", "1");
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;
    let followed = world.broker.admin().epochs().await?.current;

    world.broker.terminate().await?;
    stage.database().become_another().await?;
    world.broker.start_again().await?;
    let newer = config_map("a", "2");
    let sequence = stack.publish(&newer).await?;

    stack.becomes(Sync::Held, None, PATIENCE).await?;
    let reason = stack.status().await?.reason.context("a reason")?;
    let advice = format!("brokkr epochs accept {followed}");
    ensure!(reason.contains(&advice), "{reason}");
    ensure!(world.cluster.versions(&content, &stack.namespace).await? == before);

    let epochs = world.broker.admin().accept_epoch(followed).await?;
    ensure!(
        epochs.current != followed && epochs.accepted[0].epoch == followed,
        "{epochs:?}"
    );
    stack
        .becomes(Sync::Synced, Some(sequence), PATIENCE)
        .await?;
    ensure!(world.cluster.versions(&newer, &stack.namespace).await? != before);
    Ok(())
}
