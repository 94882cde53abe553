//! A broken stack holds up nobody but itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_core::wire::{Action, Outcome, Sync};
use brokkr_e2e::manifests::{config_map, deployment, snapshot};
use brokkr_e2e::{PATIENCE, Stage};

on_both_engines!(a_broken_stack_does_not_hold_up_another);

/// Far below the backoff of a stack that keeps failing.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn a_broken_stack_does_not_hold_up_another(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let [broken, good] = [world.stack("broken").await?, world.stack("good").await?];
    let misspelt = deployment("web", "example.test/web:1")
        .replace("spec:\n  selector", "spec:\n  replcas: 2\n  selector");
    world.cluster.create_namespace(&broken.namespace).await?;
    broken
        .publish(&snapshot([config_map("a", "1"), misspelt]))
        .await?;
    let event = broken.event(Action::Apply, Outcome::Failed).await?;
    ensure!(
        format!("{event:?}").contains("replcas"),
        "the field is named: {event:#?}"
    );
    ensure!(
        world
            .cluster
            .config_maps(&broken.namespace)
            .await?
            .is_empty(),
        "nothing is written of a snapshot that is refused"
    );

    for value in ["1", "2", "3", "4", "5"] {
        let sequence = good.publish(&config_map("a", value)).await?;
        good.becomes(Sync::Synced, Some(sequence), AT_ONCE).await?;
        ensure!(world.cluster.value(&good.namespace, "a").await? == value);
    }
    broken.becomes(Sync::Failed, None, PATIENCE).await?;

    broken
        .roll_out(&snapshot([
            config_map("a", "1"),
            deployment("web", "example.test/web:1"),
        ]))
        .await
}
