//! A stack that orphans its objects leaves them as they are, and they are nobody's from then on.

use anyhow::{Result, ensure};
use brokkr_core::wire::{OnRemove, StackOptions};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(a_removed_stack_that_orphans_leaves_its_objects);

async fn a_removed_stack_that_orphans_leaves_its_objects(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let options = StackOptions {
        create_namespace: true,
        on_remove: OnRemove::Orphan,
        ..StackOptions::default()
    };
    let stack = world.stack_with("orphan", options).await?;
    let content = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    stack.delete().await?;

    stack.removal_confirmed().await?;
    let after = world.cluster.versions(&content, &stack.namespace).await?;
    let uids = |versions: &std::collections::BTreeMap<_, brokkr_e2e::Version>| {
        versions
            .values()
            .map(|version| version.uid.clone())
            .collect::<Vec<_>>()
    };
    ensure!(uids(&before) == uids(&after), "{before:?} became {after:?}");
    Ok(())
}
